//! Why a task stopped, in ECS's words.

use jiff::{SignedDuration, Timestamp};

use crate::api::StopCode;
use crate::domain::task::container::{ContainerEnd, ContainerFact, ContainerState};
use crate::domain::task::health::{HealthPeriods, has_passed};
use crate::domain::task::lifecycle::{PodPhase, PodStatus, TaskState};
use crate::domain::task::restart::AwaitedState;
use crate::domain::task::start::StartFailure;

/// A task's end, as far as its pod tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRecord {
    /// ECS's stop code.
    pub code: StopCode,
    /// ECS's `stoppedReason`.
    pub reason: String,
    /// When the last of its containers ended, where the kubelet said so.
    pub at: Option<Timestamp>,
    /// Since when its essential containers ran. None for a task that never was RUNNING.
    pub ran_since: Option<Timestamp>,
    /// Whether it had passed the checks that it has. Without checks there is nothing to pass but time.
    pub had_passed: bool,
    /// Whether other containers of the task may still run: they are to be stopped.
    pub others_running: bool,
    /// The containers that have ended.
    pub containers: Vec<ContainerExit>,
}

/// A container's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExit {
    /// The name that the task definition gives it.
    pub name: String,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// ECS's reason (`OutOfMemoryError: Container killed due to memory usage`), where there is one.
    pub reason: Option<String>,
}

impl StopRecord {
    /// A pod that ends with a container of it: an essential one has ended, be it that others still run, or one has failed whose
    /// success others wait for. A task that never was RUNNING failed to start, whatever ended.
    pub(super) fn of_exits(pod: &PodStatus) -> Self {
        let exited = || "Essential container in task exited".to_owned();
        if was_running(pod) {
            return Self::new(pod, StopCode::EssentialContainerExited, exited());
        }
        let reason = pod.containers.iter().find_map(failed_start).unwrap_or_else(exited);
        Self::new(pod, StopCode::TaskFailedToStart, reason)
    }

    /// A pod whose containers have all ended. One that no container ever ran in failed to start: the kubelet refused it, or
    /// it was evicted before.
    pub(super) fn of_ended_pod(pod: &PodStatus) -> Self {
        let ran = pod.containers.iter().any(ContainerFact::has_run);
        match (&pod.reason, ran) {
            (Some(reason), _) if exceeds_own_limit(reason) => {
                let code =
                    if was_running(pod) { StopCode::EssentialContainerExited } else { StopCode::TaskFailedToStart };
                Self::new(pod, code, reason.clone())
            }
            (Some(reason), false) => Self::new(pod, StopCode::TaskFailedToStart, reason.clone()),
            (Some(reason), true) => Self::new(pod, StopCode::TerminationNotice, reason.clone()),
            (None, _) => Self::of_exits(pod),
        }
    }

    /// A pod that Kubernetes goes on trying to start, long after ECS would have given up.
    pub fn of_failed_start(failure: &StartFailure) -> Self {
        Self {
            code: StopCode::TaskFailedToStart,
            reason: failure.reason(),
            at: failure.gives_up_at(),
            ran_since: None,
            had_passed: false,
            others_running: true,
            containers: Vec::new(),
        }
    }

    /// A task that was asked to stop and went without another word, by what it did last.
    pub fn of_request(last: &TaskState) -> Self {
        let ran_since = match last {
            TaskState::Running(checks) => checks.running_since,
            TaskState::Stopped(end) => end.ran_since,
            TaskState::Pending { .. } => None,
        };
        Self {
            code: StopCode::UserInitiated,
            reason: String::new(),
            at: None,
            ran_since,
            had_passed: false,
            others_running: false,
            containers: Vec::new(),
        }
    }

    fn new(pod: &PodStatus, code: StopCode, reason: String) -> Self {
        let exits = pod.containers.iter().filter_map(exit);
        let at = pod.containers.iter().filter_map(|container| container.end()?.at());
        let essential = pod.containers.iter().filter(|container| container.essential);
        let started = essential.filter_map(|container| match (container.end(), &container.state) {
            (Some(ContainerEnd::Exited { started_at: since, .. }), _) | (None, ContainerState::Running { since }) => {
                *since
            }
            (Some(ContainerEnd::CannotStart { .. }), _)
            | (None, ContainerState::Waiting { .. } | ContainerState::Ended(_)) => None,
        });
        let was_running = was_running(pod);
        let ran_since = started.max().filter(|_| was_running);
        let checked = pod.health_check_deadline.is_some() || pod.gates.of_targets;
        let at = at.max();
        Self {
            code,
            reason,
            at,
            ran_since,
            had_passed: was_running && (!checked || had_passed(pod, ran_since, at)),
            others_running: pod.phase != PodPhase::Ended,
            containers: exits.collect(),
        }
    }

