//! Tasks that have to be replaced while the service goes on: unhealthy ones, those on nodes that drain, those that are protected.

use jiff::SignedDuration;

use super::running;
use crate::domain::facts::NodeTasks;
use crate::domain::placement::node::NodeFact;
use crate::domain::placement::resources::Resources;
use crate::domain::placement::strategy::{Resource, Strategy};
use crate::domain::service::Action;
use crate::domain::service::testing::{World, exited, healthy, pending, service, starting_again, unhealthy, warming};
use crate::domain::task::TaskState;

/// A node that drains.
pub(super) fn draining(name: &str) -> (String, NodeFact) {
    let node = NodeFact { name: name.to_owned(), unschedulable: true, ..NodeFact::default() };
    (name.to_owned(), node)
}

/// Puts a task on a node.
fn place(world: &mut World, task: usize, node: &str) -> String {
    let pod = world.active()[task].clone();
    world.pods.get_mut(&pod).unwrap().node = Some(node.into());
    pod
}

/// Two tasks, and a new revision that has failed until it has to wait for its next attempt.
fn with_a_new_revision_that_fails() -> World {
    let mut world = running(2, 100, 200);
    world.service = service(2, 2, 100, 200);
    for _ in 0..4 {
        world.step();
        world.change_all(2, &exited());
        world.step();
    }
    world
}

#[test]
fn an_unhealthy_task_is_stopped_once_its_replacement_is_healthy() {
    let mut world = running(4, 100, 200);
    let sick = world.active()[1].clone();
    world.change(&sick, unhealthy());
    assert_eq!(world.step(), (1, 0), "the replacement comes first");
    assert_eq!(world.step(), (0, 0), "and is waited for");
    assert!(
        world.messages()[0].contains("failed container health checks")
            || world.messages()[1].contains("failed container")
    );
    let replacement = world.active_where(|pod| pod.state == pending());
    world.change(&replacement[0], healthy());
    assert_eq!(world.step(), (0, 1));
    assert!(!world.active().contains(&sick));
    world.settle();
    assert_eq!(world.status.stopped_tasks[0].stopped_reason, "Task failed container health checks");
}

#[test]
fn if_the_replacement_is_unhealthy_too_one_of_the_two_is_stopped() {
    let mut world = running(4, 100, 200);
    let sick = world.active()[1].clone();
    world.change(&sick, unhealthy());
    world.step();
    let replacement = world.active_where(|pod| pod.state == pending());
    world.change(&replacement[0], unhealthy());
    world.step();
    world.step();
    assert_eq!(world.active_where(|pod| pod.state == unhealthy()).len(), 1);
}

#[test]
fn where_the_ceiling_leaves_no_room_unhealthy_tasks_are_stopped_one_at_a_time() {
    let mut world = running(4, 50, 100);
    for pod in world.active().into_iter().take(2) {
        world.change(&pod, unhealthy());
    }
    world.step();
    assert_eq!(world.step(), (1, 1));
    assert_eq!(world.step(), (0, 0), "the next one waits for the first one's replacement");
    let replacement = world.active_where(|pod| pod.state == pending());
    world.change(&replacement[0], healthy());
    world.finish_stops();
    assert_eq!(world.step(), (1, 1));
}

#[test]
fn tasks_in_their_first_40_seconds_do_not_wait_for_unhealthy_ones_to_go() {
    let mut world = running(4, 100, 200);
    world.service = service(2, 4, 100, 200);
    world.step();
    let old = world.active_of(1);
    for pod in &old[..2] {
        world.change(pod, unhealthy());
    }
    for pod in &old[2..] {
        world.change(pod, warming(world.now));
    }
    world.step();
    world.change_all(2, &healthy());
    assert_eq!(world.step(), (0, 4), "the unhealthy ones have not been serving, so nothing is lost with them");
}

#[test]
fn a_task_of_the_old_revision_is_replaced_by_one_of_the_same_revision() {
    let mut world = running(4, 100, 300);
    world.service = service(2, 4, 100, 300);
    world.step();
    let sick = world.active_of(1)[0].clone();
    world.change(&sick, unhealthy());
    world.step();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (5, 4));
    world.change_all(2, &healthy());
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (0, 4));
}

