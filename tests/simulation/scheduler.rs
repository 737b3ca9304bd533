//! The scheduler.

use std::sync::Arc;
use std::time::Duration;

use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::daemons::is_draining;
use crate::task::{NODES, PODS, condition, is_deleting, label, name, text, tolerates, uid};
use crate::world::World;
use crate::zones;

/// Binds pods to nodes.
pub(crate) struct Scheduler {
    chance: Chance,
    /// How many in a thousand pods fit nowhere.
    pub(crate) trouble: u64,
    /// Whether it says so.
    tells: bool,
    /// A zone whose nodes have no room for another pod, and until when.
    full: Option<(&'static str, Instant)>,
}

impl Scheduler {
    pub(crate) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, 3), trouble: 0, tells: false, full: None }
    }

    /// From now on it says which pods it cannot place. It may be that there are some: a zone may be full from the beginning until
    /// after all other trouble is over.
    pub(crate) fn know_zones(&mut self, seed: u64) {
        let mut chance = Chance::new(seed, 24);
        self.tells = true;
        self.full = chance.happens(250).then(|| {
            let until = Instant::now() + Duration::from_secs(chance.between(120, 1200));
            (chance.one_of(&zones::ALL).copied().unwrap_or(zones::ALL[0]), until)
        });
    }

    /// Binds what waits.
    pub(crate) fn step(&mut self, world: &World) {
        self.full = self.full.filter(|(_, until)| *until > Instant::now());
        let (nodes, pods): (Vec<Arc<Value>>, Vec<Arc<Value>>) = world.server.read(|store| {
            let waits = |pod: &&Arc<Value>| text(pod, "/spec/nodeName").is_empty() && !is_deleting(pod);
            (store.all(NODES).cloned().collect(), store.all(PODS).filter(waits).cloned().collect())
        });
        for pod in pods {
            // By the uid, so that a pod that fits nowhere does so every time it is looked at.
            let fits_nowhere = Chance::new(self.trouble, hash(uid(&pod))).happens(self.trouble);
            if fits_nowhere {
                self.tell_unschedulable(world, &pod, nodes.len());
                continue;
            }
            // A pod may wait for its turn.
            if self.chance.happens(300) {
                continue;
            }
            let has_room = |node: &&Arc<Value>| self.full.is_none_or(|(zone, _)| zones::zone_of(node) != Some(zone));
            let fitting: Vec<&Arc<Value>> = nodes.iter().filter(|node| fits(&pod, node)).filter(has_room).collect();
            if let Some(node) = self.chance.one_of(&fitting) {
                let binding = json!({ "target": { "kind": "Node", "name": name(node) } });
                world.act("scheduler", Verb::Create, PODS, name(&pod), Some("binding"), binding);
            } else {
                self.tell_unschedulable(world, &pod, nodes.len());
            }
        }
    }

    /// Says once of a pod that no node takes it.
    fn tell_unschedulable(&self, world: &World, pod: &Value, nodes: usize) {
        if !self.tells || condition(pod, "PodScheduled").is_some() {
            return;
        }
        let told = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": format!("0/{nodes} nodes are available"), "lastTransitionTime": world.now().to_string(),
        });
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let conditions: Vec<Value> = conditions.cloned().chain([told]).collect();
        let status = json!({ "status": { "conditions": conditions } });
        world.act("scheduler", Verb::Merge, PODS, name(pod), Some("status"), status);
    }
}

/// Whether a node takes a pod: neither cordon nor taint keeps it away, and it asks for no other node or zone.
fn fits(pod: &Value, node: &Value) -> bool {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten();
    let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = pod.pointer(terms).and_then(Value::as_array);
    let names = |term: &Value| {
        let mut fields = term["matchFields"].as_array().into_iter().flatten();
        let mut labels = term["matchExpressions"].as_array().into_iter().flatten();
        fields.all(|field| text(field, "/values/0") == name(node)) && labels.all(|asked| has_label(node, asked))
    };
    !is_draining(node)
        && taints.into_iter().all(|taint| tolerates(pod, taint))
        && terms.is_none_or(|terms| terms.iter().any(names))
}

/// Whether a node has a label with one of the values that are asked for.
fn has_label(node: &Value, asked: &Value) -> bool {
    assert_eq!(text(asked, "/operator"), "In", "no task here asks for anything else: {asked}");
    let value = label(node, text(asked, "/key"));
    asked["values"].as_array().into_iter().flatten().any(|one| one == value)
}

/// A number from a text.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
