//! What tasks take from Secrets decides when they start, and a rotation may start a deployment that fails.

use std::collections::BTreeMap;

use super::running;
use crate::api::conditions::{Reason, Summary};
use crate::api::{DerivedSecret, DerivedSecretKind, ServiceStatus};
use crate::domain::secrets::plan::SecretPlan;
use crate::domain::service::is_told_first;
use crate::domain::service::testing::{World, service, web};

fn waiting(revision: i64) -> SecretPlan {
    let summary = Summary::Reconciling(Reason::SecretNotFound, "waiting for Secret db".to_owned());
    SecretPlan { waiting: BTreeMap::from([(web(revision), summary)]), ..SecretPlan::default() }
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

#[test]
fn what_is_made_stands_in_status_before_it_is_made() {
    let derived = |name: &str, of: &str| DerivedSecret {
        kind: DerivedSecretKind::Secret,
        name: name.to_owned(),
        task_definitions: vec![of.to_owned()],
    };
    let status =
        |derived: &[DerivedSecret]| ServiceStatus { derived_secrets: derived.to_vec(), ..ServiceStatus::default() };
    for (sentence, before, after, expected) in [
        ("something is made", vec![], vec![derived("a", "web:1")], true),
        ("nothing more is made", vec![derived("a", "web:1")], vec![derived("a", "web:1")], false),
        ("another revision uses it", vec![derived("a", "web:1")], vec![derived("a", "web:2")], false),
        ("it is given up", vec![derived("a", "web:1")], vec![], false),
    ] {
        assert_eq!(is_told_first(&status(&before), &status(&after)), expected, "{sentence}");
    }
}