#[test]
fn an_old_task_that_exits_is_replaced_while_the_new_revision_cannot_start() {
    let mut world = with_a_new_revision_that_fails();
    assert_eq!(world.ready().0, "LaunchThrottled");
    let lost = world.active_of(1)[0].clone();
    world.change(&lost, exited());
    world.step();
    assert_eq!(world.active_of(1).len(), 2, "not below the floor for want of a revision that works");
}

#[test]
fn while_the_new_revision_has_to_wait_the_old_one_starts_whatever_the_floor_lacks() {
    let mut world = running(4, 25, 100);
    world.service = service(2, 4, 25, 100);
    for _ in 0..4 {
        world.step();
        world.finish_stops();
        world.change_all(2, &exited());
        world.step();
    }
    assert_eq!((world.ready().0, world.active_of(1).len()), ("LaunchThrottled", 1));
    world.service.minimum_healthy_percent = 75;
    world.step();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (3, 0));
}

#[test]
fn an_old_revision_that_fails_as_well_is_throttled_as_any_launch() {
    let mut world = with_a_new_revision_that_fails();
    let mut started = 0;
    for _ in 0..600 {
        world.change_all(1, &exited());
        started += world.step().0;
        world.now += SignedDuration::from_secs(1);
    }
    assert!((4..=20).contains(&started), "{started} tasks in ten minutes");
}

/// For each task that a plan starts, whether it waits for the stops.
fn waits(world: &World) -> Vec<bool> {
    let actions = world.plan().actions;
    let starts = actions.iter().filter_map(|action| match action {
        Action::StartTask(start) => Some(start.on_freed_place),
        _ => None,
    });
    starts.collect()
}

#[test]
fn what_fits_under_the_ceiling_starts_beside_the_stops_and_the_rest_once_they_are_through() {
    let mut world = running(4, 50, 125);
    world.service = service(2, 4, 50, 125);
    world.show();
    assert_eq!(waits(&world), [false, true, true], "5 may run, 4 do, and 2 of them are stopped");
}

#[test]
fn beside_a_task_that_has_failed_and_is_not_stopped_yet_nothing_starts() {
    let mut world = running(1, 0, 100);
    let failed = world.active()[0].clone();
    let TaskState::Stopped(mut end) = exited() else { unreachable!() };
    end.others_running = true;
    world.change(&failed, TaskState::Stopped(end));
    world.step();
    world.show();
    assert_eq!(waits(&world), [true], "it would take the slot of the one that is still there");
}

#[test]
fn in_the_grace_period_no_task_is_stopped_for_its_health() {
    let mut world = running(2, 100, 200);
    world.service.health_periods.grace = SignedDuration::from_mins(5);
    let sick = world.active()[0].clone();
    world.change(&sick, unhealthy());
    assert_eq!(world.step(), (0, 0));
    world.now += SignedDuration::from_mins(5);
    assert_eq!(world.step(), (1, 0));
}

#[test]
fn tasks_on_a_draining_node_are_replaced_within_floor_and_ceiling() {
    for ((minimum, maximum), first) in [((100, 200), (1, 0)), ((50, 100), (0, 1)), ((100, 150), (1, 0))] {
        let mut world = running(4, minimum, maximum);
        let pod = place(&mut world, 0, "a");
        world.nodes.extend([draining("a")]);
        assert_eq!(world.step(), first, "at {minimum}/{maximum}");
        world.settle();
        assert!(!world.active().contains(&pod), "at {minimum}/{maximum}");
        assert_eq!(world.active().len(), 4);
    }
}

#[test]
fn service_tasks_on_a_draining_node_that_are_pending_are_stopped_immediately() {
    let mut world = World::new(service(1, 2, 100, 200));
    world.step();
    let pod = place(&mut world, 0, "a");
    world.nodes.extend([draining("a")]);
    assert_eq!(world.step(), (1, 1));
    assert!(!world.active().contains(&pod));
}

