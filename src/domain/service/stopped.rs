//! The record of stopped tasks. It is written before the evidence is destroyed: the pod of a task that stopped by itself stays
//! until status holds its stop code, reason and exit codes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::names::{DeploymentId, task_id_of_pod};
use crate::api::{DeploymentState, ServiceStatus, StopCode, StoppedContainer, StoppedTask};
use crate::domain::facts::{Presence, StopCause, TaskFact};
use crate::domain::service::view::{DeploymentTasks, Stopped, View};
use crate::domain::service::{Action, Stop};
use crate::domain::task::{ContainerExit, StopRecord, TaskState};

/// How many stopped tasks a service's status keeps, newest first.
const STOPPED_TASKS_MAX: usize = 50;

/// The tasks that are on record, each with the beginning of its id as a number: in a rollout hundreds of tasks are looked for in
/// every pass, and most of them are not here.
pub(super) struct Recorded<'s>(Vec<(u64, &'s str)>);

impl<'s> Recorded<'s> {
    pub(super) fn of(stopped_tasks: &'s [StoppedTask]) -> Self {
        let ids = stopped_tasks.iter().map(|stopped| stopped.task.as_str());
        let mut recorded: Vec<_> = ids.map(|id| (beginning(id), id)).collect();
        recorded.sort_unstable();
        Self(recorded)
    }

    pub(super) fn has(&self, task: &TaskFact) -> bool {
        let id = task_id_of_pod(&task.pod);
        self.0.binary_search(&(beginning(id), id)).is_ok()
    }
}

fn beginning(id: &str) -> u64 {
    id.bytes().take(8).fold(0, |beginning, byte| beginning << 8 | u64::from(byte))
}

/// What to do about tasks that stopped by themselves and are on record: stop what is left of them, or remove the pod.
pub(super) fn actions(view: &View<'_>, status: &ServiceStatus) -> Vec<Action> {
    let recorded = Recorded::of(&status.stopped_tasks);
    let stopped = view.deployments.values().flat_map(|tasks| &tasks.stopped);
    let action = |stopped: &Stopped<'_>| {
        let task = stopped.task;
        if stopped.end.others_running {
            // One that took too long to start may have become healthy in the meantime.
            Action::StopTask(Stop::as_long_as_unchanged(task, StopCause::Ended))
        } else {
            Action::ForgetTask { pod: task.pod.clone(), uid: task.uid.clone() }
        }
    };
    stopped.filter(|stopped| recorded.has(stopped.task)).map(action).collect()
}

/// The tasks that ended and are not on record yet, those that failed first: no more than there is room for beside those on
/// record that can still be seen. One that was pushed out while its pod is there would be recorded, and counted, again.
pub(super) fn unrecorded<'a>(view: &View<'a>, status: &ServiceStatus) -> Vec<Stopped<'a>> {
    let recorded = Recorded::of(&status.stopped_tasks);
    let mut on_record = 0_usize;
    let (mut failed, mut asked) = (Vec::new(), Vec::new());
    for ended in all(view) {
        if recorded.has(ended.task) {
            on_record = on_record.saturating_add(1);
        } else if ended.by_itself() {
            failed.push(ended);
        } else if asked.len() < STOPPED_TASKS_MAX {
            asked.push(ended);
        }
    }
    let room = STOPPED_TASKS_MAX.saturating_sub(on_record);
    let replaced = status.deployments.iter().filter(|deployment| deployment.status == DeploymentState::Active);
    let replaced: BTreeSet<&str> = replaced.map(|deployment| deployment.id.as_str()).collect();
    failed.iter().chain(&asked).take(room).map(|ended| ended.stopped(&replaced)).collect()
}

/// Whether there is a task that failed and found no room on the record: it does as soon as another one has gone.
pub(super) fn is_crowded(view: &View<'_>, stopped_tasks: &[StoppedTask]) -> bool {
    let recorded = Recorded::of(stopped_tasks);
    all(view).any(|ended| ended.by_itself() && !recorded.has(ended.task))
}

/// A task that has ended for good. In a rollout there are hundreds, of which most will never be on record.
struct Ended<'v, 'a> {
    task: &'a TaskFact,
    how: End<'v>,
}

enum End<'v> {
    ByItself(&'v StopRecord),
    /// Stopped by us or by somebody else; its containers told how they ended.
    Asked(&'v StopRecord),
    /// The same, and gone before they could.
    Unheard,
}

/// Every task that has ended for good.
fn all<'v, 'a>(view: &'v View<'a>) -> impl Iterator<Item = Ended<'v, 'a>> + 'v {
    view.deployments.values().flat_map(|tasks| {
        let failed = tasks.stopped.iter().chain(&tasks.ending);
        let failed = failed.map(|stopped| Ended { task: stopped.task, how: End::ByItself(&stopped.end) });
        failed.chain(tasks.leaving.iter().filter_map(|task| leaving_for_good(task)))
    })
}

