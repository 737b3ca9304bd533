//! The record of stopped tasks. It is written before the evidence is destroyed: the pod of a task that stopped by itself
//! stays until status holds its stop code, reason and exit codes.

use std::collections::BTreeMap;

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

/// The tasks that ended and are not on record yet, those that failed first: no more than the record holds, so that none is
/// pushed out before it has been seen there.
pub(super) fn unrecorded<'a>(
    tasks: &BTreeMap<DeploymentId, DeploymentTasks<'a>>,
    recorded: &[StoppedTask],
) -> Vec<&'a TaskFact> {
    let ended = tasks.values().flat_map(DeploymentTasks::ended);
    let final_ = |task: &&TaskFact| failed(task) || task.presence == Presence::Gone;
    let mut ended: Vec<_> = ended.filter(final_).filter(|task| !is_recorded(task, recorded)).collect();
    ended.sort_by_key(|task| !failed(task));
    ended.truncate(STOPPED_TASKS_MAX);
    ended
}

/// Whether a task stopped by itself.
pub(super) fn failed(task: &TaskFact) -> bool {
    matches!(task.state, TaskState::Stopped(_))
}

/// The record after a pass, newest first.
pub(super) fn record(
    previous: &[StoppedTask],
    new: &[&TaskFact],
    primary: Option<DeploymentId>,
    now: Timestamp,
) -> Vec<StoppedTask> {
    let new = new.iter().map(|task| stopped_task(task, primary, now));
    new.chain(previous.iter().cloned()).take(STOPPED_TASKS_MAX).collect()
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
