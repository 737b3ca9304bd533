//! A service, its tasks and an API server, for the tests of this module.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::ServiceStatus;
use crate::api::names::{DeploymentId, RevisionName, TaskKey, Uid};
use crate::domain::Plan;
use crate::domain::facts::{PendingWrites, Presence, ServiceTasks, TaskFact, Unannounced};
use crate::domain::resolve::service::{ResolvedService, Target};
use crate::domain::service::{Action, Observed, plan};
use crate::domain::task::{StopRecord, TaskState};

/// The uid of the service that all facts here belong to.
pub(crate) fn service_uid() -> Uid {
    Uid("5a1e".to_owned())
}

/// A key.
pub(crate) fn task_key(deployment: u64, slot: u32, attempt: u32) -> TaskKey {
    TaskKey { deployment: DeploymentId(deployment), slot, attempt }
}

/// A revision of the family `web`.
pub(crate) fn web(number: i64) -> RevisionName {
    RevisionName { family: "web".parse().unwrap(), number }
}

/// A healthy task of `web:1`.
pub(crate) fn healthy_task(key: TaskKey) -> TaskFact {
    let pod = key.task_id(&service_uid()).pod_name("web");
    TaskFact {
        uid: Uid(format!("uid of {pod}")),
        pod,
        resource_version: "1".to_owned(),
        key,
        revision: web(1),
        state: TaskState::Running { healthy: true },
        presence: Presence::Present,
        started_at: Some(Timestamp::UNIX_EPOCH),
        stopped_by_us: false,
    }
}

/// A service as resolved.
pub(crate) fn service(revision: i64, desired: u32, minimum: u32, maximum: u32) -> ResolvedService {
    let revision = web(revision);
    ResolvedService {
        desired_count: desired,
        minimum_healthy_percent: minimum,
        maximum_percent: maximum,
        target: Ok(Target { content: revision.to_string(), revision }),
        can_start: true,
        not_implemented: Vec::new(),
    }
}

/// The world as the API server has it, and as the operator sees it.
pub(crate) struct World {
    pub(crate) service: ResolvedService,
    pub(crate) deleting: bool,
    pub(crate) status: ServiceStatus,
    /// The pods there are.
    pub(crate) pods: BTreeMap<String, TaskFact>,
    /// The pods that the watch has shown, gone ones included until status tells of them.
    seen: BTreeMap<String, TaskFact>,
    /// The pods that went before the watch had shown them; it still will, one event after the other.
    missed: Vec<TaskFact>,
    pending: PendingWrites,
    unannounced: Unannounced,
    /// Every name that was ever created.
    names: BTreeSet<String>,
    version: u64,
    now: Timestamp,
}

impl World {
    pub(crate) fn new(service: ResolvedService) -> Self {
        Self {
            service,
            deleting: false,
            status: ServiceStatus::default(),
            pods: BTreeMap::new(),
            seen: BTreeMap::new(),
            missed: Vec::new(),
            pending: PendingWrites::default(),
            unannounced: Unannounced::default(),
            names: BTreeSet::new(),
            version: 1,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// What a pass would decide.
    pub(crate) fn plan(&self) -> Plan<Action, ServiceStatus> {
        let tasks = ServiceTasks {
            tasks: self.seen.values().cloned().map(Arc::new).collect(),
            pending: self.pending.clone(),
            unannounced: self.unannounced.clone(),
        };
        let seen = Observed {
            uid: &service_uid(),
            name: "web",
            object_name: "web",
            generation: Some(1),
            deleting: self.deleting,
            service: &self.service,
            status: &self.status,
            tasks: &tasks,
        };
        plan(&seen, self.now)
    }

    /// One pass that is cut off after `writes` writes, status being the last one. Checks every write as the API server would
    /// see it.
    pub(crate) fn pass(&mut self, writes: usize) -> Plan<Action, ServiceStatus> {
        self.now += SignedDuration::from_secs(1);
        let plan = self.plan();
        for action in plan.actions.iter().take(writes) {
            if self.perform(action) == Outcome::Refused {
                break;
            }
        }
        if plan.actions.len() < writes {
            self.status = plan.status.clone();
            self.unannounced = Unannounced::default();
            let recorded = |fact: &TaskFact| {
                let id = fact.task_id().to_string();
                self.status.stopped_tasks.iter().any(|stopped| stopped.task == id)
            };
            self.seen.retain(|_, fact| fact.presence != Presence::Gone || (is_failed(fact) && !recorded(fact)));
        }
        plan
    }

    /// Passes, with everything shown and every task healthy in between, until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..500 {
            self.show();
            let before = (self.status.clone(), self.pods.clone());
            let plan = self.pass(usize::MAX);
            self.finish_stops();
            for pod in self.pods.keys().cloned().collect::<Vec<_>>() {
                self.change(&pod, TaskState::Running { healthy: true });
            }
            if before == (self.status.clone(), self.pods.clone()) && plan.wake_at.is_none() {
                return;
            }
        }
        panic!("the service does not settle: {:?}", self.plan().actions);
    }

