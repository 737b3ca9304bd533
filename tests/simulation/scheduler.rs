//! The scheduler, and the nodes it binds to.

use std::sync::Arc;

use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::task::{PODS, is_deleting, name, text, uid};
use crate::world::World;

const NODES: usize = 4;

/// Binds pods to nodes.
pub(crate) struct Scheduler {
    chance: Chance,
    /// How many in a thousand pods fit nowhere.
    pub(crate) trouble: u64,
}

impl Scheduler {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        for number in 0..NODES {
            let node = json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": { "name": format!("node-{number}"), "labels": { "zone": format!("{}", number % 2) } },
                "spec": {},
            });
            world.act_on("kubelet", Verb::Create, "nodes", ("", ""), None, node);
        }
        Self { chance: Chance::new(seed, 3), trouble: 0 }
    }

    /// Binds what waits.
    pub(crate) fn step(&mut self, world: &World) {
        let open = |node: &&Arc<Value>| node.pointer("/spec/unschedulable") != Some(&Value::Bool(true));
        let (nodes, pods): (Vec<String>, Vec<Arc<Value>>) = world.server.read(|store| {
            let waits = |pod: &&Arc<Value>| text(pod, "/spec/nodeName").is_empty() && !is_deleting(pod);
            let nodes = store.all("nodes").filter(open).map(|node| name(node).to_owned()).collect();
            (nodes, store.all(PODS).filter(waits).cloned().collect())
        });
        for pod in pods {
            // By the uid, so that a pod that fits nowhere does so every time it is looked at.
            let fits_nowhere = Chance::new(self.trouble, hash(uid(&pod))).happens(self.trouble);
            // A pod may wait for its turn.
            if fits_nowhere || self.chance.happens(300) {
                continue;
            }
            if let Some(node) = self.chance.one_of(&nodes) {
                let binding = json!({ "target": { "kind": "Node", "name": node } });
                world.act("scheduler", Verb::Create, PODS, name(&pod), Some("binding"), binding);
            }
        }
    }
}

/// A number from a text.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
