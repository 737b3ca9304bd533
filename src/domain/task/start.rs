//! Why a task does not start, in ECS's words.
//!
//! Kubernetes tries for ever what ECS gives up on: a kubelet that cannot pull an image keeps the pod Pending and tries again,
//! where ECS stops the task with `CannotPullContainerError` and the scheduler starts another one.

use jiff::{SignedDuration, Timestamp};

use crate::domain::task::container::{ContainerFact, ContainerRole, ContainerState};
use crate::domain::task::lifecycle::{PodPhase, PodStatus};
use crate::domain::task::restart::{Awaited, AwaitedState};

/// How long a task may find no node before its launch counts as failed: as long as a Kubernetes Deployment waits before it reports
/// that it does not progress. A node that an autoscaler adds is there in less.
const UNPLACED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// A start that is failing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// Which kind.
    pub kind: StartFailureKind,
    /// What the kubelet or the scheduler says.
    pub message: String,
    /// Since when it has been seen to fail.
    pub since: Option<Timestamp>,
}

/// Kinds of failing starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFailureKind {
    /// The image's name is not one.
    InvalidImageName,
    /// The image cannot be pulled, for now.
    CannotPull,
    /// Something that the container needs is missing: a Secret, a key.
    CannotConfigure,
    /// The node cannot mount the task's volumes, or set its network up.
    NotPrepared,
    /// The runtime cannot make the container.
    CannotCreate,
    /// It has made it and cannot start it.
    CannotStart,
    /// A container that others wait for takes longer than its `startTimeout`.
    StartTimeout,
    /// A container has exited that others still wait for to be HEALTHY.
    DependencyExited,
    /// No node takes the task. ECS keeps it PENDING and says so.
    Unplaced,
}

impl StartFailureKind {
    /// What a kubelet tries in vain, by its reason for which a container waits. What it says besides is that it is at work
    /// (`ContainerCreating`, `PodInitializing`), or that it waits before it starts the container again (`CrashLoopBackOff`).
    pub(super) fn of_waiting(reason: &str) -> Option<Self> {
        let kind = match reason {
            "InvalidImageName" => Self::InvalidImageName,
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => Self::CannotPull,
            "CreateContainerConfigError" => Self::CannotConfigure,
            "CreateContainerError" | "PreCreateHookError" => Self::CannotCreate,
            "RunContainerError" | "PreStartHookError" | "PostStartHookError" => Self::CannotStart,
            _ => return None,
        };
        Some(kind)
    }
}

impl StartFailure {
    /// What keeps a pod from starting. Where Kubernetes does not say since when, it is for whoever has seen it before to fill in.
    pub(super) fn of(pod: &PodStatus) -> Option<Self> {
        if let Some(message) = &pod.unschedulable {
            let (message, since) = (message.clone(), pod.unschedulable_since);
            return Some(Self { kind: StartFailureKind::Unplaced, message, since });
        }
        // One that is not essential, and has run before, keeps no task from running: ECS starts the container that is there, for which
        // no image is pulled and no secret fetched. But what others wait for they wait for again.
        let is_waited_for = |role| pod.phase == PodPhase::Pending && role == ContainerRole::Init;
        let counts = |container: &&ContainerFact| {
            container.essential || container.last_end.is_none() || is_waited_for(container.role)
        };
        pod.containers.iter().filter(counts).find_map(|container| {
            let (kind, message) = container.failing_start()?;
            Some(Self { kind, message, since: None })
        })
    }

    /// What keeps every container of a pod from starting. Each pod is so for a moment, and why is not in its status.
    pub(super) fn of_node(pod: &PodStatus) -> Option<Self> {
        let message =
            "the node cannot mount the volumes of the task or set up its network; the events of the pod say why";
        let since = Some(pod.unprepared_since?);
        Some(Self { kind: StartFailureKind::NotPrepared, message: message.to_owned(), since })
    }