/// The end of a task that is on its way out: final once it has gone, or has told how it ended.
fn leaving_for_good(task: &TaskFact) -> Option<Ended<'_, '_>> {
    let by_us = task.stopped_for.as_ref().is_some_and(|cause| *cause != StopCause::Unknown);
    let how = match &task.state {
        TaskState::Stopped(end)
            if task.stopped_for == Some(StopCause::Ended) || (!by_us && ended_before(task, end)) =>
        {
            End::ByItself(end)
        }
        TaskState::Stopped(end) => End::Asked(end),
        TaskState::Pending { .. } | TaskState::Running(_) if task.presence != Presence::Gone => return None,
        TaskState::Pending { .. } | TaskState::Running(_) => End::Unheard,
    };
    Some(Ended { task, how })
}

impl<'a> Ended<'_, 'a> {
    fn by_itself(&self) -> bool {
        matches!(self.how, End::ByItself(_))
    }

    /// Of a task of which nobody knows any more who stopped it, that is the scheduler if a deployment replaces it.
    fn stopped(&self, replaced: &BTreeSet<&str>) -> Stopped<'a> {
        let task = self.task;
        let end = match self.how {
            End::ByItself(end) => return Stopped { task, end: end.clone() },
            End::Asked(end) => end.clone(),
            End::Unheard => StopRecord::of_request(&task.state),
        };
        let is_replaced = || replaced.contains(task.key.deployment.to_string().as_str());
        let (code, reason) = match (&task.stopped_for, &task.disruption) {
            (None | Some(StopCause::Unknown), Some(reason)) => (StopCode::TerminationNotice, reason.to_string()),
            (Some(StopCause::Unknown), None) if is_replaced() => (StopCode::ServiceSchedulerInitiated, String::new()),
            (None | Some(StopCause::Unknown), None) => (StopCode::UserInitiated, "Task stopped by user".to_owned()),
            (Some(_), _) => (StopCode::ServiceSchedulerInitiated, String::new()),
        };
        Stopped { task, end: StopRecord { code, reason, ..end } }
    }
}

/// Whether a task had ended before somebody asked for the deletion of its pod: else that is why it ended.
fn ended_before(task: &TaskFact, end: &StopRecord) -> bool {
    task.stop_requested_at.is_none_or(|requested| end.at.is_none_or(|at| at < requested))
}

/// The record after a pass, newest first. What can still be seen stays on it.
pub(super) fn record(
    previous: &[StoppedTask],
    new: &[&Stopped<'_>],
    view: &View<'_>,
    primary: Option<DeploymentId>,
    now: Timestamp,
) -> Vec<StoppedTask> {
    let recorded = Recorded::of(previous);
    let ended = view.deployments.values().flat_map(DeploymentTasks::ended);
    let seen: BTreeSet<&str> = ended.filter(|task| recorded.has(task)).map(|task| task_id_of_pod(&task.pod)).collect();
    let mut surplus = previous.len().saturating_add(new.len()).saturating_sub(STOPPED_TASKS_MAX);
    let mut kept: Vec<StoppedTask> = Vec::new();
    for stopped in previous.iter().rev() {
        if surplus > 0 && !seen.contains(stopped.task.as_str()) {
            surplus = surplus.saturating_sub(1);
        } else {
            kept.push(stopped.clone());
        }
    }
    let new = new.iter().map(|stopped| stopped_task(stopped, primary, now));
    new.chain(kept.into_iter().rev()).collect()
}

fn stopped_task(stopped: &Stopped<'_>, primary: Option<DeploymentId>, now: Timestamp) -> StoppedTask {
    let Stopped { task, end } = stopped;
    let scaling = || {
        let deployment = primary.unwrap_or(task.key.deployment);
        format!("Scaling activity initiated by (deployment {deployment})")
    };
    let stopped_reason = match &task.stopped_for {
        _ if !end.reason.is_empty() => end.reason.clone(),
        Some(StopCause::HealthCheck) => "Task failed container health checks".to_owned(),
        Some(StopCause::Targets { group: Some(group) }) => {
            format!("Task failed ELB health checks in (target-group {group})")
        }
        Some(StopCause::Targets { group: None }) => "Task failed ELB health checks".to_owned(),
        Some(StopCause::AgentDisconnected) => "The agent of the container instance is disconnected".to_owned(),
        Some(StopCause::PlacementConstraint) => {
            "The container instance does not satisfy the placement constraints of the service any more".to_owned()
        }
        Some(StopCause::Draining) => "The container instance is draining".to_owned(),
        Some(StopCause::Scaling | StopCause::Rebalancing { .. } | StopCause::Ended | StopCause::Unknown) | None => {
            scaling()
        }
    };
    let container = |exit: &ContainerExit| StoppedContainer {
        name: exit.name.clone(),
        exit_code: exit.exit_code,
        reason: exit.reason.clone(),
    };
    StoppedTask {
        task: task.task_id().to_string(),
        task_definition: task.revision.to_string(),
        deployment: task.key.deployment.to_string(),
        stop_code: Some(end.code),
        stopped_reason,
        started_at: end.ran_since.map(Time),
        stopped_at: Time(end.at.unwrap_or(now)),
        containers: end.containers.iter().map(container).collect(),
    }
}
