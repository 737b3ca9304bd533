//! Availability Zones in which tasks that were started there come to nothing.

use jiff::{SignedDuration, Timestamp};

use super::{ZONES, bind, counts, exited_early, moved, rest, spread, unplaced, zones_of_starts};
use crate::domain::service::testing::{World, healthy, service, unhealthy};
use crate::domain::task::{Checks, Gate, TaskState};

/// Two tasks are on their way to `c`.
fn two_move() -> World {
    let mut world = spread([3, 3, 0], 100, 200);
    world.step();
    world.show();
    world
}

/// Those that are have come to a node in `c`, and to this state.
fn arrive(world: &mut World, state: &TaskState) {
    for pod in moved(world) {
        bind(world, &pod, "c");
        world.change(&pod, state.clone());
    }
}

/// RUNNING since a moment, and a target group says nothing of it.
fn never_passing(since: Timestamp) -> TaskState {
    let TaskState::Running(checks) = healthy() else { unreachable!() };
    let (running_since, passing_changed_at) = (Some(since), Some(since));
    TaskState::Running(Checks { passing: false, running_since, passing_changed_at, gate: Gate::Targets, ..checks })
}

/// The zones that none move to, and until when.
fn avoided(world: &World) -> Vec<(String, Timestamp)> {
    let zones = world.status.availability_zone_rebalancing.iter().flat_map(|zones| &zones.avoided_zones);
    zones.map(|zone| (zone.zone.clone(), zone.retry_at.0)).collect()
}

#[test]
fn a_zone_without_room_is_given_up_after_ten_minutes_and_tried_again_after_an_hour() {
    let mut world = two_move();
    for pod in moved(&world) {
        world.change(&pod, unplaced(&world));
    }
    world.step();
    let sentence =
        "(service web) is unable to place a task in c because no container instance met all of its requirements.";
    assert_eq!(world.messages()[0], sentence);
    assert_eq!(world.ready().0, "SteadyState", "every task that there should be is healthy");
    let plan = world.plan();
    assert_eq!(plan.wake_at, Some(world.now - SignedDuration::from_secs(1) + SignedDuration::from_mins(10)));
    world.now = plan.wake_at.unwrap();
    assert_eq!(world.step(), (0, 2));
    let retry_at = world.now + SignedDuration::from_hours(1);
    assert_eq!(avoided(&world), [("c".to_owned(), retry_at)]);
    assert_eq!(world.ready().0, "SteadyState", "and it stays so");
    world.finish_stops();
    assert_eq!(world.step(), (0, 0));
    assert_eq!(world.step(), (0, 0));
    assert_eq!(world.plan().wake_at, Some(retry_at));
    world.now = retry_at;
    rest(&mut world);
    assert_eq!(counts(&world), [2, 2, 2]);
    assert_eq!(world.status.availability_zone_rebalancing, None);
}

#[test]
fn a_clock_that_was_fast_when_a_zone_had_no_room_does_not_keep_it_closed_for_longer_than_an_hour() {
    let mut world = two_move();
    for pod in moved(&world) {
        world.change(&pod, unplaced(&world));
    }
    let right = world.now;
    world.now += SignedDuration::from_hours(24 * 400);
    assert_eq!(world.step(), (0, 2));
    world.finish_stops();
    world.now = right;
    rest(&mut world);
    assert_eq!(counts(&world), [2, 2, 2]);
}

