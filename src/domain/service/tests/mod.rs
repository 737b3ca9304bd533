//! The scheduler as a whole: rows, and properties over random histories.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod control;
mod counted;
mod daemon;
mod exhaustive;
mod failure;
mod holding;
mod images;
mod rebalance;
mod replacement;
mod secrets;
mod targets;
mod two_operators;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use jiff::SignedDuration;

use crate::api::conditions::{Reason, Summary};
use crate::api::names::DeploymentId;
use crate::api::{DeploymentCircuitBreaker, DeploymentState, RolloutState, ServiceState, ServiceStatus, StopCode};
use crate::domain::facts::Presence;
use crate::domain::placement::node::NodeFact;
use crate::domain::resolve::control::Pause;
use crate::domain::resolve::service::ResolvedService;
use crate::domain::service::testing::{World, exited, healthy, service, unhealthy};
use crate::domain::service::{Action, is_told_first};

fn running(desired: u32, minimum: u32, maximum: u32) -> World {
    let mut world = World::new(service(1, desired, minimum, maximum));
    world.settle();
    world
}

/// The id of the PRIMARY deployment.
fn primary(world: &World) -> DeploymentId {
    world.status.deployments[0].id.parse().unwrap()
}

fn starts(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::StartTask(_))).count()
}

fn stops(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::StopTask(_))).count()
}

#[test]
fn a_new_service_starts_its_desired_count_and_reaches_a_steady_state() {
    let mut world = World::new(service(1, 3, 100, 200));
    assert_eq!(starts(&world.plan().actions), 3);
    world.settle();
    let status = &world.status;
    assert_eq!((status.running_count, status.pending_count, status.desired_count), (Some(3), Some(0), Some(3)));
    assert_eq!(status.deployments[0].rollout_state, Some(RolloutState::Completed));
    assert_eq!(status.conditions[0].status, "True");
    assert_eq!(world.messages()[0], "(service web) has reached a steady state.");
}

#[test]
fn the_first_pass_of_a_rollout_starts_and_stops_what_floor_and_ceiling_allow() {
    // (desired, minimum, maximum) -> (starts, stops)
    for ((desired, minimum, maximum), expected) in [
        ((4, 100, 200), (4, 0)),
        ((4, 50, 100), (2, 2)),
        ((1, 0, 100), (1, 1)),
        ((1, 100, 200), (1, 0)),
        ((10, 100, 150), (5, 0)),
        ((10, 50, 200), (10, 0)),
        ((10, 75, 125), (4, 2)),
        ((2, 75, 100), (0, 0)),
        ((3, 100, 125), (0, 0)),
    ] {
        let mut world = running(desired, minimum, maximum);
        world.service = service(2, desired, minimum, maximum);
        let actions = world.plan().actions;
        assert_eq!((starts(&actions), stops(&actions)), expected, "{desired} tasks at {minimum}/{maximum}");
        let first_start = actions.iter().position(|action| matches!(action, Action::StartTask(_)));
        let last_stop = actions.iter().rposition(|action| matches!(action, Action::StopTask(_)));
        assert!(first_start.is_none() || last_stop < first_start, "a start counts on the place that a stop makes");
    }
}

#[test]
fn a_rollout_that_floor_and_ceiling_block_says_so_in_the_words_of_ecs() {
    let mut world = running(3, 100, 125);
    world.service = service(2, 3, 100, 125);
    world.settle();
    let ready = &world.status.conditions[0];
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "DeploymentBlocked"));
    assert!(world.messages()[0].contains("was unable to stop or start tasks during a deployment"));
    world.service = service(2, 3, 100, 200);
    world.settle();
    assert_eq!(world.status.conditions[0].status, "True");
}

#[test]
fn what_was_stopped_for_a_deployment_before_the_operator_started_again_was_stopped_by_the_scheduler() {
    let mut world = running(4, 50, 100);
    world.service = service(2, 4, 50, 100);
    world.step();
    let by_hand = world.active_of(2)[0].clone();
    world.pods.get_mut(&by_hand).unwrap().presence = Presence::Stopping;
    world.crash();
    world.show();
    world.finish_stops();
    world.step();
    let codes: BTreeSet<_> = world
        .status
        .stopped_tasks
        .iter()
        .map(|task| (task.task_definition.as_str(), task.stop_code.map(|code| format!("{code:?}"))))
        .collect();
    let expected = [("web:1", "ServiceSchedulerInitiated"), ("web:2", "UserInitiated")];
    assert_eq!(codes, expected.map(|(revision, code)| (revision, Some(code.to_owned()))).into());
}

