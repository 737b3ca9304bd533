//! What an operator has been told of pods and services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::task::{PODS, SERVICES, bounds, is_deleting, is_healthy, name, service_of, uid};

/// The state before the present instant, and the newest one.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    changed: Option<Instant>,
    before: State,
    now: State,
    /// Services as they were until some time ago.
    past: Vec<(Instant, Arc<Value>)>,
}

/// How long the writes of one pass may take after it was planned: stops come first, and are waited for.
const PASS: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Default)]
struct State {
    pods: BTreeMap<String, Arc<Value>>,
    services: BTreeMap<String, Arc<Value>>,
}

impl State {
    fn of(&mut self, resource: &str) -> Option<&mut BTreeMap<String, Arc<Value>>> {
        match resource {
            PODS => Some(&mut self.pods),
            SERVICES => Some(&mut self.services),
            _ => None,
        }
    }

    fn service(&self, owner: &str) -> Option<&Value> {
        self.services.values().map(AsRef::as_ref).find(|service| uid(service) == owner)
    }

    /// Whether one more stop, which is in `deleted` already, leaves enough.
    fn judge(&self, owner: &str, deleted: &BTreeSet<String>) -> Result<(), String> {
        let Some(service) = self.service(owner).filter(|service| !is_deleting(service)) else { return Ok(()) };
        let floor = bounds(service).0;
        let counts =
            |pod: &&Arc<Value>| service_of(pod) == Some(owner) && is_healthy(pod) && !deleted.contains(uid(pod));
        let left = self.pods.values().filter(counts).count();
        if left >= floor { Ok(()) } else { Err(format!("leaves {left} healthy tasks, and the floor is {floor}")) }
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
        if gone {
            objects.remove(name(object));
        } else {
            objects.insert(name(object).to_owned(), Arc::new(object.clone()));
        }
    }

    /// The view as it is at an instant.
    pub(crate) fn at(mut self, now: Instant) -> Self {
        if self.changed.is_none_or(|changed| changed < now) {
            self.before = self.now.clone();
        }
        self
    }

    /// Whether a stop of a healthy task is right in one of the two states.
    pub(crate) fn judge(&self, owner: &str, deleted: &BTreeSet<String>) -> Result<(), String> {
        self.before.judge(owner, deleted).or_else(|_| self.now.judge(owner, deleted))
    }

    /// The highest ceiling that a pass which is not over yet may have been planned with.
    pub(crate) fn ceiling(&self, owner: &str) -> Option<usize> {
        let past = self.past.iter().filter(|(until, service)| until.elapsed() < PASS && uid(service) == owner);
        let past = past.map(|(_, service)| bounds(service).1).max();
        past.max(self.now.service(owner).map(|service| bounds(service).1))
    }
}
