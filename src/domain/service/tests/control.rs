//! What a person asks of a deployment by annotation.

use super::failure::with_breaker;
use super::{primary, running};
use crate::api::{RolloutState, ServiceDeploymentStatus};
use crate::domain::resolve::control::{Control, Pause};
use crate::domain::resolve::service::ResolvedService;
use crate::domain::service::testing::{World, exited, healthy, service};

#[test]
fn a_token_forces_a_new_deployment_once_and_taking_it_away_does_not() {
    let mut world = running(2, 100, 200);
    let mut deployments = vec![primary(&world)];
    for token in [Some("monday"), Some("monday"), None, None, Some("tuesday"), None] {
        world.service.control.force = token.map(str::to_owned);
        world.settle();
        deployments.push(primary(&world));
    }
    let [none, monday, again, gone, still, tuesday, gone_too] = deployments[..] else { panic!() };
    assert_ne!(none, monday);
    assert_eq!([monday, again, gone], [again, gone, still]);
    assert_ne!(still, tuesday);
    assert_eq!(tuesday, gone_too);
}

#[test]
fn a_deployment_in_progress_can_be_rolled_back_without_a_circuit_breaker() {
    let mut world = running(4, 50, 100);
    world.service = service(2, 4, 50, 100);
    world.step();
    world.change_all(2, &healthy());
    world.service.control = Control { rollback: Some(primary(&world)), ..Control::default() };
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (4, 0));
    assert_eq!(world.status.service_deployments[0].status, ServiceDeploymentStatus::RollbackSuccessful);
    assert_eq!(world.ready().0, "RolledBack");
    world.service = service(3, 4, 50, 100);
    world.settle();
    assert_eq!(world.active_of(3).len(), 4, "the annotation names a deployment of the past");
}

#[test]
fn a_deployment_that_has_completed_can_be_rolled_back_too() {
    let mut world = running(2, 100, 200);
    world.service = service(2, 2, 100, 200);
    world.settle();
    world.service.control = Control { rollback: Some(primary(&world)), ..Control::default() };
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (2, 0));
}

#[test]
fn a_deployment_that_is_stopped_stays_where_it_is() {
    let mut world = running(4, 50, 100);
    world.service = service(2, 4, 50, 100);
    world.step();
    world.change_all(2, &healthy());
    world.finish_stops();
    world.service.control = Control { stop: Some(primary(&world)), ..Control::default() };
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (2, 2));
    assert_eq!(
        (world.ready().0, world.status.deployments[0].rollout_state),
        ("DeploymentFailed", Some(RolloutState::Failed))
    );
    assert_eq!(
        world.status.service_deployments[0].status_reason.as_deref(),
        Some("Service deployment stopped by user.")
    );
}

#[test]
fn a_deployment_pauses_and_continues() {
    let mut world = running(4, 50, 100);
    world.service = service(2, 4, 50, 100);
    world.step();
    world.finish_stops();
    world.service.control = Control { pause: Some(Pause::Only(primary(&world))), ..Control::default() };
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (2, 2));
    assert_eq!(world.ready().0, "DeploymentPaused");
    let lost = world.active_of(2)[0].clone();
    world.change(&lost, exited());
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (2, 2), "what is lost is replaced");
    world.service.control = Control::default();
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (0, 4));
}

#[test]
fn what_was_to_stop_or_pause_a_deployment_that_had_completed_does_nothing_to_the_way_back_to_it() {
    let stop = |id| Control { stop: Some(id), ..Control::default() };
    let pause = |id| Control { pause: Some(Pause::Only(id)), ..Control::default() };
    let rollback = |id| Control { rollback: Some(id), ..Control::default() };
    for control in [stop, pause, rollback] {
        let mut world = World::new(with_breaker(service(1, 2, 50, 100), true));
        world.settle();
        let first = primary(&world);
        let control = control(first);
        world.service.control = control.clone();
        world.settle();
        world.service = ResolvedService { control, ..with_breaker(service(2, 2, 50, 100), true) };
        for _ in 0..8 {
            world.step();
            world.change_all(2, &exited());
            world.finish_stops();
        }
        world.settle();
        assert_eq!((primary(&world), world.ready().0, world.active_of(1).len()), (first, "RolledBack", 2));
    }
}

#[test]
fn a_deployment_may_be_paused_before_it_begins() {
    let mut world = running(2, 100, 200);
    world.service = service(2, 2, 100, 200);
    world.service.control = Control { pause: Some(Pause::Any), ..Control::default() };
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (2, 0));
}
