//! How the PRIMARY deployment goes on: what it has learned from its tasks, whether it fails, whether it is complete.

use jiff::Timestamp;

use crate::api::RolloutState;
use crate::domain::service::bounds::Bounds;
use crate::domain::service::deployments::{Deployment, Deployments, Failure, FailureCause};
use crate::domain::service::launches::Failures;
use crate::domain::service::rolling::Phase;
use crate::domain::service::view::{DeploymentTasks, Stopped, View};
use crate::domain::service::{Observed, image_digests};

/// Brings the deployments up to date. Returns whether the service is what it should be.
///
/// "A deployment is complete when the running count equals the desired count, every task is healthy, and no task of an older
/// deployment is left."
pub(super) fn advance(
    deployments: &mut Deployments,
    seen: &Observed<'_>,
    view: &View<'_>,
    unrecorded: &[&Stopped<'_>],
    bounds: Bounds,
    now: Timestamp,
) -> bool {
    pin_images(deployments, seen);
    let tripped = count_failures(deployments, seen, view, unrecorded, bounds, now);
    if let Some(failure) = tripped.or_else(|| asked_to_end(deployments, seen)) {
        deployments.fail(failure, &seen.status.service_deployments, view, now);
    }
    let none = DeploymentTasks::default();
    let new = deployments.primary().and_then(|primary| view.deployments.get(&primary.id)).unwrap_or(&none);
    let primary = deployments.primary().map(|primary| primary.id);
    let replaced = view.all_but(primary).all(|(_, tasks)| tasks.active() == 0);
    // A deployment that has just been come back to is shown to be in progress, even if nothing of it had been stopped yet.
    let settled = deployments.ended.is_none()
        && replaced
        && new.healthy.len() == bounds.desired
        && new.active() == bounds.desired;
    if let Some(primary) = deployments.primary_mut() {
        match primary.record.rollout_state {
            None | Some(RolloutState::InProgress) if settled => {
                primary.record.rollout_state = Some(RolloutState::Completed);
                primary.record.rollout_state_reason = None;
            }
            None => primary.record.rollout_state = Some(RolloutState::InProgress),
            Some(RolloutState::InProgress | RolloutState::Completed | RolloutState::Failed) => {}
        }
    }
    settled && deployments.primary().is_some()
}

/// What the PRIMARY deployment may do now.
pub(super) fn phase(primary: &Deployment, seen: &Observed<'_>, now: Timestamp) -> Phase {
    let is_throttled = primary.next_attempt_at().is_some_and(|at| at > now);
    if primary.is(RolloutState::Failed) {
        Phase::Failed
    } else if primary.is(RolloutState::InProgress) && seen.service.control.pauses(primary.id) {
        if is_throttled { Phase::PausedAndThrottled } else { Phase::Paused }
    } else if is_throttled {
        Phase::Throttled
    } else {
        Phase::Going
    }
}

fn pin_images(deployments: &mut Deployments, seen: &Observed<'_>) {
    for deployment in deployments.iter_mut().filter(|deployment| deployment.record.container_images.is_empty()) {
        let digests = seen.tasks.image_digests.get(&deployment.id);
        if let Some((definition, digests)) = seen.definitions.get(&deployment.revision).zip(digests) {
            deployment.record.container_images = image_digests::resolve(definition, digests);
        }
    }
}

/// Enters what failed since status was last written. Returns how the PRIMARY deployment fails, if it does.
fn count_failures(
    deployments: &mut Deployments,
    seen: &Observed<'_>,
    view: &View<'_>,
    unrecorded: &[&Stopped<'_>],
    bounds: Bounds,
    now: Timestamp,
) -> Option<Failure> {
    let primary = deployments.primary().map(|primary| primary.id);
    let none = DeploymentTasks::default();
    let mut failure = None;
    for deployment in deployments.iter_mut() {
        let tasks = view.deployments.get(&deployment.id).unwrap_or(&none);
        let ours: Vec<&Stopped<'_>> =
            unrecorded.iter().copied().filter(|stopped| stopped.task.key.deployment == deployment.id).collect();
        let failures = Failures::find(&deployment.record.launches, tasks, &ours, seen.service, now);
        let before = std::mem::take(&mut deployment.record.launches);
        deployment.record.launches = failures.launches(&before, tasks, now);
        if Some(deployment.id) != primary {
            continue;
        }
        let configuration = seen.service.circuit_breaker.as_ref();
        let breaker = failures.circuit_breaker(
            deployment.record.deployment_circuit_breaker,
            configuration,
            (&before, &deployment.record.launches),
            deployment.record.rollout_state,
            bounds.desired,
        );
        let in_progress = matches!(deployment.record.rollout_state, None | Some(RolloutState::InProgress));
        let tripped = breaker.is_some_and(|breaker| breaker.failure_count >= breaker.threshold) && in_progress;
        failure = tripped.then(|| Failure {
            cause: FailureCause::CircuitBreaker,
            rollback: configuration.is_some_and(|configuration| configuration.rollback),
        });
        deployment.record.deployment_circuit_breaker = breaker;
    }
    failure
}

/// What a person asks of the PRIMARY deployment. "You can use StopServiceDeployment with ROLLBACK even if the deployment
/// failure options are not configured." Beyond ECS, a deployment that has completed can be rolled back, too.
fn asked_to_end(deployments: &Deployments, seen: &Observed<'_>) -> Option<Failure> {
    let primary = deployments.primary()?;
    let control = &seen.service.control;
    let rollback = control.rollback == Some(primary.id);
    let in_progress = matches!(primary.record.rollout_state, None | Some(RolloutState::InProgress));
    let stop = control.stop == Some(primary.id) && in_progress;
    let has_way_back = deployments.way_back(&seen.status.service_deployments).is_some();
    let asked = stop || (rollback && (in_progress || has_way_back));
    asked.then_some(Failure { cause: FailureCause::Person, rollback })
}
