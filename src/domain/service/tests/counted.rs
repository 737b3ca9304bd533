//! Which tasks count as failed, and for what.

use jiff::SignedDuration;

use super::failure::{failed_to_start, with_breaker};
use super::{primary, running};
use crate::api::ServiceDeploymentStatus;
use crate::domain::service::testing::{World, exited, healthy, service, unhealthy, unheard};
use crate::domain::task::{StopRecord, TaskState};

#[test]
fn tasks_that_the_api_server_refuses_are_failures_in_stage_one_once_it_has_done_so_for_half_a_minute() {
    let mut world = World::new(with_breaker(service(1, 4, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 4, 100, 200), true);
    // Nothing is there of what is refused.
    let refuse = |world: &mut World, seconds: i64| {
        world.now += SignedDuration::from_secs(seconds);
        let id = primary(world);
        world.unannounced.refused_starts.insert(id, 1);
        world.status = world.plan().status;
        world.unannounced.refused_starts.clear();
    };
    world.status = world.plan().status;
    let id = primary(&world);
    for seconds in [0, 1, 28] {
        refuse(&mut world, seconds);
        let first = &world.status.deployments[0];
        assert_eq!((first.deployment_circuit_breaker.unwrap().failure_count, first.failed_tasks), (0, 0));
    }
    let message = format!("(service web) could not launch 4 tasks for deployment {id}.");
    assert_eq!(world.messages().iter().filter(|told| **told == message).count(), 1);
    refuse(&mut world, 1);
    let history = &world.status.service_deployments[0];
    assert_eq!((history.status, history.failed_task_count), (ServiceDeploymentStatus::RollbackInProgress, 4));
    world.settle();
    assert_eq!((world.ready().0, world.active_of(1).len()), ("RolledBack", 4));
}

#[test]
fn without_a_circuit_breaker_refused_tasks_are_tried_at_growing_intervals_and_in_stage_two_they_do_not_count() {
    let mut world = World::new(service(1, 2, 100, 200));
    world.status = world.plan().status;
    let id = primary(&world);
    for _ in 0..4 {
        world.now += SignedDuration::from_secs(30);
        world.unannounced.refused_starts.insert(id, 1);
        world.status = world.plan().status;
    }
    let next_attempt_at = world.status.deployments[0].launches.next_attempt_at.as_ref().unwrap().0;
    assert_eq!(next_attempt_at.duration_since(world.now), SignedDuration::from_secs(10), "after three of them");

    let mut world = World::new(with_breaker(service(1, 3, 100, 200), true));
    world.step();
    let pod = world.active()[0].clone();
    world.change(&pod, healthy());
    for other in &world.active()[1..] {
        world.remove(other);
    }
    let id = primary(&world);
    for _ in 0..4 {
        world.now += SignedDuration::from_secs(30);
        world.unannounced.refused_starts.insert(id, 1);
        world.show();
        world.status = world.plan().status;
    }
    let first = &world.status.deployments[0];
    assert!(first.launches.refused_since.is_some());
    assert_eq!(first.deployment_circuit_breaker.unwrap().failure_count, 0, "stage two");
}

#[test]
fn a_task_whose_node_is_silent_says_nothing_of_its_revision_and_is_replaced() {
    let mut world = World::new(with_breaker(service(1, 6, 100, 200), true));
    world.settle();
    world.service = with_breaker(service(2, 6, 100, 200), true);
    world.step();
    for pod in &world.active_of(2)[..3] {
        world.change(pod, unheard());
    }
    world.step();
    let first = &world.status.deployments[0];
    assert_eq!((first.deployment_circuit_breaker.unwrap().failure_count, first.failed_tasks), (0, 0));
    assert_eq!(first.launches.unhealthy_tasks.len(), 3, "they are to be replaced");
    assert!(!world.messages().iter().any(|message| message.contains("health checks")), "nobody hears what these say");
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len(), world.ready().0), (0, 6, "SteadyState"));
    let reasons = world.status.stopped_tasks.iter().map(|task| task.stopped_reason.as_str());
    assert_eq!(reasons.filter(|reason| *reason == "The agent of the container instance is disconnected").count(), 3);
}

#[test]
fn a_task_that_its_node_refuses_waits_as_any_launch_and_does_not_break_the_deployment() {
    let refused = || {
        let TaskState::Stopped(record) = failed_to_start() else { unreachable!() };
        let reason = "UnexpectedAdmissionError: no device".to_owned();
        TaskState::Stopped(Box::new(StopRecord { reason, ..*record }))
    };
    let mut world = World::new(with_breaker(service(1, 1, 100, 200), true));
    let mut started = 0;
    for _ in 0..300 {
        started += world.step().0;
        world.change_all(1, &refused());
    }
    assert!((3..=10).contains(&started), "{started} tasks in five minutes");
    let first = &world.status.deployments[0];
    assert_eq!((first.deployment_circuit_breaker.unwrap().failure_count, first.failed_tasks), (0, 0));
}

#[test]
fn failed_tasks_are_those_that_did_not_come_to_run_or_failed_their_health_checks() {
    let mut world = running(4, 100, 200);
    world.service = service(2, 4, 100, 200);
    world.step();
    let new = world.active_of(2);
    world.change(&new[0], failed_to_start());
    world.change(&new[1], unhealthy());
    world.change(&world.active_of(1)[0].clone(), ended_long_after_it_ran());
    world.step();
    let failed: Vec<_> = world.status.deployments.iter().map(|deployment| deployment.failed_tasks).collect();
    assert_eq!(failed, [2, 0], "an exit after months is none");
}

/// An exit a day after the task was RUNNING.
fn ended_long_after_it_ran() -> TaskState {
    let TaskState::Stopped(record) = exited() else { unreachable!() };
    let at = record.ran_since.map(|since| since + SignedDuration::from_hours(24));
    TaskState::Stopped(Box::new(StopRecord { at, ..*record }))
}
