//! People: they write what they want, and change their minds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::daemons::{CONSTRAINT, eligible, floor, is_daemon};
use crate::task::{CLUSTERS, DEFINITIONS, PODS, SERVICES, condition, name, text};
use crate::world::World;

/// Minimum and maximum healthy percent.
const PERCENTS: [(i64, i64); 7] = [(100, 200), (50, 100), (50, 200), (0, 100), (75, 150), (100, 150), (0, 200)];
/// Those that leave so little room that a service of a few tasks may stall, drawn apart from the others.
const NARROW_PERCENTS: [(i64, i64); 3] = [(75, 125), (100, 110), (99, 100)];
/// Those of DAEMON services, which have no room above.
const DAEMON_PERCENTS: [i64; 5] = [0, 25, 50, 80, 99];

/// How long people wait for what they have tried.
const HELPED_AGAIN: Duration = Duration::from_mins(3);

/// What people want.
pub(crate) struct People {
    chance: Chance,
    /// Which services have a circuit breaker, and of which sort.
    breakers: Chance,
    percents: Chance,
    names: Vec<&'static str>,
    /// When a service that has given up was last given something new.
    helped: BTreeMap<&'static str, Instant>,
    image: u64,
    /// Whether they look after DAEMON services.
    daemons: bool,
}

impl People {
    pub(crate) fn new(seed: u64, services: usize) -> Self {
        let names = ["web", "api", "job"].into_iter().take(services).collect();
        Self {
            chance: Chance::new(seed, 4),
            breakers: Chance::new(seed, 9),
            percents: Chance::new(seed, 15),
            names,
            helped: BTreeMap::new(),
            image: 1,
            daemons: false,
        }
    }

    /// Those who look after a DAEMON service.
    pub(crate) fn of_daemons(seed: u64) -> Self {
        let (chance, breakers) = (Chance::new(seed, 11), Chance::new(seed, 12));
        Self { chance, breakers, names: vec!["agent"], daemons: true, ..Self::new(seed, 0) }
    }

    /// Everything that there is to be.
    pub(crate) fn begin(&mut self, world: &World) {
        create(world, CLUSTERS, "Cluster", "default", &json!({}));
        for name in self.names.clone() {
            self.define(world, name);
            self.serve(world, name);
        }
    }

    fn define(&mut self, world: &World, name: &str) {
        let mut container = json!({ "name": "app", "image": format!("app:{}", self.image), "essential": true });
        if self.chance.happens(500) {
            container["healthCheck"] = json!({ "command": ["CMD-SHELL", "true"] });
        }
        let spec = json!({ "cpu": "64", "memory": "64", "containerDefinitions": [container] });
        create(world, DEFINITIONS, "TaskDefinition", name, &spec);
    }

    fn percents(&mut self) -> Value {
        if self.daemons {
            let least = self.chance.one_of(&DAEMON_PERCENTS).copied().unwrap_or(0);
            return json!({ "minimumHealthyPercent": least, "maximumPercent": 100 });
        }
        let (least, most) = self.chance.one_of(&PERCENTS).copied().unwrap_or((100, 200));
        let is_narrow = self.percents.happens(250);
        let narrow = self.percents.one_of(&NARROW_PERCENTS).copied().filter(|_| is_narrow);
        let (least, most) = narrow.unwrap_or((least, most));
        json!({ "minimumHealthyPercent": least, "maximumPercent": most })
    }

    fn serve(&mut self, world: &World, name: &str) {
        let mut spec = json!({ "taskDefinition": name, "deploymentConfiguration": self.percents() });
        if self.daemons {
            spec["schedulingStrategy"] = json!("DAEMON");
        } else {
            spec["desiredCount"] = json!(self.chance.between(1, 5));
        }
        if self.breakers.happens(500) {
            spec["deploymentConfiguration"]["deploymentCircuitBreaker"] = json!({
                "enable": true,
                "rollback": self.breakers.happens(500),
                "resetOnHealthyTask": self.breakers.happens(500),
            });
        }
        create(world, SERVICES, "Service", name, &spec);
    }

    /// A new image: a new revision, and a new deployment.
    pub(crate) fn release(&mut self, world: &World, name: &str) {
        self.image += 1;
        let container = json!({ "name": "app", "image": format!("app:{}", self.image), "essential": true });
        let spec = json!({ "spec": { "containerDefinitions": [container] } });
        world.act("person", Verb::Merge, DEFINITIONS, name, None, spec);
    }

    pub(crate) fn scale(world: &World, name: &str, count: u64) {
        let scale = json!({ "spec": { "replicas": count } });
        world.act("autoscaler", Verb::Merge, SERVICES, name, Some("scale"), scale);
    }

