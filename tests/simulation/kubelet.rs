//! The kubelets: they start what is bound to their node, probe it, and stop it when it is to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::admission::SIDECAR;
use crate::nodes::Nodes;
use crate::scheduler::hash;
use crate::task::{PODS, condition, gates, is_deleting, name, says, text, uid};
use crate::world::World;

/// What becomes of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It runs until it is stopped.
    Good,
    /// Its container exits after so many seconds of running.
    Exits(i64, i64),
    /// It runs and its probe never succeeds.
    NeverReady,
    /// It is ready, and after so many seconds no longer.
    UnreadyAfter(i64),
    /// Its image cannot be pulled.
    NoImage,
    /// The kubelet does not take it.
    Rejected,
}

/// A pod, as its kubelet knows it.
struct Known {
    fate: Fate,
    refusal: &'static str,
    vain: &'static str,
    /// What its containers' images turned out to be.
    image_ids: Vec<String>,
    bound: Timestamp,
    start_after: i64,
    ready_after: i64,
    stop_after: i64,
    running_since: Option<Timestamp>,
    stopping_since: Option<Timestamp>,
    /// What was last reported, so that nothing is reported twice.
    reported: Option<Report>,
}

/// What there is to report, and whether the pod waits for nothing else before it is Ready.
type Report = (State, bool);

/// What there is to report of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(&'static str),
    Running { ready: bool },
    Exited(i64),
    Rejected,
}

/// All kubelets.
pub(crate) struct Kubelets {
    chance: Chance,
    /// How many in a thousand pods come to a bad end.
    pub(crate) trouble: u64,
    /// An image that exits at once.
    pub(crate) breaks: Option<String>,
    pods: BTreeMap<String, Known>,
    registry: Registry,
    /// What is drawn for the reasons of pods that do not start, if there is more than one.
    reasons: Option<Chance>,
    seed: u64,
}

/// Why a kubelet does not take a pod, and why a container does not start.
const REFUSALS: [&str; 4] = ["OutOfcpu", "NodeAffinity", "UnexpectedAdmissionError", "NodeShutdown"];
const VAIN: [&str; 5] =
    ["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"];

/// What image tags mean.
struct Registry {
    chance: Chance,
    /// Whether the container runtimes tell.
    tells: bool,
    /// How often somebody has pushed another image under a tag.
    pushes: BTreeMap<String, u64>,
}

impl Registry {
    /// What a container runtime says of an image that it has: what was pulled from a registry, and, seldom, what was built on the
    /// node.
    fn image_id(&mut self, image: &str, trouble: u64) -> String {
        if !self.tells {
            return String::new();
        }
        if self.chance.happens(100) {
            *self.pushes.entry(image.to_owned()).or_default() += 1;
        }
        let pushes = self.pushes.get(image).copied().unwrap_or(0);
        match image.split_once('@') {
            Some((name, digest)) => format!("{}@{digest}", name.split(':').next().unwrap_or_default()),
            None if self.chance.happens(trouble / 4) => format!("sha256:{:064x}", hash(image)),
            None => {
                let name = image.split(':').next().unwrap_or_default();
                format!("{name}@sha256:{:064x}", hash(&format!("{image} {pushes}")))
            }
        }
    }
}

impl Kubelets {
    pub(crate) fn new(seed: u64) -> Self {
        let registry = Registry { chance: Chance::new(seed, 17), tells: false, pushes: BTreeMap::new() };
        Self {
            chance: Chance::new(seed, 2),
            trouble: 0,
            breaks: None,
            pods: BTreeMap::new(),
            registry,
            reasons: None,
            seed,
        }
    }

    /// From now on there may be more than one reason why a pod does not start.
    pub(crate) fn give_reasons(&mut self, many: bool) {
        self.reasons = many.then(|| Chance::new(self.seed, 20));
    }

    /// From now on container runtimes tell the digests of images.
    pub(crate) fn tell_digests(&mut self) {
        self.registry.tells = true;
    }

    /// From now on everything that can still run well does.
    pub(crate) fn heal(&mut self) {
        self.trouble = 0;
        for known in self.pods.values_mut() {
            known.fate = Fate::Good;
            known.stop_after = known.stop_after.min(10);
        }
    }

    fn meet(&mut self, now: Timestamp) -> Known {
        let chance = &mut self.chance;
        let mut fate = Fate::Good;
        if chance.happens(self.trouble) {
            let seconds = i64::try_from(chance.below(90)).unwrap_or(0);
            fate = match chance.below(6) {
                0 | 1 => Fate::Exits(seconds, i64::try_from(chance.below(3)).unwrap_or(0)),
                2 => Fate::NeverReady,
                3 => Fate::UnreadyAfter(seconds),
                4 => Fate::NoImage,
                _ => Fate::Rejected,
            };
        }
        let mut seconds = |most| i64::try_from(chance.between(1, most)).unwrap_or(1);
        Known {
            fate,
            refusal: REFUSALS[0],
            vain: VAIN[0],
            image_ids: Vec::new(),
            bound: now,
            start_after: seconds(4),
            ready_after: seconds(6),
            stop_after: seconds(20),
            running_since: None,
            stopping_since: None,
            reported: None,
        }
    }

