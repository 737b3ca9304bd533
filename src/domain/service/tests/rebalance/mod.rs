//! Availability Zone rebalancing.

mod avoided_zones;

use std::sync::Arc;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::{starts, stops};
use crate::api::DeploymentCircuitBreaker;
use crate::domain::facts::StopCause;
use crate::domain::placement::node::NodeFact;
use crate::domain::service::testing::{World, exited, healthy, pending, service, unhealthy, warming};
use crate::domain::service::{Action, Nodes};
use crate::domain::task::{StartFailure, StartFailureKind, StopRecord, TaskState};

const ZONES: [&str; 3] = ["a", "b", "c"];

/// One node in each zone.
fn nodes() -> Nodes {
    let node = |zone: &str| {
        let labels = [("topology.kubernetes.io/zone".to_owned(), zone.to_owned())].into();
        let name = format!("node-{zone}");
        (name.clone(), NodeFact { name, labels, ..NodeFact::default() })
    };
    ZONES.into_iter().map(node).collect()
}

/// A service at rest with so many tasks in each zone, which may be balanced from now on.
fn spread([a, b, c]: [u32; 3], minimum: u32, maximum: u32) -> World {
    let mut world = World::new(service(1, a + b + c, minimum, maximum));
    world.nodes = nodes();
    world.settle();
    let zones = [("a", a), ("b", b), ("c", c)].into_iter();
    let zones: Vec<&str> = zones.flat_map(|(zone, tasks)| std::iter::repeat_n(zone, tasks as usize)).collect();
    for (pod, zone) in world.active().iter().zip(zones) {
        bind(&mut world, pod, zone);
    }
    world.service.rebalances_zones = true;
    world.show();
    world
}

fn bind(world: &mut World, pod: &str, zone: &str) {
    world.pods.get_mut(pod).unwrap().node = Some(Arc::from(format!("node-{zone}")));
}

/// Tasks without a node get the one of the zone that they are for, or else one in `a`.
fn place(world: &mut World) {
    for pod in world.active_where(|pod| pod.node.is_none()) {
        let zone = world.pods[&pod].zone.clone().unwrap_or_else(|| "a".into());
        bind(world, &pod, &zone);
    }
}

/// How many tasks each zone has.
fn counts(world: &World) -> [usize; 3] {
    let of = |zone: &str| {
        let node = format!("node-{zone}");
        world.active_where(|pod| pod.node.as_deref() == Some(node.as_str())).len()
    };
    ZONES.map(of)
}

/// A round in which what has been started becomes healthy.
fn round(world: &mut World) -> (usize, usize) {
    let moves = world.step();
    world.finish_stops();
    place(world);
    for pod in world.active_where(|pod| pod.state == pending()) {
        world.change(&pod, healthy());
    }
    moves
}

/// Rounds until nothing is left to do.
fn rest(world: &mut World) {
    let mut quiet = 0;
    while quiet < 2 {
        quiet = if round(world) == (0, 0) { quiet + 1 } else { 0 };
    }
}

fn unplaced(world: &World) -> TaskState {
    let message = "0/3 nodes are available".to_owned();
    let failing = StartFailure { kind: StartFailureKind::Unplaced, message, since: Some(world.now) };
    TaskState::Pending { failing: Some(failing) }
}

/// Those that are for a zone.
fn moved(world: &World) -> Vec<String> {
    world.active_where(|pod| pod.zone.is_some())
}

fn zones_of_starts(actions: &[Action]) -> Vec<Option<&str>> {
    let starts = actions.iter().filter_map(|action| match action {
        Action::StartTask(start) => Some(start.zone.as_deref()),
        _ => None,
    });
    starts.collect()
}

/// Right after it came to run.
fn exited_early() -> TaskState {
    let TaskState::Stopped(end) = exited() else { unreachable!() };
    TaskState::Stopped(Box::new(StopRecord { had_passed: false, ..*end }))
}

#[test]
fn a_task_starts_in_the_emptiest_zone_and_once_it_is_healthy_one_stops_in_the_fullest() {
    let mut world = spread([4, 2, 0], 100, 200);
    assert_eq!(zones_of_starts(&world.plan().actions), [Some("c"), Some("c")]);
    assert_eq!(round(&mut world), (2, 0));
    for pod in moved(&world) {
        world.change(&pod, warming(world.now));
    }
    assert_eq!(world.step(), (0, 0), "not before it is healthy");
    let arrived = moved(&world);
    world.change(&arrived[0], healthy());
    world.show();
    let plan = world.plan();
    let stop = plan.actions.iter().find_map(|action| match action {
        Action::StopTask(stop) => Some(stop),
        _ => None,
    });
    assert_eq!((starts(&plan.actions), stops(&plan.actions)), (0, 1));
    assert_eq!(stop.unwrap().cause, StopCause::Rebalancing { zone: "a".into() });
    world.change(&arrived[1], healthy());
    rest(&mut world);
    assert_eq!(counts(&world), [2, 2, 2]);
    assert_eq!(round(&mut world), (0, 0), "and then it rests");
}

