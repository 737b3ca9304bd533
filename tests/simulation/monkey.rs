//! Somebody who meddles with pods.

use std::sync::Arc;

use longshore::api::labels;
use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::task::{CLUSTERS, PODS, SERVICES, name, service_of, uid};
use crate::world::World;

/// The condition that another controller has on services.
pub(crate) const FOREIGN_CONDITION: &str = "Audited";

/// Deletes, evicts, ends and relabels pods.
pub(crate) struct Monkey {
    chance: Chance,
    services: Chance,
    owners: Chance,
    made: u64,
}

impl Monkey {
    pub(crate) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, 5), services: Chance::new(seed, 10), owners: Chance::new(seed, 21), made: 0 }
    }

    pub(crate) fn step(&mut self, world: &World) {
        self.mark_a_service(world);
        if self.owners.happens(8) {
            self.own(world);
        }
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

    /// Another controller has its own label, and its own condition, on services.
    fn mark_a_service(&mut self, world: &World) {
        if !self.services.happens(15) {
            return;
        }
        let services: Vec<Arc<Value>> = world.server.read(|store| store.all(SERVICES).cloned().collect());
        let Some(service) = self.services.one_of(&services) else { return };
        let number = self.services.below(3);
        if self.services.happens(500) {
            let label = json!({ "metadata": { "labels": { "audit": number.to_string() } } });
            world.act("auditor", Verb::Merge, SERVICES, name(service), None, label);
        } else {
            let condition = json!({
                "type": FOREIGN_CONDITION, "status": "True", "reason": format!("Level{number}"), "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            });
            let status = json!({
                "apiVersion": service["apiVersion"], "kind": service["kind"], "metadata": { "name": name(service) },
                "status": { "conditions": [condition] },
            });
            world.act("auditor", Verb::Apply, SERVICES, name(service), Some("status"), status);
        }
    }

    /// A task gets a second owner, which makes it nobody else's task; or there is a pod that says all that a task says, and another
    /// controller owns it.
    fn own(&mut self, world: &World) {
        let (pods, cluster) = world.server.read(|store| {
            let tasks = store.all(PODS).filter(|pod| service_of(pod).is_some()).cloned();
            (tasks.collect::<Vec<Arc<Value>>>(), store.all(CLUSTERS).next().cloned())
        });
        let (Some(task), Some(cluster)) = (self.owners.one_of(&pods), cluster) else { return };
        let foreign = |controls: bool| {
            json!({
                "apiVersion": cluster["apiVersion"], "kind": "Cluster", "name": name(&cluster), "uid": uid(&cluster),
                "controller": controls,
            })
        };
        let mut owners = task["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        if self.owners.happens(500) {
            owners.push(foreign(false));
            let patch = json!({ "metadata": { "ownerReferences": owners } });
            world.act("monkey", Verb::Merge, PODS, name(task), None, patch);
        } else {
            self.made += 1;
            for owner in &mut owners {
                owner["controller"] = json!(false);
            }
            owners.push(foreign(true));
            let metadata = json!({
                "name": format!("planted-{}", self.made), "ownerReferences": owners,
                "labels": task["metadata"]["labels"], "annotations": task["metadata"]["annotations"],
            });
            let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": { "containers": task["spec"]["containers"] } });
            world.act("monkey", Verb::Create, PODS, "", None, pod);
        }
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
