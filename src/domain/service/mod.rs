//! The service scheduler: one pure function from what was observed to what to do.
//!
//! ```text
//! deployments  which deployments there are, and which is PRIMARY
//! bounds       floor and ceiling, in ECS's rounding
//! rolling      which tasks to stop, how many to start
//! slots        what the new ones are called
//! stopped      the record of tasks that ended
//! status       counts, rollout state, conditions
//! events       ECS's sentences
//! ```

mod bounds;
mod deployments;
mod events;
mod rolling;
mod slots;
mod status;
mod stopped;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};

use crate::api::ServiceStatus;
use crate::api::names::{RevisionName, TaskKey, Uid};
use crate::domain::Plan;
use crate::domain::facts::{DeploymentTasks, Presence, ServiceTasks, TaskFact};
use crate::domain::resolve::service::ResolvedService;
use bounds::Bounds;
use deployments::Deployments;
use rolling::Moves;

pub use deployments::deployment_content;
pub use events::event_reason;

/// Most tasks that one pass starts; the next one goes on. ECS itself starts 500 tasks a minute.
const STARTS_MAX: usize = 500;

/// A write to the tasks of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stop a task: its pod is deleted with its grace period.
    StopTask(Stop),
    /// Remove the pod of a task that has stopped by itself and is on record.
    ForgetTask {
        /// The pod.
        pod: String,
        /// Its uid.
        uid: Uid,
    },
    /// Start a task.
    StartTask {
        /// Which.
        key: TaskKey,
        /// What it runs.
        revision: RevisionName,
    },
}

/// A task to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The pod.
    pub pod: String,
    /// Its uid: another pod of the same name is left alone.
    pub uid: Uid,
    /// The version at which the stop is right, where that matters: a task that is not healthy may be stopped below the floor,
    /// but not if it became healthy in the meantime.
    pub resource_version: Option<String>,
}

impl Stop {
    fn whatever_its_state(task: &TaskFact) -> Self {
        Self { pod: task.pod.clone(), uid: task.uid.clone(), resource_version: None }
    }

    fn as_long_as_unchanged(task: &TaskFact) -> Self {
        Self { resource_version: Some(task.resource_version.clone()), ..Self::whatever_its_state(task) }
    }
}

/// What was observed of a service.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The service's uid.
    pub uid: &'a Uid,
    /// The service's name, as ECS's sentences have it.
    pub name: &'a str,
    /// The name of the `Service` object, as the labels of its pods have it.
    pub object_name: &'a str,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Whether its deletion has been asked for.
    pub deleting: bool,
    /// Its spec, with what it refers to looked up.
    pub service: &'a ResolvedService,
    /// Its status as last written.
    pub status: &'a ServiceStatus,
    /// Its tasks.
    pub tasks: &'a ServiceTasks,
}

/// Plans one pass over a service.
pub fn plan(seen: &Observed<'_>, now: Timestamp) -> Plan<Action, ServiceStatus> {
    let tasks = seen.tasks.by_deployment();
    let deployments = Deployments::of(seen, &tasks);
    let desired = if seen.deleting { 0 } else { seen.service.desired_count };
    let bounds = Bounds::new(desired, seen.service.minimum_healthy_percent, seen.service.maximum_percent);

    let none = DeploymentTasks::default();
    let new = deployments.primary().and_then(|primary| tasks.get(&primary.id)).unwrap_or(&none);
    let is_old = |deployment| deployments.primary().is_none_or(|primary| primary.id != deployment);
    let old: Vec<&DeploymentTasks<'_>> =
        tasks.iter().filter(|(deployment, _)| is_old(**deployment)).map(|(_, tasks)| tasks).collect();

    let moves = match (seen.deleting, deployments.primary()) {
        (true, _) => drain(&tasks.values().collect::<Vec<_>>()),
        // Nothing has ever been deployed: there is nothing to hold on to and nothing to start.
        (false, None) => Moves::default(),
        (false, Some(_)) => rolling::moves(bounds, new, &old),
    };
    let blocked = !old.iter().all(|tasks| tasks.active() == 0)
        && !bounds.can_replace()
        && moves.start == 0
        && moves.stop_healthy.is_empty()
        && moves.stop_unhealthy.is_empty();

    let mut actions = stopped::actions(&tasks, seen.status);
    actions.extend(moves.stop_unhealthy.iter().map(|task| Action::StopTask(Stop::as_long_as_unchanged(task))));
    actions.extend(moves.stop_healthy.iter().map(|task| Action::StopTask(Stop::whatever_its_state(task))));
    if let Some(primary) = deployments.primary().filter(|_| seen.service.can_start) {
        let keys = slots::vacant(primary.id, new, &primary.used_attempts, moves.start.min(STARTS_MAX));
        let start = |key| Action::StartTask { key, revision: primary.revision.clone() };
        actions.extend(keys.into_iter().map(start));
    }

    let status = status::status(seen, &deployments, &tasks, bounds, blocked, now);
    let left = tasks.values().any(deployments::has_tasks);
    let crowded = stopped::is_crowded(&tasks, &status.stopped_tasks);
    let wake_at = crowded.then(|| now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now));
    Plan { actions, status, hold: !seen.deleting || left, wake_at }
}

/// Deleting a service stops its tasks, with no floor.
fn drain<'a>(deployments: &[&DeploymentTasks<'a>]) -> Moves<'a> {
    let healthy = deployments.iter().flat_map(|tasks| &tasks.healthy).copied().collect();
    let unhealthy = deployments.iter().flat_map(|tasks| &tasks.unhealthy).copied().collect();
    Moves { stop_healthy: healthy, stop_unhealthy: unhealthy, start: 0 }
}

fn still_there(task: &TaskFact) -> bool {
    task.presence != Presence::Gone
}
