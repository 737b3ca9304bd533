//! Deployments that hold what they have: those that are paused, that have failed, or that wait to be replaced.

use jiff::SignedDuration;

use super::replacement::draining;
use super::{primary, running};
use crate::domain::resolve::control::{Control, Pause};
use crate::domain::service::testing::{World, exited, healthy, pending, service, unhealthy, warming};

/// Four tasks of a revision that works, and four of another one that do not come to run.
fn with_a_new_revision_that_never_runs() -> World {
    let mut world = running(4, 100, 200);
    world.service = service(2, 4, 100, 200);
    world.step();
    world.step();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (4, 4));
    world
}

/// All tasks of the old revision exit, again and again, until it has to wait before it starts more; by then nothing of those that it
/// has lost is to be seen any more.
fn lose_the_old_tasks(world: &mut World) {
    for _ in 0..6 {
        world.change_all(1, &exited());
        world.step();
        world.step();
    }
    world.step();
    assert_eq!(world.active_of(1).len(), 0);
    assert!(world.pods.values().all(|task| task.revision.number != 1), "nothing tells of the old tasks any more");
}

fn wait_for_the_next_attempt(world: &mut World) {
    world.now += SignedDuration::from_mins(30);
    world.step();
}

#[test]
fn the_tasks_of_the_old_revision_come_back_after_an_outage_that_has_outlasted_every_trace_of_them() {
    let pause = |world: &World| Control { pause: Some(Pause::Only(primary(world))), ..Control::default() };
    let stop = |world: &World| Control { stop: Some(primary(world)), ..Control::default() };
    let go_on = |_: &World| Control::default();
    for (what, control, held_in_the_end) in [
        ("in progress", &go_on as &dyn Fn(&World) -> Control, None),
        ("paused", &pause, Some(4)),
        ("failed", &stop, Some(4)),
    ] {
        let mut world = with_a_new_revision_that_never_runs();
        world.service.control = control(&world);
        world.step();
        lose_the_old_tasks(&mut world);
        world.crash();
        wait_for_the_next_attempt(&mut world);
        assert_eq!(world.active_of(1).len(), 4, "with a new deployment that is {what}");
        world.change_all(1, &healthy());
        world.step();
        world.step();
        let held: Vec<_> = world.status.deployments.iter().map(|deployment| deployment.held_count).collect();
        assert_eq!(held[1], held_in_the_end, "{what}: the floor is reached");
    }
}

#[test]
fn a_scale_out_is_no_loss_of_the_old_revision() {
    let mut world = with_a_new_revision_that_never_runs();
    world.service = service(2, 8, 100, 200);
    world.step();
    world.step();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (4, 8));
}

#[test]
fn a_paused_deployment_replaces_as_many_tasks_as_it_has_lost() {
    let mut world = running(8, 75, 125);
    world.service = service(2, 8, 75, 125);
    world.step();
    world.finish_stops();
    world.change_all(2, &healthy());
    world.service.control = Control { pause: Some(Pause::Only(primary(&world))), ..Control::default() };
    world.step();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (6, 4));
    let lost: Vec<String> = [&world.active_of(1)[..2], &world.active_of(2)[..1]].concat();
    for pod in &lost {
        world.change(pod, unhealthy());
    }
    for _ in 0..4 {
        world.step();
    }
    let sound = world.active_where(|task| task.revision.number == 2).len() - 1;
    assert_eq!(sound, 4, "one for one, however long the one that is lost can be seen");
}

#[test]
fn a_deployment_that_replaces_nothing_is_scaled_in_down_to_the_ceiling_its_own_tasks_first() {
    for desired in [2, 0] {
        let mut world = with_a_new_revision_that_never_runs();
        world.service.control = Control { stop: Some(primary(&world)), ..Control::default() };
        world.step();
        assert_eq!(world.ready().0, "DeploymentFailed");
        world.service.desired_count = desired;
        world.step();
        world.finish_stops();
        world.step();
        let left = usize::try_from(desired).unwrap() * 2;
        assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (left, 0), "desiredCount {desired}");
    }
}

#[test]
fn a_service_that_was_scaled_to_nothing_while_its_deployment_had_failed_finds_back_to_what_worked() {
    let mut world = with_a_new_revision_that_never_runs();
    world.service.control = Control { stop: Some(primary(&world)), ..Control::default() };
    world.step();
    for desired in [0, 4] {
        world.service.desired_count = desired;
        for _ in 0..3 {
            world.step();
            world.finish_stops();
        }
        let expected = usize::try_from(desired).unwrap();
        assert_eq!(world.active_of(1).len(), expected, "desiredCount {desired}");
        world.crash();
    }
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (4, 0));
}

#[test]
fn of_a_deployment_that_replaces_nothing_no_more_goes_than_is_above_the_ceiling_also_while_a_node_drains() {
    let mut world = running(6, 50, 100);
    world.service = service(2, 6, 50, 100);
    world.service.control = Control { pause: Some(Pause::Any), ..Control::default() };
    world.step();
    for pod in &world.active()[..2] {
        world.pods.get_mut(pod).unwrap().node = Some("a".into());
    }
    world.nodes.extend([draining("a")]);
    world.service.desired_count = 4;
    for _ in 0..4 {
        world.step();
        world.finish_stops();
    }
    assert_eq!(world.active_of(1).len(), 4);
    assert!(world.active_where(|task| task.node.is_some()).is_empty());
}

#[test]
fn an_old_task_that_was_stopped_in_its_first_40_seconds_is_not_started_again() {
    let mut world = World::new(service(1, 2, 100, 200));
    let warm = |world: &mut World, revision| world.change_all(revision, &warming(world.now));
    world.settle();
    world.service.desired_count = 4;
    world.step();
    let fresh = world.active_where(|task| task.state == pending());
    for pod in &fresh {
        world.change(pod, warming(world.now));
    }
    world.service = service(2, 4, 100, 200);
    world.step();
    warm(&mut world, 2);
    let started: usize = (0..20).map(|_| world.step().0).sum();
    assert_eq!((started, world.active_of(1).len(), world.active_of(2).len()), (0, 2, 4));
}
