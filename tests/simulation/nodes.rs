//! The nodes: they join, are cordoned and tainted, fall silent with everything that runs on them, and go for good. What
//! Kubernetes' own controllers make of that is here, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::task::{NODES, PODS, is_deleting, name, says, text, tolerates, uid};
use crate::world::World;
use crate::zones;

/// How many there are at first, and may be.
const AT_FIRST: usize = 4;
const MOST: usize = 7;
/// How many stay.
const LEAST: usize = 2;
/// How long a kubelet may be silent before its node is said to be out of reach.
const MONITOR_GRACE: Duration = Duration::from_secs(40);
/// How long a pod without a node is left alone.
const QUARANTINE: Duration = Duration::from_secs(40);

const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// Everybody who has to do with nodes.
pub(crate) struct Nodes {
    chance: Chance,
    /// Whether anything happens to them.
    pub(crate) trouble: bool,
    /// How long pods stay on a node that is out of reach.
    tolerated_for: Duration,
    /// Kubelets that are not in touch, since when and until when.
    silent: BTreeMap<String, Silence>,
    /// Since when pods have been without a node.
    orphaned: BTreeMap<String, Instant>,
}

struct Silence {
    since: Instant,
    until: Instant,
    /// Whether the node is given up in the end.
    is_lost: bool,
}

impl Nodes {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        for number in 0..AT_FIRST {
            join(world, number);
        }
        let mut chance = Chance::new(seed, 13);
        let tolerated_for = Duration::from_secs(if chance.happens(500) { 30 } else { 300 });
        Self { chance, trouble: false, tolerated_for, silent: BTreeMap::new(), orphaned: BTreeMap::new() }
    }

    /// Whether the kubelet of a node can be asked, and told.
    pub(crate) fn are_in_touch_with(&self, node: &str) -> bool {
        !self.silent.contains_key(node)
    }

    pub(crate) fn step(&mut self, world: &World) {
        if self.trouble && self.chance.happens(25) {
            self.happen(world);
        }
        let over: Vec<_> = self.silent.iter().filter(|(_, silence)| silence.until <= Instant::now()).collect();
        let over: Vec<_> = over.into_iter().map(|(node, silence)| (node.clone(), silence.is_lost)).collect();
        for (node, is_lost) in over {
            if is_lost {
                self.lose(world, &node);
            } else {
                self.silent.remove(&node);
                taint(world, &node, &[]);
            }
        }
        self.mark_silent_ones(world);
        self.collect_pods(world);
    }

    fn happen(&mut self, world: &World) {
        let nodes = names(world);
        let Some(node) = self.chance.one_of(&nodes).cloned() else { return };
        match self.chance.below(8) {
            0 | 1 => {
                let free = (0..MOST).find(|number| !nodes.contains(&format!("node-{number}")));
                if let Some(number) = free {
                    join(world, number);
                }
            }
            2 | 3 => cordon(world, &node, self.chance.happens(700)),
            4 => {
                let dedicated = json!({ "key": "dedicated", "value": "batch", "effect": "NoSchedule" });
                let taints = if self.chance.happens(600) { &[dedicated][..] } else { &[] };
                if !self.silent.contains_key(&node) {
                    taint(world, &node, taints);
                }
            }
            5 | 6 => {
                let until = Instant::now() + Duration::from_secs(self.chance.between(10, 240));
                let silence = Silence { since: Instant::now(), until, is_lost: self.chance.happens(300) };
                self.silent.entry(node).or_insert(silence);
            }
            _ => self.lose(world, &node),
        }
    }

    /// A machine is taken away, and whoever rents it out deletes the node.
    fn lose(&mut self, world: &World, node: &str) {
        if names(world).len() > LEAST {
            world.act_on("cloud", Verb::Delete, NODES, ("", node), None, Value::Null);
        } else {
            taint(world, node, &[]);
        }
        self.silent.remove(node);
    }

    /// The node lifecycle controller: the node is tainted, what ran on it is not Ready any more, and is taken away after a while
    /// where it does not tolerate that. Only the kubelet can say that it has ended.
    fn mark_silent_ones(&self, world: &World) {
        for (node, silence) in &self.silent {
            let silent_for = silence.since.elapsed();
            if silent_for < MONITOR_GRACE {
                continue;
            }
            let marks = ["NoSchedule", "NoExecute"].map(|effect| json!({ "key": UNREACHABLE, "effect": effect }));
            taint(world, node, &marks);
            let leaves = silent_for >= MONITOR_GRACE + self.tolerated_for;
            for pod in pods(world).iter().filter(|pod| text(pod, "/spec/nodeName") == node) {
                if says(pod, "Ready") {
                    say(world, pod, "Ready", "False", "NodeNotReady", &[]);
                }
                if leaves && !is_deleting(pod) && !tolerates(pod, &marks[1]) {
                    say(world, pod, "DisruptionTarget", "True", "DeletionByTaintManager", &[]);
                    world.act("node-controller", Verb::Delete, PODS, name(pod), None, Value::Null);
                }
            }
        }
    }

    /// The collector of pods: those whose node is no more end, and go.
    fn collect_pods(&mut self, world: &World) {
        let nodes = names(world);
        let bound = |pod: &&Arc<Value>| {
            let node = text(pod, "/spec/nodeName");
            !node.is_empty() && !nodes.iter().any(|one| one == node)
        };
        let all = pods(world);
        let without: Vec<&Arc<Value>> = all.iter().filter(bound).collect();
        self.orphaned.retain(|known, _| without.iter().any(|pod| uid(pod) == known));
        for pod in without {
            let since = *self.orphaned.entry(uid(pod).to_owned()).or_insert_with(Instant::now);
            if since.elapsed() < QUARANTINE {
                continue;
            }
            if !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
                let failed = [("phase", json!("Failed"))];
                say(world, pod, "DisruptionTarget", "True", "DeletionByPodGC", &failed);
            }
            world.act("pod-collector", Verb::Delete, PODS, name(pod), None, json!({ "gracePeriodSeconds": 0 }));
        }
    }

    /// All nodes that are there are well again.
    pub(crate) fn heal(&mut self, world: &World) {
        self.trouble = false;
        self.silent.clear();
        for node in names(world) {
            cordon(world, &node, false);
            taint(world, &node, &[]);
        }
    }
}

