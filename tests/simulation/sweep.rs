//! A rollout, and tasks that move between zones, interrupted at every write (F1, F20).

use longshore_test_apiserver::Verb;
use serde_json::json;

use crate::faults::{Classes, Moment};
use crate::nodes::cordon;
use crate::people::People;
use crate::process::{Outcome, Simulation};
use crate::scenario::Cast;
use crate::task::SERVICES;
use crate::world::lock;

/// Two services come up, and then one is changed and the other scaled.
pub(crate) async fn rollout(interrupt: Option<(u64, Moment)>, classes: Classes) -> Outcome {
    let mut cast = Cast::new(1, 2);
    cast.world.let_fail(classes);
    lock(&cast.world.faults.0).interrupt = interrupt;
    cast.start_operator();
    cast.people.begin(&cast.world);
    // No room above: each task that is stopped makes the place for its successor.
    let tight = json!({ "minimumHealthyPercent": 50, "maximumPercent": 100 });
    let tight = json!({ "spec": { "desiredCount": 4, "deploymentConfiguration": tight } });
    cast.world.act("person", Verb::Merge, SERVICES, "web", None, tight);
    if let Some(difference) = cast.converge().await {
        lock(&cast.world.ledger).broken.push(format!("before the rollout: {difference}"));
    }
    cast.people.release(&cast.world, "web");
    People::scale(&cast.world, "api", 2);
    cast.become_right(1).await
}

/// A service comes up while the nodes of all zones but one are cordoned; then they are not any more.
pub(crate) async fn rebalancing(interrupt: Option<(u64, Moment)>) -> Outcome {
    let mut cast = Cast::new(1, 1);
    lock(&cast.world.faults.0).interrupt = interrupt;
    cast.start_operator();
    let others = ["node-1", "node-2"];
    for node in others {
        cordon(&cast.world, node, true);
    }
    cast.people.begin(&cast.world);
    // Three at once, and no stop before there is one more.
    let narrow = json!({ "minimumHealthyPercent": 100, "maximumPercent": 150 });
    let narrow =
        json!({ "desiredCount": 7, "deploymentConfiguration": narrow, "availabilityZoneRebalancing": "ENABLED" });
    cast.world.act("person", Verb::Merge, SERVICES, "web", None, json!({ "spec": narrow }));
    if let Some(difference) = cast.converge().await {
        lock(&cast.world.ledger).broken.push(format!("before the zones come back: {difference}"));
    }
    for node in others {
        cordon(&cast.world, node, false);
    }
    cast.become_right(1).await
}

/// A simulation for each write and each moment, or as many of them as a test may take.
pub(crate) fn at_each(writes: u64, simulation: fn(Option<(u64, Moment)>) -> Simulation) -> Vec<Simulation> {
    let moments = [Moment::Before, Moment::After, Moment::Stop, Moment::Unclear];
    let all = (0..writes).flat_map(|write| moments.map(|moment| simulation(Some((write, moment)))));
    // Without a common divisor with the number of moments: each of them comes.
    let every = if std::env::var("SWEEP").is_ok_and(|sweep| sweep == "all") { 1 } else { 57 };
    all.step_by(every).collect()
}
