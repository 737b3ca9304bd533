//! What tasks take from Secrets decides when they start, and a rotation may start a deployment that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::failure::with_breaker;
use super::{primary, running};
use crate::api::conditions::{Reason, Summary};
use crate::api::{
    DerivedSecret as DerivedRecord, DerivedSecretKind, SecretMappingKind, ServiceDeploymentStatus, ServiceStatus,
};
use crate::domain::resolve::service::ResolvedService;
use crate::domain::resolve::value_from::Source;
use crate::domain::secrets::derived::{Derived, DerivedSecret, Form};
use crate::domain::secrets::plan::SecretPlan;
use crate::domain::secrets::task_secrets::TaskSecrets;
use crate::domain::service::testing::{World, exited, service, web};
use crate::domain::service::{Action, is_told_first};

fn waiting(revision: i64) -> SecretPlan {
    let summary = Summary::Reconciling(Reason::SecretNotFound, "waiting for Secret db".to_owned());
    SecretPlan { tasks: BTreeMap::from([(web(revision), Err(summary))]), ..SecretPlan::default() }
}

/// All is there that these revisions take.
fn found(revisions: &[i64]) -> SecretPlan {
    let taken = |revision: &i64| {
        let pull_secrets = BTreeSet::from([format!("of-{revision}")]);
        (web(*revision), Ok(Arc::new(TaskSecrets { pull_secrets, ..TaskSecrets::default() })))
    };
    SecretPlan { tasks: revisions.iter().map(taken).collect(), ..SecretPlan::default() }
}

/// The service moves on to `web:2`, whose Secret is not there.
fn moving() -> World {
    let mut world = running(2, 100, 200);
    world.service = service(2, 2, 100, 200);
    waiting(2).enter(&mut world.service, false);
    world
}

#[test]
fn what_runs_goes_on_while_a_secret_is_missing() {
    let mut world = moving();
    world.service.desired_count = 3;
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (3, 0), "it can be scaled, too");
    assert_eq!(world.ready().0, "SecretNotFound");
    world.service = service(2, 3, 100, 200);
    world.settle();
    assert_eq!((world.active_of(1).len(), world.active_of(2).len()), (0, 3), "once it is there");
}

#[test]
fn no_task_starts_whose_secret_has_gone() {
    let mut world = running(2, 100, 200);
    waiting(1).enter(&mut world.service, false);
    world.service.desired_count = 3;
    world.settle();
    assert_eq!(world.active_of(1).len(), 2);
}

/// What is missing of `web:1`, as a person reads it.
const MISSING: &str = "; waiting for Secret db";

#[test]
fn what_the_tasks_wait_for_is_told_whichever_deployment_is_to_start_them() {
    let mut back = rolled_back();
    waiting(1).enter(&mut back.service, false);
    back.step();
    assert_eq!(back.ready().0, "RolledBack");
    assert!(!back.ready().1.contains(MISSING), "nothing waits for it as long as all run");
    back.remove(&back.active_of(1)[0].clone());
    back.step();
    let (reason, message) = back.ready();
    assert_eq!((reason, message.ends_with(MISSING)), ("RollingBack", true), "the one gone back to: {message}");
    assert!(message.contains("web:2, which failed"), "beside what has failed: {message}");

    // Nothing of the new one comes to run, so the old one is kept up.
    let mut kept_up = running(2, 100, 200);
    kept_up.service = service(2, 2, 100, 200);
    kept_up.step();
    waiting(1).enter(&mut kept_up.service, false);
    kept_up.remove(&kept_up.active_of(1)[0].clone());
    kept_up.service.control.stop = Some(primary(&kept_up));
    kept_up.step();
    kept_up.step();
    let (reason, message) = kept_up.ready();
    assert_eq!((reason, message.ends_with(MISSING)), ("DeploymentFailed", true), "an older one: {message}");
    assert_eq!(kept_up.active_of(1).len(), 1);
}

