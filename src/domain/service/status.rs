//! The status of a service, rebuilt from scratch every pass.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::conditions::{Conditions, Reason, Summary};
use crate::api::labels;
use crate::api::names::{DeploymentId, label_value};
use crate::api::{Deployment as DeploymentStatus, DeploymentState, RolloutState, ServiceState, ServiceStatus};
use crate::domain::facts::{DeploymentTasks, TaskFact};
use crate::domain::service::bounds::Bounds;
use crate::domain::service::deployments::{Deployment, Deployments};
use crate::domain::service::events::{Notice, announce};
use crate::domain::service::{Observed, stopped};
use crate::domain::task::TaskState;

/// Builds the status. `blocked` says that floor and ceiling leave no room to replace a task.
pub(super) fn status(
    seen: &Observed<'_>,
    deployments: &Deployments<'_>,
    tasks: &BTreeMap<DeploymentId, DeploymentTasks<'_>>,
    bounds: Bounds,
    blocked: bool,
    now: Timestamp,
) -> ServiceStatus {
    let previous = seen.status;
    let none = DeploymentTasks::default();
    let of = |deployment: &Deployment<'_>| tasks.get(&deployment.id).unwrap_or(&none);
    let new = deployments.primary().map_or(&none, of);
    let replaced = deployments.active.iter().all(|deployment| of(deployment).active() == 0);
    let settled = replaced && new.healthy.len() == bounds.desired && new.active() == bounds.desired;

    let unrecorded = stopped::unrecorded(tasks, &previous.stopped_tasks);
    let status_of = |deployment: &Deployment<'_>, state, desired, rollout| {
        let failed = unrecorded.iter().filter(|task| stopped::failed(task) && task.key.deployment == deployment.id);
        deployment_status(deployment, of(deployment), state, desired, rollout, count(failed.count()), now)
    };
    let primary = deployments.primary().map(|primary| {
        let completed = settled || primary.record.is_some_and(|record| is_completed(record.rollout_state));
        let rollout = if completed { RolloutState::Completed } else { RolloutState::InProgress };
        status_of(primary, DeploymentState::Primary, bounds.desired, Some(rollout))
    });
    let active = deployments.active.iter().map(|deployment| {
        let rollout = deployment.record.and_then(|record| record.rollout_state);
        status_of(deployment, DeploymentState::Active, of(deployment).active(), rollout)
    });
    let statuses: Vec<DeploymentStatus> = primary.into_iter().chain(active).collect();

    let summary = summary(seen, deployments, new, settled, blocked, &statuses);
    let notices = notices(seen, &statuses, &summary);
    let primary = statuses.first().filter(|first| first.status == DeploymentState::Primary);
    ServiceStatus {
        observed_generation: seen.generation,
        conditions: Conditions::new(&previous.conditions, seen.generation, now)
            .summary(&summary)
            .not_implemented(&seen.service.not_implemented)
            .build(),
        status: Some(if seen.deleting { ServiceState::Draining } else { ServiceState::Active }),
        desired_count: Some(count(bounds.desired)),
        running_count: Some(statuses.iter().map(|deployment| deployment.running_count).sum()),
        pending_count: Some(statuses.iter().map(|deployment| deployment.pending_count).sum()),
        selector: Some(format!("{}={}", labels::SERVICE, label_value(seen.object_name))),
        task_definition: primary.map(|primary| primary.task_definition.clone()),
        last_deployment_ordinal: Some(deployments.last_ordinal).filter(|ordinal| *ordinal > 0),
        events: announce(&previous.events, seen.name, &notices, now),
        stopped_tasks: stopped::record(
            &previous.stopped_tasks,
            &unrecorded,
            tasks,
            deployments.primary().map(|primary| primary.id),
            now,
        ),
        deployments: statuses,
    }
}

