//! DAEMON services: one task on every node.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::api::conditions::{Reason, Summary};
use crate::domain::facts::NodeTasks;
use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::node::{NodeFact, Taint, TaintEffect};
use crate::domain::resolve::control::{Control, Pause};
use crate::domain::resolve::service::{ResolvedService, Scheduling};
use crate::domain::service::testing::{World, exited, healthy, service, unhealthy, warming};

fn node(name: &str) -> (String, NodeFact) {
    (name.to_owned(), NodeFact { name: name.to_owned(), ..NodeFact::default() })
}

pub(super) fn daemon(revision: i64, minimum: u32) -> ResolvedService {
    let mut service = service(revision, 0, minimum, 100);
    service.scheduling = Scheduling::Daemon { constraints: Vec::new() };
    service
}

fn world(nodes: &[&str], minimum: u32) -> World {
    let mut world = World::new(daemon(1, minimum));
    world.nodes = nodes.iter().map(|name| node(name)).collect();
    world.settle();
    world
}

/// The nodes that have a task, each once.
fn covered(world: &World) -> Vec<String> {
    let pods: Vec<_> = world.active();
    let nodes: BTreeSet<String> =
        pods.iter().map(|pod| world.pods[pod].pinned_to.as_deref().unwrap().to_owned()).collect();
    assert_eq!(nodes.len(), pods.len(), "two tasks on one node");
    nodes.into_iter().collect()
}

#[test]
fn exactly_one_task_runs_on_each_node_and_new_nodes_get_one() {
    let mut world = world(&["a", "b", "c"], 0);
    assert_eq!(covered(&world), ["a", "b", "c"]);
    assert_eq!((world.ready().0, world.status.desired_count), ("SteadyState", Some(3)));
    world.nodes.extend([node("d")]);
    world.settle();
    assert_eq!(covered(&world), ["a", "b", "c", "d"]);
    world.nodes.remove("a");
    world.settle();
    assert_eq!(covered(&world), ["b", "c", "d"]);
}

#[test]
fn an_update_stops_the_old_task_of_a_node_first_on_as_many_nodes_as_the_floor_allows() {
    for (minimum, at_once) in [(0, 10), (80, 2), (50, 5), (99, 0)] {
        let names: Vec<String> = (0..10).map(|n| format!("node-{n}")).collect();
        let mut world = world(&names.iter().map(String::as_str).collect::<Vec<_>>(), minimum);
        world.service = daemon(2, minimum);
        assert_eq!(world.step(), (0, at_once), "at {minimum} percent");
        assert_eq!(world.step(), (0, 0), "a node's port is free once its old task has gone");
        world.finish_stops();
        assert_eq!(world.step(), (at_once, 0), "at {minimum} percent");
        if at_once > 0 {
            world.settle();
            assert_eq!((covered(&world).len(), world.active_of(2).len()), (10, 10));
        }
    }
}

#[test]
fn an_update_leaves_as_many_tasks_that_serve_as_the_floor_though_they_have_not_run_for_40_seconds() {
    let mut world = world(&["a", "b", "c", "d"], 50);
    world.change_all(1, &warming(world.now));
    world.service = daemon(2, 50);
    assert_eq!(world.step(), (0, 2));
    world.finish_stops();
    assert_eq!(world.step(), (2, 0));
    world.change_all(2, &warming(world.now));
    assert_eq!(world.step(), (0, 2), "the new ones serve by now");
    world.finish_stops();
    world.settle();
    assert_eq!(world.active_of(2).len(), 4);
}

#[test]
fn a_daemon_task_leaves_a_draining_node_after_the_replica_tasks() {
    let mut world = world(&["a", "b"], 0);
    world.nodes.get_mut("a").unwrap().unschedulable = true;
    let replicas = NodeTasks { has_replicas: true, ..NodeTasks::default() };
    world.node_tasks.insert("a".to_owned(), replicas);
    world.settle();
    assert_eq!(covered(&world), ["a", "b"]);
    world.node_tasks.clear();
    world.settle();
    assert_eq!(covered(&world), ["b"]);
    world.nodes.get_mut("a").unwrap().unschedulable = false;
    world.settle();
    assert_eq!(covered(&world), ["a", "b"]);
}

