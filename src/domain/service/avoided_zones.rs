//! Availability Zones that tasks are not moved to for a while: one that was started there to balance the zones has come to nothing.
//!
//! ECS documents only that it tells when it "is unable to place a task" in a zone. Without a memory of that, a service at rest would try
//! for ever; and its launch throttle, which would make it wait, would keep it from replacing the tasks that it loses elsewhere.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::AvoidedZone;
use crate::domain::facts::TaskFact;
use crate::domain::placement::node::AVAILABILITY_ZONE;
use crate::domain::service::Observed;
use crate::domain::service::view::{DeploymentTasks, Nodes, Stopped};
use crate::domain::task::TaskState;

/// How long a zone is left alone.
const AVOIDED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// How long a task that runs there may take to pass its checks; a target group may never say anything.
const PASSES_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// The zones to leave alone, by name: those of before, and those of tasks that no node takes, whose start is refused, that die early, are
/// unhealthy, or do not come to pass their checks.
pub(super) fn find(
    seen: &Observed<'_>,
    tasks: &DeploymentTasks<'_>,
    unrecorded: &[&Stopped<'_>],
    now: Timestamp,
) -> Vec<AvoidedZone> {
    if !seen.service.rebalances_zones {
        return Vec::new();
    }
    let before = seen.status.availability_zone_rebalancing.iter().flat_map(|before| &before.avoided_zones);
    let retry_at = now.saturating_add(AVOIDED_FOR).unwrap_or(now);
    // What lies further ahead was written by a clock that was fast, by a year perhaps.
    let is_left_alone = |zone: &AvoidedZone| now < zone.retry_at.0 && zone.retry_at.0 <= retry_at;
    let before = before.filter(|zone| is_left_alone(zone) && !has_new_node(zone, seen.nodes)).cloned();
    let died = unrecorded.iter().filter(|stopped| stopped.end.died_early(seen.service.health_periods));
    let slow = tasks.unready.iter().filter(|task| is_late(task, now)).copied();
    let failed = died.map(|stopped| stopped.task).chain(tasks.unhealthy.iter().copied()).chain(slow);
    let failed = failed.chain(tasks.not_launched(now)).filter_map(|task| task.zone.as_deref());
    let refused = seen.tasks.unannounced.refused_zones.iter().map(AsRef::as_ref);
    let new = failed.chain(refused).map(|zone| AvoidedZone { zone: zone.to_owned(), retry_at: Time(retry_at) });
    let mut zones: Vec<AvoidedZone> = before.chain(new).collect();
    // The sort is stable: of two entries the one of before is kept, so that the time does not go on for ever.
    zones.sort_by(|one, other| one.zone.cmp(&other.zone));
    zones.dedup_by(|later, kept| later.zone == kept.zone);
    zones
}

/// When a task is late that runs in the zone it was started for, and does not pass its checks.
pub(super) fn late_at(task: &TaskFact) -> Option<Timestamp> {
    task.zone.as_ref()?;
    match &task.state {
        TaskState::Running(checks) if !checks.passing => checks.running_since?.saturating_add(PASSES_WITHIN).ok(),
        TaskState::Running(_) | TaskState::Pending { .. } | TaskState::Stopped(_) => None,
    }
}

/// Whether it is.
pub(super) fn is_late(task: &TaskFact, now: Timestamp) -> bool {
    late_at(task).is_some_and(|at| at <= now)
}

/// Whether a node has joined since.
fn has_new_node(zone: &AvoidedZone, nodes: &Nodes) -> bool {
    let since = zone.retry_at.0.saturating_sub(AVOIDED_FOR).unwrap_or(zone.retry_at.0);
    nodes.values().any(|node| {
        node.attribute(AVAILABILITY_ZONE) == Some(zone.zone.as_str()) && node.created_at.is_some_and(|at| at > since)
    })
}