#[test]
fn lines_without_effect_are_told_of_whatever_is_deployed() {
    let left_out = |world: &mut World| {
        let lines = |revision: i64| (web(revision), vec![format!("line {revision}")]);
        let left_out = BTreeMap::from([lines(1), lines(2), lines(3)]);
        SecretPlan { left_out, ..SecretPlan::default() }.enter(&mut world.service, false);
        world.step();
        let told = world.status.conditions.iter().find(|condition| condition.type_ == "NotImplemented").unwrap();
        let has = |revision: &i64| told.message.contains(&format!("line {revision}"));
        (1..=3).filter(has).collect::<Vec<_>>()
    };
    assert_eq!(left_out(&mut running(2, 100, 200)), [1]);
    let mut moving = running(2, 100, 200);
    moving.service = service(2, 2, 100, 200);
    assert_eq!(left_out(&mut moving), [1, 2], "what is to run, and what runs until it does");
    assert_eq!(left_out(&mut rolled_back()), [1, 2], "what the spec asks for, and what the service went back to");
}

/// `web:2` has failed, and `web:1` runs.
fn rolled_back() -> World {
    let mut world = running(2, 100, 200);
    world.service = service(2, 2, 100, 200);
    world.step();
    world.service.control.rollback = Some(primary(&world));
    world.settle();
    assert_eq!((world.ready().0, world.active_of(1).len()), ("RolledBack", 2));
    world
}

/// A person goes back from a deployment that has completed, to one whose secrets nobody has looked at for long.
#[test]
fn a_rollback_starts_no_task_before_it_is_known_what_the_task_takes() {
    let deploy = |world: &mut World, revision: i64| {
        world.service = service(revision, 2, 100, 200);
        found(&[revision]).enter(&mut world.service, false);
        world.settle();
    };
    let mut world = World::new(service(1, 2, 100, 200));
    for revision in 1..=3 {
        let secrets = json!([{ "name": "A", "valueFrom": "k8s://secret/db/a" }]);
        let app = json!({ "name": "app", "image": "example.com/app:1", "secrets": secrets });
        world.define(revision, json!({ "containerDefinitions": [app] }));
    }
    for revision in 1..=3 {
        deploy(&mut world, revision);
    }
    world.service.control.rollback = Some(world.status.deployments[0].id.parse().unwrap());
    assert_eq!(world.step(), (0, 0), "the deployment begins");
    assert_eq!((world.ready().0, world.status.task_definition.as_deref()), ("RollingBack", Some("web:2")));
    assert_eq!(world.step(), (0, 0), "and goes no further on its own");

    found(&[2, 3]).enter(&mut world.service, false);
    world.show();
    let plan = world.plan();
    let starts = plan.actions.iter().filter_map(|action| match action {
        Action::StartTask(start) => Some(&start.secrets.pull_secrets),
        _ => None,
    });
    assert_eq!(starts.collect::<Vec<_>>(), vec![&BTreeSet::from(["of-2".to_owned()]); 2], "each with what it takes");
    world.settle();
    assert_eq!((world.active_of(2).len(), world.active_of(3).len()), (2, 0));
}

/// That the API server does not take it may be why the deployment fails.
#[test]
fn nothing_is_made_any_more_for_a_deployment_that_fails() {
    let makes = |world: &World| {
        let plan = world.plan();
        plan.actions.iter().filter(|action| matches!(action, Action::MakeSecret(_))).count()
    };
    let mut world = running(2, 100, 200);
    world.service = with_breaker(service(2, 2, 100, 200), true);
    let db = Source { kind: SecretMappingKind::Secret, name: "db".to_owned() };
    let secret = DerivedSecret { source: db, key: "file".to_owned(), form: Form::EnvironmentFile };
    let make = BTreeSet::from([Derived::Secret(secret)]);
    SecretPlan { make, ..SecretPlan::default() }.enter(&mut world.service, false);
    world.status = world.plan().status;
    assert_eq!(makes(&world), 1);
    world.service.control.rollback = Some(primary(&world));
    assert_eq!(makes(&world), 0);
}

