//! Service events in ECS's own sentences: the last 100, newest first, as `describe-services` returns them.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::ServiceEvent;
use crate::api::names::{DeploymentId, TaskId, short_hash};

/// How many events a service keeps.
const EVENTS_MAX: usize = 100;
/// How many tasks or zones a sentence names; ECS's scheduler itself starts ten at a time.
const NAMED_MAX: usize = 10;
/// "Duplicate service events are suppressed until either the cause clears or six hours have passed."
const SUPPRESSED_FOR: SignedDuration = SignedDuration::from_hours(6);

/// A target group by its name.
pub(super) type TargetGroup = Arc<str>;

/// An Availability Zone by its name.
pub(super) type ZoneName = Arc<str>;

/// Something that ECS tells of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Tasks were started.
    Started(Vec<TaskId>),
    /// Tasks were stopped.
    Stopped(Vec<TaskId>),
    /// Tasks were started in a zone that had too few.
    StartedInZone(ZoneName, Vec<TaskId>),
    /// Tasks were stopped in a zone that had too many.
    StoppedInZone(ZoneName, Vec<TaskId>),
    /// A target group got to know tasks.
    Registered(TargetGroup, usize),
    /// Tasks left a target group.
    Deregistered(TargetGroup, usize),
    /// Tasks of a deployment were asked to stop, and go on serving the connections they have.
    Draining(DeploymentId, usize),
    /// A deployment replaced all others.
    DeploymentCompleted(DeploymentId),
    /// The service runs what it should.
    SteadyState,
    /// Floor and ceiling leave no room to replace a task.
    DeploymentBlocked,
    /// The circuit breaker has ended a deployment.
    DeploymentFailed(DeploymentId),
    /// The same, because the digests of images could not be told.
    DeploymentFailedForDigests(DeploymentId),
    /// A deployment runs what its image tags mean from one start to the next.
    RunsTags(DeploymentId),
    /// A person has ended a deployment.
    DeploymentStopped(DeploymentId),
    /// The service goes back to an earlier deployment.
    RollingBack(DeploymentId),
    /// A task has failed the health checks of its containers.
    Unhealthy(String),
    /// A task is unhealthy for a target group, for a reason in the load balancer's words.
    UnhealthyTarget {
        /// The task.
        task: String,
        /// The target group.
        group: TargetGroup,
        /// The reason; empty where there is none.
        reason: String,
    },
    /// Tasks fail to start again and again.
    StartImpaired,
    /// The API server refuses to start tasks of a deployment.
    NotLaunched(DeploymentId, usize),
    /// No node takes a task; the scheduler's reason.
    Unplaced(String),
    /// More tasks are protected from scale-in than there are to be.
    Protected(DeploymentId),
    /// The zones do not have equally many tasks; how many each has.
    ZonesUneven(Vec<(ZoneName, usize)>),
    /// They do.
    ZonesEven(Vec<(ZoneName, usize)>),
    /// Tasks cannot move between zones any more: a deployment has begun, the tasks are protected, or nobody asks for it.
    RebalancingStopped,
    /// No node of a zone takes a task.
    ZoneUnplaced(ZoneName),
    /// The tasks that would have to go are protected.
    ZonesProtected(DeploymentId),
}

