//! One bad object never hurts another.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use longshore::domain::pod::{self, ServiceOwner};
use longshore::domain::resolve::task_definition::ResolvedTaskDefinition;
use longshore::domain::service::Start;
use longshore_test_apiserver::Verb;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::convergence;
use crate::people::People;
use crate::scenario::Cast;
use crate::task::{CLUSTERS, DEFINITIONS, SERVICES, condition, text};
use crate::world::{World, lock};

fn build_all_but_job(definition: &ResolvedTaskDefinition, owner: &ServiceOwner, start: &Start) -> Pod {
    if start.revision.family.as_str() == "job" {
        // As a panic, but without a line on the standard error for each.
        std::panic::resume_unwind(Box::new("a bug that one family brings to light"));
    }
    pod::build(definition, owner, start)
}

async fn pass(cast: &mut Cast, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        cast.tick().await;
    }
    let broken = lock(&cast.world.ledger).broken.clone();
    assert!(broken.is_empty(), "{broken:?}");
}

fn difference(cast: &Cast, name: &str) -> Option<String> {
    cast.world.server.read(|store| {
        let service = store.get(SERVICES, World::NAMESPACE, name)?;
        convergence::of_service(store, service)
    })
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_passes_of_one_object_leaves_the_others_alone() {
    let mut cast = Cast::new(1, 3);
    cast.build_pod = build_all_but_job;
    cast.start_operator();
    cast.people.begin(&cast.world);
    pass(&mut cast, Duration::from_mins(3)).await;
    assert_eq!((difference(&cast, "web"), difference(&cast, "api")), (None, None));
    assert!(difference(&cast, "job").is_some());

    cast.people.release(&cast.world, "web");
    People::scale(&cast.world, "api", 7);
    pass(&mut cast, Duration::from_mins(5)).await;
    assert_eq!((difference(&cast, "web"), difference(&cast, "api")), (None, None));

    let writes = lock(&cast.world.ledger).writes;
    pass(&mut cast, Duration::from_mins(10)).await;
    assert_eq!(lock(&cast.world.ledger).writes, writes, "passes that panic write nothing");

    // The version without the bug picks up what the other one left.
    cast.upgrade(pod::build).await;
    assert_eq!(cast.converge().await, None);
}

/// What another version, or an older schema, has left in the store.
fn left_behind() -> Vec<(&'static str, &'static str, Value)> {
    let object = |kind: &str, name: &str, uid: u32, spec: Value, status: Value| {
        json!({
            "apiVersion": "ecs.longshore.dev/v1alpha1",
            "kind": kind,
            "metadata": {
                "name": name, "namespace": World::NAMESPACE, "generation": 1,
                "uid": format!("11111111-0000-4000-8000-{uid:012x}"), "creationTimestamp": "2025-01-01T00:00:00Z",
            },
            "spec": spec,
            "status": status,
        })
    };
    let service = |desired: Value| json!({ "taskDefinition": "web", "desiredCount": desired });
    let deployment = json!({
        "id": "ecs-svc/1234567890123456789", "status": "PRIMARY", "taskDefinition": "web:1", "desiredCount": 1,
        "pendingCount": 0, "runningCount": 0, "failedTasks": 0, "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-01-01T00:00:00Z", "rolloutState": "BAKING", "ordinal": 1,
    });
    vec![
        (SERVICES, "of-old", object("Service", "of-old", 1, service(json!(1)), json!({ "observedGeneration": 1 }))),
        (
            SERVICES,
            "of-tomorrow",
            object(
                "Service",
                "of-tomorrow",
                2,
                service(json!(1)),
                json!({ "deployments": [deployment], "mood": "fine" }),
            ),
        ),
        (SERVICES, "junk", object("Service", "junk", 3, service(json!("three")), Value::Null)),
        (
            DEFINITIONS,
            "junk",
            object("TaskDefinition", "junk", 4, json!({ "containerDefinitions": "none" }), Value::Null),
        ),
        (CLUSTERS, "junk", object("Cluster", "junk", 5, json!({ "settings": 7 }), Value::Null)),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_says_so_and_everything_else_goes_on() {
    let mut cast = Cast::new(1, 2);
    for (kind, name, object) in left_behind() {
        cast.world.server.plant(kind, (World::NAMESPACE, name), object);
    }
    cast.start_operator();
    cast.people.begin(&cast.world);
    pass(&mut cast, Duration::from_mins(3)).await;
    assert_eq!((difference(&cast, "web"), difference(&cast, "api")), (None, None));
    assert_eq!(difference(&cast, "of-old"), None, "what it lacks has defaults");
    for (kind, name) in [(SERVICES, "junk"), (DEFINITIONS, "junk"), (CLUSTERS, "junk")] {
        let object = cast.world.server.read(|store| store.get(kind, World::NAMESPACE, name).cloned()).unwrap();
        let stalled = condition(&object, "Stalled").map_or("", |stalled| text(stalled, "/reason"));
        assert_eq!(stalled, "Unreadable", "{kind} {name}: {}", object["status"]);
    }
    assert_eq!(difference(&cast, "of-tomorrow"), None, "what another version has written of it is written anew");

    let writes = lock(&cast.world.ledger).writes;
    pass(&mut cast, Duration::from_mins(10)).await;
    assert_eq!(lock(&cast.world.ledger).writes, writes, "it is said once");

    let mended = [
        (SERVICES, json!({ "desiredCount": 2 })),
        (DEFINITIONS, json!({ "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 64 }] })),
        (CLUSTERS, json!({ "settings": null })),
    ];
    for (kind, spec) in mended {
        assert!(cast.world.act("person", Verb::Merge, kind, "junk", None, json!({ "spec": spec })));
    }
    assert_eq!(cast.converge().await, None);
}
