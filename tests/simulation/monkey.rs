//! Somebody who meddles with pods.

use std::sync::Arc;

use longshore::api::labels;
use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::task::{PODS, name};
use crate::world::World;

/// Deletes, evicts, ends and relabels pods.
pub(crate) struct Monkey {
    chance: Chance,
    made: u64,
}

impl Monkey {
    pub(crate) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, 5), made: 0 }
    }

    pub(crate) fn step(&mut self, world: &World) {
        if !self.chance.happens(20) {
            return;
        }
        let pods: Vec<Arc<Value>> = world.server.read(|store| store.all(PODS).cloned().collect());
        let Some(pod) = self.chance.one_of(&pods).map(|pod| name(pod).to_owned()) else { return };
        let merge = |patch: Value| world.act("monkey", Verb::Merge, PODS, &pod, None, patch);
        match self.chance.below(9) {
            0 | 1 => world.act("monkey", Verb::Delete, PODS, &pod, None, Value::Null),
            2 => world.act("monkey", Verb::Delete, PODS, &pod, None, json!({ "gracePeriodSeconds": 0 })),
            3 => world.act("monkey", Verb::Create, PODS, &pod, Some("eviction"), json!({})),
            4 => {
                let evicted =
                    json!({ "status": { "phase": "Failed", "reason": "Evicted", "message": "low on memory" } });
                world.act("kubelet", Verb::Merge, PODS, &pod, Some("status"), evicted)
            }
            5 => merge(json!({ "metadata": { "labels": { labels::MANAGED_BY: null } } })),
            6 => merge(json!({ "metadata": { "annotations": { labels::SLOT: null } } })),
            7 => merge(json!({ "metadata": { "labels": { "seen-by": "monkey" } } })),
            _ => self.plant(world),
        };
    }

    /// A pod with our labels that no service owns.
    fn plant(&mut self, world: &World) -> bool {
        self.made += 1;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("planted-{}", self.made),
                "labels": { labels::MANAGED_BY: labels::MANAGED_BY_LONGSHORE, labels::SERVICE: "web", labels::DEPLOYMENT: "1" },
            },
            "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
        });
        world.act("monkey", Verb::Create, PODS, "", None, pod)
    }
}
