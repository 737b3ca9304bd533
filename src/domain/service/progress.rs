//! How the PRIMARY deployment goes on: what it has learned from its tasks, whether it fails, whether it is complete.

use jiff::Timestamp;

use crate::api::{MonitoringStatus, RolloutState};
use crate::domain::resolve::control::Pause;
use crate::domain::service::bounds::Bounds;
use crate::domain::service::deployments::{Deployments, Failure, FailureCause};
use crate::domain::service::launches::{Failures, Refusal};
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
    let unresolved = resolve_images(deployments, seen);
    let tripped = count_failures(deployments, seen, view, unrecorded, bounds, now);
    if let Some(failure) = tripped.or(unresolved).or_else(|| asked_to_end(deployments, seen)) {
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
pub(super) fn phase(deployments: &Deployments, seen: &Observed<'_>, now: Timestamp) -> Phase {
    let Some(primary) = deployments.primary() else { return Phase::Failed };
    let is_throttled = primary.is_throttled(now);
    let is_paused = match seen.service.control.pause {
        Some(Pause::Any) => true,
        // Who named it meant it as it was then, and what is written in a manifest may stay there.
        Some(Pause::Only(id)) => id == primary.id && !deployments.is_way_back(&seen.status.service_deployments),
        None => false,
    };
    if primary.is(RolloutState::Failed) {
        Phase::Failed
    } else if primary.is(RolloutState::InProgress) && is_paused {
        if is_throttled { Phase::PausedAndThrottled } else { Phase::Paused }
    } else if is_throttled {
        Phase::Throttled
    } else {
        Phase::Going
    }
}

/// Pins deployments to what their images have turned out to be. Returns how the PRIMARY deployment fails, if it does: "If three
/// or more attempts at establishing the container image digests fail, the deployment continues without image digest resolution.
/// If the deployment circuit breaker is enabled, the deployment is additionally failed and rolled back." The way back is taken
/// with whatever images it had.
fn resolve_images(deployments: &mut Deployments, seen: &Observed<'_>) -> Option<Failure> {
    let is_way_back = deployments.is_way_back(&seen.status.service_deployments);
    let primary = deployments.primary().map(|primary| primary.id);
    let mut failure = None;
    for deployment in deployments.iter_mut().filter(|deployment| !image_digests::is_settled(&deployment.record)) {
        let images = seen.tasks.images.get(&deployment.id);
        let Some((definition, images)) = seen.definitions.get(&deployment.revision).zip(images) else { continue };
        image_digests::resolve(&mut deployment.record, definition, images);
        let is_judged = Some(deployment.id) == primary && deployment.is_in_progress() && !is_way_back;
        if is_judged && image_digests::has_failed(&deployment.record) {
            failure = seen
                .service
                .circuit_breaker
                .as_ref()
                .map(|breaker| Failure { cause: FailureCause::ImageDigests, rollback: breaker.rollback });
        }
    }
    failure
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
    let unannounced = &seen.tasks.unannounced;
    let mut failure = None;
    for deployment in deployments.iter_mut() {
        let tasks = view.deployments.get(&deployment.id).unwrap_or(&none);
        let ours: Vec<&Stopped<'_>> =
            unrecorded.iter().copied().filter(|stopped| stopped.task.key.deployment == deployment.id).collect();
        let lacking = bounds.desired.saturating_sub(tasks.kept());
        let is_refused = Some(deployment.id) == primary && unannounced.refused_starts.contains_key(&deployment.id);
        let refusal = Refusal { is_refused, lacking };
        let failures = Failures::find(&deployment.record.launches, tasks, &ours, refusal, seen.service, now);
        let before = std::mem::take(&mut deployment.record.launches);
        deployment.record.launches = failures.launches(&before, tasks, now);
        deployment.record.failed_tasks = deployment.record.failed_tasks.saturating_add(failures.failed_tasks());
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
        let tripped = breaker.status == MonitoringStatus::Triggered && deployment.is_in_progress();
        failure = configuration
            .filter(|_| tripped)
            .map(|configuration| Failure { cause: FailureCause::CircuitBreaker, rollback: configuration.rollback });
        deployment.record.deployment_circuit_breaker = Some(breaker);
    }
    failure
}

/// What a person asks of the PRIMARY deployment. "You can use StopServiceDeployment with ROLLBACK even if the deployment
/// failure options are not configured." Beyond ECS, a deployment that has completed can be rolled back, too. One that was to be
/// stopped and had completed by then is not stopped for it when the service comes back to it later.
fn asked_to_end(deployments: &Deployments, seen: &Observed<'_>) -> Option<Failure> {
    let primary = deployments.primary()?;
    let control = &seen.service.control;
    let rollback = control.rollback == Some(primary.id);
    let in_progress = primary.is_in_progress();
    let history = &seen.status.service_deployments;
    let may_end = in_progress && !deployments.is_way_back(history);
    let has_way_back = deployments.way_back(history).is_some();
    let asked = (control.stop == Some(primary.id) && may_end) || (rollback && (may_end || has_way_back));
    asked.then_some(Failure { cause: FailureCause::Person, rollback })
}
