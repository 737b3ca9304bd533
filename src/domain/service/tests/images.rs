//! Image digests: what all tasks of a deployment run, and what becomes of one whose digests nobody can tell.

use super::failure::with_breaker;
use super::{primary, running};
use crate::api::names::TaskId;
use crate::api::{RolloutState, ServiceDeploymentStatus};
use crate::domain::facts::TaskImages;
use crate::domain::service::Action;
use crate::domain::service::testing::{World, healthy, service};

/// What a task tells of the image of its container `app`.
fn told(task: &str, digest: Option<&str>) -> TaskImages {
    let digests = [("app".to_owned(), digest.map(str::to_owned))].into();
    TaskImages { task: TaskId::of_pod(task), digests }
}

/// Every task of the PRIMARY deployment tells that its image has no digest.
fn tell_no_digest(world: &mut World) {
    let tasks = world.active_where(|pod| pod.key.deployment == primary(world));
    let told = tasks.iter().take(TaskImages::ATTEMPTS_MAX).map(|pod| told(pod, None));
    world.images.insert(primary(world), told.collect());
}

#[test]
fn the_digests_that_the_first_task_ran_are_used_for_all_later_tasks_of_the_deployment() {
    let mut world = running(2, 100, 200);
    let images = |world: &World| {
        let starts = world.plan().actions.into_iter().find_map(|action| match action {
            Action::StartTask(start) => Some(start.images.to_vec()),
            Action::StopTask(_)
            | Action::EvictTask(_)
            | Action::ForgetTask { .. }
            | Action::MakeSecret(_)
            | Action::GiveUpSecret(_) => None,
        });
        starts.unwrap().into_iter().map(|image| image.image_digest).collect::<Vec<_>>()
    };
    let deployment = primary(&world);
    world.images.insert(deployment, vec![told("web-1", None), told("web-2", Some("sha256:first"))]);
    world.step();
    world.images.insert(deployment, vec![told("web-3", Some("sha256:second"))]);
    world.service.desired_count = 3;
    assert_eq!(images(&world), ["sha256:first"]);
    world.service = service(2, 3, 100, 200);
    assert_eq!(images(&world), [""; 0], "a new deployment resolves them anew");
}

#[test]
fn if_three_attempts_fail_the_deployment_continues_without_image_digest_resolution() {
    let mut world = World::new(service(1, 3, 100, 200));
    world.step();
    tell_no_digest(&mut world);
    world.settle();
    assert_eq!((world.ready().0, world.status.deployments[0].unresolved_images.len()), ("SteadyState", 3));
    let unresolved = "continues without image digest resolution: an image has no digest in a registry.";
    assert_eq!(world.messages().iter().filter(|message| message.ends_with(unresolved)).count(), 1);
    let deployment = primary(&world);
    world.images.insert(deployment, vec![told("web-4", Some("sha256:late"))]);
    world.step();
    assert!(world.status.deployments[0].container_images.is_empty(), "some of its tasks run the tag");
}

#[test]
fn if_the_circuit_breaker_is_enabled_the_deployment_is_additionally_failed_and_rolled_back() {
    for (rollback, history, ready) in [
        (true, ServiceDeploymentStatus::RollbackSuccessful, "RolledBack"),
        (false, ServiceDeploymentStatus::Stopped, "DeploymentFailed"),
    ] {
        let mut world = World::new(with_breaker(service(1, 3, 100, 200), rollback));
        world.settle();
        let kept = world.active();
        world.service = with_breaker(service(2, 3, 100, 200), rollback);
        world.step();
        tell_no_digest(&mut world);
        world.change_all(2, &healthy());
        world.step();
        let failed = world.status.deployments.iter().find(|deployment| deployment.task_definition == "web:2").unwrap();
        assert_eq!(failed.rollout_state, Some(RolloutState::Failed));
        world.settle();
        assert_eq!((world.ready().0, world.status.service_deployments[0].status), (ready, history));
        assert!(kept.iter().all(|pod| world.active().contains(pod)));
    }
}

#[test]
fn fewer_than_three_attempts_fail_nothing_and_none_counts_twice() {
    let mut world = World::new(with_breaker(service(1, 2, 100, 200), true));
    world.step();
    for _ in 0..3 {
        tell_no_digest(&mut world);
        world.step();
        world.crash();
    }
    assert_eq!(world.status.deployments[0].unresolved_images.len(), 2);
    world.settle();
    assert_eq!(world.ready().0, "SteadyState");
}

#[test]
fn the_way_back_is_taken_with_whatever_images_it_had() {
    let mut world = World::new(service(1, 3, 100, 200));
    world.settle();
    tell_no_digest(&mut world);
    world.service = with_breaker(service(2, 3, 100, 200), true);
    world.step();
    tell_no_digest(&mut world);
    world.settle();
    assert_eq!((world.ready().0, world.active_of(1).len()), ("RolledBack", 3));
}

#[test]
fn a_deployment_whose_last_task_goes_in_the_pass_that_rolls_back_to_it_runs_the_images_it_had() {
    let mut world = running(2, 0, 100);
    let first = primary(&world);
    world.images.insert(first, vec![told("web-1", Some("sha256:first"))]);
    world.settle();
    world.service = service(2, 2, 0, 100);
    world.step();
    world.finish_stops();
    world.service.control.rollback = Some(primary(&world));
    world.show();
    let plan = world.pass(usize::MAX);
    assert_eq!(plan.status.deployments[0].id, first.to_string());
    let images = &plan.status.deployments[0].container_images;
    assert_eq!(images.iter().map(|image| image.image_digest.as_str()).collect::<Vec<_>>(), ["sha256:first"]);
    // The world asserts that no name is used twice.
    world.settle();
    assert_eq!(world.active_of(1).len(), 2);
}