    /// Whether its node did not take the task, or lost it before it ran.
    pub fn was_refused_by_node(&self) -> bool {
        let infrastructure =
            ["OutOf", "NodeAffinity", "UnexpectedAdmissionError", "Preempting", "NodeShutdown", "Evicted", "NodeLost"];
        self.code == StopCode::TaskFailedToStart
            && infrastructure.iter().any(|reason| self.reason.starts_with(reason))
            && !exceeds_own_limit(&self.reason)
    }

    /// Whether the task ended before it had shown that it can be healthy, or right after. A task that a node lost or refused
    /// says nothing about its revision.
    pub fn died_early(&self, periods: HealthPeriods) -> bool {
        let by_itself = match self.code {
            StopCode::TaskFailedToStart => !self.was_refused_by_node(),
            StopCode::EssentialContainerExited => true,
            StopCode::UserInitiated
            | StopCode::ServiceSchedulerInitiated
            | StopCode::SpotInterruption
            | StopCode::TerminationNotice
            | StopCode::InfrastructureHealth => false,
        };
        let ran_for = self.ran_since.zip(self.at).map_or(SignedDuration::ZERO, |(since, at)| at.duration_since(since));
        by_itself && (!self.had_passed || ran_for < periods.healthy_after)
    }
}

/// The `stoppedReason` of a task that Kubernetes takes away for a reason of its own, by the pod's condition `DisruptionTarget`.
/// An eviction is none: that is a person who drains a node.
pub fn disruption(reason: &str, message: &str, node: &str) -> Option<String> {
    match reason {
        "EvictionByEvictionAPI" => None,
        "DeletionByPodGC" => Some(format!("Host EC2 (instance {node}) terminated.")),
        _ => Some(format!("{reason}: {message}")),
    }
}

/// Whether the kubelet has evicted a task for what it did itself: it has written more than it may. On ECS its writes fail, and what
/// comes of that is its own end; a node that is short of something is not.
fn exceeds_own_limit(reason: &str) -> bool {
    let limits = [
        "Pod ephemeral local storage usage exceeds the total limit of containers",
        "exceeded its local ephemeral storage limit",
        "Usage of EmptyDir volume",
    ];
    limits.iter().any(|limit| reason.contains(limit))
}

/// A task has been RUNNING once each of its containers has. One that is not essential may fail to.
fn was_running(pod: &PodStatus) -> bool {
    let is_excused = |container: &ContainerFact| !container.essential && container.cannot_start();
    pod.containers.iter().all(|container| container.has_run() || is_excused(container))
}

/// Whether its essential containers had passed their health checks. Once a container beside them has ended the pod is unready for ever; a
/// task that has run on for longer than its checks may take to fail had passed them all the same.
fn had_passed(pod: &PodStatus, ran_since: Option<Timestamp>, at: Option<Timestamp>) -> bool {
    let ended = |essential: bool| {
        let of_kind = pod.containers.iter().filter(move |container| container.essential == essential);
        of_kind.filter_map(|container| container.end()?.at()).min()
    };
    let was_unready = ended(false).zip(ended(true)).is_some_and(|(other, essential)| other < essential);
    let ran_for = at.zip(ran_since).map(|(at, since)| at.duration_since(since));
    let outlasted = ran_for.zip(pod.health_check_deadline).is_some_and(|(ran_for, deadline)| ran_for > deadline);
    has_passed(pod.ready, pod.ready_changed_at, ran_since) || (was_unready && outlasted)
}

/// Why a container keeps its task from starting for good, if it does: it cannot be started, or others wait for its success.
fn failed_start(container: &ContainerFact) -> Option<String> {
    let name = &container.name;
    let awaited = container.awaited.as_ref().filter(|awaited| awaited.until == AwaitedState::Ended);
    let reason = match (container.end()?, awaited) {
        (ContainerEnd::CannotStart { message, .. }, awaited) if container.essential || awaited.is_some() => {
            message.clone().unwrap_or_else(|| format!("container {name}"))
        }
        (ContainerEnd::Exited { code, .. }, Some(awaited)) if *code != 0 => {
            format!("container {name} exited with {code}, and {} waits for its success", awaited.by.join(", "))
        }
        _ => return None,
    };
    Some(format!("CannotStartContainerError: {reason}"))
}

fn exit(container: &ContainerFact) -> Option<ContainerExit> {
    let ContainerEnd::Exited { code, reason, .. } = container.end()? else { return None };
    let reason = match reason.as_deref() {
        Some("OOMKilled") => Some("OutOfMemoryError: Container killed due to memory usage".to_owned()),
        _ => None,
    };
    Some(ContainerExit { name: container.name.clone(), exit_code: Some(*code), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_kubernetes_takes_away_tells_why() {
        for (reason, expected) in [
            ("DeletionByPodGC", Some("Host EC2 (instance node-1) terminated.")),
            ("DeletionByTaintManager", Some("DeletionByTaintManager: why")),
            ("PreemptionByScheduler", Some("PreemptionByScheduler: why")),
            ("EvictionByEvictionAPI", None),
        ] {
            assert_eq!(disruption(reason, "why", "node-1").as_deref(), expected);
        }
    }
}
