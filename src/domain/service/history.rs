//! The history of a service's deployments: ECS's service deployments, the last ten.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::names::DeploymentId;
use crate::api::{
    Deployment as DeploymentStatus, DeploymentState, Rollback, RolloutState, ServiceDeployment, ServiceDeploymentStatus,
};
use crate::domain::service::deployments::{Deployment, Ended, FailureCause};
use crate::domain::service::slots::SlotAttempts;
use crate::domain::service::view::View;

/// How many deployments are kept. The last one that succeeded is, however long ago it was: it is where a rollback goes.
const DEPLOYMENTS_MAX: usize = 10;

/// The history after a pass. `before` and `after` are the deployments that status has shown and is about to show, `left` those that
/// have no tasks any more.
pub(super) fn record(
    history: &[ServiceDeployment],
    before: &[DeploymentStatus],
    after: &[DeploymentStatus],
    left: &[Deployment],
    ended: Option<&Ended>,
    view: &View<'_>,
    now: Timestamp,
) -> Vec<ServiceDeployment> {
    let mut history = history.to_vec();
    let primary = after.first().filter(|first| first.status == DeploymentState::Primary);
    if let Some(primary) = primary
        && !history.iter().any(|past| past.id == primary.id)
    {
        history.insert(0, begun(primary));
    }
    for past in &mut history {
        let current = after.iter().find(|deployment| deployment.id == past.id);
        let left = left.iter().map(|left| &left.record).find(|left| left.id == past.id).filter(|_| current.is_none());
        if let Some(left) = left {
            // Nothing else remembers these once the deployment has left the list of those that have tasks.
            let used = SlotAttempts::parse(&left.used_attempts);
            let tasks = past.id.parse().ok().and_then(|id: DeploymentId| view.deployments.get(&id));
            past.used_attempts = tasks.map_or_else(|| used.clone(), |tasks| used.clone().after(tasks)).to_ranges();
            past.container_images.clone_from(&left.container_images);
        }
        let ended = ended.filter(|ended| ended.id.to_string() == past.id);
        let (status, reason) = became(past, primary, ended);
        let was_final = is_final(past.status);
        if is_final(status) && !was_final {
            past.finished_at = Some(Time(now));
        } else if !is_final(status) {
            past.finished_at = None;
        }
        if let Some(last) = current.or(left).filter(|_| status != past.status) {
            // What it aimed for as long as it was PRIMARY; after that, the tasks that it has left.
            let mut aim = current.into_iter().chain(before.iter().filter(|before| before.id == past.id));
            let aim = aim.find(|deployment| deployment.status == DeploymentState::Primary);
            past.requested_task_count = aim.map_or(past.requested_task_count, |deployment| deployment.desired_count);
            past.running_task_count = last.running_count;
            past.failed_task_count = last.failed_tasks;
        }
        if let Some((ended, back_to)) = ended.and_then(|ended| Some((ended, ended.back_to?))) {
            past.rollback = Some(Rollback {
                reason: reason.clone().unwrap_or_else(|| failed(ended.failure.cause, true)),
                started_at: Time(now),
                deployment: back_to.to_string(),
            });
        }
        if status != past.status {
            past.status = status;
            past.status_reason =
                reason.or_else(|| past.status_reason.take()).filter(|_| status != ServiceDeploymentStatus::Successful);
        }
    }
    forget(&mut history);
    history
}

fn begun(primary: &DeploymentStatus) -> ServiceDeployment {
    ServiceDeployment {
        id: primary.id.clone(),
        ordinal: primary.ordinal,
        task_definition: primary.task_definition.clone(),
        status: ServiceDeploymentStatus::InProgress,
        status_reason: None,
        created_at: primary.created_at.clone(),
        finished_at: None,
        requested_task_count: primary.desired_count,
        running_task_count: primary.running_count,
        failed_task_count: primary.failed_tasks,
        rollback: None,
        used_attempts: Vec::new(),
        container_images: Vec::new(),
        force_new_deployment: primary.force_new_deployment.clone(),
    }
}

/// What has become of a deployment, and why.
fn became(
    past: &ServiceDeployment,
    primary: Option<&DeploymentStatus>,
    ended: Option<&Ended>,
) -> (ServiceDeploymentStatus, Option<String>) {
    use ServiceDeploymentStatus::{
        InProgress, RollbackFailed, RollbackInProgress, RollbackSuccessful, Stopped, Successful,
    };
    if let Some(ended) = ended {
        let status = if ended.back_to.is_some() { RollbackInProgress } else { Stopped };
        return (status, Some(failed(ended.failure.cause, ended.back_to.is_some())));
    }
    let rollout = primary.and_then(|primary| primary.rollout_state);
    let is_primary = primary.is_some_and(|primary| primary.id == past.id);
    match past.status {
        _ if is_primary => match rollout {
            Some(RolloutState::Completed) => (Successful, None),
            Some(RolloutState::Failed) => (Stopped, None),
            // The way back to it is a part of the deployment that has failed. It worked once, whatever becomes of that.
            Some(RolloutState::InProgress) | None if past.status == Successful => (Successful, None),
            Some(RolloutState::InProgress) | None => (InProgress, None),
        },
        InProgress => {
            let newer = primary.map_or("another one", |primary| primary.id.as_str());
            (Stopped, Some(format!("Service deployment stopped because a newer one started: {newer}.")))
        }
        RollbackInProgress => {
            let back_to = past.rollback.as_ref().map(|rollback| rollback.deployment.as_str());
            match rollout.filter(|_| primary.map(|primary| primary.id.as_str()) == back_to) {
                Some(RolloutState::Completed) => (RollbackSuccessful, None),
                Some(RolloutState::InProgress) => (RollbackInProgress, None),
                Some(RolloutState::Failed) | None => (RollbackFailed, None),
            }
        }
        Successful | Stopped | RollbackSuccessful | RollbackFailed => (past.status, None),
    }
}

/// ECS's `statusReason`.
fn failed(cause: FailureCause, rolled_back: bool) -> String {
    let what = if rolled_back { "rolled back" } else { "stopped" };
    match cause {
        FailureCause::CircuitBreaker => {
            format!("Service deployment {what} because the circuit breaker threshold was exceeded.")
        }
        FailureCause::ImageDigests => {
            format!("Service deployment {what} because the container image digests could not be established.")
        }
        FailureCause::Person => format!("Service deployment {what} by user."),
    }
}

fn is_final(status: ServiceDeploymentStatus) -> bool {
    match status {
        ServiceDeploymentStatus::InProgress | ServiceDeploymentStatus::RollbackInProgress => false,
        ServiceDeploymentStatus::Successful
        | ServiceDeploymentStatus::Stopped
        | ServiceDeploymentStatus::RollbackSuccessful
        | ServiceDeploymentStatus::RollbackFailed => true,
    }
}

fn forget(history: &mut Vec<ServiceDeployment>) {
    history.sort_by_key(|past| std::cmp::Reverse(past.ordinal));
    let last_success = history.iter().position(|past| past.status == ServiceDeploymentStatus::Successful);
    let mut place = 0_usize;
    let mut kept = 0_usize;
    let reserved = usize::from(last_success.is_some_and(|at| at >= DEPLOYMENTS_MAX));
    history.retain(|_| {
        let keep = kept < DEPLOYMENTS_MAX.saturating_sub(reserved) || Some(place) == last_success;
        place = place.saturating_add(1);
        kept = kept.saturating_add(usize::from(keep));
        keep
    });
}