    fn perform(&mut self, action: &Action) -> Outcome {
        let bounds = super::bounds::Bounds::new(
            if self.deleting { 0 } else { self.service.desired_count },
            self.service.minimum_healthy_percent,
            self.service.maximum_percent,
        );
        match action {
            Action::StartTask { key, revision } => {
                let mut fact = healthy_task(*key);
                fact.uid = Uid(format!("{} at {}", fact.uid.0, self.version));
                fact.state = TaskState::Pending;
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
                self.unannounced.started.push(fact.task_id());
                self.pods.insert(fact.pod.clone(), fact);
                let active = self.pods.values().filter(|pod| is_active(pod)).count();
                assert!(active <= bounds.ceiling, "{active} tasks, and the ceiling is {}", bounds.ceiling);
            }
            Action::StopTask(stop) => {
                let healthy = |pods: &BTreeMap<String, TaskFact>| {
                    pods.values()
                        .filter(|pod| is_active(pod) && pod.state == TaskState::Running { healthy: true })
                        .count()
                };
                let before = healthy(&self.pods);
                let Some(pod) = self.pods.get_mut(&stop.pod) else { return Outcome::Done };
                if pod.uid != stop.uid || stop.resource_version.as_ref().is_some_and(|at| *at != pod.resource_version) {
                    return Outcome::Refused;
                }
                pod.presence = Presence::Stopping;
                pod.stopped_by_us = true;
                self.pending.deletes.insert(stop.uid.clone());
                self.unannounced.stopped.push(pod.task_id());
                let after = healthy(&self.pods);
                assert!(
                    after == before || after >= bounds.floor,
                    "{after} healthy tasks, and the floor is {}",
                    bounds.floor
                );
            }
            Action::ForgetTask { pod, .. } => self.remove(&pod.clone()),
        }
        self.version += 1;
        Outcome::Done
    }

    /// The watch catches up.
    pub(crate) fn show(&mut self) {
        for fact in self.seen.values_mut() {
            if !self.pods.contains_key(&fact.pod) && fact.presence != Presence::Gone {
                fact.presence = Presence::Gone;
                fact.stopped_by_us |= self.pending.deletes.contains(&fact.uid);
            }
        }
        self.seen.extend(self.pods.clone());
        for fact in self.missed.drain(..) {
            let stopped_by_us = self.pending.deletes.contains(&fact.uid);
            let fact = TaskFact { presence: Presence::Gone, stopped_by_us, ..fact };
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

    /// The containers of tasks being stopped have ended.
    pub(crate) fn finish_stops(&mut self) {
        let stopping = self.pods.values().filter(|fact| fact.presence != Presence::Present);
        for pod in stopping.map(|fact| fact.pod.clone()).collect::<Vec<_>>() {
            self.remove(&pod);
        }
    }

    /// The pods that count, by name.
    pub(crate) fn active(&self) -> Vec<String> {
        self.pods.values().filter(|pod| is_active(pod)).map(|pod| pod.pod.clone()).collect()
    }
}

/// What the API server made of a write. After a refusal the pass performs nothing more.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
}

/// The end of a task whose essential container exited.
pub(crate) fn exited() -> TaskState {
    TaskState::Stopped(Box::new(StopRecord {
        code: crate::api::StopCode::EssentialContainerExited,
        reason: "Essential container in task exited".to_owned(),
        at: None,
        others_running: false,
        containers: Vec::new(),
    }))
}

fn is_failed(pod: &TaskFact) -> bool {
    matches!(pod.state, TaskState::Stopped(_))
}

fn is_active(pod: &TaskFact) -> bool {
    pod.presence == Presence::Present && !matches!(pod.state, TaskState::Stopped(_))
}
