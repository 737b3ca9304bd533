//! What must hold after every committed write, whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use longshore_test_apiserver::{Call, Change, Commit, Failure, Observer, Store, Verb};
use serde_json::Value;
use tokio::time::Instant;

use crate::controls::{has_failed, is_of_primary, paused};
use crate::daemons::is_draining;
use crate::failures::Failures;
use crate::promises::Promises;
use crate::scheduler::hash;
use crate::task::{
    LEASES, NODES, PODS, REVISIONS, SERVICES, annotation, bounds, condition, is_deleting, is_healthy, is_live, label,
    number, place, service_of, text, uid,
};
use crate::view::View;
use crate::world::{self, lock};
use crate::zones::zone_of;
use longshore::api::labels;

/// Most writes to one object in a minute (I11). A status is written once a second, and again after a conflict.
const WRITES_A_MINUTE: usize = 240;
/// How many of the last requests are kept for whoever reads about a failure.
const KEPT: usize = 60;

/// What has been seen so far.
#[expect(clippy::struct_excessive_bools, reason = "two are of the world, two of whoever reads")]
pub(crate) struct Ledger {
    began: Instant,
    /// What broke.
    pub(crate) broken: Vec<String>,
    /// A number that two runs share exactly if they did the same.
    pub(crate) fingerprint: u64,
    /// Requests of operators that change something.
    pub(crate) writes: u64,
    pub(crate) last_write: Instant,
    /// The last of them, and its body.
    pub(crate) last_written: String,
    pub(crate) log: VecDeque<String>,
    /// Whether two operators work of which one may be late. Each keeps the floor by what it has been told; the rest is promised
    /// where one of them leads.
    pub(crate) lenient: bool,
    /// Operators that were killed. What of them is still in memory asks for nothing that anybody hears.
    pub(crate) dead: BTreeSet<String>,
    /// Whether everything is printed at once (`LOG=all`), and what each operator is told (`LOG=views`).
    loud: bool,
    tells_views: bool,
    views: BTreeMap<String, View>,
    /// What the asker of a request that is still being carried out had seen when it asked.
    asked: BTreeMap<u64, View>,
    /// The pods that each operator has deleted.
    deleted: BTreeMap<String, BTreeSet<String>>,
    recent: BTreeMap<(String, String), VecDeque<Instant>>,
    failures: Failures,
    promises: Promises,
    /// Whether the operators' clocks go wrong.
    pub(crate) is_clock_off: bool,
}

/// What a person who reads the log wants to know of a pod, a service or a node.
fn in_short(object: &Value) -> String {
    let deployments = object.pointer("/status/deployments").and_then(Value::as_array).into_iter().flatten();
    let deployments = deployments.map(|one| {
        let failures = number(one, "/deploymentCircuitBreaker/failureCount");
        format!("{} {} {} {failures}", text(one, "/id"), text(one, "/status"), text(one, "/rolloutState"))
    });
    let deployments: Vec<String> = deployments.collect();
    let cordoned = if is_draining(object) { "cordoned " } else { "" };
    let taints = object.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten();
    let taints: Vec<&str> = taints.map(|taint| text(taint, "/key")).collect();
    format!("{}{}{cordoned}{}", place(object), deployments.join(", "), taints.join(" "))
}

/// The observer that keeps the ledger.
pub(crate) struct Watchdog(pub(crate) Arc<Mutex<Ledger>>);

/// Whether it is an operator that asks.
fn is_operator(call: &Call) -> bool {
    call.actor.starts_with("operator")
}