impl Notice {
    /// The sentence, as ECS writes it for a service of this name.
    pub(super) fn sentence(&self, service: &str) -> String {
        match self {
            Self::Started(tasks) => format!("(service {service}) has started {} tasks: {}.", tasks.len(), named(tasks)),
            Self::Stopped(tasks) => {
                format!("(service {service}) has stopped {} running tasks: {}.", tasks.len(), named(tasks))
            }
            Self::StartedInZone(zone, tasks) => format!(
                "(service {service}) has started {} tasks in {zone} to AZ Rebalance: {}.",
                tasks.len(),
                named(tasks)
            ),
            Self::StoppedInZone(zone, tasks) => format!(
                "(service {service}) has stopped {} running tasks in {zone} due to AZ rebalancing: {}.",
                tasks.len(),
                named(tasks)
            ),
            Self::Registered(group, targets) => {
                format!("(service {service}) registered {targets} targets in (target-group {group})")
            }
            Self::Deregistered(group, targets) => {
                format!("(service {service}) deregistered {targets} targets in (target-group {group})")
            }
            Self::Draining(deployment, tasks) => {
                format!("(service {service}, taskSet {deployment}) has begun draining connections on {tasks} tasks.")
            }
            Self::DeploymentCompleted(deployment) => {
                format!("(service {service}) (deployment {deployment}) deployment completed.")
            }
            Self::SteadyState => format!("(service {service}) has reached a steady state."),
            Self::DeploymentBlocked => format!(
                "(service {service}) was unable to stop or start tasks during a deployment because of the service \
                 deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
            ),
            Self::DeploymentFailed(deployment) => {
                format!("(service {service}) (deployment {deployment}) deployment failed: tasks failed to start.")
            }
            Self::DeploymentFailedForDigests(deployment) => format!(
                "(service {service}) (deployment {deployment}) deployment failed: container image digests could not be \
                 established."
            ),
            Self::RunsTags(deployment) => format!(
                "(service {service}) (deployment {deployment}) continues without image digest resolution: an image has no \
                 digest in a registry."
            ),
            Self::DeploymentStopped(deployment) => {
                format!("(service {service}) (deployment {deployment}) deployment stopped by user.")
            }
            Self::RollingBack(deployment) => format!("(service {service}) rolling back to deployment {deployment}."),
            Self::NotLaunched(deployment, tasks) => {
                format!("(service {service}) could not launch {tasks} tasks for deployment {deployment}.")
            }
            Self::Unhealthy(task) => format!("(service {service}) (task {task}) failed container health checks."),
            Self::UnhealthyTarget { task, group, reason } => {
                let due = if reason.is_empty() { String::new() } else { format!(" due to (reason {reason})") };
                format!("(service {service}) (task {task}) is unhealthy in (target-group {group}){due}.")
            }
            Self::StartImpaired => {
                format!("(service {service}) is unable to consistently start tasks successfully.")
            }
            Self::Unplaced(reason) => format!(
                "(service {service}) was unable to place a task because no container instance met all of its \
                 requirements. {reason}"
            ),
            Self::Protected(deployment) => format!(
                "(service {service}) was unable to reach steady state because task set ({deployment}) was unable to \
                 scale in. Reason: The number of protected tasks are more than the desired count of tasks"
            ),
            Self::ZonesUneven(zones) => {
                format!("(service {service}) is not AZ balanced with {}. AZ Rebalancing in progress.", counts(zones))
            }
            Self::ZonesEven(zones) => format!("(service {service}) is AZ balanced with {}.", counts(zones)),
            Self::RebalancingStopped => format!("(service {service}) stopped AZ Rebalancing."),
            Self::ZoneUnplaced(zone) => format!(
                "(service {service}) is unable to place a task in {zone} because no container instance met all of its \
                 requirements."
            ),
            Self::ZonesProtected(deployment) => format!(
                "(service {service}) was unable to AZ Rebalance because (task set {deployment}) was unable to scale in \
                 due to protected tasks."
            ),
        }
    }
}

/// `3 tasks in a, 1 tasks in b`.
fn counts(zones: &[(ZoneName, usize)]) -> String {
    let counts = zones.iter().take(NAMED_MAX).map(|(zone, tasks)| format!("{tasks} tasks in {zone}"));
    let more = zones.len().checked_sub(NAMED_MAX).filter(|more| *more > 0).map(|more| format!("{more} more zones"));
    counts.chain(more).collect::<Vec<_>>().join(", ")
}

/// `(task a) (task b)`, and how many more there are: a sentence about 500 tasks stays one that a person can read.
fn named(tasks: &[TaskId]) -> String {
    let names: Vec<String> = tasks.iter().take(NAMED_MAX).map(|task| format!("(task {task})")).collect();
    match tasks.len().saturating_sub(NAMED_MAX) {
        0 => names.join(" "),
        more => format!("{} and {more} more", names.join(" ")),
    }
}

/// The service's events after a pass.
pub(super) fn announce(
    previous: &[ServiceEvent],
    service: &str,
    notices: &[Notice],
    now: Timestamp,
) -> Vec<ServiceEvent> {
    let mut events = previous.to_vec();
    for notice in notices {
        let message = notice.sentence(service);
        let recent = |event: &ServiceEvent| now.duration_since(event.created_at.0) < SUPPRESSED_FOR;
        let same = |event: &ServiceEvent| event.message == message && recent(event);
        let duplicate = match notice {
            // Its cause lasts, whatever else happens in the meantime.
            Notice::NotLaunched(..) | Notice::Unplaced(_) | Notice::ZoneUnplaced(_) | Notice::ZonesProtected(_) => {
                events.iter().any(same)
            }
            _ => events.first().is_some_and(same),
        };
        if !duplicate {
            let id = short_hash(&[service, &now.to_string(), &message]);
            events.insert(0, ServiceEvent { id, created_at: Time(now), message });
        }
    }
    events.truncate(EVENTS_MAX);
    events
}

#[cfg(test)]
mod tests;
