//! A deployment that cannot work, with a circuit breaker, interrupted at every write (I9).

use longshore_test_apiserver::Verb;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::faults::Moment;
use crate::process::Outcome;
use crate::scenario::Cast;
use crate::task::{SERVICES, text};
use crate::world::{World, lock};

/// How long the breaker may take: three attempts, a throttle of ten seconds, and an interruption.
const BOUND_SECONDS: u64 = 400;

/// A service comes up, and gets an image that exits at once.
pub(crate) async fn trip(interrupt: Option<(u64, Moment)>) -> Outcome {
    let mut cast = Cast::new(1, 1);
    lock(&cast.world.faults.0).interrupt = interrupt;
    cast.start_operator();
    cast.people.begin(&cast.world);
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": false } });
    cast.world.act(
        "person",
        Verb::Merge,
        SERVICES,
        "web",
        None,
        json!({ "spec": { "deploymentConfiguration": breaker } }),
    );
    if let Some(difference) = cast.converge().await {
        lock(&cast.world.ledger).broken.push(format!("before the deployment: {difference}"));
    }
    cast.kubelets.breaks = Some("app:2".to_owned());
    cast.people.release(&cast.world, "web");
    let began = Instant::now();
    while !has_failed(&cast.world) && began.elapsed().as_secs() < BOUND_SECONDS && !cast.is_broken() {
        cast.tick().await;
    }
    if !has_failed(&cast.world) {
        let status = cast.world.server.read(|store| store.get(SERVICES, World::NAMESPACE, "web").cloned());
        lock(&cast.world.ledger).broken.push(format!("I9: the deployment does not fail: {status:?}"));
    }
    cast.settle().await;
    // It has given up, and that is right.
    cast.be_quiet(|_| None).await
}

fn has_failed(world: &World) -> bool {
    world.server.read(|store| {
        let service = store.get(SERVICES, World::NAMESPACE, "web");
        let deployments = service.and_then(|service| service["status"]["deployments"].as_array());
        deployments.into_iter().flatten().any(|one: &Value| text(one, "/rolloutState") == "FAILED")
    })
}