impl Ledger {
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            broken: Vec::new(),
            fingerprint: 0,
            writes: 0,
            last_write: began,
            last_written: String::new(),
            log: VecDeque::new(),
            lenient: false,
            dead: BTreeSet::new(),
            loud: std::env::var_os("LOG").is_some(),
            tells_views: std::env::var_os("LOG").is_some_and(|log| log == "views"),
            views: BTreeMap::new(),
            asked: BTreeMap::new(),
            deleted: BTreeMap::new(),
            recent: BTreeMap::new(),
            failures: Failures::default(),
            promises: Promises::default(),
            is_clock_off: false,
        }
    }

    /// A line of the log.
    pub(crate) fn note(&mut self, line: &str) {
        let line = format!("{:9.3} {line}", self.began.elapsed().as_secs_f64());
        self.fingerprint = hash(&format!("{} {line}", self.fingerprint));
        if self.loud {
            eprintln!("{line}");
        }
        self.log.push_back(line);
        if self.log.len() > KEPT {
            self.log.pop_front();
        }
    }

    fn broke(&mut self, invariant: &str, what: &str) {
        self.note(&format!("BROKEN {invariant}: {what}"));
        self.broken.push(format!("{invariant}: {what}"));
    }

    fn require(&mut self, holds: bool, invariant: &str, what: impl FnOnce() -> String) {
        if !holds {
            let what = what();
            self.broke(invariant, &what);
        }
    }

    /// I11: bounded rate.
    fn count(&mut self, call: &Call) {
        self.writes += 1;
        self.last_write = Instant::now();
        self.last_written =
            format!("{} {:?} {} {} {}", call.actor, call.verb, call.resource.plural, call.name, call.body);
        let id = text(&call.body, "/metadata/name");
        let key = (call.resource.id(), if call.name.is_empty() { id.to_owned() } else { call.name.clone() });
        let recent = self.recent.entry(key.clone()).or_default();
        recent.push_back(Instant::now());
        while recent.front().is_some_and(|at| at.elapsed() > Duration::from_mins(1)) {
            recent.pop_front();
        }
        let count = recent.len();
        self.require(count <= WRITES_A_MINUTE, "I11", || format!("{count} writes within a minute to {key:?}"));
    }

    fn committed(&mut self, commit: &Commit<'_>, store: &Store) {
        let (call, change) = (commit.call, commit.change);
        if is_operator(call) {
            match change.key.resource.as_str() {
                PODS => self.pod_written(commit, store),
                LEASES => {}
                _ => self.object_written(call, change),
            }
        }
        if change.key.resource == PODS {
            self.bound(change, store);
            self.failures.see(change, is_operator(call));
            self.promises.see(change);
        }
        if change.key.resource == SERVICES
            && let (Some(before), Some(after)) = (&change.before, &change.after)
        {
            self.status_written(before, after);
        }
    }

    fn pod_written(&mut self, commit: &Commit<'_>, store: &Store) {
        match (&commit.change.before, &commit.change.after) {
            (None, Some(pod)) => self.started(commit, pod, store),
            (Some(pod), _) if commit.call.verb == Verb::Delete => self.stopped(commit, pod, store),
            (Some(pod), _) if commit.call.subresource.as_deref() == Some("eviction") => {
                self.stopped(commit, pod, store);
            }
            (Some(pod), _) => {
                self.broke("I8", &format!("the operator has changed the pod {}", text(pod, "/metadata/name")));
            }
            (None, None) => {}
        }
    }

    fn started(&mut self, commit: &Commit<'_>, pod: &Value, store: &Store) {
        let name = text(pod, "/metadata/name").to_owned();
        let Some(owner) = service_of(pod) else {
            self.broke("I4", &format!("{name} does not say whose task it is"));
            return;
        };
        // I14: nothing of a deployment tool's comes along.
        let leaks = pod.to_string().contains("argocd.argoproj.io");
        self.require(!leaks, "I14", || format!("{name} has what a deployment tool wrote on its service"));
        let siblings: Vec<&Arc<Value>> = store.all(PODS).filter(|one| service_of(one) == Some(owner)).collect();
        // I3: one live task for each place. An operator whose view is a minute old, beside one that has gone on, may fill a
        // place again under a name that has become free.
        let slot = |pod: &Value| (label(pod, labels::DEPLOYMENT).to_owned(), annotation(pod, labels::SLOT).to_owned());
        let twins = siblings.iter().filter(|one| is_live(one) && slot(one) == slot(pod)).count();
        self.require(twins <= 1 || self.lenient, "I3", || format!("{twins} live tasks in the place of {name}"));
        let view = commit.request.and_then(|number| self.asked.get(&number));
        let node = annotation(pod, labels::NODE);
        let pauses = view.and_then(|view| view.paused(owner)).filter(|_| node.is_empty());
        let images = self.promises.judge_images(pod, view.and_then(|view| view.earlier(owner)));
        let pause = self.promises.judge_start(pod, pauses);
        let zone = annotation(pod, labels::ZONE);
        let moves = zone.is_empty() || view.is_none_or(|view| view.may_move(owner));
        let moves = (!moves).then(|| format!("{name} is for {zone}, and nobody has asked for that"));
        for (invariant, wrong) in [("Pause", pause), ("Digests", images), ("Zones", moves)] {
            self.require(wrong.is_none() || self.lenient, invariant, || wrong.unwrap_or_default());
        }
        if !node.is_empty() {
            self.started_on(commit, pod, node, &siblings);
            return;
        }
        // I1: the ceiling of the service as it is, or as the operator has seen it.
        let live: Vec<&str> =
            siblings.iter().filter(|one| is_live(one)).map(|one| text(one, "/metadata/name")).collect();
        let now = store.all(SERVICES).find(|service| uid(service) == owner).map(|service| bounds(service).1);
        let view = commit.request.and_then(|number| self.asked.get(&number));
        let seen = view.and_then(|view| view.ceiling(owner));
        if let Some(ceiling) = now.max(seen) {
            self.require(live.len() <= ceiling || self.lenient, "I1", || {
                format!("{} live tasks with {name}, and the ceiling is {ceiling}: {live:?}", live.len())
            });
        }
    }

    /// A task that was started for a zone is on a node of that zone.
    fn bound(&mut self, change: &Change, store: &Store) {
        let (Some(before), Some(pod)) = (&change.before, &change.after) else { return };
        let (zone, node) = (annotation(pod, labels::ZONE), text(pod, "/spec/nodeName"));
        if service_of(pod).is_none() || zone.is_empty() || node.is_empty() || !text(before, "/spec/nodeName").is_empty()
        {
            return;
        }
        let is = store.all(NODES).find(|one| text(one, "/metadata/name") == node).and_then(|node| zone_of(node));
        let name = text(pod, "/metadata/name");
        self.require(is == Some(zone), "Zones", || format!("{name} is for {zone}, and comes to {node} in {is:?}"));
    }

    /// I1 of a DAEMON service: one task on each node, and not before the one that was there has gone; none on a node that takes
    /// none.
    fn started_on(&mut self, commit: &Commit<'_>, pod: &Value, node: &str, siblings: &[&Arc<Value>]) {
        let name = text(pod, "/metadata/name");
        let others = siblings.iter().filter(|one| annotation(one, labels::NODE) == node).count() - 1;
        self.require(others == 0 || self.lenient, "I1", || format!("{others} tasks are on {node} beside {name}"));
        let view = commit.request.and_then(|number| self.asked.get(&number));
        let takes = view.zip(service_of(pod)).is_none_or(|(view, owner)| view.takes_task(owner, node));
        self.require(takes, "I1", || format!("{node} takes no task, and gets {name}"));
    }

    /// I2: a stop by an operator is judged by what that operator had been told when it asked. It knows no better: a task that
    /// has died since still counts, one that has become healthy since does not. Two views are asked, since an event that
    /// arrives in the very instant of the request may have come a moment too late for the decision; one that allows the stop
    /// will do. The operator's own stops count from when they are committed.
    fn stopped(&mut self, commit: &Commit<'_>, pod: &Value, store: &Store) {
        let name = text(pod, "/metadata/name").to_owned();
        let actor = commit.call.actor.to_string();
        let pointer = match commit.call.verb {
            Verb::Delete => "/preconditions/uid",
            _ => "/deleteOptions/preconditions/uid",
        };
        let named = text(&commit.call.body, pointer);
        self.require(named == uid(pod), "I4", || format!("the delete of {name} does not carry its uid"));
        let Some(owner) = service_of(pod).map(str::to_owned) else {
            self.require(!name.starts_with("planted"), "I4", || {
                format!("{name} is another controller's, and is deleted")
            });
            let tampered = "somebody has changed what it says of itself since";
            self.note(&format!("{actor} deletes {name}: {tampered}"));
            return;
        };
        self.deleted.entry(actor.clone()).or_default().insert(uid(pod).to_owned());
        let service = store.all(SERVICES).find(|service| uid(service) == owner);
        if !is_healthy(pod) || service.is_none_or(|service| is_deleting(service)) {
            return;
        }
        let Some(view) = commit.request.and_then(|number| self.asked.get(&number)) else { return };
        let own = view.judge(&owner, pod, &self.deleted[&actor]);
        // An operator that has taken over, or runs beside, is to go on from what the other one has done.
        let all: BTreeSet<String> = self.deleted.values().flatten().cloned().collect();
        let together = view.judge(&owner, pod, &all).map_err(|verdict| format!("with those of others, {verdict}"));
        let is_replica = annotation(pod, labels::NODE).is_empty() && !self.lenient;
        let stays = is_replica && !view.is_leaving(pod);
        // The pass may have begun with another deployment, and told of it, before it stops anything.
        let pauses = view.paused(&owner).is_some_and(|id| service.and_then(|service| paused(service)) == Some(id));
        let asks_nobody = commit.call.verb == Verb::Delete && !self.is_clock_off && self.counts_for_long(pod);
        let is_judged = stays && service.is_some_and(|service| is_of_primary(service, pod));
        let is_left = service.is_some_and(|service| has_failed(service));
        let surplus = (is_judged && !is_left).then(|| view.judge_surplus(&owner, pod, &self.deleted[&actor]));
        let others = store.all(PODS).filter(|other| service_of(other) == Some(owner.as_str()) && is_live(other));
        let others = others.filter(|other| uid(other) != uid(pod)).count();
        let pause = (stays && (pauses || (is_judged && is_left)))
            .then(|| view.judge_pause(&owner, others, &self.deleted[&actor]));
        let wrong = |is_so: bool, what: &str| if is_so { Err(what.to_owned()) } else { Ok(()) };
        let verdicts = [
            ("Pause", pause.unwrap_or(Ok(()))),
            ("Protection", wrong(stays && view.is_protected(pod), "it is protected")),
            ("Drain", wrong(is_replica && asks_nobody && view.drains(pod), "its node drains, and no budget is asked")),
            ("Surplus", surplus.unwrap_or(Ok(()))),
            ("I2", own),
            ("I2", if self.lenient { Ok(()) } else { together }),
        ];
        for (invariant, verdict) in verdicts {
            self.require(verdict.is_ok(), invariant, || {
                format!("the stop of {name}: {}", verdict.err().unwrap_or_default())
            });
        }
    }

    /// Whether a task has been Ready for so long that it counts for certain.
    fn counts_for_long(&self, pod: &Value) -> bool {
        let since = condition(pod, "Ready").map_or("", |ready| text(ready, "/lastTransitionTime"));
        let now = world::after(self.began.elapsed());
        since.parse().is_ok_and(|since: Timestamp| now.duration_since(since).as_secs() > 60)
    }

    /// I8: of what people write only status and finalizers are ours. I5: a revision never changes.
    fn object_written(&mut self, call: &Call, change: &Change) {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return };
        let id = format!("{} {}", change.key.resource, change.key.name);
        let same = |pointer: &str| before.pointer(pointer) == after.pointer(pointer);
        let kept =
            ["/spec", "/metadata/labels", "/metadata/annotations", "/metadata/ownerReferences"].into_iter().all(same);
        let ours = !id.contains("events");
        self.require(kept || !ours, "I8", || {
            format!("{} has changed more than status and finalizers of {id}", call.actor)
        });
        if change.key.resource == REVISIONS {
            self.require(same("/spec"), "I5", || format!("{id} has changed"));
        }
    }

    fn status_written(&mut self, before: &Value, after: &Value) {
        let name = text(after, "/metadata/name");
        if let Some(wrong) = self.failures.judge(before, after) {
            self.broke("I9", &format!("{name}: {wrong}"));
        }
        if let Some(wrong) = Promises::judge_status(before, after).filter(|_| !self.lenient) {
            self.broke("Digests", &format!("{name}: {wrong}"));
        }
        let deployments = after.pointer("/status/deployments").and_then(Value::as_array);
        let primaries = deployments.into_iter().flatten().filter(|one| text(one, "/status") == "PRIMARY").count();
        self.require(primaries <= 1, "I6", || format!("{name} has {primaries} PRIMARY deployments"));
        let observed = |object: &Value| number(object, "/status/observedGeneration");
        let (then, now) = (observed(before), observed(after));
        self.require(now >= then, "I7", || format!("observedGeneration of {name} went from {then} to {now}"));
        let generation = number(after, "/metadata/generation");
        self.require(now <= generation, "I7", || format!("{name}: observed {now}, and there are {generation}"));
        for old in before.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten() {
            let Some(new) = crate::task::condition(after, text(old, "/type")) else { continue };
            let same = |pointer: &str| old.pointer(pointer) == new.pointer(pointer);
            self.require(!same("/status") || same("/lastTransitionTime"), "I7", || {
                format!("{name}: {} has a new transition time and the old status", text(old, "/type"))
            });
        }
    }
}