    /// Somebody does something, now and then.
    pub(crate) fn step(&mut self, world: &World) {
        if !self.chance.happens(25) {
            return;
        }
        let Some(name) = self.chance.one_of(&self.names.clone()).copied() else { return };
        match self.chance.below(12) {
            0..=2 if self.daemons => {
                let there = json!([{ "type": "memberOf", "expression": CONSTRAINT }]);
                let constraints = if self.chance.happens(500) { there } else { json!([]) };
                let patch = json!({ "spec": { "placementConstraints": constraints } });
                world.act("person", Verb::Merge, SERVICES, name, None, patch);
            }
            0..=2 => {
                let count = self.chance.below(7);
                Self::scale(world, name, count);
            }
            3..=5 => self.release(world, name),
            6 | 7 => {
                let patch = json!({ "spec": { "deploymentConfiguration": self.percents() } });
                world.act("person", Verb::Merge, SERVICES, name, None, patch);
            }
            8 => {
                world.act("person", Verb::Delete, SERVICES, name, None, Value::Null);
            }
            9 => self.serve(world, name),
            10 => {
                let cordoned = json!({ "spec": { "unschedulable": self.chance.happens(500) } });
                world.act_on("person", Verb::Merge, "nodes", ("", "node-0"), None, cordoned);
            }
            _ => {
                world.act("person", Verb::Delete, DEFINITIONS, name, None, Value::Null);
            }
        }
    }

    /// What was meant to be there is put back, and nothing is asked for that cannot be done.
    pub(crate) fn calm_down(&mut self, world: &World) {
        world.act_on(
            "person",
            Verb::Merge,
            "nodes",
            ("", "node-0"),
            None,
            json!({ "spec": { "unschedulable": false } }),
        );
        let services: Vec<Arc<Value>> = world.server.read(|store| store.all(SERVICES).cloned().collect());
        for service in &services {
            let (least, most) = crate::task::bounds(service);
            let desired = usize::try_from(crate::task::number(service, "/spec/desiredCount")).unwrap_or(0);
            let is_blocked = if is_daemon(service) {
                let nodes = world.server.read(|store| eligible(service, store).len());
                nodes > 0 && floor(service, nodes) >= nodes
            } else {
                desired > 0 && least >= desired && most <= desired
            };
            if is_blocked {
                let patch = json!({ "spec": { "deploymentConfiguration": { "minimumHealthyPercent": 0 } } });
                world.act("person", Verb::Merge, SERVICES, name(service), None, patch);
            }
        }
        // A task definition whose service goes on with it never goes; whoever has deleted it did not mean that.
        for name in self.names.clone() {
            let definition = world.server.read(|store| store.get(DEFINITIONS, World::NAMESPACE, name).cloned());
            if definition.is_some_and(|definition| crate::task::is_deleting(&definition)) {
                world.act("person", Verb::Delete, SERVICES, name, None, Value::Null);
            }
        }
        self.restore(world);
    }

    /// Whoever sees that a deployment has failed tries another one, after a while. A pod that is said to be in the way is deleted: it
    /// was made for the service, and has lost what says so before anybody saw it.
    fn help(&mut self, world: &World, name: &'static str) {
        let service = world.server.read(|store| store.get(SERVICES, World::NAMESPACE, name).cloned());
        let Some(ready) = service.as_ref().and_then(|service| condition(service, "Ready")) else { return };
        let lately = self.helped.get(name).is_some_and(|at| at.elapsed() < HELPED_AGAIN);
        if lately {
            return;
        }
        let (reason, message) = (text(ready, "/reason"), text(ready, "/message"));
        let in_the_way = message.strip_prefix("Pod ").and_then(|rest| Some(rest.split_once(" exists already")?.0));
        match (reason, in_the_way) {
            ("DeploymentFailed" | "RolledBack", _) => self.release(world, name),
            ("WriteRefused", Some(pod)) => {
                world.act("person", Verb::Delete, PODS, pod, None, Value::Null);
            }
            _ => return,
        }
        self.helped.insert(name, Instant::now());
    }

    /// Creates what is not there; a service only once its task definition is there to stay.
    pub(crate) fn restore(&mut self, world: &World) {
        for name in self.names.clone() {
            let (definition, served) = world.server.read(|store| {
                let served = store.get(SERVICES, World::NAMESPACE, name).is_some();
                (store.get(DEFINITIONS, World::NAMESPACE, name).cloned(), served)
            });
            let going = definition.as_ref().is_some_and(crate::task::is_deleting);
            if definition.is_none() {
                self.define(world, name);
            }
            if !served && !going {
                let strategy = if self.daemons { "DAEMON" } else { "REPLICA" };
                let spec = json!({ "taskDefinition": name, "desiredCount": 3, "schedulingStrategy": strategy });
                create(world, SERVICES, "Service", name, &spec);
            }
            self.help(world, name);
        }
    }
}

/// A person creates an object.
pub(crate) fn create(world: &World, resource: &str, kind: &str, name: &str, spec: &Value) {
    let object = json!({
        "apiVersion": "ecs.longshore.dev/v1alpha1",
        "kind": kind,
        // What a deployment tool leaves on an object is none of its pods' business.
        "metadata": { "name": name, "annotations": { "argocd.argoproj.io/sync-wave": "1" } },
        "spec": spec,
    });
    world.act("person", Verb::Create, resource, "", None, object);
}
