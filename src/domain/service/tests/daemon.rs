//! DAEMON services: one task on every node.

use std::collections::BTreeSet;

use crate::domain::facts::NodeTasks;
use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::node::NodeFact;
use crate::domain::resolve::service::Scheduling;
use crate::domain::service::testing::{World, healthy, service, unhealthy, warming};

fn node(name: &str) -> (String, NodeFact) {
    (name.to_owned(), NodeFact { name: name.to_owned(), ..NodeFact::default() })
}

fn daemon(revision: i64, minimum: u32) -> crate::domain::resolve::service::ResolvedService {
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
    world.service.scheduling = Scheduling::Daemon { constraints: vec![Constraint::MemberOf(expression)] };
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