impl Observer for Watchdog {
    fn requested(&mut self, number: u64, call: &Call) {
        let mut ledger = lock(&self.0);
        // That a lease is renewed tells nothing of the work.
        if !is_operator(call)
            || call.resource.id() == LEASES
            || !call.verb.is_mutating()
            || ledger.dead.contains(&*call.actor)
        {
            return;
        }
        ledger.count(call);
        if call.resource.id() == PODS
            && let Some(view) = ledger.views.get(&*call.actor).cloned()
        {
            if ledger.tells_views {
                let (elapsed, name) = (ledger.began.elapsed().as_secs_f64(), &call.name);
                eprintln!("{elapsed:9.3}   asks {} {:?} {} {name}", call.actor, call.verb, call.resource.plural);
            }
            ledger.asked.insert(number, view.at(Instant::now()));
        }
    }

    fn committed(&mut self, commit: &Commit<'_>, store: &Store) {
        lock(&self.0).committed(commit, store);
    }

    fn answered(&mut self, number: u64, call: &Call, outcome: Result<&Value, &Failure>) {
        let mut ledger = lock(&self.0);
        ledger.asked.remove(&number);
        // Who has looked for a pod in vain knows more than its watch has told.
        if call.verb == Verb::Get
            && call.resource.id() == PODS
            && outcome.is_err_and(|failure| failure.code == 404)
            && let Some(view) = ledger.views.get_mut(&*call.actor)
        {
            view.is_gone(&call.name);
        }
        if call.verb == Verb::Create
            && call.resource.id() == PODS
            && outcome.is_err_and(|failure| matches!(failure.code, 400 | 403 | 422))
        {
            ledger.failures.refused(&call.body, number);
        }
        let code = outcome.map_or_else(|failure| failure.code, |_| 200);
        let name = if call.name.is_empty() { text(&call.body, "/metadata/name") } else { &call.name };
        // kube names an event by the real time.
        let name = if call.resource.plural == "events" { text(&call.body, "/note") } else { name };
        let sub = call.subresource.as_deref().unwrap_or_default();
        let place = place(&call.body);
        let line = format!("{:<14} {:?} {} {name} {sub} {code} {place}", call.actor, call.verb, call.resource.plural);
        ledger.note(&line);
    }

    fn listed(&mut self, call: &Call, list: &Value) {
        let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        lock(&self.0).views.entry(call.actor.to_string()).or_default().replace(&call.resource.id(), items);
    }

    fn delivered(&mut self, watch: &Call, object: &Value, gone: bool) {
        let mut ledger = lock(&self.0);
        if ledger.tells_views {
            let what = [(gone, "gone"), (is_deleting(object), "stopping"), (is_healthy(object), "healthy")];
            let what: Vec<&str> = what.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect();
            let (name, version) = (text(object, "/metadata/name"), text(object, "/metadata/resourceVersion"));
            let what = format!("{} {} {}", what.join(" "), text(object, "/status/phase"), in_short(object));
            let (elapsed, told) = (ledger.began.elapsed().as_secs_f64(), &watch.actor);
            eprintln!("{elapsed:9.3}   told {told} {} {name} v{version} {what}", watch.resource.plural);
        }
        ledger.views.entry(watch.actor.to_string()).or_default().change(&watch.resource.id(), object, gone);
    }
}
