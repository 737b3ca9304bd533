//! One container of a task's pod, and what its state means to the task.

use jiff::{SignedDuration, Timestamp};

use crate::domain::task::restart::{Awaited, RestartPolicy};
use crate::domain::task::start::StartFailureKind;

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFact {
    /// The name that the task definition gives it.
    pub name: String,
    /// Whether the task ends with it.
    pub essential: bool,
    /// Which part of the pod it stands in.
    pub role: ContainerRole,
    /// Running, and passing its readiness probe where it has one.
    pub ready: bool,
    /// How often the kubelet has started it again.
    pub restarts: i32,
    /// What it does now.
    pub state: ContainerState,
    /// How its run before the present one ended.
    pub last_end: Option<ContainerEnd>,
    /// Whether its startup probe has passed, or it runs and has none.
    pub started: bool,
    /// Its restart policy.
    pub restart: Option<RestartPolicy>,
    /// What others wait for in it, if it is more than its start.
    pub awaited: Option<Awaited>,
}

/// The part of a pod that a container stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerRole {
    /// An init container or native sidecar.
    Init,
    /// An ordinary container.
    Main,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Not running.
    Waiting {
        /// The kubelet's reason (`ContainerCreating`, `ImagePullBackOff`), if it gives one.
        reason: Option<String>,
        /// Its message.
        message: Option<String>,
    },
    /// Running.
    Running {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It does not run, and is not started again or not yet.
    Ended(ContainerEnd),
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerEnd {
    /// Its process has exited.
    Exited {
        /// The exit code.
        code: i32,
        /// The runtime's reason (`OOMKilled`, `Error`, `Completed`).
        reason: Option<String>,
        /// When it had started.
        started_at: Option<Timestamp>,
        /// When.
        at: Option<Timestamp>,
    },
    /// There never was a process: the image has no such command.
    CannotStart {
        /// The runtime's message.
        message: Option<String>,
        /// When it was tried.
        at: Option<Timestamp>,
    },
}

impl ContainerEnd {
    /// When it was.
    pub(super) fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Exited { at, .. } | Self::CannotStart { at, .. } => *at,
        }
    }
}

impl ContainerFact {
    /// "If the essential parameter of a container is marked as true, and that container fails or stops for any reason, all
    /// other containers that are part of the task are stopped." A sidecar that exits is started again by the kubelet at
    /// once, so what shows is the restart.
    pub(super) fn ends_the_task(&self) -> bool {
        let has_ended = matches!(self.state, ContainerState::Ended(_));
        match (&self.restart, self.role) {
            _ if !self.essential => false,
            (Some(policy), _) => self.has_ended_for_good(policy),
            (None, ContainerRole::Main) => has_ended,
            (None, ContainerRole::Init) => has_ended || self.restarts > 0,
        }
    }

    /// How the container has ended, as far as its task is concerned. A run that was followed by another one has ended nothing, unless
    /// the task ends with it and the kubelet has not waited for that; of one that waits for its next run, the last one tells.
    pub(super) fn end(&self) -> Option<&ContainerEnd> {
        let is_restarted_by_kubelet = self.essential && self.role == ContainerRole::Init && self.restart.is_none();
        match &self.state {
            ContainerState::Ended(end) if is_restarted_by_kubelet => self.last_end.as_ref().or(Some(end)),
            ContainerState::Ended(end) => Some(end),
            ContainerState::Waiting { .. } => self.last_end.as_ref(),
            ContainerState::Running { .. } => self.last_end.as_ref().filter(|_| self.ends_the_task()),
        }
    }

    /// Whether its process has ever run.
    pub(super) fn has_run(&self) -> bool {
        let exited = |end: &ContainerEnd| matches!(end, ContainerEnd::Exited { .. });
        match &self.state {
            ContainerState::Running { .. } => true,
            ContainerState::Ended(end) if exited(end) => true,
            ContainerState::Ended(_) | ContainerState::Waiting { .. } => self.last_end.as_ref().is_some_and(exited),
        }
    }

    /// Whether the image has no such command, be it that the kubelet tries again.
    pub(super) fn cannot_start(&self) -> bool {
        matches!(self.latest_end(), Some(ContainerEnd::CannotStart { .. }))
    }

    /// How its latest run has ended, whatever has followed.
    fn latest_end(&self) -> Option<&ContainerEnd> {
        match &self.state {
            ContainerState::Ended(end) => Some(end),
            ContainerState::Waiting { .. } | ContainerState::Running { .. } => self.last_end.as_ref(),
        }
    }

    /// Why the kubelet tries in vain to start it, if it does, and in which words.
    pub(super) fn failing_start(&self) -> Option<(StartFailureKind, String)> {
        let ContainerState::Waiting { reason: Some(reason), message } = &self.state else { return None };
        let kind = StartFailureKind::of_waiting(reason)?;
        Some((kind, message.clone().unwrap_or_else(|| reason.clone())))
    }

    /// Whether the latest end is one after which ECS would not have started the container again, whatever the kubelet does.
    fn has_ended_for_good(&self, policy: &RestartPolicy) -> bool {
        self.latest_end().is_some_and(|end| match end {
            ContainerEnd::Exited { code, started_at, at, reason: _ } => {
                let ran_for: Option<SignedDuration> =
                    at.zip(*started_at).map(|(at, started)| at.duration_since(started));
                !policy.restarts_after(*code, ran_for)
            }
            ContainerEnd::CannotStart { .. } => true,
        })
    }

    /// Whether it is between two runs.
    pub(super) fn is_restarting(&self) -> bool {
        let is_running = matches!(self.state, ContainerState::Running { .. });
        self.restart.is_some() && self.has_run() && !is_running
    }
}
