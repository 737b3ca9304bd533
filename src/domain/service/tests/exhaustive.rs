//! Small scopes, all of them: every desired count up to six with every pair of percentages that matters, every way in which the
//! tasks of a rollout can come up. [`World`] checks floor and ceiling at every write.

use super::daemon::daemon as of_daemons;
use super::running;
use crate::domain::placement::node::NodeFact;
use crate::domain::service::bounds::Bounds;
use crate::domain::service::testing::{World, exited, healthy, pending, service, unhealthy};
use crate::domain::task::TaskState;

const MINIMUMS: [u32; 6] = [0, 25, 50, 75, 99, 100];
const DAEMON_MINIMUMS: [u32; 6] = [0, 25, 50, 75, 80, 99];
const MAXIMUMS: [u32; 6] = [100, 110, 125, 150, 200, 300];

/// Every desired count and pair of percentages that the API server takes.
fn scopes() -> impl Iterator<Item = (u32, u32, u32)> {
    let pairs = MINIMUMS.into_iter().flat_map(|minimum| MAXIMUMS.map(|maximum| (minimum, maximum)));
    pairs.filter(|pair| *pair != (100, 100)).flat_map(|(minimum, maximum)| (0..=6).map(move |n| (n, minimum, maximum)))
}

/// Passes until nothing moves; what is new becomes what `fate` says, in turn.
fn roll(world: &mut World, fate: &[TaskState]) {
    let mut turn = 0_usize;
    for _ in 0..60 {
        world.step();
        world.finish_stops();
        for pod in world.active_where(|pod| pod.state == pending()) {
            world.change(&pod, fate[turn % fate.len()].clone());
            turn += 1;
        }
    }
}

#[test]
fn every_rollout_completes_or_is_blocked_as_floor_and_ceiling_have_it() {
    for (desired, minimum, maximum) in scopes() {
        let mut world = running(desired, minimum, maximum);
        world.service = service(2, desired, minimum, maximum);
        roll(&mut world, &[healthy()]);
        let (old, new) = (world.active_of(1).len(), world.active_of(2).len());
        let everything = usize::try_from(desired).unwrap();
        if Bounds::new(desired, minimum, maximum).can_replace() {
            assert_eq!((old, new, world.ready().0), (0, everything, "SteadyState"), "{desired} at {minimum}/{maximum}");
        } else {
            assert_eq!(
                (old, new, world.ready().0),
                (everything, 0, "DeploymentBlocked"),
                "{desired} at {minimum}/{maximum}"
            );
        }
    }
}

#[test]
fn no_fate_of_the_new_tasks_takes_the_service_below_its_floor() {
    let fates: [&[TaskState]; 6] = [
        &[pending()],
        &[unhealthy()],
        &[exited()],
        &[healthy(), exited()],
        &[healthy(), unhealthy()],
        &[unhealthy(), healthy(), exited()],
    ];
    for (desired, minimum, maximum) in scopes() {
        for fate in fates {
            let mut world = running(desired, minimum, maximum);
            world.service = service(2, desired, minimum, maximum);
            roll(&mut world, fate);
            let counted = world.active_where(|pod| pod.state == healthy()).len();
            let floor = Bounds::new(desired, minimum, maximum).floor;
            assert!(counted >= floor, "{counted} healthy of {desired} at {minimum}/{maximum} with {fate:?}");
        }
    }
}

#[test]
fn every_scaling_between_any_two_counts_comes_to_rest() {
    for (desired, minimum, maximum) in scopes() {
        for target in 0..=6 {
            let mut world = running(desired, minimum, maximum);
            world.service.desired_count = target;
            roll(&mut world, &[healthy()]);
            assert_eq!(
                world.active().len(),
                usize::try_from(target).unwrap(),
                "{desired} to {target} at {minimum}/{maximum}"
            );
        }
    }
}

/// A DAEMON service on so many nodes, at rest.
fn daemon(nodes: u32, minimum: u32) -> World {
    let mut world = World::new(of_daemons(1, minimum));
    let node = |number: u32| NodeFact { name: format!("node-{number}"), ..NodeFact::default() };
    world.nodes = (0..nodes).map(node).map(|node| (node.name.clone(), node)).collect();
    world.settle();
    world
}

#[test]
fn every_rollout_of_a_daemon_service_completes_or_is_blocked_as_its_floor_has_it() {
    for (nodes, minimum) in (0..=6).flat_map(|nodes| DAEMON_MINIMUMS.map(|minimum| (nodes, minimum))) {
        let mut world = daemon(nodes, minimum);
        world.service = of_daemons(2, minimum);
        roll(&mut world, &[healthy()]);
        let (old, new) = (world.active_of(1).len(), world.active_of(2).len());
        let everything = usize::try_from(nodes).unwrap();
        let expected = if Bounds::new(nodes, minimum, 100).can_replace() {
            (0, everything, "SteadyState")
        } else {
            (everything, 0, "DeploymentBlocked")
        };
        assert_eq!((old, new, world.ready().0), expected, "{nodes} nodes at {minimum} percent");
    }
}

#[test]
fn no_fate_of_the_new_tasks_takes_more_nodes_of_a_daemon_service_than_the_floor_allows() {
    let fates: [&[TaskState]; 4] = [&[pending()], &[exited()], &[healthy(), exited()], &[unhealthy(), healthy()]];
    for (nodes, minimum) in (0..=6).flat_map(|nodes| DAEMON_MINIMUMS.map(|minimum| (nodes, minimum))) {
        for fate in fates {
            let mut world = daemon(nodes, minimum);
            world.service = of_daemons(2, minimum);
            roll(&mut world, fate);
            let counted = world.active_where(|pod| pod.state == healthy()).len();
            let floor = Bounds::new(nodes, minimum, 100).floor;
            assert!(counted >= floor, "{counted} healthy on {nodes} nodes at {minimum} percent with {fate:?}");
        }
    }
}
