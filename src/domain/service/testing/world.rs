//! A service with its tasks and an API server.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Toleration;

use crate::api::ServiceStatus;
use crate::api::names::{DeploymentId, RevisionName, Uid};
use crate::domain::Plan;
use crate::domain::facts::{
    NodeTasks, PendingWrites, Presence, ServiceTasks, StopCause, TaskChange, TaskFact, TaskImages, Unannounced,
};
use crate::domain::placement::node::NodeFact;
use crate::domain::resolve::service::{ResolvedService, Scheduling};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::service::bounds::Bounds;
use crate::domain::service::testing::{definition, definitions, healthy, healthy_task, pending, service_uid, web};
use crate::domain::service::{Action, Nodes, Observed, Start, is_told_first, plan};
use crate::domain::task::TaskState;

/// The world as the API server has it, and as the operator sees it.
pub(crate) struct World {
    pub(crate) service: ResolvedService,
    pub(crate) deleting: bool,
    pub(crate) nodes: Nodes,
    /// What the images of deployments turned out to be when their first tasks ran.
    pub(crate) images: BTreeMap<DeploymentId, Vec<TaskImages>>,
    /// What runs on the nodes.
    pub(crate) node_tasks: BTreeMap<String, NodeTasks>,
    pub(crate) status: ServiceStatus,
    /// The pods there are.
    pub(crate) pods: BTreeMap<String, TaskFact>,
    /// The pods that the watch has shown, gone ones included until status tells of them.
    seen: BTreeMap<String, TaskFact>,
    /// The pods that went before the watch had shown them; it still will, one event after the other.
    missed: Vec<TaskFact>,
    pending: PendingWrites,
    causes: BTreeMap<Uid, StopCause>,
    pub(crate) unannounced: Unannounced,
    /// Every name that was ever created.
    names: BTreeSet<String>,
    version: u64,
    definitions: BTreeMap<RevisionName, Arc<ResolvedTaskDefinition>>,
    pub(crate) now: Timestamp,
}

impl World {
    pub(crate) fn new(service: ResolvedService) -> Self {
        Self {
            service,
            deleting: false,
            nodes: Nodes::new(),
            images: BTreeMap::new(),
            node_tasks: BTreeMap::new(),
            definitions: definitions(),
            status: ServiceStatus::default(),
            pods: BTreeMap::new(),
            seen: BTreeMap::new(),
            missed: Vec::new(),
            pending: PendingWrites::default(),
            causes: BTreeMap::new(),
            unannounced: Unannounced::default(),
            names: BTreeSet::new(),
            version: 1,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Gives the definition of a revision more members.
    pub(crate) fn define(&mut self, revision: i64, members: serde_json::Value) {
        self.definitions.insert(web(revision), definition(members));
    }

    /// What a pass would decide.
    pub(crate) fn plan(&self) -> Plan<Action, ServiceStatus> {
        let tasks = ServiceTasks {
            tasks: self.seen.values().cloned().map(Arc::new).collect(),
            pending: self.pending.clone(),
            losses: 0,
            unannounced: self.unannounced.clone(),
            images: self.images.clone(),
        };
        let seen = Observed {
            uid: &service_uid(),
            name: "web",
            object_name: "web",
            generation: Some(1),
            deleting: self.deleting,
            service: &self.service,
            definitions: &self.definitions,
            status: &self.status,
            tasks: &tasks,
            nodes: &self.nodes,
            node_tasks: &self.node_tasks,
        };
        plan(&seen, self.now)
    }

    /// One pass that is cut off after `writes` writes, status being the last one. Checks every write as the API server would
    /// see it.
    pub(crate) fn pass(&mut self, writes: usize) -> Plan<Action, ServiceStatus> {
        self.now += SignedDuration::from_secs(1);
        let plan = self.plan();
        let announced = self.unannounced.clone();
        let bounds = self.bounds();
        let mut writes = writes;
        if is_told_first(&self.status, &plan.status) {
            if writes == 0 {
                return plan;
            }
            writes -= 1;
            self.tell(&plan.status, &announced);
        }
        // What may go beside the stops comes first here: it must be right even so.
        let may_come_first = |action: &&Action| matches!(action, Action::StartTask(start) if !start.on_freed_place);
        let (first, then): (Vec<_>, Vec<_>) = plan.actions.iter().partition(may_come_first);
        for action in first.into_iter().chain(then).take(writes) {
            if self.perform(action, bounds) == Outcome::Refused {
                break;
            }
        }
        if plan.actions.len() < writes {
            self.tell(&plan.status, &announced);
        }
        plan
    }

    /// A status is written that tells of what had been done before.
    fn tell(&mut self, status: &ServiceStatus, announced: &Unannounced) {
        self.status = status.clone();
        self.unannounced.started.retain(|change| !announced.started.contains(change));
        self.unannounced.refused_zones.retain(|zone, _| !announced.refused_zones.contains_key(zone));
        self.unannounced.refused_starts.retain(|deployment, _| !announced.refused_starts.contains_key(deployment));
        self.unannounced.stopped.retain(|change| !announced.stopped.contains(change));
        (self.unannounced.registered, self.unannounced.deregistered) = Default::default();
        let recorded = |fact: &TaskFact| {
            let id = fact.task_id().to_string();
            self.status.stopped_tasks.iter().any(|stopped| stopped.task == id)
        };
        self.seen.retain(|_, fact| fact.presence != Presence::Gone || (is_failed(fact) && !recorded(fact)));
    }

    /// Passes, with everything shown and every task healthy in between, until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..500 {
            self.show();
            let before = (self.status.clone(), self.pods.clone());
            let plan = self.pass(usize::MAX);
            self.finish_stops();
            for pod in self.pods.keys().cloned().collect::<Vec<_>>() {
                self.change(&pod, healthy());
            }
            if before == (self.status.clone(), self.pods.clone()) {
                match plan.wake_at {
                    None => return,
                    Some(wake_at) => self.now = self.now.max(wake_at),
                }
            }
        }
        panic!("the service does not settle: {:?}", self.plan().actions);
    }

