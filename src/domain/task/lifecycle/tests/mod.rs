//! The state of a task, by the states of its containers.

mod ends;

use super::*;
use crate::api::StopCode;
use crate::domain::task::container::{ContainerEnd, ContainerRole};
use crate::domain::task::health::{Health, HealthPeriods, TargetHealth};
use crate::domain::task::restart::{Awaited, AwaitedState, RestartPolicy};

fn running(name: &str, essential: bool, ready: bool) -> ContainerFact {
    ContainerFact {
        name: name.to_owned(),
        essential,
        role: ContainerRole::Main,
        ready,
        restarts: 0,
        state: ContainerState::Running { since: None },
        last_end: None,
        started: true,
        restart: None,
        awaited: None,
    }
}

/// An exit of which no more than the code is known.
fn exit(code: i32) -> ContainerEnd {
    ContainerEnd::Exited { code, reason: None, started_at: None, at: None }
}

fn exited(name: &str, essential: bool, code: i32) -> ContainerFact {
    let state = ContainerState::Ended(exit(code));
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
fn where_nothing_is_heard_of_a_kubelet_kubernetes_says_that_its_pods_are_not_ready_and_of_their_containers_nothing() {
    let health_check_deadline = Some(SignedDuration::from_secs(90));
    let unready = PodStatus { health_check_deadline, ..pod(false, vec![running("app", true, true)]) };
    let gate = |pod: &PodStatus| match TaskState::of(pod) {
        TaskState::Running(checks) => checks.gate,
        state => panic!("{state:?}"),
    };
    let check = Gate::HealthCheck { deadline: SignedDuration::from_secs(90) };
    let closed = ReadinessGates { closed: true, of_targets: true, targets: Vec::new() };
    for (sentence, pod, expected) in [
        ("it fails its check", PodStatus { containers_ready: false, ..unready.clone() }, check),
        ("its node is silent", PodStatus { containers_ready: true, ..unready.clone() }, Gate::Agent),
        ("its target fails", PodStatus { containers_ready: true, gates: closed, ..unready.clone() }, Gate::Targets),
        ("all is well", PodStatus { containers_ready: true, ready: true, ..unready }, check),
    ] {
        assert_eq!(gate(&pod), expected, "{sentence}");
    }
}

#[test]
fn a_container_that_is_not_essential_may_finish_and_the_task_stays_running_and_healthy() {
    assert!(healthy(&pod(false, vec![running("app", true, true), exited("migrate", false, 0)])));
    assert!(!healthy(&pod(false, vec![running("app", true, false), exited("migrate", false, 0)])));
}

#[test]
fn a_sidecar_that_is_not_essential_may_end_and_be_started_again_and_the_task_stays_healthy() {
    let sidecar = |state, last_end| ContainerFact {
        role: ContainerRole::Init,
        restarts: 1,
        state,
        last_end,
        ..running("proxy", false, false)
    };
    let back_off = || ContainerState::Waiting { reason: Some("CrashLoopBackOff".to_owned()), message: None };
    let ended = || ContainerState::Ended(exit(1));
    for (sentence, proxy) in [
        ("it ends", sidecar(ended(), None)),
        ("it waits for its restart", sidecar(back_off(), Some(exit(1)))),
        (
            "it runs again and does not pass its health check yet",
            sidecar(ContainerState::Running { since: None }, Some(exit(1))),
        ),
    ] {
        assert!(healthy(&pod(false, vec![proxy.clone(), running("app", true, true)])), "{sentence}");
        assert!(!healthy(&pod(false, vec![proxy, running("app", true, false)])), "{sentence}, beside an unhealthy one");
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
fn a_container_that_is_not_essential_and_cannot_be_started_leaves_its_task_alone() {
    let cannot_start = ContainerFact {
        state: ContainerState::Ended(ContainerEnd::CannotStart { message: None, at: None }),
        ..running("other", false, false)
    };
    assert!(healthy(&pod(false, vec![running("app", true, true), cannot_start])));
}

#[test]
fn between_two_runs_the_health_of_a_container_is_unknown() {
    let app = ContainerFact {
        state: ContainerState::Waiting { reason: None, message: None },
        restarts: 1,
        last_end: Some(exit(1)),
        restart: Some(RestartPolicy { ignored_exit_codes: Vec::new(), restart_attempt_period: 60 }),
        ..running("app", true, false)
    };
    let seen = PodStatus { health_check_deadline: Some(SignedDuration::ZERO), ..pod(false, vec![app]) };
    let TaskState::Running(checks) = TaskState::of(&seen) else { panic!("the task is RUNNING") };
    let periods = HealthPeriods { healthy_after: SignedDuration::ZERO, grace: SignedDuration::ZERO };
    assert_eq!(checks.health(periods, Timestamp::MAX), Health::Unknown { until: None });
}

#[test]
fn a_task_is_unhealthy_as_soon_as_one_essential_container_is() {
    let seconds = SignedDuration::from_secs;
    let deadlines = BTreeMap::from([("app".to_owned(), seconds(15)), ("search".to_owned(), seconds(300))]);
    let health_at = |app: bool, search: bool, second: i64| {
        let since = Some(Timestamp::UNIX_EPOCH);
        let container =
            |name, ready| ContainerFact { state: ContainerState::Running { since }, ..running(name, true, ready) };
        let seen = PodStatus {
            health_check_deadline: Some(seconds(300)),
            health_check_deadlines: deadlines.clone(),
            ..pod(false, vec![container("app", app), container("search", search)])
        };
        let TaskState::Running(checks) = TaskState::of(&seen) else { panic!("the task is RUNNING") };
        let periods = HealthPeriods { healthy_after: SignedDuration::ZERO, grace: SignedDuration::ZERO };
        checks.health(periods, Timestamp::from_second(second).unwrap())
    };
    let until = |second| Health::Unknown { until: Some(Timestamp::from_second(second).unwrap()) };
    for (sentence, health, expected) in [
        ("none has passed yet", health_at(false, false, 14), until(15)),
        ("the first has failed", health_at(false, true, 15), Health::Unhealthy),
        ("though the other may still pass", health_at(false, false, 15), Health::Unhealthy),
        ("it has passed, and the other may take its time", health_at(true, false, 15), until(300)),
        ("until that has failed", health_at(true, false, 300), Health::Unhealthy),
    ] {
        assert_eq!(health, expected, "{sentence}");
    }
}

#[test]
fn a_task_whose_node_does_not_get_its_volumes_mounted_fails_to_start_by_the_time_that_it_takes() {
    let waiting = |reason: &str| {
        let state = ContainerState::Waiting { reason: Some(reason.to_owned()), message: None };
        ContainerFact { state, started: false, ..running("app", true, false) }
    };
    let at = Timestamp::from_second(100).unwrap();
    let pod = |phase, unprepared_since, reason| PodStatus {
        phase,
        unprepared_since,
        containers: vec![waiting(reason)],
        ..PodStatus::default()
    };
    let failing = |pod: &PodStatus| match TaskState::of(pod) {
        TaskState::Pending { failing } => failing.map(|failing| (failing.kind, failing.since)),
        other => panic!("{other:?}"),
    };
    let unprepared = pod(PodPhase::Pending, Some(at), "ContainerCreating");
    assert_eq!(failing(&unprepared), Some((StartFailureKind::NotPrepared, Some(at))));
    let prepared = pod(PodPhase::Pending, None, "ContainerCreating");
    assert_eq!(failing(&prepared), None);
    let pulling = pod(PodPhase::Pending, Some(at), "ErrImagePull");
    assert_eq!(failing(&pulling), Some((StartFailureKind::CannotPull, None)), "what the kubelet says comes first");

    let alike = |one: &PodStatus, other: &PodStatus| TaskState::of(one).is_alike(&TaskState::of(other));
    assert!(alike(&prepared, &unprepared) && alike(&unprepared, &prepared));
    assert!(!alike(&unprepared, &pulling));
    assert!(!alike(&unprepared, &self::pod(true, vec![running("app", true, true)])));
}

/// A container for which the kubelet has this reason to wait, before it has ever run.
fn failing(name: &str, essential: bool, reason: &str) -> ContainerFact {
    let state = ContainerState::Waiting { reason: Some(reason.to_owned()), message: None };
    ContainerFact { state, started: false, ..running(name, essential, false) }
}

/// A container that ran, has ended, and that the kubelet tries in vain to start again.
fn failing_again(name: &str, essential: bool, reason: &str) -> ContainerFact {
    let restart = Some(RestartPolicy { ignored_exit_codes: Vec::new(), restart_attempt_period: 60 });
    ContainerFact { restarts: 1, last_end: Some(exit(1)), restart, ..failing(name, essential, reason) }
}

#[test]
fn a_container_that_is_not_essential_and_has_run_keeps_no_task_from_running() {
    let runs = || running("app", true, true);
    for reason in
        ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "RunContainerError", "CrashLoopBackOff"]
    {
        for role in [ContainerRole::Main, ContainerRole::Init] {
            let again = ContainerFact { role, ..failing_again("log", false, reason) };
            assert!(healthy(&pod(false, vec![runs(), again])), "{reason}");
        }
        let none = ContainerEnd::CannotStart { message: None, at: None };
        let no_command = ContainerFact { last_end: Some(none), ..failing_again("log", false, reason) };
        assert!(healthy(&pod(false, vec![runs(), no_command])), "{reason}, as it cannot be started");
    }
}

#[test]
fn what_has_to_run_and_cannot_be_started_fails_the_start_of_its_task() {
    let pending = |containers| PodStatus { phase: PodPhase::Pending, ..pod(false, containers) };
    let runs = || running("app", true, true);
    let init = |container| ContainerFact { role: ContainerRole::Init, ..container };
    let waits = || failing("app", true, "PodInitializing");
    let reason = "ImagePullBackOff";
    for (sentence, seen) in [
        ("an essential one", pending(vec![runs(), failing("web", true, reason)])),
        ("an essential one that has run before", pod(false, vec![runs(), failing_again("web", true, reason)])),
        ("one that has never run, though it is not essential", pending(vec![runs(), failing("log", false, reason)])),
        ("one that others wait for", pending(vec![init(failing("proxy", false, reason)), waits()])),
        ("one that they wait for again", pending(vec![init(failing_again("proxy", false, reason)), waits()])),
    ] {
        let TaskState::Pending { failing: Some(failing) } = TaskState::of(&seen) else { panic!("{sentence}: it runs") };
        assert_eq!(failing.kind, StartFailureKind::CannotPull, "{sentence}");
    }
}
