//! A load balancer controller: it says by a readiness gate whether a pod's target is healthy, sooner or later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::task::{PODS, condition, has_gate, is_deleting, name, says, text, uid};
use crate::world::World;

/// The gate, as the AWS Load Balancer Controller names its own.
pub(crate) const GATE: &str = "target-health.elbv2.k8s.aws/web";

/// The controller.
pub(crate) struct Targets {
    chance: Chance,
    /// How many in a thousand targets come late, or not at all.
    pub(crate) trouble: u64,
    registered: BTreeMap<String, Target>,
}

/// What becomes of a target.
#[derive(Debug, Clone, Copy)]
struct Target {
    known_since: Timestamp,
    /// Whether the controller says at once that it does not know yet, or nothing.
    announces: bool,
    healthy_after: i64,
    /// When it fails for a while.
    fails: Option<(i64, i64)>,
}

impl Targets {
    pub(crate) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, 8), trouble: 0, registered: BTreeMap::new() }
    }

    /// From now on every target becomes healthy soon, and stays so.
    pub(crate) fn heal(&mut self) {
        self.trouble = 0;
        for target in self.registered.values_mut() {
            (target.healthy_after, target.fails) = (target.healthy_after.min(5), None);
        }
    }

    fn meet(&mut self, now: Timestamp) -> Target {
        let chance = &mut self.chance;
        let seconds = |number: u64| i64::try_from(number).unwrap_or(0);
        let late = chance.happens(self.trouble);
        let healthy_after = seconds(if late { chance.between(60, 900) } else { chance.between(1, 20) });
        let fails = chance.happens(self.trouble).then(|| {
            let from = seconds(chance.between(20, 120));
            (from, from + seconds(chance.between(1, 60)))
        });
        Target { known_since: now, announces: chance.happens(500), healthy_after, fails }
    }

    /// Says what is due of the targets that wait for it.
    pub(crate) fn step(&mut self, world: &World) {
        let now = Timestamp::from_second(world.now().as_second()).unwrap();
        let gated = |pod: &&Arc<Value>| has_gate(pod, GATE) && !text(pod, "/spec/nodeName").is_empty();
        let pods: Vec<Arc<Value>> = world.server.read(|store| store.all(PODS).filter(gated).cloned().collect());
        let there: BTreeSet<&str> = pods.iter().map(|pod| uid(pod)).collect();
        self.registered.retain(|known, _| there.contains(known.as_str()));
        for pod in pods.iter().filter(|pod| !is_deleting(pod) && says(pod, "ContainersReady")) {
            if !self.registered.contains_key(uid(pod)) {
                let target = self.meet(now);
                self.registered.insert(uid(pod).to_owned(), target);
            }
            let target = self.registered[uid(pod)];
            let age = now.duration_since(target.known_since).as_secs();
            let fails = target.fails.is_some_and(|(from, until)| (from..until).contains(&age));
            let healthy = age >= target.healthy_after && !fails;
            let told = condition(pod, GATE);
            if told.is_none() && !healthy && !target.announces {
                continue;
            }
            let status = if healthy { "True" } else { "False" };
            if told.is_none_or(|told| text(told, "/status") != status) {
                let told = json!({ "type": GATE, "status": status, "lastTransitionTime": now.to_string() });
                let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
                let others = conditions.filter(|one| text(one, "/type") != GATE).cloned();
                let conditions: Vec<Value> = others.chain([told]).collect();
                let status = json!({ "status": { "conditions": conditions } });
                world.act("load-balancer", Verb::Merge, PODS, name(pod), Some("status"), status);
            }
        }
    }
}