#[test]
fn what_is_made_stands_in_status_before_it_is_made() {
    let derived = |name: &str, of: &str| DerivedRecord {
        kind: DerivedSecretKind::Secret,
        name: name.to_owned(),
        task_definitions: vec![of.to_owned()],
    };
    let status =
        |derived: &[DerivedRecord]| ServiceStatus { derived_secrets: derived.to_vec(), ..ServiceStatus::default() };
    for (sentence, before, after, expected) in [
        ("something is made", vec![], vec![derived("a", "web:1")], true),
        ("nothing more is made", vec![derived("a", "web:1")], vec![derived("a", "web:1")], false),
        ("another revision uses it", vec![derived("a", "web:1")], vec![derived("a", "web:2")], false),
        ("it is given up", vec![derived("a", "web:1")], vec![], false),
    ] {
        assert_eq!(is_told_first(&status(&before), &status(&after)), expected, "{sentence}");
    }
}

/// The service follows its secrets, of which this is the version.
fn at_version(version: &str, minimum: u32, maximum: u32) -> ResolvedService {
    let mut service = with_breaker(service(1, 2, minimum, maximum), true);
    let versions = BTreeMap::from([(web(1), version.to_owned())]);
    SecretPlan { versions, ..SecretPlan::default() }.enter(&mut service, true);
    service
}

/// Every task that has been started since then cannot live with the value that is stored now.
fn fail_all_but(world: &mut World, kept: &[String], rounds: usize) {
    for _ in 0..rounds {
        world.step();
        world.finish_stops();
        world.step();
        for task in world.active_where(|task| !kept.contains(&task.pod)) {
            world.change(&task, exited());
        }
        world.step();
    }
}

/// The value itself is not rolled back: it is the Secret's. What still runs has the old one in its environment.
#[test]
fn a_rotation_whose_tasks_fail_is_rolled_back_to_the_tasks_that_run_with_the_old_value() {
    let mut world = World::new(at_version("1", 100, 200));
    world.settle();
    let (first, kept) = (world.status.deployments[0].id.clone(), world.active());
    world.service = at_version("2", 100, 200);
    world.step();
    let deployments = &world.status.deployments;
    assert_ne!(deployments[0].id, first, "a deployment like any other");
    assert_eq!(deployments[0].task_definition, deployments[1].task_definition);
    assert_eq!(world.active().len(), 4);
    fail_all_but(&mut world, &kept, 3);
    world.settle();
    assert_eq!((world.ready().0, world.status.deployments[0].id.as_str()), ("RolledBack", first.as_str()));
    assert_eq!(world.active(), kept, "no task that runs with the old value was touched");

    // A task that goes now is started by the deployment of before, with the value of now: nobody has another.
    world.remove(&kept[0]);
    world.settle();
    let deployments: BTreeSet<String> = world.pods.values().map(|task| task.key.deployment.to_string()).collect();
    assert_eq!((deployments, world.active().len()), (BTreeSet::from([first.clone()]), 2));

    // To set the Secret back is a change, too.
    world.service = at_version("3", 100, 200);
    world.settle();
    assert_eq!(world.ready().0, "SteadyState");
    assert_ne!(world.status.deployments[0].id, first);
}

/// Where no task is left that runs with the old value, there is nothing to go back to but the revision.
#[test]
fn a_rotation_that_has_stopped_the_old_tasks_first_cannot_be_rolled_back_before_the_secret_is() {
    let mut world = World::new(at_version("1", 0, 100));
    world.settle();
    let first = world.status.deployments[0].id.clone();
    world.service = at_version("2", 0, 100);
    fail_all_but(&mut world, &[], 8);
    let history = &world.status.service_deployments;
    assert_eq!(history[0].status, ServiceDeploymentStatus::RollbackFailed);
    assert_eq!(
        world.status.deployments[0].id, first,
        "it went back, and the tasks of before fail with the value of now"
    );
    world.service = at_version("3", 0, 100);
    world.settle();
    assert_eq!((world.ready().0, world.active().len()), ("SteadyState", 2));
}
