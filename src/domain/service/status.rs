//! The status of a service, rebuilt from scratch every pass.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::conditions::{Conditions, Reason, Summary};
use crate::api::labels;
use crate::api::names::{DeploymentId, TaskId, label_value};
use crate::api::{
    AvoidedZone, Deployment as DeploymentStatus, DeploymentState, RolloutState, ServiceState, ServiceStatus,
    ZoneRebalancing,
};
use crate::domain::facts::{StopCause, TargetChange, TaskChange, TaskFact};
use crate::domain::service::bounds::Bounds;
use crate::domain::service::deployments::{Deployment, Deployments, FailureCause};
use crate::domain::service::events::{Notice, TargetGroup, ZoneName, announce};
use crate::domain::service::rebalance::{Balance, Rebalancing};
use crate::domain::service::rolling::{Moves, Phase};
use crate::domain::service::view::{DeploymentTasks, Stopped, View, is_unplaced};
use crate::domain::service::{Observed, history, image_digests, stopped};
use crate::domain::task::TaskState;

/// What a pass has found out, for the status to tell.
pub(super) struct Findings<'a, 'v> {
    pub(super) seen: &'a Observed<'a>,
    pub(super) deployments: &'v Deployments,
    pub(super) view: &'v View<'a>,
    pub(super) bounds: Bounds,
    pub(super) phase: Phase,
    /// What is done.
    pub(super) moves: &'v Moves<'a>,
    /// The zones between which tasks may move.
    pub(super) rebalancing: Option<&'v Rebalancing<'v>>,
    /// The zones that none move to for a while.
    pub(super) avoided: &'v [AvoidedZone],
    /// The tasks that are to be put on record now.
    pub(super) unrecorded: &'v [&'v Stopped<'a>],
    /// Whether every task is what it should be, but for those that move between zones.
    pub(super) settled: bool,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) now: Timestamp,
}

/// What keeps a service from its steady state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Floor and ceiling leave no room to replace a task.
    Blocked,
    /// More tasks are protected from scale-in than there are to be.
    Protected,
}

impl Findings<'_, '_> {
    /// Builds the status.
    pub(super) fn status(&self) -> ServiceStatus {
        let (seen, previous, now) = (self.seen, self.seen.status, self.now);
        let held = self.moves.held.iter().copied().chain(std::iter::repeat(None));
        let statuses: Vec<DeploymentStatus> = self
            .deployments
            .iter()
            .zip(held)
            .map(|(deployment, held)| self.deployment_status(deployment, held))
            .collect();
        let summary = self.summary(&statuses);
        let (availability_zone_rebalancing, of_zones) = self.zones();
        let mut notices = self.notices(&statuses, &summary);
        notices.extend(of_zones);
        let primary = statuses.first().filter(|first| first.status == DeploymentState::Primary);
        let ended = self.deployments.ended.as_ref();
        ServiceStatus {
            observed_generation: seen.generation,
            conditions: Conditions::new(&previous.conditions, seen.generation, now)
                .summary(&summary)
                .not_implemented(&self.without_effect())
                .build(),
            status: Some(if seen.deleting { ServiceState::Draining } else { ServiceState::Active }),
            desired_count: Some(count(self.bounds.desired)),
            running_count: Some(statuses.iter().map(|deployment| deployment.running_count).sum()),
            pending_count: Some(statuses.iter().map(|deployment| deployment.pending_count).sum()),
            selector: Some(format!("{}={}", labels::SERVICE, label_value(seen.object_name))),
            availability_zone_rebalancing,
            task_definition: primary.map(|primary| primary.task_definition.clone()),
            last_deployment_ordinal: Some(self.deployments.last_ordinal).filter(|ordinal| *ordinal > 0),
            service_deployments: history::record(
                &previous.service_deployments,
                &previous.deployments,
                &statuses,
                &self.deployments.left,
                ended,
                self.view,
                now,
            ),
            events: announce(&previous.events, seen.name, &notices, now),
            stopped_tasks: stopped::record(
                &previous.stopped_tasks,
                self.unrecorded,
                self.view,
                self.deployments.primary().map(|primary| primary.id),
                now,
            ),
            derived_secrets: if seen.deleting {
                previous.derived_secrets.clone()
            } else {
                seen.service.secrets.record.clone()
            },
            deployments: statuses,
        }
    }