/// The nodes of another world, in place of those at first.
pub(crate) fn copy(from: &World, to: &World) {
    for node in names(to) {
        to.act_on("cloud", Verb::Delete, NODES, ("", &node), None, Value::Null);
    }
    for node in from.server.read(|store| store.all(NODES).cloned().collect::<Vec<_>>()) {
        create(to, name(&node), &node["metadata"]["labels"]);
    }
}

fn join(world: &World, number: usize) {
    let zone = zones::ALL[number % zones::ALL.len()];
    create(world, &format!("node-{number}"), &json!({ "zone": format!("{}", number % 2), zones::LABEL: zone }));
}

fn create(world: &World, name: &str, labels: &Value) {
    let node =
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels }, "spec": {} });
    world.act_on("kubelet", Verb::Create, NODES, ("", ""), None, node);
}

fn names(world: &World) -> Vec<String> {
    world.server.read(|store| store.all(NODES).map(|node| name(node).to_owned()).collect())
}

fn pods(world: &World) -> Vec<Arc<Value>> {
    world.server.read(|store| store.all(PODS).cloned().collect())
}

pub(crate) fn cordon(world: &World, node: &str, cordoned: bool) {
    let spec = json!({ "spec": { "unschedulable": cordoned } });
    world.act_on("person", Verb::Merge, NODES, ("", node), None, spec);
}

fn taint(world: &World, node: &str, taints: &[Value]) {
    world.act_on("node-controller", Verb::Merge, NODES, ("", node), None, json!({ "spec": { "taints": taints } }));
}

/// A controller says something of a pod by a condition, and more.
fn say(world: &World, pod: &Value, type_: &str, status: &str, reason: &str, more: &[(&str, Value)]) {
    let now =
        json!({ "type": type_, "status": status, "reason": reason, "lastTransitionTime": world.now().to_string() });
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let others = conditions.filter(|one| text(one, "/type") != type_).cloned();
    let mut status = json!({ "conditions": others.chain([now]).collect::<Vec<_>>() });
    for (member, value) in more {
        status[*member] = value.clone();
    }
    world.act("node-controller", Verb::Merge, PODS, name(pod), Some("status"), json!({ "status": status }));
}