#[test]
fn a_service_at_rest_plans_nothing_and_its_status_stays_as_it_is() {
    let world = running(3, 100, 200);
    let plan = world.plan();
    assert_eq!(plan.actions, []);
    assert_eq!(plan.status, world.status);
}

#[test]
fn a_second_update_makes_a_new_primary_and_the_former_one_is_replaced_like_any_old_one() {
    let mut world = running(4, 100, 200);
    world.service = service(2, 4, 100, 200);
    world.pass(usize::MAX);
    world.show();
    world.service = service(3, 4, 100, 200);
    world.pass(usize::MAX);
    let deployments = &world.status.deployments;
    let states: Vec<_> = deployments.iter().map(|d| (d.task_definition.as_str(), d.status)).collect();
    assert_eq!(states[0], ("web:3", DeploymentState::Primary));
    assert!(states.contains(&("web:1", DeploymentState::Active)));
    world.settle();
    assert_eq!(world.status.deployments.len(), 1);
    assert!(world.pods.values().all(|pod| pod.revision.number == 3));
}

#[test]
fn going_back_to_a_revision_is_a_deployment_of_its_own() {
    let mut world = running(2, 100, 200);
    let first = world.status.deployments[0].id.clone();
    world.service = service(2, 2, 100, 200);
    world.settle();
    world.service = service(1, 2, 100, 200);
    world.settle();
    assert_ne!(world.status.deployments[0].id, first);
    assert_eq!(world.status.last_deployment_ordinal, Some(3));
}

#[test]
fn a_task_that_stopped_is_replaced_and_its_pod_goes_once_its_end_is_on_record() {
    let mut world = running(2, 100, 200);
    let pod = world.active()[0].clone();
    world.change(&pod, exited());
    world.show();
    let plan = world.pass(usize::MAX);
    assert_eq!((starts(&plan.actions), plan.actions.len()), (1, 1), "replaced, but not yet removed");
    let stopped = &world.status.stopped_tasks[0];
    assert_eq!(stopped.stop_code, Some(StopCode::EssentialContainerExited));
    assert!(pod.ends_with(&stopped.task));
    assert_eq!(world.status.deployments[0].failed_tasks, 1);
    world.show();
    assert!(
        world
            .plan()
            .actions
            .iter()
            .any(|action| matches!(action, Action::ForgetTask { pod: gone, .. } if *gone == pod))
    );
    world.settle();
    assert_eq!(world.status.stopped_tasks.len(), 1, "recorded once");
    assert_eq!(world.status.deployments[0].failed_tasks, 1, "counted once");
}

#[test]
fn tasks_that_fail_at_once_are_counted_and_recorded_once_each_however_many_they_are() {
    let mut world = running(80, 100, 200);
    for pod in world.active() {
        world.change(&pod, exited());
    }
    world.settle();
    assert_eq!(world.status.deployments[0].failed_tasks, 80);
    assert_eq!(world.status.stopped_tasks.len(), 50);
    assert_eq!(world.active().len(), 80);
}

#[test]
fn no_number_that_a_person_writes_costs_more_than_a_pass_can_do() {
    let world = World::new(service(1, u32::MAX, 100, 200));
    assert_eq!(world.plan().actions.len(), 500);
}

#[test]
fn a_task_whose_pod_somebody_deleted_is_replaced_and_recorded_as_stopped_by_the_user() {
    let mut world = running(2, 100, 200);
    let pod = world.active()[0].clone();
    world.remove(&pod);
    world.settle();
    assert_eq!(world.active().len(), 2);
    assert_eq!(world.status.stopped_tasks[0].stop_code, Some(StopCode::UserInitiated));
}

#[test]
fn a_task_whose_instance_has_gone_is_replaced_and_recorded_so() {
    let mut world = running(2, 100, 200);
    let pod = world.active()[0].clone();
    let words = "Host EC2 (instance node-1) terminated.";
    world.pods.get_mut(&pod).unwrap().disruption = Some(words.into());
    world.show();
    world.remove(&pod);
    world.settle();
    let stopped = &world.status.stopped_tasks[0];
    assert_eq!((stopped.stop_code, stopped.stopped_reason.as_str()), (Some(StopCode::TerminationNotice), words));
}

