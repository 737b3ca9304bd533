//! ECS's sentences, and how often they are said.

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
        (Notice::RebalancingStopped, "(service web) stopped AZ Rebalancing.", EventKind::RebalancingStopped, Normal),
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
    let events = (0..150_u64)
        .fold(Vec::new(), |events, n| announce(&events, "web", &[Notice::DeploymentCompleted(DeploymentId(n))], at(0)));
    assert_eq!(events.len(), 100);
    assert!(events[0].message.contains("ecs-svc/149"));
}