    fn tasks_of(&self, deployment: &Deployment) -> Option<&DeploymentTasks<'_>> {
        self.view.deployments.get(&deployment.id)
    }

    fn deployment_status(&self, deployment: &Deployment, held: Option<usize>) -> DeploymentStatus {
        let is_primary = self.deployments.is_primary(deployment);
        let (running, active) =
            self.tasks_of(deployment).map_or((0, 0), |tasks| (tasks.running().count(), tasks.active()));
        let creating = self.tasks_of(deployment).map_or(0, |tasks| tasks.creating.len());
        let record = &deployment.record;
        let mut built = DeploymentStatus {
            status: if is_primary { DeploymentState::Primary } else { DeploymentState::Active },
            desired_count: count(if is_primary { self.bounds.desired } else { active }),
            pending_count: count(active.saturating_sub(running).saturating_sub(creating)),
            running_count: count(running),
            rollout_state_reason: record.rollout_state_reason.clone().or_else(|| {
                record.rollout_state.map(|state| match state {
                    RolloutState::InProgress => format!("ECS deployment {} in progress.", deployment.id),
                    RolloutState::Completed => format!("ECS deployment {} completed.", deployment.id),
                    RolloutState::Failed => format!("ECS deployment {} failed.", deployment.id),
                })
            }),
            used_attempts: deployment.used_attempts.to_ranges(),
            held_count: held.map(count),
            ..record.clone()
        };
        let before = self.seen.status.deployments.iter().find(|before| before.id == built.id);
        if before.is_some_and(|before| *before != built) {
            built.updated_at = Time(self.now);
        }
        built
    }

    /// How far the service is, and what keeps the tasks of a deployment from starting that is not the one which the spec asks for: one
    /// that the service went back to, or that is kept up until it is replaced.
    fn summary(&self, statuses: &[DeploymentStatus]) -> Summary {
        let summary = self.progress(statuses);
        let starting = self.deployments.iter().zip(self.moves.starting()).filter(|(_, starting)| *starting);
        let waiting = starting.filter_map(|(deployment, _)| self.seen.service.secrets.waiting(&deployment.revision));
        let waiting: BTreeSet<&str> =
            waiting.map(Summary::message).filter(|message| *message != summary.message()).collect();
        waiting.into_iter().fold(summary, Summary::and)
    }

    /// What has no effect, of the service and of what its deployments take from files.
    fn without_effect(&self) -> Vec<String> {
        let service = &self.seen.service;
        let mut without_effect = service.not_implemented.clone();
        let left_out = self.deployments.iter().filter_map(|of| service.secrets.left_out.get(&of.revision)).flatten();
        for line in left_out {
            if !without_effect.contains(line) {
                without_effect.push(line.clone());
            }
        }
        without_effect
    }

    fn progress(&self, statuses: &[DeploymentStatus]) -> Summary {
        let seen = self.seen;
        let left: i32 =
            statuses.iter().map(|deployment| deployment.running_count.saturating_add(deployment.pending_count)).sum();
        if seen.deleting {
            return Summary::Reconciling(
                Reason::Draining,
                format!("the service is being deleted; {left} tasks are left to stop"),
            );
        }
        if let Err(waiting) = &seen.service.target {
            return waiting.clone();
        }
        let Some(primary) = self.deployments.primary() else {
            return Summary::Reconciling(Reason::DeploymentInProgress, String::new());
        };
        let none = DeploymentTasks::default();
        let new = self.tasks_of(primary).unwrap_or(&none);
        let healthy = format!("{} of {} tasks of {} are healthy", new.counted(), self.bounds.desired, primary.revision);
        let old = usize::try_from(left).unwrap_or(0).saturating_sub(new.active());
        if let Some(back) = self.rolled_back(primary, &healthy) {
            return back;
        }
        let reason = primary.record.rollout_state_reason.clone().unwrap_or_default();
        match (self.phase, self.obstacle) {
            _ if self.settled && !primary.is(RolloutState::Failed) => Summary::Ready(Reason::SteadyState, healthy),
            (Phase::Failed, _) => Summary::Stalled(
                Reason::DeploymentFailed,
                format!("{reason} {healthy}, {old} old tasks are left; change the service, or roll back"),
            ),
            (_, Some(Obstacle::Blocked)) => {
                Summary::Stalled(Reason::DeploymentBlocked, Notice::DeploymentBlocked.sentence(seen.name))
            }
            (_, Some(Obstacle::Protected)) => {
                Summary::Reconciling(Reason::TasksProtected, Notice::Protected(primary.id).sentence(seen.name))
            }
            (Phase::Paused | Phase::PausedAndThrottled, None) => Summary::Reconciling(
                Reason::DeploymentPaused,
                format!("{healthy}, {old} old tasks are left; paused by {}", labels::PAUSE_DEPLOYMENT),
            ),
            (Phase::Throttled, None) => {
                let launches = &primary.record.launches;
                let next = launches.next_attempt_at.as_ref().map_or(self.now, |next| next.0);
                let why = match launches.refused_since {
                    Some(_) => "the API server refuses its tasks, and the events of the object have its words",
                    None => "status.stoppedTasks has what became of its tasks",
                };
                let impaired = Notice::StartImpaired.sentence(seen.name);
                Summary::Reconciling(
                    Reason::LaunchThrottled,
                    format!("{impaired} {healthy}; {why}; the next attempt is made at {next}"),
                )
            }
            (Phase::Going, None) if primary.is(RolloutState::Completed) => {
                Summary::Reconciling(Reason::Scaling, healthy)
            }
            (Phase::Going, None) => {
                Summary::Reconciling(Reason::DeploymentInProgress, format!("{healthy}, {old} old tasks are left"))
            }
        }
    }

    /// What there is to say where the spec asks for something that has failed, and something else runs.
    fn rolled_back(&self, primary: &Deployment, healthy: &str) -> Option<Summary> {
        let asked = self.seen.service.target.as_ref().ok()?;
        if !self.deployments.is_rolled_back {
            return None;
        }
        let history = &self.seen.status.service_deployments;
        let given_up = history.iter().filter(|past| past.rollback.is_some()).max_by_key(|past| past.ordinal);
        let why = given_up.and_then(|past| past.status_reason.clone()).unwrap_or_default();
        let what = format!("the spec asks for {}, which failed. {why} {healthy}", asked.revision);
        let asks_for = "change the service to try again";
        Some(if self.settled {
            Summary::Stalled(Reason::RolledBack, format!("{what}; {asks_for}"))
        } else if primary.is(RolloutState::Failed) {
            Summary::Stalled(Reason::DeploymentFailed, format!("{what}; the rollback failed, too; {asks_for}"))
        } else {
            Summary::Reconciling(Reason::RollingBack, what)
        })
    }

    /// How the balance of the zones goes on, and what there is to say of it.
    fn zones(&self) -> (Option<ZoneRebalancing>, Vec<Notice>) {
        let before = self.seen.status.availability_zone_rebalancing.as_ref();
        let was_in_progress = before.is_some_and(|before| before.in_progress);
        let none = DeploymentTasks::default();
        let primary = self.deployments.primary();
        let tasks = primary.and_then(|primary| self.tasks_of(primary)).unwrap_or(&none);
        let mut notices = Vec::new();
        let balance = self.rebalancing.map(|rebalancing| (rebalancing, rebalancing.balance(tasks, self.bounds)));
        let in_progress = match balance {
            Some((_, Balance::Unsettled)) => was_in_progress,
            Some((rebalancing, Balance::Uneven)) => {
                notices.extend((!was_in_progress).then(|| Notice::ZonesUneven(counts(rebalancing))));
                true
            }
            Some((rebalancing, Balance::Even)) => {
                notices.extend(was_in_progress.then(|| Notice::ZonesEven(counts(rebalancing))));
                false
            }
            Some((_, Balance::Protected)) => {
                notices.extend(primary.map(|primary| Notice::ZonesProtected(primary.id)));
                notices.extend(was_in_progress.then_some(Notice::RebalancingStopped));
                false
            }
            None => {
                notices.extend((was_in_progress && !self.seen.deleting).then_some(Notice::RebalancingStopped));
                false
            }
        };
        let unplaced = tasks.arriving.iter().chain(&tasks.stranded).filter(|task| is_unplaced(task));
        let unplaced: BTreeSet<ZoneName> = unplaced.filter_map(|task| task.zone.clone()).collect();
        notices.extend(unplaced.into_iter().map(Notice::ZoneUnplaced));
        let avoided_zones = self.avoided.to_vec();
        let has_news = in_progress || !avoided_zones.is_empty();
        (has_news.then_some(ZoneRebalancing { in_progress, avoided_zones }), notices)
    }

    /// How many tasks a deployment lacks.
    fn lacking(&self, deployment: DeploymentId) -> usize {
        let kept = self.view.deployments.get(&deployment).map_or(0, DeploymentTasks::kept);
        self.bounds.desired.saturating_sub(kept)
    }

    /// What there is to say of tasks that have just been found to be unhealthy.
    fn unhealthy(&self, deployment: &str, mut found: BTreeSet<&str>) -> Vec<Notice> {
        let deployment = deployment.parse().ok().and_then(|id: DeploymentId| self.view.deployments.get(&id));
        let tasks = deployment.filter(|_| !found.is_empty()).into_iter().flat_map(|tasks| &tasks.unhealthy);
        let notice = |task: &TaskFact| match (task.unhealthy_cause(), task.failing_target()) {
            (StopCause::Targets { group: Some(group) }, Some(target)) => Some(Notice::UnhealthyTarget {
                task: task.task_id().to_string(),
                group,
                reason: target.health.reason().unwrap_or_default().to_owned(),
            }),
            // What its checks say nobody hears.
            (StopCause::AgentDisconnected, _) => None,
            _ => Some(Notice::Unhealthy(task.task_id().to_string())),
        };
        tasks.filter(|task| found.remove(task.task_id().to_string().as_str())).filter_map(|task| notice(task)).collect()
    }

    /// "has begun draining connections": of tasks that were asked to stop while they ran, where there is a time for it.
    fn draining(&self) -> Vec<Notice> {
        if self.seen.service.deregistration_delay == 0 {
            return Vec::new();
        }
        let stopped = self.seen.tasks.unannounced.stopped.iter().map(|stopped| &stopped.task);
        let stopped: BTreeSet<&TaskId> = stopped.collect();
        let drains =
            |task: &&&TaskFact| matches!(task.state, TaskState::Running(_)) && stopped.contains(&task.task_id());
        let tasks =
            |(id, tasks): (&DeploymentId, &DeploymentTasks<'_>)| (*id, tasks.leaving.iter().filter(drains).count());
        let deployments = self.view.deployments.iter().map(tasks).filter(|(_, tasks)| *tasks > 0);
        deployments.map(|(id, tasks)| Notice::Draining(id, tasks)).collect()
    }

    /// What ECS would tell, from what has changed since status was last written.
    fn notices(&self, statuses: &[DeploymentStatus], summary: &Summary) -> Vec<Notice> {
        let mut notices = Vec::new();
        let unannounced = &self.seen.tasks.unannounced;
        let previous = &self.seen.status.deployments;
        notices.extend(of_tasks(&unannounced.started, Notice::Started, Notice::StartedInZone));
        notices.extend(of_targets(&unannounced.registered, Notice::Registered));
        notices.extend(of_tasks(&unannounced.stopped, Notice::Stopped, Notice::StoppedInZone));
        notices.extend(of_targets(&unannounced.deregistered, Notice::Deregistered));
        notices.extend(self.draining());
        for deployment in statuses {
            let before = previous.iter().find(|before| before.id == deployment.id);
            let named = |id: &&String| !before.is_some_and(|before| before.launches.unhealthy_tasks.contains(*id));
            let unhealthy = deployment.launches.unhealthy_tasks.iter().filter(named);
            notices.extend(self.unhealthy(&deployment.id, unhealthy.map(String::as_str).collect()));
            let attempts = before.map_or(0, |before| before.launches.failed_attempts);
            if deployment.launches.failed_attempts > attempts && deployment.launches.next_attempt_at.is_some() {
                notices.push(Notice::StartImpaired);
            }
            let is_refused = |deployment: &DeploymentStatus| deployment.launches.refused_since.is_some();
            if is_refused(deployment) && !before.is_some_and(is_refused) {
                notices.extend(deployment.id.parse().ok().map(|id| Notice::NotLaunched(id, self.lacking(id))));
            }
            if image_digests::has_failed(deployment) && !before.is_some_and(image_digests::has_failed) {
                notices.extend(deployment.id.parse().ok().map(Notice::RunsTags));
            }
            let state = |wanted| deployment.rollout_state == Some(wanted);
            let newly = |wanted| state(wanted) && before.is_none_or(|before| before.rollout_state != Some(wanted));
            if let Some(id) = deployment.id.parse().ok().filter(|_| newly(RolloutState::Completed)) {
                notices.push(Notice::DeploymentCompleted(id));
            }
        }
        if let Some(ended) = &self.deployments.ended {
            notices.push(match ended.failure.cause {
                FailureCause::CircuitBreaker => Notice::DeploymentFailed(ended.id),
                FailureCause::ImageDigests => Notice::DeploymentFailedForDigests(ended.id),
                FailureCause::Person => Notice::DeploymentStopped(ended.id),
            });
            notices.extend(ended.back_to.map(Notice::RollingBack));
        }
        let placement = self.view.deployments.values().flat_map(DeploymentTasks::unplaced).next();
        notices.extend(placement.map(|reason| Notice::Unplaced(reason.to_owned())));
        let was = |reason: Reason| {
            self.seen.status.conditions.iter().any(|old| old.type_ == "Ready" && old.reason == reason.as_str())
        };
        match summary {
            Summary::Ready(reason, _) if !was(*reason) => notices.push(Notice::SteadyState),
            Summary::Stalled(Reason::RolledBack, _) if !was(Reason::RolledBack) => notices.push(Notice::SteadyState),
            Summary::Stalled(Reason::DeploymentBlocked, _) if !was(Reason::DeploymentBlocked) => {
                notices.push(Notice::DeploymentBlocked);
            }
            Summary::Reconciling(Reason::TasksProtected, _) if !was(Reason::TasksProtected) => {
                notices.extend(self.deployments.primary().map(|primary| Notice::Protected(primary.id)));
            }
            Summary::Ready(..) | Summary::Reconciling(..) | Summary::Stalled(..) => {}
        }
        notices
    }
}