    /// What keeps the containers of a pod from starting that wait for another of its containers. On ECS "the dependent container is
    /// given up" then, and with it the task. Once those have started, what becomes of the other one is of no account to them.
    pub(super) fn of_dependencies(pod: &PodStatus) -> Option<Self> {
        let has_run = |name: &String| pod.containers.iter().any(|other| other.name == *name && other.has_run());
        pod.containers.iter().find_map(|container| {
            let Awaited { by, until, seconds } = container.awaited.as_ref()?;
            let waits = by.iter().find(|name| !has_run(name))?;
            let name = &container.name;
            if *until == AwaitedState::Healthy && container.restart.is_none() && container.restarts > 0 {
                let message = format!("container {name} exited, and {waits} waits for it to be HEALTHY");
                return Some(Self { kind: StartFailureKind::DependencyExited, message, since: None });
            }
            let ContainerState::Running { since: Some(since) } = container.state else { return None };
            let is_reached = *until == AwaitedState::Healthy && container.started;
            let timeout = SignedDuration::from_secs(seconds.filter(|_| !is_reached)?.into());
            let state = match until {
                AwaitedState::Healthy => "HEALTHY",
                AwaitedState::Ended => "COMPLETE",
            };
            let message =
                format!("container {name} is not {state} after its startTimeout of {} seconds", timeout.as_secs());
            let since = since.saturating_add(timeout).unwrap_or(Timestamp::MAX);
            Some(Self { kind: StartFailureKind::StartTimeout, message, since: Some(since) })
        })
    }

    /// When ECS would have given up. The agent tries to pull an image five times within some 20 seconds; what is missing may
    /// be on its way by the same `kubectl apply`.
    pub fn gives_up_at(&self) -> Option<Timestamp> {
        let patience = match self.kind {
            StartFailureKind::InvalidImageName
            | StartFailureKind::StartTimeout
            | StartFailureKind::DependencyExited => SignedDuration::ZERO,
            StartFailureKind::CannotPull | StartFailureKind::CannotCreate | StartFailureKind::CannotStart => {
                SignedDuration::from_secs(30)
            }
            StartFailureKind::CannotConfigure => SignedDuration::from_mins(2),
            StartFailureKind::NotPrepared => SignedDuration::from_mins(5),
            StartFailureKind::Unplaced => return None,
        };
        Some(self.since?.saturating_add(patience).unwrap_or(Timestamp::MAX))
    }

    /// When the circuit breaker counts a task that no node takes, while that goes on waiting: "A task is considered a failure if
    /// the service scheduler can't launch the task".
    pub fn launch_fails_at(&self) -> Option<Timestamp> {
        let since = self.since.filter(|_| self.kind == StartFailureKind::Unplaced)?;
        Some(since.saturating_add(UNPLACED_FOR).unwrap_or(Timestamp::MAX))
    }

