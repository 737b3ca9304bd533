//! From the state of a pod's containers to the state of the task.

use jiff::{SignedDuration, Timestamp};

use crate::domain::task::health::{Checks, Gate, Target};
use crate::domain::task::restart::{Awaited, RestartPolicy};
use crate::domain::task::start::StartFailure;
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
    /// How long after its start a health check that has never passed has failed. None without health check.
    pub health_check_deadline: Option<SignedDuration>,
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
    /// The exit code of its run before the present one.
    pub last_exit_code: Option<i32>,
    /// How long that run took.
    pub last_ran_for: Option<SignedDuration>,
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
    /// Exited.
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
    /// Never started, and not tried again: the image has no such command.
    CannotStart {
        /// The runtime's message.
        message: Option<String>,
        /// When it was tried.
        at: Option<Timestamp>,
    },
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
            PodPhase::Pending => {
                Self::Pending { failing: StartFailure::of(pod).or_else(|| StartFailure::of_dependencies(pod)) }
            }
            // A pod is Running as soon as one container is; a task is not before all of them are, or have been.
            PodPhase::Running => match StartFailure::of(pod) {
                Some(failing) => Self::Pending { failing: Some(failing) },
                None => Self::Running(checks(pod)),
            },
        }
    }
}

impl ContainerFact {
    /// "If the essential parameter of a container is marked as true, and that container fails or stops for any reason, all
    /// other containers that are part of the task are stopped." A sidecar that exits is started again by the kubelet at
    /// once, so what shows is the restart.
    fn ends_the_task(&self) -> bool {
        match (&self.restart, self.role) {
            _ if !self.essential => false,
            (Some(policy), _) => self.has_exited_for_good(policy),
            (None, ContainerRole::Main) => {
                matches!(self.state, ContainerState::Exited { .. } | ContainerState::CannotStart { .. })
            }
            (None, ContainerRole::Init) => self.restarts > 0,
        }
    }

    /// Whether its process has ever run.
    pub(super) fn has_run(&self) -> bool {
        let runs = matches!(self.state, ContainerState::Running { .. } | ContainerState::Exited { .. });
        runs || self.last_exit_code.is_some()
    }

    /// Whether the latest exit is one after which ECS would not have started the container again, whatever the kubelet does.
    fn has_exited_for_good(&self, policy: &RestartPolicy) -> bool {
        match self.state {
            ContainerState::Exited { code, started_at, at, .. } => {
                let ran_for = at.zip(started_at).map(|(at, started)| at.duration_since(started));
                !policy.restarts_after(code, ran_for)
            }
            ContainerState::CannotStart { .. } => true,
            ContainerState::Waiting { .. } | ContainerState::Running { .. } => {
                self.last_exit_code.is_some_and(|code| !policy.restarts_after(code, self.last_ran_for))
            }
        }
    }

    /// Whether it is between two runs.
    fn is_restarting(&self) -> bool {
        let is_running = matches!(self.state, ContainerState::Running { .. });
        let has_run = matches!(self.state, ContainerState::Exited { .. }) || self.last_exit_code.is_some();
        self.restart.is_some() && has_run && !is_running
    }
}