#[test]
fn constraints_are_evaluated_for_running_tasks_too() {
    let mut world = world(&["a", "b"], 0);
    let expression = "attribute:stack == prod".parse().unwrap();
    let constraints = vec![Constraint::MemberOf(expression)];
    world.service.scheduling = Scheduling::Daemon { constraints };
    let prod = |world: &mut World, node: &str| {
        world.nodes.get_mut(node).unwrap().labels = [("stack".to_owned(), "prod".to_owned())].into();
    };
    prod(&mut world, "a");
    world.settle();
    assert_eq!(covered(&world), ["a"]);
    assert_eq!(
        world.status.stopped_tasks[0].stopped_reason,
        "The container instance does not satisfy the placement constraints of the service any more"
    );
    prod(&mut world, "b");
    world.settle();
    assert_eq!(covered(&world), ["a", "b"]);
}

#[test]
fn a_tainted_node_gets_a_task_that_tolerates_the_taint() {
    let mut world = World::new(daemon(1, 0));
    world.nodes = ["a", "b"].iter().map(|name| node(name)).collect();
    let gpu = Taint { key: "gpu".to_owned(), value: None, effect: TaintEffect::NoSchedule };
    let (name, fact) = node("c");
    world.nodes.insert(name, NodeFact { taints: vec![gpu], ..fact });
    world.settle();
    assert_eq!(covered(&world), ["a", "b"]);
    world.define(2, json!({ "kubernetes": { "tolerations": [{ "key": "gpu", "operator": "Exists" }] } }));
    world.service.target = daemon(2, 0).target;
    world.settle();
    assert_eq!((covered(&world), world.status.desired_count), (["a", "b", "c"].map(str::to_owned).to_vec(), Some(3)));
}

#[test]
fn the_nodes_are_those_of_what_runs_not_of_what_is_asked_for_and_cannot_run() {
    let mut world = world(&["a", "b", "c", "d"], 0);
    let only_on = |stack: &str| {
        let expression = format!("attribute:stack == {stack}");
        json!({ "placementConstraints": [{ "type": "memberOf", "expression": expression }] })
    };
    world.define(2, only_on("prod"));
    world.nodes.get_mut("a").unwrap().labels = [("stack".to_owned(), "prod".to_owned())].into();
    world.service = daemon(2, 0);
    world.step();
    world.service.control =
        Control { rollback: Some(world.status.deployments[0].id.parse().unwrap()), ..Control::default() };
    world.settle();
    assert_eq!((world.ready().0, covered(&world).len()), ("RolledBack", 4), "web:1 may be anywhere");

    let mut world = World::new(daemon(2, 0));
    world.define(2, only_on("prod"));
    world.nodes = ["a", "b"].iter().map(|name| node(name)).collect();
    world.nodes.get_mut("a").unwrap().labels = [("stack".to_owned(), "prod".to_owned())].into();
    world.settle();
    world.service.target = Err(Summary::Reconciling(Reason::TaskDefinitionNotFound, "waiting for web:3".to_owned()));
    world.settle();
    assert_eq!(covered(&world), ["a"], "web:2 may not be on b");
}

#[test]
fn an_unhealthy_daemon_task_is_stopped_and_started_again_on_its_node() {
    let mut world = world(&["a", "b"], 0);
    let sick = world.active()[0].clone();
    world.change(&sick, unhealthy());
    world.step();
    assert_eq!(world.step(), (0, 1));
    world.finish_stops();
    assert_eq!(world.step(), (1, 0));
    world.change_all(1, &healthy());
    world.settle();
    assert_eq!(covered(&world), ["a", "b"]);
}