fn deployment_status(
    deployment: &Deployment<'_>,
    tasks: &DeploymentTasks<'_>,
    status: DeploymentState,
    desired: usize,
    rollout_state: Option<RolloutState>,
    failed_now: i32,
    now: Timestamp,
) -> DeploymentStatus {
    let is_running = |task: &&&TaskFact| matches!(task.state, TaskState::Running { .. });
    let running = tasks.healthy.iter().chain(&tasks.unhealthy).filter(is_running).count();
    let record = deployment.record;
    let mut built = DeploymentStatus {
        id: deployment.id.to_string(),
        status,
        task_definition: deployment.revision.to_string(),
        desired_count: count(desired),
        pending_count: count(tasks.healthy.len().saturating_add(tasks.unhealthy.len()).saturating_sub(running)),
        running_count: count(running),
        failed_tasks: record.map_or(0, |record| record.failed_tasks).saturating_add(failed_now),
        created_at: record.map_or(Time(now), |record| record.created_at.clone()),
        updated_at: record.map_or(Time(now), |record| record.updated_at.clone()),
        rollout_state,
        rollout_state_reason: rollout_state.map(|state| reason(state, deployment.id)),
        ordinal: deployment.ordinal,
        used_attempts: deployment.used_attempts.to_ranges(),
    };
    if record.is_some_and(|record| *record != built) {
        built.updated_at = Time(now);
    }
    built
}

/// ECS's `rolloutStateReason`.
fn reason(state: RolloutState, deployment: DeploymentId) -> String {
    match state {
        RolloutState::InProgress => format!("ECS deployment {deployment} in progress."),
        RolloutState::Completed => format!("ECS deployment {deployment} completed."),
        RolloutState::Failed => "ECS deployment circuit breaker: tasks failed to start.".to_owned(),
    }
}

fn summary(
    seen: &Observed<'_>,
    deployments: &Deployments<'_>,
    new: &DeploymentTasks<'_>,
    settled: bool,
    blocked: bool,
    statuses: &[DeploymentStatus],
) -> Summary {
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
    let revision = deployments.primary().map_or_else(String::new, |primary| primary.revision.to_string());
    let healthy = format!("{} of {} tasks of {revision} are healthy", new.healthy.len(), seen.service.desired_count);
    let old: usize =
        usize::try_from(left).unwrap_or(0).saturating_sub(new.healthy.len()).saturating_sub(new.unhealthy.len());
    let completed = statuses.first().is_some_and(|primary| is_completed(primary.rollout_state));
    match (settled, blocked, completed) {
        (true, _, _) => Summary::Ready(Reason::SteadyState, healthy),
        (false, true, _) => Summary::Stalled(Reason::DeploymentBlocked, Notice::DeploymentBlocked.sentence(seen.name)),
        (false, false, true) => Summary::Reconciling(Reason::Scaling, healthy),
        (false, false, false) => {
            Summary::Reconciling(Reason::DeploymentInProgress, format!("{healthy}, {old} old tasks are left"))
        }
    }
}

/// What ECS would tell, from what has changed since status was last written.
fn notices(seen: &Observed<'_>, statuses: &[DeploymentStatus], summary: &Summary) -> Vec<Notice> {
    let mut notices = Vec::new();
    let unannounced = &seen.tasks.unannounced;
    if !unannounced.started.is_empty() {
        notices.push(Notice::Started(unannounced.started.clone()));
    }
    if !unannounced.stopped.is_empty() {
        notices.push(Notice::Stopped(unannounced.stopped.clone()));
    }
    let before = |id: &str| seen.status.deployments.iter().find(|deployment| deployment.id == id);
    for deployment in statuses.iter().filter(|deployment| is_completed(deployment.rollout_state)) {
        let newly = !before(&deployment.id).is_some_and(|before| is_completed(before.rollout_state));
        if let Some(id) = deployment.id.parse().ok().filter(|_| newly) {
            notices.push(Notice::DeploymentCompleted(id));
        }
    }
    let was =
        |reason: Reason| seen.status.conditions.iter().any(|old| old.type_ == "Ready" && old.reason == reason.as_str());
    match summary {
        Summary::Ready(reason, _) if !was(*reason) => notices.push(Notice::SteadyState),
        Summary::Stalled(Reason::DeploymentBlocked, _) if !was(Reason::DeploymentBlocked) => {
            notices.push(Notice::DeploymentBlocked);
        }
        Summary::Ready(..) | Summary::Reconciling(..) | Summary::Stalled(..) => {}
    }
    notices
}

fn is_completed(state: Option<RolloutState>) -> bool {
    state == Some(RolloutState::Completed)
}

fn count(tasks: usize) -> i32 {
    i32::try_from(tasks).unwrap_or(i32::MAX)
}