/// A pod is Ready when all its containers are and its readiness gates pass. One that is not may still be a healthy task, whose health
/// is that of its essential containers: another one that has finished makes the pod unready for ever, and a sidecar that the kubelet
/// starts again does so until it runs. What counts then are the essential containers and the gates themselves.
fn checks(pod: &PodStatus) -> Checks {
    let excused = |container: &ContainerFact| {
        let cannot_start = matches!(container.state, ContainerState::CannotStart { .. });
        !container.essential && (cannot_start || container.has_run())
    };
    let unready = || pod.containers.iter().filter(|container| !container.ready);
    let is_excused = !pod.ready && unready().any(excused) && unready().all(excused);
    let essential = || pod.containers.iter().filter(|container| container.essential);
    let checks_pass = if is_excused { essential().all(|container| container.ready) } else { pod.containers_ready };
    let passing = pod.ready || (is_excused && checks_pass && !pod.gates.closed);
    let started = essential().filter_map(|container| match container.state {
        ContainerState::Running { since } => since,
        ContainerState::Waiting { .. } | ContainerState::Exited { .. } | ContainerState::CannotStart { .. } => None,
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
        gate: match pod.health_check_deadline {
            // Of both, it is up to the targets once the checks pass.
            Some(deadline) if !(pod.gates.of_targets && checks_pass) => Gate::HealthCheck { deadline },
            Some(_) | None if pod.gates.of_targets => Gate::Targets,
            Some(_) | None => Gate::Running,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::StopCode;
    use crate::domain::task::health::{Health, HealthPeriods, TargetHealth};
    use crate::domain::task::restart::AwaitedState;

    fn running(name: &str, essential: bool, ready: bool) -> ContainerFact {
        ContainerFact {
            name: name.to_owned(),
            essential,
            role: ContainerRole::Main,
            ready,
            restarts: 0,
            state: ContainerState::Running { since: None },
            last_exit_code: None,
            last_ran_for: None,
            started: true,
            restart: None,
            awaited: None,
        }
    }

    fn exited(name: &str, essential: bool, code: i32) -> ContainerFact {
        let state = ContainerState::Exited { code, reason: None, started_at: None, at: None };
        ContainerFact { state, ..running(name, essential, false) }
    }

    fn pod(ready: bool, containers: Vec<ContainerFact>) -> PodStatus {
        PodStatus { phase: PodPhase::Running, ready, containers, ..PodStatus::default() }
    }

    fn healthy(pod: &PodStatus) -> bool {
        matches!(TaskState::of(pod), TaskState::Running(Checks { passing: true, .. }))
    }

    #[test]
    fn a_task_is_healthy_when_its_essential_containers_are() {
        assert!(healthy(&pod(true, vec![running("app", true, true)])));
        assert!(!healthy(&pod(false, vec![running("app", true, false)])));
    }

    #[test]
    fn a_container_that_is_not_essential_may_finish_and_the_task_stays_running_and_healthy() {
        assert!(healthy(&pod(false, vec![running("app", true, true), exited("migrate", false, 0)])));
        assert!(!healthy(&pod(false, vec![running("app", true, false), exited("migrate", false, 0)])));
    }

    #[test]
    fn a_sidecar_that_is_not_essential_may_end_and_be_started_again_and_the_task_stays_healthy() {
        let sidecar = |state, last_exit_code| ContainerFact {
            role: ContainerRole::Init,
            restarts: 1,
            state,
            last_exit_code,
            ..running("proxy", false, false)
        };
        let back_off = || ContainerState::Waiting { reason: Some("CrashLoopBackOff".to_owned()), message: None };
        let ended = || ContainerState::Exited { code: 1, reason: None, started_at: None, at: None };
        for (sentence, proxy) in [
            ("it ends", sidecar(ended(), None)),
            ("it waits for its restart", sidecar(back_off(), Some(1))),
            (
                "it runs again and does not pass its health check yet",
                sidecar(ContainerState::Running { since: None }, Some(1)),
            ),
        ] {
            assert!(healthy(&pod(false, vec![proxy.clone(), running("app", true, true)])), "{sentence}");
            assert!(
                !healthy(&pod(false, vec![proxy, running("app", true, false)])),
                "{sentence}, beside an unhealthy one"
            );
        }
        let node_lost = pod(false, vec![running("proxy", false, true), running("app", true, true)]);
        assert!(!healthy(&node_lost), "every container is ready, and the pod is not");
    }

    #[test]
    fn beside_a_container_that_has_finished_target_groups_still_have_a_say() {
        let finished = || vec![running("app", true, true), exited("migrate", false, 0)];
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let target = |health| Target { group: "web".into(), health };
        let gated = |health, closed| PodStatus {
            gates: ReadinessGates { of_targets: true, targets: vec![target(health)], closed },
            ready_changed_at: at(0),
            ..pod(false, finished())
        };
        assert!(healthy(&gated(TargetHealth::Healthy, false)));
        assert!(!healthy(&gated(TargetHealth::Healthy, true)), "another readiness gate");
        let unhealthy = gated(TargetHealth::Unhealthy { reason: "Request timed out".to_owned() }, true);
        let TaskState::Running(checks) = TaskState::of(&unhealthy) else { panic!("the task does not run") };
        assert_eq!((checks.passing, checks.gate), (false, Gate::Targets));
        assert_eq!(checks.failing_target().map(|target| &*target.group), Some("web"));
    }

    #[test]
    fn when_an_essential_container_stops_all_other_containers_of_the_task_are_stopped() {
        let TaskState::Stopped(record) =
            TaskState::of(&pod(false, vec![exited("app", true, 3), running("proxy", true, true)]))
        else {
            panic!("the task still runs");
        };
        assert_eq!(record.code, StopCode::EssentialContainerExited);
        assert_eq!(record.reason, "Essential container in task exited");
        assert_eq!(record.containers[0].exit_code, Some(3));
    }

    #[test]
    fn a_task_of_which_a_container_never_ran_failed_to_start() {
        let since = Timestamp::UNIX_EPOCH;
        let awaited = |until| Some(Awaited { by: vec!["app".to_owned()], until, seconds: None });
        let init = |container| ContainerFact { role: ContainerRole::Init, ..container };
        let migrate =
            |code| init(ContainerFact { awaited: awaited(AwaitedState::Ended), ..exited("migrate", false, code) });
        // Stopped with its task.
        let proxy = |code| init(exited("proxy", true, code));
        let waiting = |name| ContainerFact {
            state: ContainerState::Waiting { reason: Some("PodInitializing".to_owned()), message: None },
            ..running(name, true, false)
        };
        let runs =
            |name| ContainerFact { state: ContainerState::Running { since: Some(since) }, ..running(name, true, true) };
        let cannot_start = |name, essential| ContainerFact {
            state: ContainerState::CannotStart { message: Some("no such command".to_owned()), at: None },
            ..running(name, essential, false)
        };
        let ended = ContainerState::Exited { code: 1, reason: None, started_at: Some(since), at: None };
        let ended = || ContainerFact { state: ended.clone(), ..running("app", true, false) };
        let crashed = || ContainerFact { restarts: 1, last_exit_code: Some(1), ..init(waiting("proxy")) };
        let essential = "Essential container in task exited";
        let failed = "CannotStartContainerError: container migrate exited with 7, and app waits for its success";
        let no_command = "CannotStartContainerError: no such command";
        // (sentence, phase, containers, whether it had been RUNNING, reason)
        for (sentence, phase, containers, was_running, reason) in [
            ("one that ran ends", PodPhase::Ended, vec![migrate(0), ended()], true, essential),
            ("of two that ran one ends", PodPhase::Running, vec![ended(), runs("web")], true, essential),
            ("a dependency fails", PodPhase::Ended, vec![proxy(143), migrate(7), waiting("app")], false, failed),
            ("a command is not there", PodPhase::Ended, vec![cannot_start("app", true)], false, no_command),
            ("so beside another", PodPhase::Running, vec![cannot_start("app", true), runs("web")], false, no_command),
            ("one ends before another starts", PodPhase::Pending, vec![ended(), waiting("web")], false, essential),
            ("a sidecar ends before that", PodPhase::Pending, vec![crashed(), waiting("app")], false, essential),
        ] {
            let pod = PodStatus { phase, containers, ..PodStatus::default() };
            let TaskState::Stopped(record) = TaskState::of(&pod) else { panic!("{sentence}: it goes on") };
            let code = if was_running { StopCode::EssentialContainerExited } else { StopCode::TaskFailedToStart };
            assert_eq!((record.code, record.reason.as_str()), (code, reason), "{sentence}");
            assert_eq!(record.ran_since, was_running.then_some(since), "{sentence}");
            let periods = HealthPeriods { healthy_after: SignedDuration::ZERO, grace: SignedDuration::ZERO };
            assert_eq!(record.died_early(periods), !was_running, "{sentence}");
        }
    }

    #[test]
    fn a_container_that_is_not_essential_and_cannot_be_started_leaves_its_task_alone() {
        let cannot_start = ContainerFact {
            state: ContainerState::CannotStart { message: None, at: None },
            ..running("other", false, false)
        };
        assert!(healthy(&pod(false, vec![running("app", true, true), cannot_start])));
    }

    #[test]
    fn a_container_with_a_restart_policy_ends_the_task_only_by_an_exit_that_is_not_followed_by_a_restart() {
        let policy = || Some(RestartPolicy { ignored_exit_codes: vec![0], restart_attempt_period: 60 });
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let exit = |code, seconds: i64| ContainerFact {
            state: ContainerState::Exited { code, reason: None, started_at: at(100), at: at(100 + seconds) },
            restart: policy(),
            ..running("app", true, false)
        };
        let again = |code, seconds| ContainerFact {
            restarts: 1,
            last_exit_code: Some(code),
            last_ran_for: Some(SignedDuration::from_secs(seconds)),
            restart: policy(),
            ..running("app", true, true)
        };
        let waits = |code, seconds| ContainerFact {
            state: ContainerState::Waiting { reason: Some("CrashLoopBackOff".to_owned()), message: None },
            ready: false,
            ..again(code, seconds)
        };
        let sidecar = |container| ContainerFact { role: ContainerRole::Init, ..container };
        for (sentence, container, ends) in [
            ("it exits after the attempt period", exit(1, 60), false),
            ("it waits for its restart", waits(1, 60), false),
            ("it runs again", again(1, 60), false),
            ("it exits too soon", exit(1, 59), true),
            ("the kubelet has started it again though it exited too soon", again(1, 59), true),
            ("so it has, after a delay", waits(1, 59), true),
            ("it exits with a code that is to be ignored", exit(0, 60), true),
            ("a sidecar is started again", sidecar(again(1, 60)), false),
            ("a sidecar is started again with a code that is to be ignored", sidecar(again(0, 60)), true),
        ] {
            let state = TaskState::of(&pod(false, vec![container.clone()]));
            assert_eq!(matches!(state, TaskState::Stopped(_)), ends, "{sentence}");
            let other = ContainerFact { essential: false, ..container };
            let state = TaskState::of(&pod(false, vec![running("web", true, true), other]));
            assert!(matches!(state, TaskState::Running(_)), "{sentence}, not essential");
        }
    }

    #[test]
    fn between_two_runs_the_health_of_a_container_is_unknown() {
        let app = ContainerFact {
            state: ContainerState::Waiting { reason: None, message: None },
            restarts: 1,
            last_exit_code: Some(1),
            restart: Some(RestartPolicy { ignored_exit_codes: Vec::new(), restart_attempt_period: 60 }),
            ..running("app", true, false)
        };
        let seen = PodStatus { health_check_deadline: Some(SignedDuration::ZERO), ..pod(false, vec![app]) };
        let TaskState::Running(checks) = TaskState::of(&seen) else { panic!("the task is RUNNING") };
        let periods = HealthPeriods { healthy_after: SignedDuration::ZERO, grace: SignedDuration::ZERO };
        assert_eq!(checks.health(periods, Timestamp::MAX), Health::Unknown { until: None });
    }

    #[test]
    fn an_essential_sidecar_that_was_started_again_has_ended_the_task() {
        let sidecar = |restarts| ContainerFact {
            role: ContainerRole::Init,
            restarts,
            last_exit_code: Some(1),
            ..running("envoy", true, true)
        };
        assert!(healthy(&pod(true, vec![sidecar(0), running("app", true, true)])));
        let state = TaskState::of(&pod(true, vec![sidecar(1), running("app", true, true)]));
        assert!(matches!(state, TaskState::Stopped(_)));
    }
}
