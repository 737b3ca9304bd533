//! Deployments that fail: the circuit breaker, rollbacks, the launch throttle.

use jiff::{SignedDuration, Timestamp};

use super::running;
use crate::api::{
    DeploymentCircuitBreaker, DeploymentState, MonitoringStatus, RolloutState, ServiceDeploymentStatus,
    ThresholdConfiguration, ThresholdType,
};
use crate::domain::resolve::service::ResolvedService;
use crate::domain::service::testing::{World, exited, healthy, service, unhealthy};
use crate::domain::task::{StartFailure, StartFailureKind, StopRecord, TaskState};

pub(super) fn with_breaker(service: ResolvedService, rollback: bool) -> ResolvedService {
    let circuit_breaker = Some(DeploymentCircuitBreaker {
        enable: true,
        rollback,
        reset_on_healthy_task: None,
        threshold_configuration: None,
    });
    ResolvedService { circuit_breaker, ..service }
}

/// An exit before the task was RUNNING.
pub(super) fn failed_to_start() -> TaskState {
    let TaskState::Stopped(record) = exited() else { unreachable!() };
    TaskState::Stopped(Box::new(StopRecord {
        ran_since: None,
        code: crate::api::StopCode::TaskFailedToStart,
        ..*record
    }))
}

/// A task that no node has taken since a moment.
fn unplaced(since: Timestamp) -> TaskState {
    let message = "0/3 nodes are available: 3 Insufficient cpu.".to_owned();
    let failing = StartFailure { kind: StartFailureKind::Unplaced, message, since: Some(since) };
    TaskState::Pending { failing: Some(failing) }
}

/// Every task of a revision fails, over and over, until nothing more happens for a while.
fn fail(world: &mut World, revision: i64, state: &TaskState, rounds: usize) {
    for _ in 0..rounds {
        world.step();
        world.change_all(revision, state);
        world.step();
        world.step();
        world.finish_stops();
    }
}

#[test]
fn when_the_threshold_is_reached_the_deployment_fails_and_rolls_back_to_the_last_completed_one() {
    let mut world = World::new(with_breaker(service(1, 4, 100, 200), true));
    world.settle();
    let first = world.status.deployments[0].id.clone();
    let kept = world.active();
    world.service = with_breaker(service(2, 4, 100, 200), true);
    world.step();
    world.change_all(2, &failed_to_start());
    world.step();
    let deployments = &world.status.deployments;
    assert_eq!((deployments[0].id.as_str(), deployments[0].status), (first.as_str(), DeploymentState::Primary));
    assert_eq!(deployments[0].rollout_state, Some(RolloutState::InProgress));
    assert_eq!(
        deployments[0].rollout_state_reason.as_deref().unwrap(),
        format!("ECS deployment circuit breaker: rolling back to deploymentId {first}.")
    );
    assert_eq!(
        deployments[1].rollout_state_reason.as_deref(),
        Some("ECS deployment circuit breaker: tasks failed to start.")
    );
    world.settle();
    assert_eq!(world.active(), kept, "nothing of the revision that works was touched");
    assert_eq!(world.ready().0, "RolledBack");
    let history = &world.status.service_deployments;
    assert_eq!(history[0].status, ServiceDeploymentStatus::RollbackSuccessful);
    assert_eq!(
        history[0].status_reason.as_deref(),
        Some("Service deployment rolled back because the circuit breaker threshold was exceeded.")
    );
    assert_eq!((history[0].failed_task_count, history[1].status), (4, ServiceDeploymentStatus::Successful));
    assert!(world.messages().iter().any(|m| m.ends_with(&format!("rolling back to deployment {first}."))));
    assert!(world.messages().iter().any(|m| m.ends_with("deployment failed: tasks failed to start.")));
}

