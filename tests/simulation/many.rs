//! Many services at once (F19).

use longshore_test_apiserver::Verb;
use serde_json::json;
use tokio::time::Instant;

use crate::people;
use crate::scenario::Cast;
use crate::task::{CLUSTERS, DEFINITIONS, SERVICES};
use crate::world::lock;

const SERVICES_AT_ONCE: usize = 40;
const TASKS: usize = 2;
/// Requests a second that the server answers: the others are to be tried again.
const BUDGET: u32 = 20;
/// Finalizer, first status, a deployment, two tasks, the counts on the way to the steady state, and each of them once more because it
/// was turned away.
const WRITES_EACH: u64 = 25;

#[tokio::test(start_paused = true)]
async fn dozens_of_services_that_start_at_once_all_get_there_within_the_budget_of_the_server() {
    let mut cast = Cast::new(1, 0);
    lock(&cast.world.faults.0).budget = Some(BUDGET);
    cast.start_operator();
    people::create(&cast.world, CLUSTERS, "Cluster", "default", &json!({}));
    let container = json!({ "name": "app", "image": "app:1", "memory": 64 });
    people::create(&cast.world, DEFINITIONS, "TaskDefinition", "app", &json!({ "containerDefinitions": [container] }));
    for number in 0..SERVICES_AT_ONCE {
        let spec = json!({ "taskDefinition": "app", "desiredCount": TASKS });
        people::create(&cast.world, SERVICES, "Service", &format!("s{number}"), &spec);
    }
    let began = Instant::now();
    assert_eq!(cast.converge().await, None);
    let (took, writes) = (began.elapsed(), lock(&cast.world.ledger).writes);
    eprintln!("{SERVICES_AT_ONCE} services of {TASKS} tasks took {took:?} and {writes} writes");
    let most = WRITES_EACH * u64::try_from(SERVICES_AT_ONCE).unwrap();
    assert!(writes <= most, "{writes} writes, those that were turned away counted");

    // In the crowd nobody waits longer than for all others once.
    let patch = json!({ "spec": { "desiredCount": TASKS + 1 } });
    cast.world.act("person", Verb::Merge, SERVICES, "s39", None, patch);
    let began = Instant::now();
    assert_eq!(cast.converge().await, None);
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
}
