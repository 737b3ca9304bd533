//! Target groups: what they say of tasks, and what is told of it.

use super::running;
use crate::domain::facts::{Presence, TargetChange, TaskChange, TaskFact, Unannounced};
use crate::domain::service::testing::{World, healthy, healthy_task, pending, task_key, unhealthy};
use crate::domain::task::{Checks, Gate, Target, TargetHealth, TaskState};

/// A task that is a target of `k8s-web`.
fn target(state: TaskState, health: TargetHealth) -> TaskState {
    let TaskState::Running(checks) = state else { unreachable!() };
    let targets = vec![Target { group: "k8s-web".into(), health }];
    TaskState::Running(Checks { gate: Gate::Targets, targets, ..checks })
}

/// A change of every task's targets, as the watch has noted it.
fn changes(world: &World) -> Vec<TargetChange> {
    let change = |pod: &TaskFact| TargetChange { task: pod.task_id(), group: "k8s-web".into() };
    world.pods.values().map(change).collect()
}

#[test]
fn a_task_that_fails_the_checks_of_a_target_group_is_replaced_in_the_name_of_that_group() {
    let mut world = running(2, 100, 200);
    let sick = world.active()[0].clone();
    let reason = "Health checks failed with these codes: [502]".to_owned();
    world.change(&sick, target(unhealthy(), TargetHealth::Unhealthy { reason }));
    world.step();
    let id = world.pods[&sick].task_id();
    assert!(world.messages().contains(&&*format!(
        "(service web) (task {id}) is unhealthy in (target-group k8s-web) due to (reason Health checks failed with these \
         codes: [502])."
    )));
    let replacement = world.active_where(|pod| pod.state == pending());
    world.change(&replacement[0], healthy());
    world.step();
    world.finish_stops();
    world.step();
    let stopped = &world.status.stopped_tasks[0];
    assert_eq!(stopped.task, id.to_string());
    assert_eq!(stopped.stopped_reason, "Task failed ELB health checks in (target-group k8s-web)");
}

#[test]
fn targets_that_come_and_go_are_told_of_by_target_group() {
    let mut world = running(2, 100, 200);
    world.unannounced.registered = changes(&world);
    world.step();
    assert_eq!(world.messages()[0], "(service web) registered 2 targets in (target-group k8s-web)");
    world.unannounced.deregistered = changes(&world);
    world.step();
    assert_eq!(world.messages()[0], "(service web) deregistered 2 targets in (target-group k8s-web)");
}

#[test]
fn a_target_is_noted_once_when_it_comes_and_once_when_it_goes() {
    let none = healthy_task(task_key(1, 0, 1));
    let health = TargetHealth::Other { reason: "Target registration is in progress".to_owned() };
    let known = TaskFact { state: target(healthy(), health), ..none.clone() };
    let passing = TaskFact { state: target(healthy(), TargetHealth::Healthy), ..none.clone() };
    let stopping = TaskFact { presence: Presence::Stopping, ..passing.clone() };
    let gone = TaskFact { presence: Presence::Gone, ..passing.clone() };
    let noted = |before: &TaskFact, after: &TaskFact| {
        let mut unannounced = Unannounced::default();
        unannounced.note_targets(before, after);
        (unannounced.registered.len(), unannounced.deregistered.len())
    };
    for ((before, after), expected) in [
        ((&none, &known), (1, 0)),
        ((&known, &passing), (0, 0)),
        ((&passing, &stopping), (0, 1)),
        ((&stopping, &gone), (0, 0)),
        ((&passing, &gone), (0, 1)),
    ] {
        assert_eq!(noted(before, after), expected, "{:?} to {:?}", before.presence, after.presence);
    }
}

#[test]
fn tasks_that_stop_drain_their_connections_where_there_is_a_time_for_it() {
    for (delay, expected) in [(300, 1), (0, 0)] {
        let mut world = running(3, 100, 200);
        world.service.deregistration_delay = delay;
        world.service.desired_count = 1;
        world.step();
        let stopping = world.pods.values().filter(|pod| pod.presence == Presence::Stopping);
        world.unannounced.stopped = stopping.map(|task| TaskChange { task: task.task_id(), zone: None }).collect();
        world.step();
        let deployment = &world.status.deployments[0].id;
        let sentence = format!("(service web, taskSet {deployment}) has begun draining connections on 2 tasks.");
        assert_eq!(world.messages().iter().filter(|message| **message == sentence).count(), expected, "{delay} s");
    }
}
