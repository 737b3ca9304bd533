//! What was observed, small: a task pod takes 30–46 KB as a typed `Pod` and a few hundred bytes as a fact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::names::{DeploymentId, RevisionName, TaskId, TaskKey, Uid};
use crate::domain::task::TaskState;

/// One task pod of a service, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFact {
    /// The pod's name.
    pub pod: String,
    /// The pod's uid, which guards every delete.
    pub uid: Uid,
    /// The version at which the pod looked like this. It guards a stop that is right only while the pod still does.
    pub resource_version: String,
    /// Which task of the service this is.
    pub key: TaskKey,
    /// The revision the task runs.
    pub revision: RevisionName,
    /// Where the task is in ECS's life cycle.
    pub state: TaskState,
    /// Whether the pod is there for good, on its way out, or gone.
    pub presence: Presence,
    /// When the kubelet took the pod on.
    pub started_at: Option<Timestamp>,
    /// Whether it was we who asked for the pod's deletion. Not known any more after a restart of the operator.
    pub stopped_by_us: bool,
}

impl TaskFact {
    /// The id of the task.
    pub fn task_id(&self) -> TaskId {
        TaskId::of_pod(&self.pod)
    }
}

/// Whether a pod is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and nobody has asked for its deletion.
    Present,
    /// Its deletion has been asked for; its containers may still run.
    Stopping,
    /// It is gone. The fact is kept until status has a record of it.
    Gone,
}

/// Our writes to a service's tasks that the watch has not shown yet. The plan counts them as done, so that a slow watch
/// makes us neither start a task twice nor stop one task too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingWrites {
    /// Tasks being created.
    pub creates: BTreeSet<TaskKey>,
    /// Uids of pods being deleted.
    pub deletes: BTreeSet<Uid>,
}

/// What we did since the service's status was last written: it becomes events there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unannounced {
    /// Tasks started.
    pub started: Vec<TaskId>,
    /// Tasks stopped.
    pub stopped: Vec<TaskId>,
}

/// Everything a plan for a service knows about its tasks.
#[derive(Debug, Clone, Default)]
pub struct ServiceTasks {
    /// The pods seen, in no particular order.
    pub tasks: Vec<Arc<TaskFact>>,
    /// Writes in flight.
    pub pending: PendingWrites,
    /// Writes that status does not tell of yet.
    pub unannounced: Unannounced,
}

impl ServiceTasks {
    /// The same tasks by deployment, with the writes in flight applied.
    pub fn by_deployment(&self) -> BTreeMap<DeploymentId, DeploymentTasks<'_>> {
        let mut deployments: BTreeMap<DeploymentId, DeploymentTasks<'_>> = BTreeMap::new();
        let seen: BTreeSet<TaskKey> = self.tasks.iter().map(|task| task.key).collect();
        for task in &self.tasks {
            let deployment = deployments.entry(task.key.deployment).or_default();
            let leaving = task.presence != Presence::Present || self.pending.deletes.contains(&task.uid);
            match &task.state {
                _ if leaving => deployment.leaving.push(task),
                TaskState::Stopped(_) => deployment.stopped.push(task),
                TaskState::Running { healthy: true } => deployment.healthy.push(task),
                TaskState::Running { healthy: false } | TaskState::Pending => deployment.unhealthy.push(task),
            }
        }
        for key in self.pending.creates.difference(&seen) {
            deployments.entry(key.deployment).or_default().creating.push(*key);
        }
        for tasks in deployments.values_mut() {
            for list in [&mut tasks.healthy, &mut tasks.unhealthy, &mut tasks.stopped, &mut tasks.leaving] {
                list.sort_unstable_by_key(|task| task.key);
            }
        }
        deployments
    }
}

/// The tasks of one deployment, each list in the order of slots.
#[derive(Debug, Clone, Default)]
pub struct DeploymentTasks<'a> {
    /// RUNNING and healthy: what counts towards the floor.
    pub healthy: Vec<&'a TaskFact>,
    /// Not yet RUNNING, or RUNNING and not healthy.
    pub unhealthy: Vec<&'a TaskFact>,
    /// Stopped by themselves; nobody has asked for the deletion of the pod.
    pub stopped: Vec<&'a TaskFact>,
    /// Being stopped, or gone already.
    pub leaving: Vec<&'a TaskFact>,
    /// Being created, not seen yet.
    pub creating: Vec<TaskKey>,
}

impl<'a> DeploymentTasks<'a> {
    /// How many tasks count against the ceiling: those that run or will (ECS: RUNNING or PENDING).
    pub fn active(&self) -> usize {
        [self.healthy.len(), self.unhealthy.len(), self.creating.len()].iter().sum()
    }

    /// The tasks that are no longer of use.
    pub fn ended(&self) -> impl Iterator<Item = &'a TaskFact> + '_ {
        self.stopped.iter().chain(&self.leaving).copied()
    }
}