/// How many healthy tasks each zone has.
fn counts(rebalancing: &Rebalancing<'_>) -> Vec<(ZoneName, usize)> {
    rebalancing.healthy().into_iter().map(|(zone, tasks)| (zone.into(), tasks)).collect()
}

/// One notice for the tasks that have nothing to do with the balance of zones, and one for each zone.
fn of_tasks(
    changes: &[TaskChange],
    notice: fn(Vec<TaskId>) -> Notice,
    in_zone: fn(ZoneName, Vec<TaskId>) -> Notice,
) -> impl Iterator<Item = Notice> + use<> {
    let mut zones: BTreeMap<Option<ZoneName>, Vec<TaskId>> = BTreeMap::new();
    for change in changes {
        zones.entry(change.zone.clone()).or_default().push(change.task.clone());
    }
    zones.into_iter().map(move |(zone, tasks)| match zone {
        None => notice(tasks),
        Some(zone) => in_zone(zone, tasks),
    })
}

/// One notice for each target group.
fn of_targets(
    changes: &[TargetChange],
    notice: fn(TargetGroup, usize) -> Notice,
) -> impl Iterator<Item = Notice> + use<> {
    let mut groups: BTreeMap<TargetGroup, usize> = BTreeMap::new();
    for change in changes {
        let targets = groups.entry(change.group.clone()).or_default();
        *targets = targets.saturating_add(1);
    }
    groups.into_iter().map(move |(group, targets)| notice(group, targets))
}

fn count(tasks: usize) -> i32 {
    i32::try_from(tasks).unwrap_or(i32::MAX)
}