#[test]
fn service_tasks_on_a_draining_node_that_do_no_work_yet_are_no_reason_for_it_to_wait() {
    let mut world = running(2, 100, 200);
    let pod = place(&mut world, 0, "a");
    world.change(&pod, starting_again());
    world.nodes.extend([draining("a")]);
    assert_eq!(world.step(), (1, 1));
    assert!(!world.active().contains(&pod));
    let stopped = world.status.stopped_tasks.iter().map(|task| task.stopped_reason.as_str());
    assert_eq!(stopped.collect::<Vec<_>>(), Vec::<&str>::new(), "not before it has gone");
    world.finish_stops();
    world.step();
    assert_eq!(world.status.stopped_tasks[0].stopped_reason, "The container instance is draining");
}

#[test]
fn a_drain_and_a_rollout_together_keep_the_floor() {
    let mut world = running(4, 75, 125);
    place(&mut world, 0, "a");
    place(&mut world, 1, "a");
    world.nodes.extend([draining("a")]);
    world.service = service(2, 4, 75, 125);
    // World checks floor and ceiling at every write.
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (0, 4));
}

#[test]
fn protected_tasks_are_not_stopped_by_scale_in_before_their_protection_expires() {
    let mut world = running(4, 100, 200);
    let until = world.now + SignedDuration::from_mins(60);
    for pod in world.active().into_iter().take(3) {
        world.pods.get_mut(&pod).unwrap().protected_until = Some(until);
    }
    world.service = service(1, 1, 100, 200);
    assert_eq!(world.step(), (0, 1), "the one that is not protected");
    world.finish_stops();
    world.step();
    world.step();
    assert_eq!(world.ready().0, "TasksProtected");
    assert!(
        world
            .messages()
            .iter()
            .any(|message| message.ends_with("The number of protected tasks are more than the desired count of tasks"))
    );
    world.show();
    assert_eq!(world.plan().wake_at, Some(until));
    world.settle();
    assert_eq!(world.active().len(), 1);
}

#[test]
fn protected_tasks_are_not_stopped_by_a_deployment() {
    for (sentence, state) in [("it does its work", healthy()), ("its containers start again", starting_again())] {
        let mut world = running(2, 100, 200);
        let pod = world.active()[0].clone();
        world.pods.get_mut(&pod).unwrap().protected_until = Some(world.now + SignedDuration::from_mins(60));
        world.service = service(2, 2, 100, 200);
        world.step();
        world.change_all(2, &healthy());
        world.change(&pod, state);
        world.step();
        world.finish_stops();
        world.step();
        assert_eq!(world.active_of(1), [pod], "{sentence}");
    }
}

#[test]
fn a_protected_task_in_the_way_of_a_deployment_is_told_of_also_where_nothing_starts_beside_it() {
    let mut world = running(2, 0, 100);
    for pod in world.active() {
        world.pods.get_mut(&pod).unwrap().protected_until = Some(world.now + SignedDuration::from_mins(60));
    }
    world.service = service(2, 2, 0, 100);
    world.step();
    world.step();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len(), world.ready().0), (2, 0, "TasksProtected"));
    world.now += SignedDuration::from_mins(61);
    world.settle();
    assert_eq!((world.active_of(2).len(), world.ready().0), (2, "SteadyState"));
}

#[test]
fn binpack_stops_where_most_of_the_resource_is_left_after_the_stop() {
    let mut world = running(3, 0, 200);
    world.service.strategies = vec![Strategy::Binpack(Resource::Cpu)];
    // Of the service there is one task on each node; others have taken most of `b`.
    for (task, (node, others)) in [("a", 500), ("b", 1500), ("c", 0)].into_iter().enumerate() {
        let pod = place(&mut world, task, node);
        let reserves = Resources { cpu: 200, memory: 0 };
        world.pods.get_mut(&pod).unwrap().reserves = reserves;
        let allocatable = Some(Resources { cpu: 2000, memory: 0 });
        let fact = NodeFact { name: node.to_owned(), allocatable, ..NodeFact::default() };
        world.nodes.insert(node.to_owned(), fact);
        let together = reserves.plus(Resources { cpu: others, memory: 0 });
        world.node_tasks.insert(node.to_owned(), NodeTasks { reserved: together, ..NodeTasks::default() });
    }
    for (desired, left) in [(2, &["a", "b"][..]), (1, &["b"])] {
        world.service.desired_count = desired;
        world.settle();
        let mut nodes: Vec<_> = world.pods.values().map(|pod| pod.node.as_deref().unwrap()).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, left);
    }
}
