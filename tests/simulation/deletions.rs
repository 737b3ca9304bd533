//! Everything is deleted, in any order (F18): no finalizer outlives what it is for.

use std::time::Duration;

use longshore_test_apiserver::{Store, Verb};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::people;
use crate::scenario::Cast;
use crate::task::{CLUSTERS, DEFINITIONS, PODS, SERVICES};

const PROVIDERS: &str = "capacityproviders.ecs.longshore.dev";
const KINDS: [&str; 4] = [CLUSTERS, DEFINITIONS, SERVICES, PROVIDERS];
/// How long everything may take to go: the tasks stop, and whoever waited for them is told.
const BOUND: Duration = Duration::from_mins(3);

/// All orders of some things.
fn orders<T: Copy>(all: &[T]) -> Vec<Vec<T>> {
    if all.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |index: usize| {
        let mut others = all.to_vec();
        let first = others.remove(index);
        orders(&others).into_iter().map(move |others| [vec![first], others].concat())
    };
    (0..all.len()).flat_map(with_first).collect()
}

fn left(store: &Store) -> Vec<String> {
    let all = KINDS.into_iter().chain([PODS]).flat_map(|kind| store.all(kind));
    all.map(|object| format!("{} {}", object["kind"], object["metadata"])).collect()
}

async fn delete_in_order(order: &[&str]) {
    let mut cast = Cast::new(1, 0);
    cast.start_operator();
    let create = |kind: &str, name: &str, spec: Value| people::create(&cast.world, kind, name, "app", &spec);
    create(PROVIDERS, "CapacityProvider", json!({}));
    create(CLUSTERS, "Cluster", json!({ "clusterName": "default", "capacityProviders": ["app"] }));
    let container = json!({ "name": "app", "image": "app:1", "memory": 64 });
    create(DEFINITIONS, "TaskDefinition", json!({ "containerDefinitions": [container] }));
    let strategy = json!([{ "capacityProvider": "app", "weight": 1 }]);
    let spec = json!({ "taskDefinition": "app", "desiredCount": 2, "capacityProviderStrategy": strategy });
    create(SERVICES, "Service", spec);
    assert_eq!(cast.converge().await, None, "{order:?}");
    for kind in order {
        assert!(cast.world.act("person", Verb::Delete, kind, "app", None, Value::Null), "{kind}");
        sleep(Duration::from_secs(2)).await;
    }
    let began = Instant::now();
    while began.elapsed() < BOUND && !cast.world.server.read(left).is_empty() {
        cast.tick().await;
    }
    assert_eq!(cast.world.server.read(left), Vec::<String>::new(), "deleted in the order {order:?}");
    assert!(!cast.is_broken(), "deleted in the order {order:?}");
    cast.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_is_deleted_first_everything_goes() {
    for order in orders(&KINDS) {
        delete_in_order(&order).await;
    }
}
