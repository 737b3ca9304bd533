//! The scheduler.

use std::sync::Arc;

use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::daemons::is_draining;
use crate::task::{NODES, PODS, is_deleting, name, text, tolerates, uid};
use crate::world::World;

/// Binds pods to nodes.
pub(crate) struct Scheduler {
    chance: Chance,
    /// How many in a thousand pods fit nowhere.
    pub(crate) trouble: u64,
}

impl Scheduler {
    pub(crate) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, 3), trouble: 0 }
    }

    /// Binds what waits.
    pub(crate) fn step(&mut self, world: &World) {
        let (nodes, pods): (Vec<Arc<Value>>, Vec<Arc<Value>>) = world.server.read(|store| {
            let waits = |pod: &&Arc<Value>| text(pod, "/spec/nodeName").is_empty() && !is_deleting(pod);
            (store.all(NODES).cloned().collect(), store.all(PODS).filter(waits).cloned().collect())
        });
        for pod in pods {
            // By the uid, so that a pod that fits nowhere does so every time it is looked at.
            let fits_nowhere = Chance::new(self.trouble, hash(uid(&pod))).happens(self.trouble);
            // A pod may wait for its turn.
            if fits_nowhere || self.chance.happens(300) {
                continue;
            }
            let fitting: Vec<&Arc<Value>> = nodes.iter().filter(|node| fits(&pod, node)).collect();
            if let Some(node) = self.chance.one_of(&fitting) {
                let binding = json!({ "target": { "kind": "Node", "name": name(node) } });
                world.act("scheduler", Verb::Create, PODS, name(&pod), Some("binding"), binding);
            }
        }
    }
}

/// Whether a node takes a pod: neither cordon nor taint keeps it away, and it asks for no other node.
fn fits(pod: &Value, node: &Value) -> bool {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten();
    let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = pod.pointer(terms).and_then(Value::as_array);
    let names = |term: &Value| {
        let fields = term["matchFields"].as_array().into_iter().flatten();
        fields.into_iter().all(|field| text(field, "/values/0") == name(node))
    };
    !is_draining(node)
        && taints.into_iter().all(|taint| tolerates(pod, taint))
        && terms.is_none_or(|terms| terms.iter().any(names))
}

/// A number from a text.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