    /// Floor and ceiling, by what the operator has seen.
    fn bounds(&self) -> Bounds {
        let desired = match self.service.scheduling {
            _ if self.deleting => 0,
            Scheduling::Replica => self.service.desired_count,
            Scheduling::Daemon { .. } => u32::try_from(self.eligible()).unwrap(),
        };
        Bounds::new(desired, self.service.minimum_healthy_percent, self.service.maximum_percent)
    }

    /// How many nodes are to have a DAEMON task: those that take one, and those in trouble that have one.
    fn eligible(&self) -> usize {
        let has_task = |node: &str| {
            let tasks = self.seen.values().filter(|pod| is_active(pod) && !self.pending.deletes.contains(&pod.uid));
            tasks.into_iter().any(|pod| pod.pinned_to.as_deref() == Some(node))
        };
        let eligible = |node: &&NodeFact| {
            node.takes_new_tasks(self.tolerations()) || (!node.is_draining() && has_task(&node.name))
        };
        self.nodes.values().filter(eligible).count()
    }

    /// Those of the PRIMARY deployment.
    fn tolerations(&self) -> &[Toleration] {
        let primary = self.status.deployments.first().and_then(|primary| primary.task_definition.parse().ok());
        let definition = primary.and_then(|revision: RevisionName| self.definitions.get(&revision));
        definition.map_or(&[], |definition| &definition.extension.given.tolerations)
    }

    fn perform(&mut self, action: &Action, bounds: Bounds) -> Outcome {
        match action {
            Action::StartTask(Start { key, revision, images: _, secrets: _, node, zone, on_freed_place: _ }) => {
                let mut fact = healthy_task(*key);
                fact.pinned_to = node.as_deref().map(Arc::from);
                fact.node = fact.pinned_to.clone();
                fact.zone = zone.clone();
                fact.uid = Uid(format!("{} at {}", fact.uid.0, self.version));
                fact.state = pending();
                fact.revision = revision.clone();
                self.pending.creates.insert(*key);
                if self.pods.contains_key(&fact.pod) {
                    return Outcome::Done;
                }
                assert!(self.names.insert(fact.pod.clone()), "the name of {key:?} is used twice");
                let twin = self
                    .pods
                    .values()
                    .find(|pod| is_active(pod) && (pod.key.deployment, pod.key.slot) == (key.deployment, key.slot));
                assert_eq!(twin, None, "the slot of {key:?} is taken");
                if let Some(node) = &fact.pinned_to {
                    let there = self.pods.values().find(|pod| pod.pinned_to.as_ref() == Some(node));
                    assert_eq!(there, None, "the node {node} has a task, if only one that stops");
                    assert!(self.nodes[&**node].takes_new_tasks(self.tolerations()), "{node} takes no task");
                }
                self.unannounced.started.push(TaskChange { task: fact.task_id(), zone: zone.clone() });
                self.pods.insert(fact.pod.clone(), fact);
                let active = self.pods.values().filter(|pod| is_active(pod)).count();
                let has_ceiling = self.service.scheduling == Scheduling::Replica;
                assert!(
                    active <= bounds.ceiling || !has_ceiling,
                    "{active} tasks, and the ceiling is {}",
                    bounds.ceiling
                );
            }
            Action::StopTask(stop) | Action::EvictTask(stop) => {
                let healthy = |pods: &BTreeMap<String, TaskFact>| {
                    pods.values().filter(|pod| is_active(pod) && is_healthy(pod)).count()
                };
                let before = healthy(&self.pods);
                let Some(pod) = self.pods.get_mut(&stop.pod) else { return Outcome::Done };
                if pod.uid != stop.uid || stop.resource_version.as_ref().is_some_and(|at| *at != pod.resource_version) {
                    return Outcome::Refused;
                }
                let node = pod.pinned_to.as_ref().map(|node| self.nodes.get(&**node));
                let must_leave = node.is_some_and(|node| node.is_none_or(NodeFact::is_draining));
                pod.presence = Presence::Stopping;
                pod.stopped_for = Some(stop.cause.clone());
                self.causes.insert(stop.uid.clone(), stop.cause.clone());
                self.pending.deletes.insert(stop.uid.clone());
                self.unannounced.stopped.push(stop.change());
                let after = healthy(&self.pods);
                assert!(
                    after == before || after >= bounds.floor || must_leave,
                    "{after} healthy tasks, and the floor is {}",
                    bounds.floor
                );
            }
            Action::ForgetTask { pod, .. } => self.remove(&pod.clone()),
            Action::MakeSecret(_) | Action::GiveUpSecret(_) => {}
        }
        self.version += 1;
        Outcome::Done
    }