#[test]
fn scale_in_stops_tasks_that_are_not_healthy_first() {
    let mut world = running(4, 100, 200);
    let sick = world.active()[1].clone();
    world.change(&sick, unhealthy());
    world.show();
    world.service = service(1, 3, 100, 200);
    world.pass(usize::MAX);
    assert!(world.active().contains(&sick), "it stays until status has counted it");
    world.pass(usize::MAX);
    assert!(!world.active().contains(&sick));
    assert_eq!(world.active().len(), 3);
}

#[test]
fn deleting_a_service_drains_its_tasks_and_holds_the_object_until_the_last_has_gone() {
    let mut world = running(3, 100, 200);
    world.deleting = true;
    let plan = world.pass(usize::MAX);
    assert_eq!((stops(&plan.actions), starts(&plan.actions), plan.hold), (3, 0, true));
    assert_eq!(plan.status.status, Some(ServiceState::Draining));
    world.show();
    assert!(world.plan().hold, "the containers still run");
    world.finish_stops();
    world.show();
    assert!(!world.plan().hold);
}

#[test]
fn what_does_not_exist_yet_is_a_waiting_condition_and_what_runs_goes_on() {
    let mut world = World::new(service(1, 2, 100, 200));
    let waiting = Summary::Reconciling(Reason::TaskDefinitionNotFound, "waiting for web".to_owned());
    world.service.target = Err(waiting.clone());
    world.settle();
    assert_eq!(world.active().len(), 0);
    assert_eq!(world.status.conditions[0].reason, "TaskDefinitionNotFound");

    let mut world = running(2, 100, 200);
    world.service.target = Err(waiting);
    let pod = world.active()[0].clone();
    world.change(&pod, exited());
    world.settle();
    assert_eq!(world.active().len(), 2, "a lost task of the running deployment is replaced");
}

#[test]
fn a_deployment_is_told_before_its_first_task_is_started() {
    let mut world = running(4, 100, 200);
    world.service = service(2, 4, 100, 200);
    assert!(is_told_first(&world.status, &world.plan().status));
    world.pass(1);
    assert_eq!((world.status.deployments[0].task_definition.as_str(), world.active_of(2).len()), ("web:2", 0));
    assert!(!is_told_first(&world.status, &world.plan().status));
}

#[test]
fn tasks_of_a_deployment_that_status_does_not_know_are_replaced_by_those_of_one_that_it_does() {
    let mut world = running(4, 100, 200);
    world.status = ServiceStatus::default();
    world.service = service(2, 4, 100, 200);
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (0, 4));
}

#[test]
fn tasks_that_were_started_before_a_crash_are_not_started_again() {
    let mut world = running(4, 100, 200);
    world.service = service(2, 4, 100, 200);
    world.pass(3);
    world.crash();
    let plan = world.plan();
    assert_eq!(starts(&plan.actions), 2, "two of the four were started before the crash");
    world.settle();
    assert_eq!(world.active().len(), 4);
}

/// Something that happens in a history.
#[derive(Debug, Clone)]
enum Event {
    Pass { writes: usize },
    Show,
    Crash,
    Healthy { task: usize },
    Unhealthy { task: usize },
    Exit { task: usize },
    Deleted { task: usize },
    FinishStops,
    Scale { desired: u32 },
    Update { revision: i64 },
    Place { task: usize, node: usize },
    Cordon { node: usize, drain: bool },
    Protect { task: usize },
    Breaker { on: bool },
    Pause { on: bool },
    Wait { seconds: i64 },
}