/// What becomes of the two tasks that were started in a zone.
type Fate = (&'static str, fn(&World) -> TaskState);

#[test]
fn a_zone_in_which_tasks_fail_is_left_alone_and_keeps_nobody_from_replacing_what_is_lost_elsewhere() {
    let fates: [Fate; 3] = [
        ("they exit", |_| exited_early()),
        ("they are unhealthy", |_| unhealthy()),
        ("they never pass their checks", |world| never_passing(world.now)),
    ];
    for (fate, befall) in fates {
        let mut world = two_move();
        let state = befall(&world);
        arrive(&mut world, &state);
        for _ in 0..4 {
            world.step();
            assert_eq!(world.ready().0, "SteadyState", "{fate}");
            world.finish_stops();
            if moved(&world).len() == 2 {
                world.now += SignedDuration::from_mins(30);
            }
        }
        assert_eq!(avoided(&world).iter().map(|(zone, _)| zone.as_str()).collect::<Vec<_>>(), ["c"], "{fate}");
        assert_eq!((moved(&world).len(), world.step()), (0, (0, 0)), "{fate}");
        let lost = world.active()[0].clone();
        world.remove(&lost);
        assert_eq!(world.step(), (1, 0), "{fate}: what is lost is replaced at once");
    }
}

#[test]
fn a_zone_in_which_the_api_server_refuses_a_task_is_left_alone() {
    let mut world = spread([3, 3, 0], 100, 200);
    world.unannounced.refused_zones.insert("c".into(), "exceeded quota".to_owned());
    assert_eq!(world.step(), (0, 0));
    let zones = world.status.availability_zone_rebalancing.clone().unwrap().avoided_zones;
    assert_eq!((zones[0].zone.as_str(), zones[0].reason.as_str()), ("c", "exceeded quota"));
    assert_eq!(world.ready().0, "SteadyState");
    assert_eq!(world.step(), (0, 0), "as long as status remembers it");
}

/// Of two starts in `c`, where a node has just joined, one is refused.
fn one_of_two_is_refused() -> World {
    let mut world = spread([4, 2, 0], 100, 200);
    world.nodes.get_mut("node-c").unwrap().created_at = Some(world.now);
    world.pass(1);
    world.unannounced.refused_zones.insert("c".into(), "exceeded quota".to_owned());
    world
}

#[test]
fn where_a_quota_has_room_for_one_task_more_those_that_move_go_one_after_the_other() {
    let mut world = one_of_two_is_refused();
    assert_eq!(world.step(), (0, 0), "the other one goes on");
    let retry_at = avoided(&world)[0].1;
    assert_eq!(retry_at, world.now + SignedDuration::from_mins(1));
    let [comes] = moved(&world).try_into().unwrap();
    let state = unplaced(&world);
    world.change(&comes, state);
    assert_eq!(world.step(), (0, 0), "though it waits for a node");
    bind(&mut world, &comes, "c");
    world.change(&comes, healthy());
    assert_eq!(world.step(), (0, 1), "another one makes room for the next");
    world.now = retry_at;
    world.unannounced.refused_zones.insert("c".into(), "exceeded quota".to_owned());
    world.step();
    assert_eq!(avoided(&world)[0].1, world.now + SignedDuration::from_mins(1), "once it has gone");
    world.finish_stops();
    world.now = avoided(&world)[0].1;
    rest(&mut world);
    assert_eq!(counts(&world), [2, 2, 2]);
}

#[test]
fn that_a_task_fails_in_a_zone_outweighs_that_another_one_was_refused_there() {
    let mut world = one_of_two_is_refused();
    world.step();
    let [fails] = moved(&world).try_into().unwrap();
    bind(&mut world, &fails, "c");
    world.nodes.get_mut("node-c").unwrap().created_at = None;
    world.change(&fails, exited_early());
    world.step();
    assert_eq!(avoided(&world), [("c".to_owned(), world.now + SignedDuration::from_hours(1))]);
}

#[test]
fn a_task_may_take_as_long_to_pass_its_checks_as_the_service_gives_it() {
    let mut world = two_move();
    world.service.health_periods.grace = SignedDuration::from_mins(60);
    let state = never_passing(world.now);
    arrive(&mut world, &state);
    world.now += SignedDuration::from_mins(59);
    assert_eq!(world.step(), (0, 0));
    world.now += SignedDuration::from_mins(1);
    assert_eq!(world.step(), (0, 2));
}

#[test]
fn a_task_that_has_taken_a_lost_one_s_place_and_never_passes_its_checks_is_replaced() {
    let mut world = two_move();
    let state = never_passing(world.now);
    arrive(&mut world, &state);
    for pod in world.active_where(|pod| pod.zone.is_none()).iter().take(2) {
        world.remove(pod);
    }
    assert_eq!(world.step(), (0, 0), "they may pass yet");
    world.now += SignedDuration::from_mins(30);
    assert_eq!(world.step(), (2, 2));
    assert_eq!(zones_of_starts(&world.plan().actions), []);
}

#[test]
fn a_task_that_moved_long_ago_and_falls_ill_says_nothing_of_its_zone() {
    let mut world = spread([3, 3, 0], 100, 200);
    rest(&mut world);
    assert_eq!(counts(&world), [2, 2, 2]);
    let ill = moved(&world)[0].clone();
    let TaskState::Running(checks) = unhealthy() else { unreachable!() };
    world.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
    let passing_changed_at = Some(world.now);
    world.change(&ill, TaskState::Running(Checks { passing_changed_at, ..checks }));
    world.step();
    assert_eq!(avoided(&world), []);
}

#[test]
fn a_zone_is_left_alone_whatever_happens_meanwhile_but_for_a_node_that_joins_it() {
    let mut world = two_move();
    arrive(&mut world, &exited_early());
    world.step();
    let before = avoided(&world);
    assert_eq!(before.len(), 1);
    world.service = service(2, 6, 100, 200);
    world.service.rebalances_zones = true;
    world.nodes.get_mut("node-c").unwrap().unschedulable = true;
    rest(&mut world);
    assert_eq!(avoided(&world), before, "through a deployment");
    world.nodes.get_mut("node-c").unwrap().unschedulable = false;
    for (number, pod) in world.active().iter().enumerate() {
        bind(&mut world, pod, ZONES[number % 2]);
    }
    assert_eq!(world.step(), (0, 0));
    world.nodes.get_mut("node-c").unwrap().created_at = Some(world.now);
    assert_eq!(world.step(), (2, 0));
    assert_eq!(avoided(&world), []);
}
