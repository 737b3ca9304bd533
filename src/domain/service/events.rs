//! Service events in ECS's own sentences: the last 100, newest first, as `describe-services` returns them.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::ServiceEvent;
use crate::api::names::{DeploymentId, TaskId, short_hash};

/// How many events a service keeps.
const EVENTS_MAX: usize = 100;
/// How many tasks a sentence names; ECS's scheduler itself starts ten at a time.
const TASKS_NAMED: usize = 10;
/// "Duplicate service events are suppressed until either the cause clears or six hours have passed."
const SUPPRESSED_FOR: SignedDuration = SignedDuration::from_hours(6);

/// Something that ECS tells of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Tasks were started.
    Started(Vec<TaskId>),
    /// Tasks were stopped.
    Stopped(Vec<TaskId>),
    /// A deployment replaced all others.
    DeploymentCompleted(DeploymentId),
    /// The service runs what it should.
    SteadyState,
    /// Floor and ceiling leave no room to replace a task.
    DeploymentBlocked,
    /// The circuit breaker has ended a deployment.
    DeploymentFailed(DeploymentId),
    /// A person has ended a deployment.
    DeploymentStopped(DeploymentId),
    /// The service goes back to an earlier deployment.
    RollingBack(DeploymentId),
    /// A task has failed its health checks.
    Unhealthy(String),
    /// Tasks fail to start again and again.
    StartImpaired,
    /// No node takes a task; the scheduler's reason.
    Unplaced(String),
    /// More tasks are protected from scale-in than there are to be.
    Protected(DeploymentId),
}

impl Notice {
    /// The sentence, as ECS writes it for a service of this name.
    pub(super) fn sentence(&self, service: &str) -> String {
        match self {
            Self::Started(tasks) => format!("(service {service}) has started {} tasks: {}.", tasks.len(), named(tasks)),
            Self::Stopped(tasks) => {
                format!("(service {service}) has stopped {} running tasks: {}.", tasks.len(), named(tasks))
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
            Self::DeploymentStopped(deployment) => {
                format!("(service {service}) (deployment {deployment}) deployment stopped by user.")
            }
            Self::RollingBack(deployment) => format!("(service {service}) rolling back to deployment {deployment}."),
            Self::Unhealthy(task) => format!("(service {service}) (task {task}) failed container health checks."),
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
        }
    }
}

/// The reason under which a sentence becomes a Kubernetes Event, after the names that ECS gives EventBridge.
pub fn event_reason(message: &str) -> &'static str {
    let reasons = [
        (" has started ", "TasksStarted"),
        (" has stopped ", "TasksStopped"),
        (" deployment completed.", "DeploymentCompleted"),
        (" has reached a steady state.", "SteadyState"),
        (" was unable to stop or start tasks during a deployment", "DeploymentBlocked"),
        (" deployment failed: ", "DeploymentFailed"),
        (" deployment stopped by user.", "DeploymentStopped"),
        (" rolling back to deployment ", "RollingBack"),
        (" failed container health checks.", "TaskUnhealthy"),
        (" is unable to consistently start tasks successfully.", "TaskStartImpaired"),
        (" was unable to place a task ", "TaskPlacementFailure"),
        (" was unable to scale in.", "TasksProtected"),
    ];
    let reason = reasons.iter().find(|(part, _)| message.contains(part));
    reason.map_or("ServiceEvent", |(_, reason)| reason)
}

/// `(task a) (task b)`, and how many more there are: a sentence about 500 tasks stays one that a person can read.
fn named(tasks: &[TaskId]) -> String {
    let names: Vec<String> = tasks.iter().take(TASKS_NAMED).map(|task| format!("(task {task})")).collect();
    match tasks.len().saturating_sub(TASKS_NAMED) {
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
            Notice::Unplaced(_) => events.iter().any(same),
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

    fn messages(events: &[ServiceEvent]) -> Vec<&str> {
        events.iter().map(|event| event.message.as_str()).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn events_are_in_the_words_of_ecs() {
        let tasks = |n: usize| (0..n).map(|n| TaskId::of_pod(&format!("web-{n}"))).collect();
        assert_eq!(Notice::Started(tasks(2)).sentence("web"), "(service web) has started 2 tasks: (task 0) (task 1).");
        assert!(Notice::Stopped(tasks(12)).sentence("web").ends_with("(task 9) and 2 more."));
        assert_eq!(
            Notice::DeploymentCompleted(DeploymentId(7)).sentence("web"),
            "(service web) (deployment ecs-svc/7) deployment completed."
        );
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
