//! Somebody drains nodes as `kubectl drain` does, by evictions, and a disruption budget has a say in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore::api::labels;
use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::task::{NODES, PODS, annotation, is_deleting, is_healthy, label, name, number, text};
use crate::world::World;

const BUDGETS: &str = "poddisruptionbudgets.policy";
/// The service that has a budget.
const SERVICE: &str = "web";
/// How long `kubectl drain` waits before it tries an eviction again.
const TRIES_AGAIN: Duration = Duration::from_secs(5);

/// Whoever drains, and whoever keeps the budget.
pub(crate) struct Budgets {
    chance: Chance,
    /// The node that is being drained.
    drained: Option<String>,
    tried: Instant,
}

impl Budgets {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        let mut chance = Chance::new(seed, 16);
        let budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": SERVICE },
            "spec": { "minAvailable": chance.between(1, 4), "selector": { "matchLabels": { labels::SERVICE: SERVICE } } },
        });
        world.act("person", Verb::Create, BUDGETS, "", None, budget);
        Self { chance, drained: None, tried: Instant::now() }
    }

    pub(crate) fn step(&mut self, world: &World) {
        Self::count(world);
        if self.chance.happens(8) {
            let nodes: Vec<String> =
                world.server.read(|store| store.all(NODES).map(|node| name(node).to_owned()).collect());
            self.end_drain(world);
            self.drained = self.chance.one_of(&nodes).cloned();
            self.cordon(world, true);
        }
        if self.tried.elapsed() >= TRIES_AGAIN {
            self.tried = Instant::now();
            self.evict(world);
        }
    }

    /// The disruption controller: what is Ready beyond the budget may be evicted.
    fn count(world: &World) {
        let counted = world.server.read(|store| {
            let budget = store.get(BUDGETS, World::NAMESPACE, SERVICE)?;
            let healthy =
                store.all(PODS).filter(|pod| label(pod, labels::SERVICE) == SERVICE && is_healthy(pod)).count();
            let left = i64::try_from(healthy).unwrap_or(0) - number(budget, "/spec/minAvailable");
            (left.max(0) != number(budget, "/status/disruptionsAllowed")).then_some(left.max(0))
        });
        if let Some(left) = counted {
            let status = json!({ "status": { "disruptionsAllowed": left } });
            world.act("disruption-controller", Verb::Merge, BUDGETS, SERVICE, Some("status"), status);
        }
    }

    /// `kubectl drain --ignore-daemonsets`: the tasks of DAEMON services are left to themselves.
    fn evict(&self, world: &World) {
        let Some(node) = &self.drained else { return };
        let pods: Vec<Arc<Value>> = world.server.read(|store| {
            let here = |pod: &&Arc<Value>| {
                text(pod, "/spec/nodeName") == node && annotation(pod, labels::NODE).is_empty() && !is_deleting(pod)
            };
            store.all(PODS).filter(here).cloned().collect()
        });
        let there: BTreeSet<&str> = pods.iter().map(|pod| name(pod)).collect();
        for pod in there {
            world.act("drain", Verb::Create, PODS, pod, Some("eviction"), json!({}));
        }
    }

    fn cordon(&self, world: &World, cordoned: bool) {
        let Some(node) = &self.drained else { return };
        let cordoned = json!({ "spec": { "unschedulable": cordoned } });
        world.act_on("drain", Verb::Merge, NODES, ("", node), None, cordoned);
    }

    /// The node takes tasks again, and nobody drains it.
    pub(crate) fn end_drain(&mut self, world: &World) {
        self.cordon(world, false);
        self.drained = None;
    }
}
