//! Availability Zones: where nodes are, which services are to be even between them, and whether they are. People ask for it and
//! think better of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use longshore_test_apiserver::{Store, Verb};
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::daemons::{is_daemon, is_draining, is_tainted};
use crate::task::{NODES, PODS, SERVICES, bounds, is_live, name, number, service_of, text, uid};
use crate::world::World;

/// The label in which a node has its zone. The `zone` that people ask DAEMON services for is one of their own.
pub(crate) const LABEL: &str = "topology.kubernetes.io/zone";
/// All zones.
pub(crate) const ALL: [&str; 3] = ["a", "b", "c"];

/// People who have to do with zones.
pub(crate) struct Zones {
    chance: Chance,
    /// Whether it happens that a node does not say in which zone it is.
    some_forget: bool,
}

impl Zones {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 23);
        let some_forget = chance.happens(250);
        Self { chance, some_forget }
    }

    /// They ask for services to be balanced.
    pub(crate) fn begin(&mut self, world: &World) {
        for service in services(world) {
            self.ask(world, &service);
        }
        if self.some_forget {
            self.forget(world);
        }
    }

    /// They think better of it, now and then.
    pub(crate) fn step(&mut self, world: &World) {
        if !self.chance.happens(20) {
            return;
        }
        if self.some_forget && self.chance.happens(200) {
            self.forget(world);
        } else if let Some(service) = self.chance.one_of(&services(world)).cloned() {
            self.ask(world, &service);
        }
    }

    fn ask(&mut self, world: &World, service: &str) {
        let asks = if self.chance.happens(800) { json!("ENABLED") } else { json!("DISABLED") };
        let patch = json!({ "spec": { "availabilityZoneRebalancing": asks } });
        world.act("person", Verb::Merge, SERVICES, service, None, patch);
    }

    fn forget(&mut self, world: &World) {
        let nodes: Vec<String> =
            world.server.read(|store| store.all(NODES).map(|node| name(node).to_owned()).collect());
        let Some(node) = self.chance.one_of(&nodes) else { return };
        let nowhere = json!({ "metadata": { "labels": { LABEL: null } } });
        world.act_on("person", Verb::Merge, NODES, ("", node), None, nowhere);
    }
}

/// The services that can be asked for it.
fn services(world: &World) -> Vec<String> {
    let replica = |service: &&Arc<Value>| !is_daemon(service);
    world.server.read(|store| store.all(SERVICES).filter(replica).map(|service| name(service).to_owned()).collect())
}

/// The zone of a node, if it has one.
pub(crate) fn zone_of(node: &Value) -> Option<&str> {
    node["metadata"]["labels"][LABEL].as_str()
}

/// Whether tasks of a service may be moved: it asks for it, and there is room to start one before another stops.
pub(crate) fn may_move(service: &Value) -> bool {
    let desired = usize::try_from(number(service, "/spec/desiredCount")).unwrap_or(0);
    text(service, "/spec/availabilityZoneRebalancing") == "ENABLED"
        && !is_daemon(service)
        && bounds(service).1 > desired
}

/// Whether a zone is left alone because it had no room, for whatever service.
pub(crate) fn is_any_left_alone(store: &Store) -> bool {
    store.all(SERVICES).any(|service| service.pointer("/status/availabilityZoneRebalancing/avoidedZones").is_some())
}

/// How the tasks of a service at rest are uneven though they are not to be. Nothing is protected, and no zone is full for good; all
/// that is left to excuse them is a task on a node without a zone.
pub(crate) fn difference(store: &Store, service: &Value) -> Option<String> {
    let id = name(service);
    let told = &service["status"]["availabilityZoneRebalancing"];
    if !told.is_null() {
        return Some(format!("{id} is at rest, and says of its zones {told}"));
    }
    if !may_move(service) {
        return None;
    }
    let takes_tasks = |node: &&Arc<Value>| !is_draining(node) && !is_tainted(node);
    let open = store.all(NODES).filter(takes_tasks).filter_map(|node| zone_of(node));
    let open: BTreeSet<&str> = open.collect();
    let mut zones: BTreeMap<&str, usize> = open.iter().map(|zone| (*zone, 0)).collect();
    for pod in store.all(PODS).filter(|pod| service_of(pod) == Some(uid(service)) && is_live(pod)) {
        let node = store.all(NODES).find(|node| name(node) == text(pod, "/spec/nodeName"))?;
        *zones.entry(zone_of(node)?).or_default() += 1;
    }
    let (fewest, most) = (open.iter().map(|zone| zones[zone]).min()?, zones.values().max()?);
    (*most > fewest + 1).then(|| format!("{id} is uneven: {zones:?}"))
}
