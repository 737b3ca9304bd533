//! Availability Zones that tasks are not moved to for a while: one that was started there to balance the zones has come to nothing.
//!
//! ECS documents only that it tells when it "is unable to place a task" in a zone. Without a memory of that, a service at rest would try
//! for ever; and its launch throttle, which would make it wait, would keep it from replacing the tasks that it loses elsewhere.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::AvoidedZone;
use crate::domain::facts::{Presence, TaskFact};
use crate::domain::placement::node::AVAILABILITY_ZONE;
use crate::domain::service::Observed;
use crate::domain::service::view::{DeploymentTasks, Nodes, Stopped};
use crate::domain::task::{Checks, Gate, HealthPeriods, TaskState};

/// How long a zone is left alone.
const AVOIDED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// The same where a start was refused while tasks are on their way there, or leave: a quota has room once those that are replaced
/// have gone.
const REFUSED_FOR: SignedDuration = SignedDuration::from_mins(1);
/// How far the clocks of two operators may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);
/// How long a task that runs there may take to pass its checks, if it may not take longer anyway.
const PASSES_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// The same with target groups. They come after the health checks of containers, and may never say anything.
const TARGETS_PASS_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// The zones to leave alone, by name: those of before, and those of tasks that no node takes, whose start is refused, that die or fall
/// ill early, or do not come to pass their checks.
pub(super) fn find(
    seen: &Observed<'_>,
    tasks: &DeploymentTasks<'_>,
    unrecorded: &[&Stopped<'_>],
    now: Timestamp,
) -> Vec<AvoidedZone> {
    if !seen.service.rebalances_zones {
        return Vec::new();
    }
    let periods = seen.service.health_periods;
    let before = seen.status.availability_zone_rebalancing.iter().flat_map(|before| &before.avoided_zones);
    let after = |time: SignedDuration| now.saturating_add(time).unwrap_or(now);
    // What lies further ahead was written by a clock that was fast, by a year perhaps.
    let latest = after(AVOIDED_FOR.saturating_add(CLOCKS_DIFFER));
    let is_left_alone = |zone: &AvoidedZone| now < zone.retry_at.0 && zone.retry_at.0 <= latest;
    // A new node is no answer to a refusal.
    let is_reopened = |zone: &AvoidedZone| !zone.refused && has_new_node(zone, seen.nodes);
    let before = before.filter(|zone| is_left_alone(zone) && !is_reopened(zone)).cloned();
    let mut zones: Vec<AvoidedZone> = before.collect();
    let mut avoid = |zone: &str, time: SignedDuration, reason: String, refused: bool| {
        // An entry of before stays as it is: the time is not to go on for ever. But that a task has failed outweighs a refusal.
        if !zones.iter().any(|known| known.zone == zone && (refused || !known.refused)) {
            zones.retain(|known| known.zone != zone);
            zones.push(AvoidedZone { zone: zone.to_owned(), retry_at: Time(after(time)), reason, refused });
        }
    };
    let died = unrecorded.iter().filter(|stopped| stopped.end.died_early(periods));
    let died = died.map(|stopped| (stopped.task, format!("it ended: {}", stopped.end.reason)));
    let ill = tasks.unhealthy.iter().filter(|task| fell_ill_early(task, periods));
    let ill = ill.map(|task| (*task, "it was unhealthy".to_owned()));
    let late = tasks.unready.iter().filter(|task| is_late(task, periods, now));
    let late = late.map(|task| (*task, "it did not come to pass its checks".to_owned()));
    let unplaced = tasks.not_launched(now).map(|task| (task, "no node took it".to_owned()));
    for (task, what) in died.chain(ill).chain(late).chain(unplaced) {
        if let Some(zone) = &task.zone {
            avoid(zone, AVOIDED_FOR, format!("the task {}: {what}", task.task_id()), false);
        }
    }
    for (zone, reason) in &seen.tasks.unannounced.refused_zones {
        let mut on_its_way = [&tasks.pending, &tasks.unready, &tasks.warming].into_iter().flatten();
        let moves = on_its_way.any(|task| task.zone.is_some()) || !tasks.creating.is_empty();
        let makes_room = !tasks.ending.is_empty() || tasks.leaving.iter().any(|task| task.presence != Presence::Gone);
        avoid(zone, if moves || makes_room { REFUSED_FOR } else { AVOIDED_FOR }, reason.clone(), true);
    }
    zones.sort_by(|one, other| one.zone.cmp(&other.zone));
    zones
}

/// When a task is late that runs in the zone it was started for, and does not pass its checks.
pub(super) fn late_at(task: &TaskFact, periods: HealthPeriods) -> Option<Timestamp> {
    task.zone.as_ref()?;
    match &task.state {
        TaskState::Running(checks) if !checks.passing => {
            checks.running_since?.saturating_add(passes_within(checks, periods)).ok()
        }
        TaskState::Running(_) | TaskState::Pending { .. } | TaskState::Stopped(_) => None,
    }
}

/// Whether it is.
pub(super) fn is_late(task: &TaskFact, periods: HealthPeriods, now: Timestamp) -> bool {
    late_at(task, periods).is_some_and(|at| at <= now)
}

/// Whether a task that is unhealthy has become so before it had done its work for some time.
fn fell_ill_early(task: &TaskFact, periods: HealthPeriods) -> bool {
    match &task.state {
        TaskState::Running(checks) => {
            let ran_for = checks.running_since.zip(checks.passing_changed_at);
            let ran_for = ran_for.map_or(SignedDuration::ZERO, |(since, changed)| changed.duration_since(since));
            ran_for <= passes_within(checks, periods)
        }
        TaskState::Pending { .. } | TaskState::Stopped(_) => false,
    }
}

fn passes_within(checks: &Checks, periods: HealthPeriods) -> SignedDuration {
    let within = match checks.gate {
        Gate::Running | Gate::Agent => PASSES_WITHIN,
        Gate::HealthCheck { deadline } => PASSES_WITHIN.max(deadline),
        Gate::Targets => TARGETS_PASS_WITHIN,
    };
    within.max(periods.grace)
}

/// Whether a node has joined since.
fn has_new_node(zone: &AvoidedZone, nodes: &Nodes) -> bool {
    let since = zone.retry_at.0.saturating_sub(AVOIDED_FOR).unwrap_or(zone.retry_at.0);
    nodes.values().any(|node| {
        node.attribute(AVAILABILITY_ZONE) == Some(zone.zone.as_str()) && node.created_at.is_some_and(|at| at > since)
    })
}
