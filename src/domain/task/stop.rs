//! Why a task stopped, in ECS's words.

use jiff::Timestamp;

use crate::api::StopCode;
use crate::domain::task::lifecycle::{ContainerFact, ContainerState, PodPhase, PodStatus};

/// A task's end, as far as its pod tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRecord {
    /// ECS's stop code.
    pub code: StopCode,
    /// ECS's `stoppedReason`.
    pub reason: String,
    /// When the last of its containers ended, where the kubelet said so.
    pub at: Option<Timestamp>,
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
    /// A pod in which an essential container has exited while others may still run.
    pub(super) fn of_essential_exit(pod: &PodStatus) -> Self {
        Self::new(pod, StopCode::EssentialContainerExited, "Essential container in task exited".to_owned())
    }

    /// A pod whose containers have all ended. One that no container ever ran in failed to start: the kubelet refused it, or
    /// it was evicted before.
    pub(super) fn of_ended_pod(pod: &PodStatus) -> Self {
        let ran = pod.containers.iter().any(|container| matches!(container.state, ContainerState::Exited { .. }));
        match (&pod.reason, ran) {
            (Some(reason), false) => Self::new(pod, StopCode::TaskFailedToStart, reason.clone()),
            (Some(reason), true) => Self::new(pod, StopCode::TerminationNotice, reason.clone()),
            (None, _) => Self::of_essential_exit(pod),
        }
    }

    fn new(pod: &PodStatus, code: StopCode, reason: String) -> Self {
        let exits = pod.containers.iter().filter_map(exit);
        let at = pod.containers.iter().filter_map(|container| match container.state {
            ContainerState::Exited { at, .. } => at,
            ContainerState::Waiting(_) | ContainerState::Running => None,
        });
        let others_running = pod.phase != PodPhase::Ended;
        Self { code, reason, at: at.max(), others_running, containers: exits.collect() }
    }
}

fn exit(container: &ContainerFact) -> Option<ContainerExit> {
    let (exit_code, reason) = match &container.state {
        ContainerState::Exited { code, reason, .. } => (Some(*code), reason.as_deref()),
        ContainerState::Waiting(_) | ContainerState::Running => (container.last_exit_code, None),
    };
    let reason = match reason {
        Some("OOMKilled") => Some("OutOfMemoryError: Container killed due to memory usage".to_owned()),
        _ => None,
    };
    exit_code.map(|code| ContainerExit { name: container.name.clone(), exit_code: Some(code), reason })
}
