//! What an operator has been told of pods and services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use longshore::api::labels;
use serde_json::Value;
use tokio::time::Instant;

use crate::controls::{is_of_primary, paused};
use crate::daemons::{eligible_of, floor, is_daemon, is_draining, satisfies, takes_tasks};
use crate::task::{
    NODES, PODS, SERVICES, annotation, bounds, is_deleting, is_healthy, is_live, label, name, number, service_of, text,
    uid,
};
use crate::world;
use crate::zones;

/// The state before the present instant, and the newest one.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    changed: Option<Instant>,
    before: State,
    now: State,
    /// Services as they were until some time ago.
    past: Vec<(Instant, Arc<Value>)>,
    /// The same of nodes.
    past_nodes: Vec<(Instant, Arc<Value>)>,
    /// Since when it has been known of pods that they are protected.
    protected: BTreeMap<String, Instant>,
    /// The same of nodes that drain.
    draining: BTreeMap<String, Instant>,
}

/// How long the writes of one pass may take after it was planned: stops come first, and are waited for.
const PASS: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Default)]
struct State {
    pods: BTreeMap<String, Arc<Value>>,
    services: BTreeMap<String, Arc<Value>>,
    nodes: BTreeMap<String, Arc<Value>>,
}

impl State {
    fn of(&mut self, resource: &str) -> Option<&mut BTreeMap<String, Arc<Value>>> {
        match resource {
            PODS => Some(&mut self.pods),
            SERVICES => Some(&mut self.services),
            NODES => Some(&mut self.nodes),
            _ => None,
        }
    }

    fn service(&self, owner: &str) -> Option<&Value> {
        self.services.values().map(AsRef::as_ref).find(|service| uid(service) == owner)
    }

    /// Whether one more stop, which is in `deleted` already, leaves enough.
    fn judge(&self, owner: &str, stopped: &Value, deleted: &BTreeSet<String>) -> Result<(), String> {
        let Some(service) = self.service(owner).filter(|service| !is_deleting(service)) else { return Ok(()) };
        let is_daemon = is_daemon(service);
        if is_daemon && self.must_leave(service, stopped) {
            return Ok(());
        }
        let floor = if is_daemon {
            let kept = self.pods.values().filter(|pod| !deleted.contains(uid(pod)));
            floor(service, eligible_of(service, self.nodes.values(), kept).len())
        } else {
            bounds(service).0
        };
        let counts =
            |pod: &&Arc<Value>| service_of(pod) == Some(owner) && is_healthy(pod) && !deleted.contains(uid(pod));
        let left = self.pods.values().filter(counts).count();
        if left >= floor { Ok(()) } else { Err(format!("leaves {left} healthy tasks, and the floor is {floor}")) }
    }

    /// Whether a DAEMON task is not to stay on its node: "daemon tasks are stopped after replica tasks".
    fn must_leave(&self, service: &Value, task: &Value) -> bool {
        let name = annotation(task, labels::NODE);
        let Some(node) = self.nodes.get(name) else { return true };
        let is_replica = |pod: &&Arc<Value>| {
            service_of(pod).is_some() && annotation(pod, labels::NODE).is_empty() && text(pod, "/spec/nodeName") == name
        };
        let waits = is_draining(node) && self.pods.values().any(|pod| is_replica(&pod) && is_live(pod));
        !satisfies(service, node) || (is_draining(node) && !waits)
    }
}

impl View {
    fn begin(&mut self) {
        let now = Instant::now();
        if self.changed.is_none_or(|changed| changed < now) {
            self.before = self.now.clone();
            self.changed = Some(now);
        }
    }

    /// A list has come.
    pub(crate) fn replace(&mut self, resource: &str, items: Vec<Value>) {
        self.begin();
        if let Some(objects) = self.now.of(resource) {
            *objects = items.into_iter().map(|object| (name(&object).to_owned(), Arc::new(object))).collect();
        }
    }

    /// An event has come.
    pub(crate) fn change(&mut self, resource: &str, object: &Value, gone: bool) {
        self.begin();
        let Some(objects) = self.now.of(resource) else { return };
        if resource == SERVICES {
            self.past.retain(|(until, _)| until.elapsed() < PASS);
            self.past.extend(objects.get(name(object)).map(|old| (Instant::now(), old.clone())));
        }
        if resource == NODES {
            self.past_nodes.retain(|(until, _)| until.elapsed() < PASS);
            self.past_nodes.extend(objects.get(name(object)).map(|old| (Instant::now(), old.clone())));
        }
        if resource == PODS {
            let until = annotation(object, labels::PROTECTED_UNTIL).parse().unwrap_or(Timestamp::MIN);
            if until > world::latest() {
                self.protected.entry(uid(object).to_owned()).or_insert_with(Instant::now);
            } else {
                self.protected.remove(uid(object));
            }
        }
        if resource == NODES && is_draining(object) && !gone {
            self.draining.entry(name(object).to_owned()).or_insert_with(Instant::now);
        } else if resource == NODES {
            self.draining.remove(name(object));
        }
        if gone {
            objects.remove(name(object));
        } else {
            objects.insert(name(object).to_owned(), Arc::new(object.clone()));
        }
    }

    /// A pod was asked for, and is not there.
    pub(crate) fn is_gone(&mut self, pod: &str) {
        self.begin();
        self.now.pods.remove(pod);
    }

    /// The view as it is at an instant.
    pub(crate) fn at(mut self, now: Instant) -> Self {
        if self.changed.is_none_or(|changed| changed < now) {
            self.before = self.now.clone();
        }
        self
    }