    /// ECS's `stoppedReason`.
    pub fn reason(&self) -> String {
        let prefix = match self.kind {
            StartFailureKind::InvalidImageName | StartFailureKind::CannotPull => "CannotPullContainerError",
            StartFailureKind::CannotConfigure | StartFailureKind::NotPrepared => "ResourceInitializationError",
            StartFailureKind::CannotCreate => "CannotCreateContainerError",
            StartFailureKind::CannotStart | StartFailureKind::StartTimeout | StartFailureKind::DependencyExited => {
                "CannotStartContainerError"
            }
            StartFailureKind::Unplaced => "unable to place a task",
        };
        format!("{prefix}: {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_tries_for_ever_fails_in_the_words_of_ecs() {
        use StartFailureKind::{
            CannotConfigure, CannotCreate, CannotPull, CannotStart, DependencyExited, InvalidImageName, NotPrepared,
            StartTimeout, Unplaced,
        };
        for (kind, seconds, counted, reason) in [
            (InvalidImageName, Some(0), None, "CannotPullContainerError: why"),
            (CannotPull, Some(30), None, "CannotPullContainerError: why"),
            (CannotCreate, Some(30), None, "CannotCreateContainerError: why"),
            (CannotStart, Some(30), None, "CannotStartContainerError: why"),
            (CannotConfigure, Some(120), None, "ResourceInitializationError: why"),
            (NotPrepared, Some(300), None, "ResourceInitializationError: why"),
            (StartTimeout, Some(0), None, "CannotStartContainerError: why"),
            (DependencyExited, Some(0), None, "CannotStartContainerError: why"),
            (Unplaced, None, Some(600), "unable to place a task: why"),
        ] {
            let failure = StartFailure { kind, message: "why".to_owned(), since: Some(Timestamp::UNIX_EPOCH) };
            let given_up = failure.gives_up_at().map(Timestamp::as_second);
            assert_eq!((given_up, failure.reason().as_str()), (seconds, reason));
            assert_eq!(failure.launch_fails_at().map(Timestamp::as_second), counted, "{reason}");
        }
    }

    fn container(name: &str, state: ContainerState, started: bool, restarts: i32) -> ContainerFact {
        ContainerFact {
            name: name.to_owned(),
            essential: false,
            role: ContainerRole::Init,
            ready: false,
            restarts,
            state,
            last_end: None,
            started,
            restart: None,
            awaited: None,
        }
    }

    /// Each reason for which a kubelet says that a container waits though it has tried.
    #[test]
    fn whatever_a_kubelet_tries_again_fails_some_day() {
        for (reason, begins) in [
            ("InvalidImageName", Some("CannotPullContainerError")),
            ("ErrImagePull", Some("CannotPullContainerError")),
            ("ImagePullBackOff", Some("CannotPullContainerError")),
            ("ErrImageNeverPull", Some("CannotPullContainerError")),
            ("ImageInspectError", Some("CannotPullContainerError")),
            ("RegistryUnavailable", Some("CannotPullContainerError")),
            ("SignatureValidationFailed", Some("CannotPullContainerError")),
            ("CreateContainerConfigError", Some("ResourceInitializationError")),
            ("PreCreateHookError", Some("CannotCreateContainerError")),
            ("CreateContainerError", Some("CannotCreateContainerError")),
            ("PreStartHookError", Some("CannotStartContainerError")),
            ("RunContainerError", Some("CannotStartContainerError")),
            ("PostStartHookError", Some("CannotStartContainerError")),
            ("ContainerCreating", None),
            ("PodInitializing", None),
            ("CrashLoopBackOff", None),
        ] {
            let state = ContainerState::Waiting { reason: Some(reason.to_owned()), message: None };
            let app = ContainerFact { essential: true, ..container("app", state, false, 0) };
            let pod = PodStatus { containers: vec![app], ..PodStatus::default() };
            let failure = StartFailure::of(&pod).map(|failure| failure.reason());
            assert_eq!(failure, begins.map(|begins| format!("{begins}: {reason}")));
        }
    }

    #[test]
    fn what_others_wait_for_has_its_start_timeout_from_its_own_start() {
        use AwaitedState::{Ended, Healthy};
        let at = |second| Timestamp::from_second(second).unwrap();
        let running = || ContainerState::Running { since: Some(at(100)) };
        let db = |until, seconds, started, restarts| {
            let awaited = Awaited { by: vec!["migrate".to_owned()], until, seconds };
            ContainerFact { awaited: Some(awaited), ..container("db", running(), started, restarts) }
        };
        let waits = || container("migrate", ContainerState::Waiting { reason: None, message: None }, false, 0);
        let runs = || container("migrate", running(), true, 0);
        for (sentence, target, waiting, expected) in [
            ("HEALTHY within 60 seconds", db(Healthy, Some(60), false, 0), waits(), Some("StartTimeout 160")),
            ("which it is", db(Healthy, Some(60), true, 0), waits(), None),
            ("HEALTHY, some time", db(Healthy, None, false, 0), waits(), None),
            ("an exit instead", db(Healthy, None, false, 1), waits(), Some("DependencyExited -")),
            ("an exit once those that waited have started", db(Healthy, None, false, 1), runs(), None),
            ("and the time that it takes then", db(Healthy, Some(60), false, 1), runs(), None),
            ("the end within 60 seconds", db(Ended, Some(60), true, 0), waits(), Some("StartTimeout 160")),
            ("the end, some time", db(Ended, None, true, 0), waits(), None),
        ] {
            let pod = PodStatus { containers: vec![target, waiting], ..PodStatus::default() };
            let found = StartFailure::of_dependencies(&pod).map(|failure| {
                let since = failure.since.map_or_else(|| "-".to_owned(), |since| since.as_second().to_string());
                format!("{:?} {since}", failure.kind)
            });
            assert_eq!(found.as_deref(), expected, "{sentence}");
        }
    }
}
