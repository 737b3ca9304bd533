//! What was observed, small: a task pod takes 30–46 KB as a typed `Pod` and a few hundred bytes as a fact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::names::{DeploymentId, RevisionName, TaskId, TaskKey, Uid};
use crate::domain::placement::resources::Resources;
use crate::domain::task::{Checks, Gate, Target, TaskState};

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
    /// The node it is bound to.
    pub node: Option<Arc<str>>,
    /// The node that it is for, where it is the task of a DAEMON service.
    pub pinned_to: Option<Arc<str>>,
    /// The Availability Zone that it is for, where it was started to balance the zones.
    pub zone: Option<Arc<str>>,
    /// What it reserves of its node.
    pub reserves: Resources,
    /// Until when neither scale-in nor a deployment may stop it.
    pub protected_until: Option<Timestamp>,
    /// When somebody asked for the pod's deletion.
    pub stop_requested_at: Option<Timestamp>,
    /// Why Kubernetes takes the pod away, if it does: a `stoppedReason`.
    pub disruption: Option<Arc<str>>,
    /// Why we asked for the pod's deletion, if it was us.
    pub stopped_for: Option<StopCause>,
}

impl TaskFact {
    /// The id of the task.
    pub fn task_id(&self) -> TaskId {
        TaskId::of_pod(&self.pod)
    }

    /// "Tasks that are protected are not terminated by scale-in events or deployments."
    pub fn is_protected(&self, now: Timestamp) -> bool {
        self.protected_until.is_some_and(|until| until > now)
    }

    /// Whether it does its work, as far as is known: it runs, and what checks it has pass.
    pub fn is_serving(&self) -> bool {
        let passes = matches!(&self.state, TaskState::Running(checks) if checks.passing);
        passes && self.presence == Presence::Present
    }

    /// Whether a later sight of the task differs in nothing that anything is decided by, but for the node that it got.
    pub fn is_alike(&self, later: &Self) -> bool {
        let Self {
            pod,
            uid,
            resource_version: _,
            key,
            revision,
            state,
            presence,
            node: _,
            pinned_to,
            zone,
            reserves: _,
            protected_until,
            stop_requested_at,
            disruption,
            stopped_for: _,
        } = self;
        (pod, uid, key, revision) == (&later.pod, &later.uid, &later.key, &later.revision)
            && state.is_alike(&later.state)
            && *presence == later.presence
            && (pinned_to, zone) == (&later.pinned_to, &later.zone)
            && *protected_until == later.protected_until
            && (stop_requested_at, disruption) == (&later.stop_requested_at, &later.disruption)
    }

    /// The target groups that have the task as a target: those that know it, as long as it is to serve.
    pub fn targets(&self) -> &[Target] {
        match &self.state {
            TaskState::Running(checks) if self.presence == Presence::Present => &checks.targets,
            TaskState::Running(_) | TaskState::Pending { .. } | TaskState::Stopped(_) => &[],
        }
    }

    /// The target group for which it is unhealthy, if it is.
    pub fn failing_target(&self) -> Option<&Target> {
        match &self.state {
            TaskState::Running(checks) => checks.failing_target(),
            TaskState::Pending { .. } | TaskState::Stopped(_) => None,
        }
    }