/// Something that happens in a history.
#[derive(Debug, Clone)]
enum Event {
    Pass { writes: usize },
    Show,
    Crash,
    Healthy { task: usize },
    Warming { task: usize },
    Unhealthy { task: usize },
    Exit { task: usize },
    Deleted { task: usize },
    FinishStops,
    Update { revision: i64 },
    Join { node: usize },
    Lose { node: usize },
    Cordon { node: usize, drain: bool },
    Taint { node: usize, on: bool },
    Pause { on: bool },
    Wait { seconds: i64 },
}

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn event() -> impl Strategy<Value = Event> {
    let (task, node) = (0_usize..8, 0_usize..NODES.len());
    prop_oneof![
        4 => (0_usize..12).prop_map(|writes| Event::Pass { writes }),
        4 => Just(Event::Pass { writes: usize::MAX }),
        4 => Just(Event::Show),
        1 => Just(Event::Crash),
        6 => task.clone().prop_map(|task| Event::Healthy { task }),
        2 => task.clone().prop_map(|task| Event::Warming { task }),
        1 => task.clone().prop_map(|task| Event::Unhealthy { task }),
        1 => task.clone().prop_map(|task| Event::Exit { task }),
        1 => task.prop_map(|task| Event::Deleted { task }),
        3 => Just(Event::FinishStops),
        1 => (1_i64..4).prop_map(|revision| Event::Update { revision }),
        2 => node.clone().prop_map(|node| Event::Join { node }),
        1 => node.clone().prop_map(|node| Event::Lose { node }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, drain)| Event::Cordon { node, drain }),
        1 => (node, any::<bool>()).prop_map(|(node, on)| Event::Taint { node, on }),
        1 => any::<bool>().prop_map(|on| Event::Pause { on }),
        1 => (1_i64..2_000).prop_map(|seconds| Event::Wait { seconds }),
    ]
}

fn happen(world: &mut World, event: &Event) {
    let active = world.active();
    let pod = |task: usize| active.get(task % active.len().max(1)).cloned().unwrap_or_default();
    match *event {
        Event::Pass { writes } => {
            world.pass(writes);
        }
        Event::Show => world.show(),
        Event::Crash => world.crash(),
        Event::Healthy { task } => world.change(&pod(task), healthy()),
        Event::Warming { task } => world.change(&pod(task), warming(world.now)),
        // The view is brought up to date before health changes: the floor is a promise about our own stops.
        Event::Unhealthy { task } => {
            world.change(&pod(task), unhealthy());
            world.show();
        }
        Event::Exit { task } => {
            world.change(&pod(task), exited());
            world.show();
        }
        Event::Deleted { task } => {
            world.remove(&pod(task));
            world.show();
        }
        Event::FinishStops => world.finish_stops(),
        Event::Update { revision } => {
            let after = daemon(revision, world.service.minimum_healthy_percent);
            world.service = ResolvedService { control: world.service.control.clone(), ..after };
        }
        Event::Join { node: joins } => world.nodes.extend([node(NODES[joins])]),
        Event::Lose { node } => {
            world.nodes.remove(NODES[node]);
        }
        Event::Cordon { node, drain } => {
            world.nodes.entry(NODES[node].to_owned()).and_modify(|node| node.unschedulable = drain);
        }
        Event::Taint { node, on } => {
            let taint = Taint { key: "dedicated".to_owned(), value: None, effect: TaintEffect::NoSchedule };
            let taints = if on { vec![taint] } else { Vec::new() };
            world.nodes.entry(NODES[node].to_owned()).and_modify(|node| node.taints = taints);
        }
        Event::Pause { on } => world.service.control.pause = on.then_some(Pause::Any),
        Event::Wait { seconds } => world.now += SignedDuration::from_secs(seconds),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Every write of every history is checked by [`World`]: the floor, one task a node, none where none may be.
    #[test]
    fn one_task_a_node_and_the_floor_hold_and_every_history_of_nodes_converges(
        nodes in 0_usize..5,
        minimum in prop_oneof![Just(0_u32), Just(25), Just(50), Just(80), Just(99)],
        history in vec(event(), 0..60),
    ) {
        let mut world = World::new(daemon(1, minimum));
        world.nodes = NODES[..nodes].iter().map(|name| node(name)).collect();
        for event in &history {
            happen(&mut world, event);
        }
        world.service.control.pause = None;
        for node in world.nodes.values_mut() {
            (node.unschedulable, node.taints) = (false, Vec::new());
        }
        world.settle();
        let blocked = world.ready().0 == "DeploymentBlocked";
        let nodes: Vec<String> = world.nodes.keys().cloned().collect();
        prop_assert_eq!(covered(&world), nodes);
        prop_assert!(blocked || world.ready().0 == "SteadyState", "{}", world.ready().0);
        prop_assert!(blocked || world.status.deployments.len() == 1);
        let plan = world.plan();
        prop_assert_eq!(plan.actions, vec![]);
        prop_assert_eq!(plan.status, world.status.clone());
    }
}
