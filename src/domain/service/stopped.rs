//! The record of stopped tasks. It is written before the evidence is destroyed: the pod of a task that stopped by itself
//! stays until status holds its stop code, reason and exit codes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::names::DeploymentId;
use crate::api::{ServiceStatus, StopCode, StoppedContainer, StoppedTask};
use crate::domain::facts::{DeploymentTasks, Presence, TaskFact};
use crate::domain::service::{Action, Stop};
use crate::domain::task::TaskState;

/// How many stopped tasks a service's status keeps, newest first.
const STOPPED_TASKS_MAX: usize = 50;

/// What to do about tasks that stopped by themselves: stop what is left of them, and remove those that are on record.
pub(super) fn actions(tasks: &BTreeMap<DeploymentId, DeploymentTasks<'_>>, status: &ServiceStatus) -> Vec<Action> {
    let stopped = tasks.values().flat_map(|tasks| &tasks.stopped);
    let action = |task: &&TaskFact| match &task.state {
        TaskState::Stopped(record) if record.others_running => Some(Action::StopTask(Stop::whatever_its_state(task))),
        TaskState::Stopped(_) if is_recorded(task, &status.stopped_tasks) => {
            Some(Action::ForgetTask { pod: task.pod.clone(), uid: task.uid.clone() })
        }
        TaskState::Stopped(_) | TaskState::Pending | TaskState::Running { .. } => None,
    };
    stopped.filter_map(action).collect()
}

/// The tasks that ended and are not on record yet, those that failed first: no more than there is room for beside those on
/// record that can still be seen. One that was pushed out while its pod is there would be recorded, and counted, again.
pub(super) fn unrecorded<'a>(
    tasks: &BTreeMap<DeploymentId, DeploymentTasks<'a>>,
    recorded: &[StoppedTask],
) -> Vec<&'a TaskFact> {
    let final_ = |task: &&TaskFact| failed(task) || task.presence == Presence::Gone;
    let (on_record, mut new): (Vec<_>, Vec<_>) =
        tasks.values().flat_map(DeploymentTasks::ended).filter(final_).partition(|task| is_recorded(task, recorded));
    new.sort_by_key(|task| !failed(task));
    new.truncate(STOPPED_TASKS_MAX.saturating_sub(on_record.len()));
    new
}

/// Whether there is a task that failed and found no room on the record: it does as soon as another one has gone.
pub(super) fn is_crowded(tasks: &BTreeMap<DeploymentId, DeploymentTasks<'_>>, recorded: &[StoppedTask]) -> bool {
    tasks.values().flat_map(DeploymentTasks::ended).any(|task| failed(task) && !is_recorded(task, recorded))
}

/// Whether a task stopped by itself.
pub(super) fn failed(task: &TaskFact) -> bool {
    matches!(task.state, TaskState::Stopped(_))
}

/// The record after a pass, newest first. What can still be seen stays on it.
pub(super) fn record(
    previous: &[StoppedTask],
    new: &[&TaskFact],
    tasks: &BTreeMap<DeploymentId, DeploymentTasks<'_>>,
    primary: Option<DeploymentId>,
    now: Timestamp,
) -> Vec<StoppedTask> {
    let seen: BTreeSet<String> =
        tasks.values().flat_map(DeploymentTasks::ended).map(|task| task.task_id().to_string()).collect();
    let mut surplus = previous.len().saturating_add(new.len()).saturating_sub(STOPPED_TASKS_MAX);
    let mut kept: Vec<StoppedTask> = Vec::new();
    for stopped in previous.iter().rev() {
        if surplus > 0 && !seen.contains(&stopped.task) {
            surplus = surplus.saturating_sub(1);
        } else {
            kept.push(stopped.clone());
        }
    }
    let new = new.iter().map(|task| stopped_task(task, primary, now));
    new.chain(kept.into_iter().rev()).collect()
}

fn is_recorded(task: &TaskFact, recorded: &[StoppedTask]) -> bool {
    let id = task.task_id().to_string();
    recorded.iter().any(|stopped| stopped.task == id)
}

fn stopped_task(task: &TaskFact, primary: Option<DeploymentId>, now: Timestamp) -> StoppedTask {
    let deployment = primary.unwrap_or(task.key.deployment);
    let (stop_code, stopped_reason, at, exits) = match &task.state {
        TaskState::Stopped(record) => {
            (record.code, record.reason.clone(), record.at.unwrap_or(now), record.containers.as_slice())
        }
        TaskState::Pending | TaskState::Running { .. } if task.stopped_by_us => {
            let reason = format!("Scaling activity initiated by (deployment {deployment})");
            (StopCode::ServiceSchedulerInitiated, reason, now, [].as_slice())
        }
        TaskState::Pending | TaskState::Running { .. } => {
            (StopCode::UserInitiated, "Task stopped by user".to_owned(), now, [].as_slice())
        }
    };
    let container = |exit: &crate::domain::task::ContainerExit| StoppedContainer {
        name: exit.name.clone(),
        exit_code: exit.exit_code,
        reason: exit.reason.clone(),
    };
    StoppedTask {
        task: task.task_id().to_string(),
        task_definition: task.revision.to_string(),
        deployment: task.key.deployment.to_string(),
        stop_code: Some(stop_code),
        stopped_reason,
        started_at: task.started_at.map(Time),
        stopped_at: Time(at),
        containers: exits.iter().map(container).collect(),
    }
}