    /// Why the task is stopped if it is so for its health.
    pub fn unhealthy_cause(&self) -> StopCause {
        match &self.state {
            TaskState::Running(Checks { gate: Gate::Targets, .. }) => {
                StopCause::Targets { group: self.failing_target().map(|target| target.group.clone()) }
            }
            TaskState::Running(Checks { gate: Gate::Agent, .. }) => StopCause::AgentDisconnected,
            TaskState::Running(_) | TaskState::Pending { .. } | TaskState::Stopped(_) => StopCause::HealthCheck,
        }
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

/// What runs on a node, whatever its service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeTasks {
    /// The groups of its tasks: `service:web`.
    pub task_groups: BTreeSet<String>,
    /// How many tasks there are.
    pub tasks: u64,
    /// Whether one of them belongs to a REPLICA service.
    pub has_replicas: bool,
    /// What they reserve, but for those that are being stopped.
    pub reserved: Resources,
}

/// Why the scheduler stops a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopCause {
    /// There is one too many, or a deployment replaces it.
    Scaling,
    /// A container's health check has failed.
    HealthCheck,
    /// A target group holds it to be unhealthy.
    Targets {
        /// Which, where that can be seen.
        group: Option<Arc<str>>,
    },
    /// Nothing is heard of the node that it is on.
    AgentDisconnected,
    /// Its Availability Zone has more tasks than another one.
    Rebalancing {
        /// The zone.
        zone: Arc<str>,
    },
    /// Its node takes no more tasks.
    Draining,
    /// Its node does not satisfy the placement constraints of a DAEMON service any more.
    PlacementConstraint,
    /// An essential container has exited, or the task could not be started: what is left of it goes.
    Ended,
    /// It was being stopped when it was first seen: before a restart of the operator we have asked for it, or somebody else has.
    Unknown,
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

/// What was done since the service's status was last written: it becomes events there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unannounced {
    /// Tasks started.
    pub started: Vec<TaskChange>,
    /// Tasks stopped.
    pub stopped: Vec<TaskChange>,
    /// How often the API server has refused to start a task of a deployment: it breaks a rule, a policy or a quota.
    pub refused_starts: BTreeMap<DeploymentId, u64>,
    /// Availability Zones in which the API server has refused to start a task, with its words.
    pub refused_zones: BTreeMap<Arc<str>, String>,
    /// Tasks that a target group got to know.
    pub registered: Vec<TargetChange>,
    /// Tasks that it has had to forget.
    pub deregistered: Vec<TargetChange>,
}

impl Unannounced {
    /// Notes the target groups that a task has come to and left from one look at it to the next. Of one that nobody has looked at
    /// before, nothing is new.
    pub fn note_targets(&mut self, before: &TaskFact, after: &TaskFact) {
        let change = |target: &Target| TargetChange { task: after.task_id(), group: target.group.clone() };
        let lacks = |fact: &TaskFact, target: &Target| fact.targets().iter().all(|known| known.group != target.group);
        self.registered.extend(after.targets().iter().filter(|target| lacks(before, target)).map(change));
        self.deregistered.extend(before.targets().iter().filter(|target| lacks(after, target)).map(change));
    }
}

/// A task that was started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskChange {
    /// The task.
    pub task: TaskId,
    /// The Availability Zone in which that balances the zones, if it was done for that.
    pub zone: Option<Arc<str>>,
}

/// A task as it comes to a target group, or leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetChange {
    /// The task.
    pub task: TaskId,
    /// The target group.
    pub group: Arc<str>,
}

/// Everything a plan for a service knows about its tasks.
#[derive(Debug, Clone, Default)]
pub struct ServiceTasks {
    /// The pods seen, in no particular order.
    pub tasks: Vec<Arc<TaskFact>>,
    /// Writes in flight.
    pub pending: PendingWrites,
    /// How many tasks have ceased to serve without being asked to by us. While this is the same, a stop that was planned leaves as
    /// many healthy tasks as it was to leave.
    pub losses: u64,
    /// Writes that status does not tell of yet.
    pub unannounced: Unannounced,
    /// What the images of each deployment turned out to be: its first tasks that ran, up to the first one that told every digest,
    /// and no more than [`TaskImages::ATTEMPTS_MAX`].
    pub images: BTreeMap<DeploymentId, Vec<TaskImages>>,
}

/// What a task that has run tells of its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskImages {
    /// The task.
    pub task: TaskId,
    /// The digests by container, `sha256:…`. None for an image that has no digest in a registry: it was made on its node.
    pub digests: BTreeMap<String, Option<String>>,
}

impl TaskImages {
    /// "If three or more attempts at establishing the container image digests fail, the deployment continues without image digest
    /// resolution."
    pub const ATTEMPTS_MAX: usize = 3;

    /// Whether every digest is known.
    pub fn are_complete(&self) -> bool {
        self.digests.values().all(Option::is_some)
    }
}
