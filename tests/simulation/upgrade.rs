//! A new version of the operator never replaces a running task: what decides is what the person wrote, not how a pod happens to
//! be built today.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::{EnvVar, Pod};
use longshore::domain::pod::{self, ServiceOwner};
use longshore::domain::resolve::task_definition::ResolvedTaskDefinition;
use longshore::domain::service::Start;
use tokio::time::{Instant, sleep};

use crate::people::People;
use crate::scenario::Cast;
use crate::task::{PODS, annotation, uid};
use crate::world::lock;

const MARK: &str = "example.com/built-by";

/// As another version might build pods: another annotation, another variable, another grace period.
fn build_otherwise(definition: &ResolvedTaskDefinition, owner: &ServiceOwner, start: &Start) -> Pod {
    let mut pod = pod::build(definition, owner, start);
    pod.metadata.annotations.get_or_insert_default().insert(MARK.to_owned(), "another version".to_owned());
    let spec = pod.spec.as_mut().unwrap();
    spec.termination_grace_period_seconds = Some(77);
    let variable = EnvVar { name: "NEW".to_owned(), value: Some("yes".to_owned()), value_from: None };
    spec.containers[0].env.get_or_insert_default().push(variable);
    pod
}

/// The uids of the pods, and how many of them the other version has built.
fn pods(cast: &Cast) -> (BTreeSet<String>, usize) {
    cast.world.server.read(|store| {
        let uids = store.all(PODS).map(|pod| uid(pod).to_owned()).collect();
        (uids, store.all(PODS).filter(|pod| !annotation(pod, MARK).is_empty()).count())
    })
}

#[tokio::test(start_paused = true)]
async fn a_new_version_of_the_operator_never_replaces_a_running_task() {
    let mut cast = Cast::new(1, 2);
    cast.start_operator();
    cast.people.begin(&cast.world);
    assert_eq!(cast.converge().await, None);
    let before = pods(&cast);
    assert!(!before.0.is_empty());

    cast.upgrade(build_otherwise).await;
    let writes = lock(&cast.world.ledger).writes;
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(10) {
        cast.tick().await;
    }
    assert_eq!(pods(&cast), before);
    assert_eq!(lock(&cast.world.ledger).writes, writes, "it wrote although nothing has happened");

    People::scale(&cast.world, "web", 9);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cast.converge().await, None);
    let (uids, marked) = pods(&cast);
    assert!(uids.is_superset(&before.0), "what ran runs on");
    assert!(marked > 0 && uids.len() == before.0.len() + marked, "only what is new is built otherwise");
}
