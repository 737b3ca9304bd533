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
            Notice::Unplaced(_) | Notice::ZoneUnplaced(_) | Notice::ZonesProtected(_) => events.iter().any(same),
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
mod tests {
    use super::*;
    use crate::domain::service::event_kind::{EventKind, Telling};

    fn messages(events: &[ServiceEvent]) -> Vec<&str> {
        events.iter().map(|event| event.message.as_str()).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A notice, its sentence, what it is about and where that is told.
    type Row = (Notice, &'static str, EventKind, Telling);

    /// Those that are about tasks.
    fn of_tasks() -> Vec<Row> {
        use Telling::{StatusAlone, Warning};
        let tasks = |n: usize| (0..n).map(|n| TaskId::of_pod(&format!("web-{n}"))).collect();
        let id = DeploymentId(7);
        let group: TargetGroup = "k8s-web".into();
        let timed_out = "Request timed out".to_owned();
        let unhealthy = Notice::UnhealthyTarget { task: "a".to_owned(), group: group.clone(), reason: timed_out };
        vec![
            (
                Notice::Started(tasks(2)),
                "(service web) has started 2 tasks: (task 0) (task 1).",
                EventKind::TasksStarted,
                StatusAlone,
            ),
            (
                Notice::Stopped(tasks(1)),
                "(service web) has stopped 1 running tasks: (task 0).",
                EventKind::TasksStopped,
                StatusAlone,
            ),
            (
                Notice::Registered(group.clone(), 2),
                "(service web) registered 2 targets in (target-group k8s-web)",
                EventKind::TargetsChanged,
                StatusAlone,
            ),
            (
                Notice::Deregistered(group, 1),
                "(service web) deregistered 1 targets in (target-group k8s-web)",
                EventKind::TargetsChanged,
                StatusAlone,
            ),
            (
                Notice::Draining(id, 3),
                "(service web, taskSet ecs-svc/7) has begun draining connections on 3 tasks.",
                EventKind::ConnectionsDraining,
                StatusAlone,
            ),
            (
                Notice::Unhealthy("a".to_owned()),
                "(service web) (task a) failed container health checks.",
                EventKind::TaskUnhealthy,
                Warning,
            ),
            (
                unhealthy,
                "(service web) (task a) is unhealthy in (target-group k8s-web) due to (reason Request timed out).",
                EventKind::TaskUnhealthy,
                Warning,
            ),
            (
                Notice::StartImpaired,
                "(service web) is unable to consistently start tasks successfully.",
                EventKind::TaskStartImpaired,
                Warning,
            ),
            (
                Notice::Unplaced("0/3 nodes are available.".to_owned()),
                "(service web) was unable to place a task because no container instance met all of its requirements. \
                 0/3 nodes are available.",
                EventKind::TaskPlacementFailure,
                Warning,
            ),
            (
                Notice::NotLaunched(id, 2),
                "(service web) could not launch 2 tasks for deployment ecs-svc/7.",
                EventKind::TaskPlacementFailure,
                Warning,
            ),
            (
                Notice::Protected(id),
                "(service web) was unable to reach steady state because task set (ecs-svc/7) was unable to scale in. \
                 Reason: The number of protected tasks are more than the desired count of tasks",
                EventKind::TasksProtected,
                Warning,
            ),
        ]
    }

    /// Those that are about Availability Zones.
    fn of_zones() -> Vec<Row> {
        use Telling::{Normal, StatusAlone, Warning};
        let zones = || vec![("eu-1a".into(), 3), ("eu-1c".into(), 1), ("eu-1b".into(), 1)];
        let task = || vec![TaskId::of_pod("web-0")];
        vec![
            (
                Notice::ZonesUneven(zones()),
                "(service web) is not AZ balanced with 3 tasks in eu-1a, 1 tasks in eu-1c, 1 tasks in eu-1b. AZ Rebalancing in \
                 progress.",
                EventKind::RebalancingStarted,
                Normal,
            ),
            (
                Notice::StartedInZone("eu-1b".into(), task()),
                "(service web) has started 1 tasks in eu-1b to AZ Rebalance: (task 0).",
                EventKind::TasksStarted,
                StatusAlone,
            ),
            (
                Notice::StoppedInZone("eu-1a".into(), task()),
                "(service web) has stopped 1 running tasks in eu-1a due to AZ rebalancing: (task 0).",
                EventKind::TasksStopped,
                StatusAlone,
            ),
            (
                Notice::ZonesEven(zones()),
                "(service web) is AZ balanced with 3 tasks in eu-1a, 1 tasks in eu-1c, 1 tasks in eu-1b.",
                EventKind::RebalancingCompleted,
                Normal,
            ),
            (
                Notice::RebalancingStopped,
                "(service web) stopped AZ Rebalancing.",
                EventKind::RebalancingStopped,
                Normal,
            ),
            (
                Notice::ZoneUnplaced("eu-1b".into()),
                "(service web) is unable to place a task in eu-1b because no container instance met all of its requirements.",
                EventKind::TaskPlacementFailure,
                Warning,
            ),
            (
                Notice::ZonesProtected(DeploymentId(7)),
                "(service web) was unable to AZ Rebalance because (task set ecs-svc/7) was unable to scale in due to protected \
                 tasks.",
                EventKind::TasksProtected,
                Warning,
            ),
        ]
    }

    /// Those that are about deployments.
    fn of_deployments() -> Vec<Row> {
        use Telling::{Normal, Warning};
        let id = DeploymentId(7);
        vec![
            (
                Notice::DeploymentCompleted(id),
                "(service web) (deployment ecs-svc/7) deployment completed.",
                EventKind::DeploymentCompleted,
                Normal,
            ),
            (Notice::SteadyState, "(service web) has reached a steady state.", EventKind::SteadyState, Normal),
            (
                Notice::DeploymentBlocked,
                "(service web) was unable to stop or start tasks during a deployment because of the service deployment \
                 configuration. Update the minimumHealthyPercent or maximumPercent value and try again.",
                EventKind::DeploymentBlocked,
                Warning,
            ),
            (
                Notice::DeploymentFailed(id),
                "(service web) (deployment ecs-svc/7) deployment failed: tasks failed to start.",
                EventKind::DeploymentFailed,
                Warning,
            ),
            (
                Notice::DeploymentFailedForDigests(id),
                "(service web) (deployment ecs-svc/7) deployment failed: container image digests could not be established.",
                EventKind::DeploymentFailed,
                Warning,
            ),
            (
                Notice::RunsTags(id),
                "(service web) (deployment ecs-svc/7) continues without image digest resolution: an image has no digest in \
                 a registry.",
                EventKind::ImageDigestsUnresolved,
                Warning,
            ),
            (
                Notice::DeploymentStopped(id),
                "(service web) (deployment ecs-svc/7) deployment stopped by user.",
                EventKind::DeploymentStopped,
                Normal,
            ),
            (
                Notice::RollingBack(id),
                "(service web) rolling back to deployment ecs-svc/7.",
                EventKind::RollingBack,
                Normal,
            ),
        ]
    }

    #[test]
    fn events_are_in_the_words_of_ecs_and_failures_are_told_as_warnings() {
        for (notice, sentence, kind, telling) in of_tasks().into_iter().chain(of_zones()).chain(of_deployments()) {
            assert_eq!(notice.sentence("web"), sentence);
            assert_eq!(EventKind::of(sentence), Some(kind), "{sentence}");
            assert_eq!(kind.telling(), telling, "{sentence}");
        }
    }

    #[test]
    fn a_sentence_names_no_more_than_ten_tasks() {
        let tasks = (0..12).map(|n| TaskId::of_pod(&format!("web-{n}"))).collect();
        assert!(Notice::Stopped(tasks).sentence("web").ends_with("(task 9) and 2 more."));
    }

    #[test]
    fn a_duplicate_is_suppressed_until_its_cause_clears_or_six_hours_have_passed() {
        let steady = announce(&[], "web", &[Notice::SteadyState], at(0));
        let again = announce(&steady, "web", &[Notice::SteadyState], at(60));
        assert_eq!(steady, again);
        let blocked = announce(&steady, "web", &[Notice::DeploymentBlocked, Notice::SteadyState], at(60));
        assert_eq!(messages(&blocked)[0], "(service web) has reached a steady state.");
        assert_eq!(blocked.len(), 3);
        assert_eq!(announce(&steady, "web", &[Notice::SteadyState], at(6 * 3600)).len(), 2);
    }

    #[test]
    fn the_last_100_are_kept_newest_first() {
        let events = (0..150_u64).fold(Vec::new(), |events, n| {
            announce(&events, "web", &[Notice::DeploymentCompleted(DeploymentId(n))], at(0))
        });
        assert_eq!(events.len(), 100);
        assert!(events[0].message.contains("ecs-svc/149"));
    }
}