#[test]
fn what_is_done_is_told_in_the_words_of_ecs() {
    let mut world = spread([4, 2, 0], 100, 200);
    let before = world.status.events.len();
    rest(&mut world);
    let new = world.status.events.len() - before;
    let messages: Vec<&str> = world.messages().into_iter().take(new).rev().collect();
    assert_eq!(
        messages[0],
        "(service web) is not AZ balanced with 4 tasks in a, 2 tasks in b, 0 tasks in c. AZ Rebalancing in progress."
    );
    assert!(messages[1].starts_with("(service web) has started 2 tasks in c to AZ Rebalance: (task "), "{messages:?}");
    let last = "(service web) is AZ balanced with 2 tasks in a, 2 tasks in b, 2 tasks in c.";
    assert_eq!(*messages.last().unwrap(), last);
    let stopped =
        messages.iter().filter(|message| message.contains(" running tasks in a due to AZ rebalancing: (task "));
    assert_eq!(stopped.count(), 1, "{messages:?}");
    assert!(messages.iter().all(|message| !message.contains("steady state")), "it was steady all the time");
    assert_eq!(world.ready(), ("SteadyState", "6 of 6 tasks of web:1 are healthy"));
}

#[test]
fn what_has_an_equal_number_in_each_zone_or_one_more_is_even() {
    for (tasks, moves) in [
        ([2, 2, 2], 0),
        ([3, 2, 2], 0),
        ([1, 1, 0], 0),
        ([1, 0, 0], 0),
        ([2, 0, 0], 1),
        ([3, 1, 2], 1),
        ([5, 5, 0], 3),
        ([9, 0, 0], 6),
    ] {
        let world = spread(tasks, 100, 200);
        assert_eq!(starts(&world.plan().actions), moves, "{tasks:?}");
    }
}

#[test]
fn no_more_tasks_move_at_once_than_the_ceiling_has_room_for() {
    for (maximum, at_once) in [(200, 4), (150, 3), (117, 1), (116, 0)] {
        let world = spread([6, 0, 0], 100, maximum);
        assert_eq!(starts(&world.plan().actions), at_once, "{maximum} percent");
    }
}