#[test]
fn what_was_rolled_back_stays_so_until_the_spec_changes() {
    let mut world = World::new(with_breaker(service(1, 2, 0, 100), true));
    world.settle();
    world.service = with_breaker(service(2, 2, 0, 100), true);
    fail(&mut world, 2, &failed_to_start(), 3);
    world.settle();
    assert_eq!((world.ready().0, world.active_of(1).len()), ("RolledBack", 2));
    world.crash();
    world.settle();
    assert_eq!((world.ready().0, world.active_of(1).len()), ("RolledBack", 2));
    world.service = with_breaker(service(3, 2, 0, 100), true);
    world.settle();
    assert_eq!((world.ready().0, world.active_of(3).len()), ("SteadyState", 2));
}

#[test]
fn a_person_who_goes_back_to_what_runs_is_in_agreement_with_it() {
    let mut world = World::new(with_breaker(service(1, 2, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 2, 100, 200), true);
    fail(&mut world, 2, &failed_to_start(), 3);
    world.settle();
    let kept = world.active();
    world.service = with_breaker(service(1, 2, 100, 200), true);
    world.settle();
    assert_eq!((world.ready().0, world.active()), ("SteadyState", kept));
}

#[test]
fn what_failed_once_is_tried_again_when_the_spec_comes_back_to_it() {
    let mut world = World::new(with_breaker(service(1, 2, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 2, 100, 200), true);
    fail(&mut world, 2, &failed_to_start(), 3);
    world.settle();
    for revision in [3, 2] {
        world.service = with_breaker(service(revision, 2, 100, 200), true);
        world.settle();
        assert_eq!((world.ready().0, world.active_of(revision).len()), ("SteadyState", 2));
    }
}

#[test]
fn a_token_that_failed_says_nothing_about_what_ran_before() {
    let mut world = World::new(with_breaker(service(1, 2, 100, 200), true));
    world.settle();
    let kept = world.active();
    world.service = with_breaker(service(2, 2, 100, 200), true);
    world.service.control.force = Some("monday".to_owned());
    fail(&mut world, 2, &failed_to_start(), 3);
    world.settle();
    assert_eq!(world.ready().0, "RolledBack");
    let control = world.service.control.clone();
    world.service = ResolvedService { control, ..with_breaker(service(1, 2, 100, 200), true) };
    world.settle();
    assert_eq!((world.ready().0, world.active()), ("SteadyState", kept));
}

#[test]
fn without_rollback_the_deployment_stalls_and_starts_no_new_tasks() {
    for (sentence, rollback, completed_before) in
        [("rollback is off", false, true), ("there is no deployment in a COMPLETED state", true, false)]
    {
        let first = if completed_before { 2 } else { 1 };
        let mut world = World::new(with_breaker(service(1, 3, 100, 200), rollback));
        if completed_before {
            world.settle();
            world.service = with_breaker(service(2, 3, 100, 200), rollback);
        }
        fail(&mut world, first, &failed_to_start(), 1);
        assert_eq!(world.ready().0, "DeploymentFailed", "{sentence}");
        assert_eq!(world.status.deployments[0].rollout_state, Some(RolloutState::Failed));
        assert_eq!(world.step(), (0, 0), "{sentence}");
        assert_eq!(world.status.service_deployments[0].status, ServiceDeploymentStatus::Stopped);
        assert_eq!(world.active_of(1).len(), if completed_before { 3 } else { 0 });
    }
}

#[test]
fn failures_are_counted_consecutively_unless_reset_on_healthy_task_is_off() {
    for (reset, expected) in [(None, 0), (Some(true), 0), (Some(false), 2)] {
        let mut world = World::new(with_breaker(service(1, 3, 100, 200), true));
        world.service.circuit_breaker.as_mut().unwrap().reset_on_healthy_task = reset;
        world.step();
        for pod in world.active().into_iter().take(2) {
            world.change(&pod, failed_to_start());
        }
        world.step();
        assert_eq!(world.status.deployments[0].deployment_circuit_breaker.unwrap().failure_count, 2);
        let pod = world.active()[0].clone();
        world.now += SignedDuration::from_secs(5);
        let TaskState::Running(mut checks) = healthy() else { unreachable!() };
        checks.passing_changed_at = Some(world.now);
        world.change(&pod, TaskState::Running(checks));
        world.step();
        let breaker = world.status.deployments[0].deployment_circuit_breaker.unwrap();
        assert_eq!((breaker.failure_count, breaker.status), (expected, MonitoringStatus::Monitoring), "{reset:?}");
    }
}

#[test]
fn tasks_that_fail_their_health_checks_count_in_the_second_stage() {
    let mut world = World::new(with_breaker(service(1, 3, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 3, 100, 200), true);
    world.service.count_early_exits = false;
    world.step();
    world.change_all(2, &unhealthy());
    world.step();
    assert_eq!(world.status.service_deployments[0].status, ServiceDeploymentStatus::RollbackInProgress);
}

#[test]
fn a_task_that_dies_right_after_it_ran_counts_unless_that_is_off() {
    for (counts, expected) in
        [(true, ServiceDeploymentStatus::RollbackInProgress), (false, ServiceDeploymentStatus::InProgress)]
    {
        let mut world = World::new(with_breaker(service(1, 3, 100, 200), true));
        world.settle();
        world.service = with_breaker(service(2, 3, 100, 200), true);
        world.service.count_early_exits = counts;
        world.step();
        world.change_all(2, &exited());
        world.step();
        assert_eq!(world.status.service_deployments[0].status, expected);
    }
}

#[test]
fn a_restart_of_the_operator_neither_loses_nor_repeats_a_failure() {
    let count = |type_, value| Some(ThresholdConfiguration { type_, value });
    let mut world = World::new(with_breaker(service(1, 2, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 2, 100, 200), true);
    world.service.circuit_breaker.as_mut().unwrap().threshold_configuration = count(ThresholdType::Count, 9);
    world.step();
    for failures in 1..=8 {
        let pod = world.active_of(2)[0].clone();
        world.change(&pod, failed_to_start());
        // Cut off at every place: before the first write, and after each.
        for writes in 0..3 {
            world.show();
            world.pass(writes);
            world.crash();
        }
        world.step();
        world.step();
        world.now += SignedDuration::from_mins(30);
        world.step();
        let failed = world.status.deployments.iter().find(|d| d.task_definition == "web:2").unwrap();
        assert_eq!(
            (failed.failed_tasks, failed.deployment_circuit_breaker.unwrap().failure_count),
            (failures, failures)
        );
    }
}

#[test]
fn a_task_that_the_scheduler_cannot_launch_is_a_failure_in_stage_one() {
    let mut world = World::new(with_breaker(service(1, 3, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 3, 100, 200), true);
    world.step();
    let since = world.now;
    world.change_all(2, &unplaced(since));
    world.step();
    let breaker = |world: &World| world.status.deployments[0].deployment_circuit_breaker.unwrap().failure_count;
    assert_eq!((breaker(&world), world.active_of(2).len()), (0, 3), "an autoscaler may make room for it");
    let counted_at = since + SignedDuration::from_mins(10);
    assert_eq!(world.plan().wake_at, Some(counted_at));
    let placed = world.active_of(2)[0].clone();
    world.change(&placed, unplaced(since + SignedDuration::from_mins(1)));
    world.now = counted_at;
    world.step();
    assert_eq!((breaker(&world), world.active_of(2).len()), (2, 3), "they go on waiting for a node");
    world.crash();
    world.step();
    assert_eq!(breaker(&world), 2, "each counts once");
    world.now += SignedDuration::from_mins(1);
    world.step();
    assert_eq!(world.status.service_deployments[0].status, ServiceDeploymentStatus::RollbackInProgress);
    world.settle();
    assert_eq!((world.ready().0, world.active_of(1).len(), world.active_of(2).len()), ("RolledBack", 3, 0));
}

#[test]
fn a_task_that_cannot_be_launched_does_not_count_outside_of_stage_one_nor_again_when_it_stops() {
    // Deployment of 4 tasks, one of which runs.
    let mut world = World::new(with_breaker(service(1, 4, 100, 200), true));
    world.step();
    world.change_all(1, &unplaced(world.now));
    let pod = world.active()[0].clone();
    world.change(&pod, healthy());
    world.now += SignedDuration::from_mins(20);
    world.step();
    let breaker = |world: &World| world.status.deployments[0].deployment_circuit_breaker.unwrap().failure_count;
    assert_eq!(breaker(&world), 0, "stage two");

    let mut world = World::new(with_breaker(service(1, 2, 100, 200), true));
    world.step();
    world.change_all(1, &unplaced(world.now));
    world.now += SignedDuration::from_mins(20);
    world.step();
    assert_eq!(breaker(&world), 2);
    let pod = world.active()[0].clone();
    world.change(&pod, failed_to_start());
    world.step();
    assert_eq!(breaker(&world), 2);
    assert_eq!(world.status.deployments[0].launches.failed_attempts, 1, "the throttle has not known of it");
}

#[test]
fn the_history_says_how_many_tasks_a_deployment_aimed_for_however_few_it_came_to() {
    let mut world = World::new(with_breaker(service(1, 4, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 4, 100, 200), true);
    world.step();
    world.change_all(2, &failed_to_start());
    world.settle();
    let counts = |world: &World, past: usize| {
        let past = &world.status.service_deployments[past];
        (past.status, past.requested_task_count, past.failed_task_count)
    };
    assert_eq!(counts(&world, 0), (ServiceDeploymentStatus::RollbackSuccessful, 4, 4));
    world.service = service(3, 4, 100, 150);
    world.step();
    world.service = service(4, 4, 100, 150);
    world.step();
    assert_eq!(counts(&world, 1), (ServiceDeploymentStatus::Stopped, 4, 0), "superseded with two tasks");
}

#[test]
fn the_circuit_breaker_is_disabled_unless_the_service_enables_it() {
    let mut world = running(2, 100, 200);
    let status = |world: &World| world.status.deployments[0].deployment_circuit_breaker.unwrap().status;
    assert_eq!(status(&world), MonitoringStatus::Disabled);
    world.service = with_breaker(service(2, 2, 100, 200), true);
    world.step();
    assert_eq!(status(&world), MonitoringStatus::Monitoring);
    world.settle();
    assert_eq!(status(&world), MonitoringStatus::MonitoringComplete);
}

#[test]
fn the_interval_between_restart_attempts_grows_and_is_published() {
    let mut world = World::new(service(1, 1, 100, 200));
    let mut waits = Vec::new();
    for _ in 0..6 {
        world.step();
        world.step();
        let from = world.now;
        while world.active().is_empty() {
            world.now = world.status.deployments[0].launches.next_attempt_at.as_ref().map_or(world.now, |at| at.0);
            world.step();
        }
        waits.push((world.now.duration_since(from)).as_secs() / 10 * 10);
        world.change_all(1, &failed_to_start());
    }
    assert_eq!(waits, [0, 0, 0, 10, 20, 40]);
    assert!(world.messages().iter().any(|m| m.ends_with("is unable to consistently start tasks successfully.")));
    assert_eq!(world.ready().0, "DeploymentInProgress");
    world.step();
    world.step();
    assert_eq!(world.ready().0, "LaunchThrottled");
    assert!(world.plan().wake_at.is_some());
    world.service = service(2, 1, 100, 200);
    assert_eq!(world.step().0, 1, "a new deployment resets it");
}

#[test]
fn the_history_has_the_last_ten_deployments_and_the_last_success() {
    let mut world = running(1, 0, 100);
    for revision in 2..=9 {
        world.service = service(revision, 1, 0, 100);
        world.step();
    }
    for revision in 2..=6 {
        world.service = service(revision, 1, 0, 100);
        world.step();
    }
    let history = &world.status.service_deployments;
    assert_eq!(history.len(), 10);
    assert_eq!(history[0].status, ServiceDeploymentStatus::InProgress);
    assert!(history[1..9].iter().all(|past| past.status == ServiceDeploymentStatus::Stopped));
    assert_eq!((history[9].ordinal, history[9].status), (1, ServiceDeploymentStatus::Successful));
}