    /// Whether a stop of a healthy task is right in one of the two states.
    pub(crate) fn judge(&self, owner: &str, stopped: &Value, deleted: &BTreeSet<String>) -> Result<(), String> {
        self.before.judge(owner, stopped, deleted).or_else(|_| self.now.judge(owner, stopped, deleted))
    }

    /// Whether a node might get a DAEMON task when a pass was planned that is not over yet.
    pub(crate) fn takes_task(&self, owner: &str, node: &str) -> bool {
        let lately = |(until, one): &&(Instant, Arc<Value>)| until.elapsed() < PASS && name(one) == node;
        let nodes = self.past_nodes.iter().filter(lately).map(|(_, one)| one);
        let services: Vec<&Value> = self.lately(owner).collect();
        let mut nodes = nodes.chain(self.now.nodes.get(node));
        nodes.any(|node| services.iter().any(|service| takes_tasks(service, node)))
    }

    /// A service as a pass may have known it that is not over yet, the newest last.
    fn lately(&self, owner: &str) -> impl Iterator<Item = &Value> {
        let past = self.past.iter().filter(move |(until, service)| until.elapsed() < PASS && uid(service) == owner);
        past.map(|(_, service)| &**service).chain(self.now.service(owner))
    }

    /// Whether a pass that is not over yet may move tasks of a service to another zone.
    pub(crate) fn may_move(&self, owner: &str) -> bool {
        self.lately(owner).any(zones::may_move)
    }

    /// Whether a healthy task of the deployment that is PRIMARY, and has been for longer than a pass takes, is one of more than
    /// there are to be in one of the two states. None but these stop, unless their node goes or others have to stay.
    pub(crate) fn judge_surplus(&self, owner: &str, stopped: &Value, deleted: &BTreeSet<String>) -> Result<(), String> {
        let deployment = label(stopped, labels::DEPLOYMENT);
        let is_old = self.lately(owner).any(|service| !is_of_primary(service, stopped));
        let fewest = self.lately(owner).map(|service| number(service, "/spec/desiredCount")).min().unwrap_or(0);
        let left = |state: &State| {
            let counts = |pod: &&Arc<Value>| {
                let is_of = service_of(pod) == Some(owner) && label(pod, labels::DEPLOYMENT) == deployment;
                is_of && is_healthy(pod) && !deleted.contains(uid(pod))
            };
            i64::try_from(state.pods.values().filter(counts).count()).unwrap_or(0)
        };
        let left = left(&self.before).max(left(&self.now));
        let stays = |pod: &Arc<Value>| !annotation(pod, labels::PROTECTED_UNTIL).is_empty();
        if is_old || left >= fewest || self.now.pods.values().any(stays) {
            return Ok(());
        }
        Err(format!("leaves {left} healthy tasks of the deployment, and {fewest} are wanted"))
    }

    /// The deployment of a service that was paused when the oldest pass was planned that may not be over yet, and still is.
    pub(crate) fn paused(&self, owner: &str) -> Option<&str> {
        let mut past = self.past.iter().filter(|(until, service)| until.elapsed() < PASS && uid(service) == owner);
        let now = paused(self.now.service(owner)?)?;
        past.all(|(_, service)| paused(service) == Some(now)).then_some(now)
    }

    /// A service as it was when the oldest pass was planned that may not be over yet.
    pub(crate) fn earlier(&self, owner: &str) -> Option<&Value> {
        let mut past = self.past.iter().filter(|(until, service)| until.elapsed() < PASS && uid(service) == owner);
        past.next().map(|(_, service)| &**service).or_else(|| self.now.service(owner))
    }

    /// What is wrong with the stop of a task of a deployment that pauses: nothing, where there are more tasks than the ceiling allows, in
    /// one of the two states or by now.
    pub(crate) fn judge_pause(&self, owner: &str, now: usize, deleted: &BTreeSet<String>) -> Result<(), String> {
        let live = |state: &State| {
            let counts =
                |pod: &&Arc<Value>| service_of(pod) == Some(owner) && is_live(pod) && !deleted.contains(uid(pod));
            state.pods.values().filter(counts).count()
        };
        let left = live(&self.before).max(live(&self.now)).max(now);
        let lowest = self.lately(owner).map(|service| bounds(service).1).min().unwrap_or(0);
        if left >= lowest { Ok(()) } else { Err(format!("the deployment pauses, and the ceiling is {lowest}")) }
    }

    /// Whether a pod has been protected for longer than a pass takes.
    pub(crate) fn is_protected(&self, pod: &Value) -> bool {
        self.protected.get(uid(pod)).is_some_and(|since| since.elapsed() > PASS)
    }

    /// Whether the node of a task has been draining for longer than a pass takes.
    pub(crate) fn drains(&self, pod: &Value) -> bool {
        self.draining.get(text(pod, "/spec/nodeName")).is_some_and(|since| since.elapsed() > PASS)
    }

    /// Whether the node of a task drains or is gone in one of the two states.
    pub(crate) fn is_leaving(&self, pod: &Value) -> bool {
        let node = text(pod, "/spec/nodeName");
        [&self.before, &self.now].into_iter().any(|state| state.nodes.get(node).is_none_or(|node| is_draining(node)))
    }

    /// The highest ceiling that a pass which is not over yet may have been planned with.
    pub(crate) fn ceiling(&self, owner: &str) -> Option<usize> {
        let past = self.past.iter().filter(|(until, service)| until.elapsed() < PASS && uid(service) == owner);
        let past = past.map(|(_, service)| bounds(service).1).max();
        past.max(self.now.service(owner).map(|service| bounds(service).1))
    }
}