/// A change of the world, and how many tasks then start.
type Row = (&'static str, fn(&mut World), usize);

#[test]
fn rebalancing_begins_from_a_steady_state_of_a_service_that_may_be_balanced() {
    // One that is not for a zone starts in the place of the unhealthy task, and six for the new deployment.
    let rows: [Row; 8] = [
        ("otherwise it does", |_| (), 2),
        ("nobody has asked for it", |world| world.service.rebalances_zones = false, 0),
        ("a task is not healthy", |world| world.change(&world.active()[0], unhealthy()), 1),
        ("tasks cannot be placed in the zone", |world| world.nodes.get_mut("node-c").unwrap().unschedulable = true, 0),
        ("the zone is not there any more", |world| drop(world.nodes.remove("node-c")), 0),
        (
            "a task is outside of all zones",
            |world| {
                world.nodes.get_mut("node-b").unwrap().labels.clear();
            },
            0,
        ),
        (
            "the task definition keeps tasks away from it",
            |world| {
                let expression = "ec2InstanceId != node-c";
                world.define(1, json!({ "placementConstraints": [{ "type": "memberOf", "expression": expression }] }));
            },
            0,
        ),
        (
            "a deployment is in progress",
            |world| {
                world.service = service(2, 6, 100, 200);
                world.service.rebalances_zones = true;
            },
            6,
        ),
    ];
    for (sentence, change, expected) in rows {
        let mut world = spread([3, 3, 0], 100, 200);
        change(&mut world);
        world.show();
        let actions = world.plan().actions;
        assert_eq!(starts(&actions), expected, "{sentence}");
        let in_zones = zones_of_starts(&actions).iter().flatten().count();
        assert_eq!(in_zones, if expected == 2 { 2 } else { 0 }, "{sentence}");
    }
}

#[test]
fn a_deployment_stops_it_and_replaces_what_was_on_its_way_like_any_old_task() {
    let mut world = spread([4, 2, 0], 100, 200);
    round(&mut world);
    for pod in moved(&world) {
        world.change(&pod, pending());
    }
    world.step();
    world.service = service(2, 6, 100, 200);
    world.service.rebalances_zones = true;
    world.step();
    assert!(world.messages().contains(&"(service web) stopped AZ Rebalancing."), "{:?}", world.messages());
    rest(&mut world);
    assert_eq!(world.active_of(1), Vec::<String>::new());
    assert_eq!(counts(&world), [2, 2, 2], "and it begins again once that has completed");
}

#[test]
fn protected_tasks_stay_where_they_are() {
    let mut world = spread([4, 2, 0], 100, 200);
    let until = world.now + SignedDuration::from_hours(2);
    let in_a = world.active_where(|pod| pod.node.as_deref() == Some("node-a"));
    for pod in &in_a[1..] {
        world.pods.get_mut(pod).unwrap().protected_until = Some(until);
    }
    rest(&mut world);
    // The one in a that may go has gone. With 2 in b and 1 in c no other move makes them more even.
    assert_eq!(counts(&world), [3, 2, 1]);
    let sentence = "was unable to AZ Rebalance because (task set ecs-svc/";
    assert_eq!(world.messages().iter().filter(|message| message.contains(sentence)).count(), 1);
    world.now = until;
    rest(&mut world);
    assert_eq!(counts(&world), [2, 2, 2]);
}

#[test]
fn a_scale_in_is_no_rebalancing() {
    let mut world = spread([2, 2, 2], 100, 200);
    let before = world.status.events.len();
    world.service.desired_count = 4;
    assert_eq!(world.step(), (0, 2));
    assert_eq!(world.ready().0, "Scaling");
    rest(&mut world);
    let new = world.status.events.len() - before;
    assert!(world.messages()[..new].iter().all(|message| !message.contains("AZ")), "{:?}", world.messages());
    assert_eq!(world.status.availability_zone_rebalancing, None);

    let until = world.now + SignedDuration::from_hours(1);
    for pod in world.active() {
        world.pods.get_mut(&pod).unwrap().protected_until = Some(until);
    }
    world.service.desired_count = 2;
    rest(&mut world);
    assert_eq!(world.ready().0, "TasksProtected");
}

#[test]
fn a_service_that_was_rolled_back_says_so_while_its_tasks_move() {
    let mut world = spread([2, 2, 2], 100, 200);
    world.service = service(2, 6, 100, 200);
    world.service.circuit_breaker =
        Some(DeploymentCircuitBreaker { enable: true, rollback: true, ..Default::default() });
    world.service.rebalances_zones = true;
    for _ in 0..20 {
        world.step();
        world.change_all(2, &exited_early());
        world.finish_stops();
        world.now += SignedDuration::from_mins(5);
    }
    assert_eq!(world.ready().0, "RolledBack");
    for pod in &world.active_where(|pod| pod.node.as_deref() == Some("node-b")) {
        bind(&mut world, pod, "a");
    }
    assert_eq!(world.step(), (2, 0));
    world.step();
    assert_eq!(world.ready().0, "RolledBack");
}

#[test]
fn where_a_task_is_lost_one_on_its_way_takes_its_place_and_one_that_no_node_takes_makes_way_for_it() {
    let mut world = spread([4, 2, 0], 100, 200);
    world.step();
    world.show();
    let [waits, comes] = moved(&world).try_into().unwrap();
    let state = unplaced(&world);
    world.change(&waits, state);
    bind(&mut world, &comes, "c");
    world.step();
    let lost = world.active_where(|pod| pod.zone.is_none());
    for pod in &lost[..2] {
        world.remove(pod);
    }
    // Four are healthy, one comes; the sixth does not wait for its zone.
    assert_eq!(world.step(), (1, 1));
    assert_eq!(moved(&world), [comes]);
    assert_eq!(world.active().len(), 6);
}

#[test]
fn what_is_on_its_way_is_stopped_when_nobody_asks_for_it_any_more() {
    let mut world = spread([4, 2, 0], 100, 200);
    world.step();
    world.service.rebalances_zones = false;
    assert_eq!(world.step(), (0, 2));
    assert_eq!(world.active().len(), 6);
    assert!(world.messages().contains(&"(service web) stopped AZ Rebalancing."));
}

#[test]
fn an_operator_that_is_killed_goes_on_where_it_was() {
    let mut world = spread([4, 2, 0], 100, 200);
    // Between the two starts, and before status tells of either.
    world.pass(1);
    world.crash();
    world.show();
    for _ in 0..20 {
        world.pass(1);
        world.crash();
        place(&mut world);
        for pod in world.active_where(|pod| pod.state == pending()) {
            world.change(&pod, healthy());
        }
        world.finish_stops();
        world.show();
        assert!(world.active().len() <= 8);
    }
    rest(&mut world);
    assert_eq!(counts(&world), [2, 2, 2]);
}

proptest! {
    /// The world asserts floor, ceiling and names at every write.
    #[test]
    fn any_spread_becomes_even_within_floor_and_ceiling(
        tasks in [0_u32..9, 0..9, 0..9],
        minimum in prop_oneof![Just(0_u32), Just(50), Just(100)],
        maximum in 101_u32..250,
        writes in vec(0_usize..4, 0..12),
    ) {
        let mut world = spread(tasks, minimum, maximum);
        for writes in writes {
            world.show();
            world.pass(writes);
            place(&mut world);
            for pod in world.active_where(|pod| pod.state == pending()) {
                world.change(&pod, healthy());
            }
            world.finish_stops();
        }
        for _ in 0..60 {
            round(&mut world);
        }
        let desired: u32 = tasks.iter().sum();
        prop_assert_eq!(u32::try_from(world.active().len()).unwrap(), desired);
        let [fewest, .., most] = { let mut counts = counts(&world); counts.sort_unstable(); counts };
        let has_room = desired * maximum / 100 > desired;
        prop_assert!(most - fewest <= 1 || !has_room, "{:?}", counts(&world));
        prop_assert_eq!(world.plan().actions, vec![]);
    }
}