    /// Does what is due. Kubernetes writes times in whole seconds.
    pub(crate) fn step(&mut self, world: &World, nodes: &Nodes) {
        let now = Timestamp::from_second(world.now().as_second()).unwrap();
        let bound = |pod: &&Arc<Value>| !text(pod, "/spec/nodeName").is_empty();
        let pods: Vec<Arc<Value>> = world.server.read(|store| store.all(PODS).filter(bound).cloned().collect());
        let there: BTreeSet<&str> = pods.iter().map(|pod| uid(pod)).collect();
        self.pods.retain(|known, _| there.contains(known.as_str()));
        for pod in &pods {
            if !self.pods.contains_key(uid(pod)) {
                let mut known = self.meet(now);
                let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
                let id = |container: &Value| self.registry.image_id(text(container, "/image"), self.trouble);
                if let Some(chance) = &mut self.reasons {
                    known.refusal = chance.one_of(&REFUSALS).copied().unwrap_or(known.refusal);
                    known.vain = chance.one_of(&VAIN).copied().unwrap_or(known.vain);
                }
                known.image_ids = containers.map(id).collect();
                let image = text(pod, "/spec/containers/0/image");
                if self.breaks.as_deref() == Some(image) {
                    known.fate = Fate::Exits(0, 1);
                }
                self.pods.insert(uid(pod).to_owned(), known);
            }
            let in_touch = nodes.are_in_touch_with(text(pod, "/spec/nodeName"));
            if let Some(known) = self.pods.get_mut(uid(pod)) {
                if in_touch {
                    known.step(world, pod, now);
                } else {
                    // Whoever takes the node for lost writes of its pods; the kubelet says anew how they are once it can.
                    known.reported = None;
                }
            }
        }
    }
}

impl Known {
    fn step(&mut self, world: &World, pod: &Value, now: Timestamp) {
        if is_deleting(pod) {
            let stopping = *self.stopping_since.get_or_insert(now);
            let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
            if now.duration_since(stopping).as_secs() >= self.stop_after.min(grace) {
                let options = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": uid(pod) } });
                world.act("kubelet", Verb::Delete, PODS, name(pod), None, options);
            }
        } else if !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded") {
            let report = (self.state(now), gates(pod).all(|gate| says(pod, gate)));
            if self.reported.replace(report) != Some(report) {
                let status = self.status(report, pod, now);
                world.act("kubelet", Verb::Merge, PODS, name(pod), Some("status"), json!({ "status": status }));
            }
        }
    }

    fn state(&mut self, now: Timestamp) -> State {
        let since = |at: Timestamp| now.duration_since(at).as_secs();
        if since(self.bound) < self.start_after {
            return State::Waiting("ContainerCreating");
        }
        let runs = match self.fate {
            Fate::Rejected => return State::Rejected,
            Fate::NoImage => return State::Waiting(self.vain),
            _ => since(*self.running_since.get_or_insert(now)),
        };
        let ready = runs >= self.ready_after;
        match self.fate {
            Fate::Exits(after, code) if runs >= after => State::Exited(code),
            Fate::NeverReady => State::Running { ready: false },
            Fate::UnreadyAfter(after) => State::Running { ready: ready && runs < self.ready_after + after },
            _ => State::Running { ready },
        }
    }

    /// The status. The time of its condition is that at which it became what it is.
    fn status(&self, (state, open): Report, pod: &Value, now: Timestamp) -> Value {
        let sidecar_runs = |name: &Value| name == SIDECAR && matches!(state, State::Exited(_));
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
        let containers = containers.into_iter().flatten();
        let goes_on = containers.clone().any(|container| sidecar_runs(&container["name"]));
        let started = self.running_since.unwrap_or(now).to_string();
        let (phase, ready, state) = match state {
            State::Rejected => {
                return json!({ "phase": "Failed", "reason": self.refusal, "message": "the kubelet does not take the pod" });
            }
            State::Waiting(reason) => ("Pending", false, json!({ "waiting": { "reason": reason } })),
            State::Running { ready } => ("Running", ready, json!({ "running": { "startedAt": started } })),
            State::Exited(code) => {
                let exit =
                    json!({ "exitCode": code, "reason": "Error", "startedAt": started, "finishedAt": now.to_string() });
                let phase = match code {
                    _ if goes_on => "Running",
                    0 => "Succeeded",
                    _ => "Failed",
                };
                (phase, false, json!({ "terminated": exit }))
            }
        };
        let has_images = self.running_since.is_some();
        let container = |(container, image_id): (&Value, &String)| {
            let image_id = if has_images { image_id } else { "" };
            let runs_on = sidecar_runs(&container["name"]);
            let state = if runs_on { json!({ "running": { "startedAt": started } }) } else { state.clone() };
            json!({ "name": container["name"], "ready": ready || runs_on, "restartCount": 0, "image": container["image"], "imageID": image_id, "state": state })
        };
        let statuses: Vec<Value> = containers.zip(&self.image_ids).map(container).collect();
        let ours = [("ContainersReady", ready), ("Ready", ready && open)];
        let ours = ours.map(|(type_, holds)| {
            let says = if holds { "True" } else { "False" };
            let before = condition(pod, type_).filter(|before| text(before, "/status") == says);
            let since = before.map_or_else(|| now.to_string(), |before| text(before, "/lastTransitionTime").to_owned());
            json!({ "type": type_, "status": says, "lastTransitionTime": since })
        });
        let others = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let others = others.filter(|one| ours.iter().all(|ours| text(ours, "/type") != text(one, "/type")));
        json!({
            "phase": phase,
            "startTime": self.bound.to_string(),
            "conditions": others.chain(&ours).collect::<Vec<_>>(),
            "containerStatuses": statuses,
        })
    }
}