    /// The watch catches up.
    pub(crate) fn show(&mut self) {
        for fact in self.seen.values_mut() {
            if !self.pods.contains_key(&fact.pod) && fact.presence != Presence::Gone {
                fact.presence = Presence::Gone;
                fact.stopped_for = fact.stopped_for.take().or_else(|| self.causes.get(&fact.uid).cloned());
            }
        }
        self.seen.extend(self.pods.clone());
        for fact in self.missed.drain(..) {
            let stopped_for = self.causes.get(&fact.uid).cloned();
            let fact = TaskFact { presence: Presence::Gone, stopped_for, ..fact };
            self.seen.insert(fact.pod.clone(), fact);
        }
        self.pending = PendingWrites::default();
    }

    /// The operator is killed and starts again. What went before its status told of it, it never hears of: such a task's name
    /// may come again.
    pub(crate) fn crash(&mut self) {
        let untold = self.seen.keys().chain(self.missed.iter().map(|fact| &fact.pod));
        for pod in untold.filter(|pod| !self.pods.contains_key(*pod)) {
            self.names.remove(pod);
        }
        self.missed.clear();
        self.causes.clear();
        for stopping in self.pods.values_mut().filter(|fact| fact.presence == Presence::Stopping) {
            stopping.stopped_for = Some(StopCause::Unknown);
        }
        self.seen.clone_from(&self.pods);
        self.pending = PendingWrites::default();
        self.unannounced = Unannounced::default();
    }

    /// Something happens to a task.
    pub(crate) fn change(&mut self, pod: &str, state: TaskState) {
        self.version += 1;
        if let Some(fact) = self.pods.get_mut(pod)
            && !matches!(fact.state, TaskState::Stopped(_))
            && fact.state != state
        {
            fact.state = state;
            fact.resource_version = self.version.to_string();
        }
    }

    /// A pod goes.
    pub(crate) fn remove(&mut self, pod: &str) {
        let gone = self.pods.remove(pod);
        self.missed.extend(gone.filter(|fact| !self.seen.contains_key(&fact.pod)));
    }

    /// One pass with everything shown, and what it started and stopped.
    pub(crate) fn step(&mut self) -> (usize, usize) {
        self.show();
        let plan = self.pass(usize::MAX);
        let starts = plan.actions.iter().filter(|action| matches!(action, Action::StartTask(_))).count();
        let stops =
            plan.actions.iter().filter(|action| matches!(action, Action::StopTask(_) | Action::EvictTask(_))).count();
        (starts, stops)
    }

    /// The containers of tasks being stopped have ended.
    pub(crate) fn finish_stops(&mut self) {
        let stopping = self.pods.values().filter(|fact| fact.presence != Presence::Present);
        for pod in stopping.map(|fact| fact.pod.clone()).collect::<Vec<_>>() {
            self.remove(&pod);
        }
    }

    /// The pods that count, by name.
    pub(crate) fn active(&self) -> Vec<String> {
        self.active_where(|_| true)
    }

    /// Those of them that are so.
    pub(crate) fn active_where(&self, so: impl Fn(&TaskFact) -> bool) -> Vec<String> {
        self.pods.values().filter(|pod| is_active(pod) && so(pod)).map(|pod| pod.pod.clone()).collect()
    }

    /// The pods of a revision that count, by name.
    pub(crate) fn active_of(&self, revision: i64) -> Vec<String> {
        self.active_where(|pod| pod.revision.number == revision)
    }

    /// Something happens to every task of a revision.
    pub(crate) fn change_all(&mut self, revision: i64, state: &TaskState) {
        for pod in self.active_of(revision) {
            self.change(&pod, state.clone());
        }
    }

    /// What the event list says, newest first.
    pub(crate) fn messages(&self) -> Vec<&str> {
        self.status.events.iter().map(|event| event.message.as_str()).collect()
    }

    /// Reason and message of the `Ready` condition.
    pub(crate) fn ready(&self) -> (&str, &str) {
        let ready = &self.status.conditions[0];
        (&ready.reason, &ready.message)
    }
}

/// What the API server made of a write. After a refusal the pass performs nothing more.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
}

fn is_failed(pod: &TaskFact) -> bool {
    matches!(pod.state, TaskState::Stopped(_))
}

fn is_healthy(pod: &TaskFact) -> bool {
    matches!(&pod.state, TaskState::Running(checks) if checks.passing)
}

fn is_active(pod: &TaskFact) -> bool {
    pod.presence == Presence::Present && !matches!(pod.state, TaskState::Stopped(_))
}
