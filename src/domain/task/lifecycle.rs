//! From the state of a pod's containers to the state of the task.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::task::container::{ContainerFact, ContainerState};
use crate::domain::task::health::{Checks, Gate, Target};
use crate::domain::task::start::{StartFailure, StartFailureKind};
use crate::domain::task::stop::StopRecord;

/// Where a task is, as far as the scheduler of its service cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// PROVISIONING, PENDING or ACTIVATING: not RUNNING yet.
    Pending {
        /// What keeps it from starting, where something does.
        failing: Option<StartFailure>,
    },
    /// RUNNING.
    Running(Checks),
    /// STOPPED, or about to be because an essential container has exited.
    Stopped(Box<StopRecord>),
}

/// What a kubelet reports of a pod, as far as ECS's rules need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodStatus {
    /// The pod's phase.
    pub phase: PodPhase,
    /// The pod's `Ready` condition: every container, sidecars included, is ready.
    pub ready: bool,
    /// Since when that is so.
    pub ready_changed_at: Option<Timestamp>,
    /// The pod's `ContainersReady` condition: the same without readiness gates.
    pub containers_ready: bool,
    /// What the scheduler says, where it has found no node.
    pub unschedulable: Option<String>,
    /// Since when.
    pub unschedulable_since: Option<Timestamp>,
    /// Since when its node has not mounted its volumes and set up its network, where it is at that.
    pub unprepared_since: Option<Timestamp>,
    /// How long after its start a health check that has never passed has failed, be it the slowest. None without health check.
    pub health_check_deadline: Option<SignedDuration>,
    /// The same for each container that has one, where they differ.
    pub health_check_deadlines: BTreeMap<String, SignedDuration>,
    /// What others than the kubelet have to say before it is ready.
    pub gates: ReadinessGates,
    /// The pod's own reason and message, set by kubelet or controllers (`Evicted`, `NodeLost`, …).
    pub reason: Option<String>,
    /// Its containers, init containers included.
    pub containers: Vec<ContainerFact>,
}

/// The readiness gates of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadinessGates {
    /// Whether target groups have a say.
    pub of_targets: bool,
    /// What they say.
    pub targets: Vec<Target>,
    /// Whether there is a gate, of a target group or of something else, that does not pass.
    pub closed: bool,
}

/// `status.phase` of a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PodPhase {
    /// Accepted; images are pulled and init containers run.
    #[default]
    Pending,
    /// At least one main container has been started.
    Running,
    /// Every main container has exited, for good.
    Ended,
}

impl TaskState {
    /// Reads a pod. The rules are those of the ECS agent: a task is RUNNING once its containers are, and STOPPED as soon as
    /// one essential container is, whatever the others do.
    pub fn of(pod: &PodStatus) -> Self {
        let essential_exit = pod.containers.iter().any(ContainerFact::ends_the_task);
        match pod.phase {
            PodPhase::Ended => Self::Stopped(Box::new(StopRecord::of_ended_pod(pod))),
            PodPhase::Pending | PodPhase::Running if essential_exit => {
                Self::Stopped(Box::new(StopRecord::of_exits(pod)))
            }
            // A pod is Pending as long as one of its containers has never run.
            PodPhase::Pending => {
                let of_others = || StartFailure::of_dependencies(pod).or_else(|| StartFailure::of_node(pod));
                Self::Pending { failing: StartFailure::of(pod).or_else(of_others) }
            }
            PodPhase::Running => match StartFailure::of(pod) {
                Some(failing) => Self::Pending { failing: Some(failing) },
                None => Self::Running(checks(pod)),
            },
        }
    }

    /// Whether a later state differs in nothing that anything is decided by: what the node has to do for every task before its
    /// containers start fails only by the time that it takes.
    pub fn is_alike(&self, later: &Self) -> bool {
        let starts = |state: &Self| match state {
            Self::Pending { failing } => failing.as_ref().is_none_or(|of| of.kind == StartFailureKind::NotPrepared),
            Self::Running(_) | Self::Stopped(_) => false,
        };
        self == later || (starts(self) && starts(later))
    }
}

/// A pod is Ready when all its containers are and its readiness gates pass. One that is not may still be a healthy task, whose health
/// is that of its essential containers: another one that has finished makes the pod unready for ever, and a sidecar that the kubelet
/// starts again does so until it runs. What counts then are the essential containers and the gates themselves.
fn checks(pod: &PodStatus) -> Checks {
    let excused = |container: &ContainerFact| !container.essential && (container.has_run() || container.cannot_start());
    let unready = || pod.containers.iter().filter(|container| !container.ready);
    let is_excused = !pod.ready && unready().any(excused) && unready().all(excused);
    let essential = || pod.containers.iter().filter(|container| container.essential);
    let checks_pass = if is_excused { essential().all(|container| container.ready) } else { pod.containers_ready };
    let passing = pod.ready || (is_excused && checks_pass && !pod.gates.closed);
    let started = essential().filter_map(|container| match container.state {
        ContainerState::Running { since } => since,
        ContainerState::Waiting { .. } | ContainerState::Ended(_) => None,
    });
    // "When a container is restarted its health status is UNKNOWN" until it has passed again.
    if essential().any(ContainerFact::is_restarting) {
        let gate = Gate::Running;
        return Checks { running_since: None, passing: false, passing_changed_at: None, targets: Vec::new(), gate };
    }
    Checks {
        running_since: started.max(),
        passing,
        // That of a pod which is not Ready for a container that has finished says at most that it has been Ready before.
        passing_changed_at: pod.ready_changed_at.filter(|_| !(is_excused && passing)),
        targets: pod.gates.targets.clone(),
        gate: match health_check_deadline(pod) {
            // Where nothing is heard of a kubelet, Kubernetes says of its pods that they are not Ready, and of their containers nothing.
            _ if !pod.ready && pod.containers_ready && !pod.gates.closed => Gate::Agent,
            // Of both, it is up to the targets once the checks pass.
            Some(deadline) if !(pod.gates.of_targets && checks_pass) => Gate::HealthCheck { deadline },
            Some(_) | None if pod.gates.of_targets => Gate::Targets,
            Some(_) | None => Gate::Running,
        },
    }
}

/// When the first of those checks has failed that do not pass: "UNHEALTHY-One or more essential containers have failed their health
/// check". One that may take 300 seconds does not keep one that had 15 from being found out.
fn health_check_deadline(pod: &PodStatus) -> Option<SignedDuration> {
    let unready = pod.containers.iter().filter(|container| !container.ready);
    let first = unready.filter_map(|container| pod.health_check_deadlines.get(&container.name)).min();
    first.copied().or(pod.health_check_deadline)
}

#[cfg(test)]
mod tests;
