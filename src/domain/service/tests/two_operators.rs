//! Two operators at once, of which one sees what happens later than the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::domain::service::Stop;

/// The pods that a pass stops whatever becomes of them, so that the API server would let both operators do it.
fn unguarded(actions: &[Action]) -> BTreeSet<String> {
    let stop = |action: &Action| match action {
        Action::StopTask(Stop { pod, resource_version: None, .. }) => Some(pod.clone()),
        _ => None,
    };
    actions.iter().filter_map(stop).collect()
}

fn node(number: usize, zone: &str) -> (String, NodeFact) {
    let name = format!("node-{number}");
    let zone = ("topology.kubernetes.io/zone".to_owned(), zone.to_owned());
    (name.clone(), NodeFact { name, labels: [zone].into(), ..NodeFact::default() })
}

/// Puts the tasks that have no node yet on one.
fn place(world: &mut World, next: &mut usize) {
    let nodes: Vec<Arc<str>> = world.nodes.keys().map(|name| Arc::from(name.as_str())).collect();
    for pod in world.active_where(|pod| pod.node.is_none()) {
        world.pods.get_mut(&pod).unwrap().node = Some(nodes[*next % nodes.len()].clone());
        // An uneven way round: some nodes get more than others.
        *next += 1 + *next % 3;
    }
}

#[test]
fn an_operator_that_is_late_stops_no_healthy_task_that_the_other_would_not_stop_too() {
    for (desired, minimum, maximum) in [(16, 75, 125), (16, 100, 200), (16, 100, 110), (16, 50, 100), (7, 30, 170)] {
        let mut world = running(desired, minimum, maximum);
        world.nodes =
            ["a", "a", "b", "c", "c"].into_iter().enumerate().map(|(number, zone)| node(number, zone)).collect();
        let mut next = 0;
        place(&mut world, &mut next);
        world.service = service(2, desired, minimum, maximum);
        world.step();
        for round in 0.. {
            place(&mut world, &mut next);
            let waiting = world.active_where(|pod| pod.revision.number == 2 && pod.state != healthy());
            if waiting.is_empty() {
                break;
            }
            // The late one has seen the stops of before, but not the tasks that have become healthy since, or not all of them.
            let mut seen = Vec::new();
            for pod in waiting.iter().take(1 + round % 4) {
                world.show();
                seen.push(unguarded(&world.plan().actions));
                world.change(pod, healthy());
            }
            world.show();
            let current = unguarded(&world.plan().actions);
            for late in seen {
                assert!(
                    late.is_subset(&current),
                    "{desired} at {minimum}/{maximum}, round {round}: {late:?} and {current:?}"
                );
            }
            world.step();
            world.finish_stops();
        }
        assert!(world.active_of(1).is_empty());
    }
}