/// Nodes that tasks of a history are placed on.
const NODES: [&str; 3] = ["a", "b", "c"];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_usize..12).prop_map(|writes| Event::Pass { writes }),
        4 => Just(Event::Pass { writes: usize::MAX }),
        4 => Just(Event::Show),
        1 => Just(Event::Crash),
        6 => (0_usize..12).prop_map(|task| Event::Healthy { task }),
        1 => (0_usize..12).prop_map(|task| Event::Unhealthy { task }),
        1 => (0_usize..12).prop_map(|task| Event::Exit { task }),
        1 => (0_usize..12).prop_map(|task| Event::Deleted { task }),
        3 => Just(Event::FinishStops),
        1 => (0_u32..6).prop_map(|desired| Event::Scale { desired }),
        1 => (1_i64..4).prop_map(|revision| Event::Update { revision }),
        2 => (0_usize..12, 0_usize..3).prop_map(|(task, node)| Event::Place { task, node }),
        1 => (0_usize..3, any::<bool>()).prop_map(|(node, drain)| Event::Cordon { node, drain }),
        1 => (0_usize..12).prop_map(|task| Event::Protect { task }),
        1 => any::<bool>().prop_map(|on| Event::Breaker { on }),
        1 => any::<bool>().prop_map(|on| Event::Pause { on }),
        1 => (1_i64..2_000).prop_map(|seconds| Event::Wait { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Every write of every history is checked by [`World`]: floor, ceiling, one task a slot, no name twice. Afterwards the
    /// service comes to rest with what it should have.
    #[test]
    fn floor_and_ceiling_hold_and_every_history_converges(
        desired in 0_u32..6,
        (minimum, maximum) in prop_oneof![Just((100, 200)), Just((50, 100)), Just((75, 125)), Just((100, 110)), Just((0, 100)), Just((50, 200)), Just((100, 150))],
        history in vec(event(), 0..60),
    ) {
        let mut world = World::new(service(1, desired, minimum, maximum));
        for event in history {
            let pod = |world: &World, task: usize| {
                let active = world.active();
                active.get(task % active.len().max(1)).cloned().unwrap_or_default()
            };
            match event {
                Event::Pass { writes } => { world.pass(writes); }
                Event::Show => world.show(),
                Event::Crash => world.crash(),
                // The view is brought up to date before health changes, as floor and ceiling are promises about our own stops.
                Event::Healthy { task } => { let pod = pod(&world, task); world.change(&pod, healthy()); }
                Event::Unhealthy { task } => { let pod = pod(&world, task); world.change(&pod, unhealthy()); world.show(); }
                Event::Exit { task } => { let pod = pod(&world, task); world.change(&pod, exited()); world.show(); }
                Event::Deleted { task } => { let pod = pod(&world, task); world.remove(&pod); world.show(); }
                Event::FinishStops => world.finish_stops(),
                Event::Scale { desired } => world.service.desired_count = desired,
                Event::Update { revision } => {
                    let before = world.service.clone();
                    let after = service(revision, before.desired_count, before.minimum_healthy_percent, before.maximum_percent);
                    world.service = ResolvedService { circuit_breaker: before.circuit_breaker, control: before.control, ..after };
                }
                Event::Place { task, node } => {
                    let pod = pod(&world, task);
                    if let Some(pod) = world.pods.get_mut(&pod) { pod.node.get_or_insert_with(|| NODES[node].into()); }
                }
                Event::Cordon { node, drain } => {
                    let fact = NodeFact { name: NODES[node].to_owned(), unschedulable: drain, ..NodeFact::default() };
                    world.nodes.insert(NODES[node].to_owned(), fact);
                }
                Event::Protect { task } => {
                    let (pod, until) = (pod(&world, task), world.now + SignedDuration::from_mins(30));
                    if let Some(pod) = world.pods.get_mut(&pod) { pod.protected_until = Some(until); }
                    // A protection that is not known of protects nobody.
                    world.show();
                }
                Event::Breaker { on } => world.service.circuit_breaker = Some(DeploymentCircuitBreaker { enable: on, rollback: true, ..DeploymentCircuitBreaker::default() }),
                Event::Pause { on } => world.service.control.pause = on.then_some(Pause::Any),
                Event::Wait { seconds } => world.now += SignedDuration::from_secs(seconds),
            }
        }
        world.service.control.pause = None;
        world.settle();
        prop_assert!(world.pods.values().all(|pod| pod.presence == Presence::Present));
        let (reason, _) = world.ready();
        let blocked = reason == "DeploymentBlocked";
        let failed = reason == "DeploymentFailed";
        if !blocked && !failed {
            prop_assert_eq!(world.active().len(), usize::try_from(world.service.desired_count).unwrap());
            prop_assert_eq!(world.status.deployments.len(), 1);
            prop_assert!(reason == "SteadyState" || reason == "RolledBack", "{}", reason);
        }
        let bounds = crate::domain::service::bounds::Bounds::new(
            world.service.desired_count,
            world.service.minimum_healthy_percent,
            world.service.maximum_percent,
        );
        prop_assert!(!blocked || !bounds.can_replace());
        let plan = world.plan();
        prop_assert_eq!(plan.actions, vec![]);
        prop_assert_eq!(plan.status, world.status.clone());
    }
}
