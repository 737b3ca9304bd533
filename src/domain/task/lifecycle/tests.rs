//! The state of a task, by the states of its containers.

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
