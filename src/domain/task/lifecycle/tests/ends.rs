//! How a task ends, and what its record says.

use super::*;

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
        state: ContainerState::Ended(ContainerEnd::CannotStart {
            message: Some("no such command".to_owned()),
            at: None,
        }),
        ..running(name, essential, false)
    };
    let ended =
        ContainerState::Ended(ContainerEnd::Exited { code: 1, reason: None, started_at: Some(since), at: None });
    let ended = || ContainerFact { state: ended.clone(), ..running("app", true, false) };
    let crashed = || ContainerFact { restarts: 1, last_end: Some(exit(1)), ..init(waiting("proxy")) };
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
fn an_essential_sidecar_that_was_started_again_has_ended_the_task() {
    let sidecar = |restarts| ContainerFact {
        role: ContainerRole::Init,
        restarts,
        last_end: Some(exit(1)),
        ..running("envoy", true, true)
    };
    assert!(healthy(&pod(true, vec![sidecar(0), running("app", true, true)])));
    let state = TaskState::of(&pod(true, vec![sidecar(1), running("app", true, true)]));
    assert!(matches!(state, TaskState::Stopped(_)));
}

#[test]
fn an_end_that_the_kubelet_has_already_made_good_is_recorded_as_it_was() {
    let day = |day: i64| Timestamp::from_second(day * 86_400);
    let killed = ContainerEnd::Exited {
        code: 137,
        reason: Some("OOMKilled".to_owned()),
        started_at: day(1).ok(),
        at: day(11).ok(),
    };
    let again = |state| ContainerFact {
        role: ContainerRole::Init,
        restarts: 1,
        state,
        last_end: Some(killed.clone()),
        ..running("envoy", true, false)
    };
    let app = || ContainerFact { state: ContainerState::Running { since: day(1).ok() }, ..running("app", true, true) };
    let back_off = ContainerState::Waiting { reason: Some("CrashLoopBackOff".to_owned()), message: None };
    let second = ContainerEnd::Exited { code: 0, reason: None, started_at: day(12).ok(), at: day(12).ok() };
    for state in [ContainerState::Running { since: day(12).ok() }, back_off, ContainerState::Ended(second)] {
        let TaskState::Stopped(record) = TaskState::of(&pod(true, vec![again(state), app()])) else {
            panic!("an essential container has ended");
        };
        assert_eq!((record.ran_since, record.at), (day(1).ok(), day(11).ok()));
        let [envoy] = &record.containers[..] else { panic!("{:?}", record.containers) };
        assert_eq!(envoy.exit_code, Some(137));
        assert_eq!(envoy.reason.as_deref(), Some("OutOfMemoryError: Container killed due to memory usage"));
        let periods = HealthPeriods { healthy_after: SignedDuration::from_secs(60), grace: SignedDuration::ZERO };
        assert!(!record.died_early(periods), "it ran for ten days");
    }
}

#[test]
fn a_command_that_is_not_there_is_the_reason_though_the_kubelet_tries_it_again() {
    let none = ContainerEnd::CannotStart { message: Some("no such command".to_owned()), at: None };
    let policy = || Some(RestartPolicy { ignored_exit_codes: Vec::new(), restart_attempt_period: 60 });
    let tried = |role, restart| ContainerFact {
        role,
        restart,
        restarts: 1,
        last_end: Some(none.clone()),
        ..failing("app", true, "RunContainerError")
    };
    for container in [tried(ContainerRole::Main, policy()), tried(ContainerRole::Init, None)] {
        let TaskState::Stopped(record) = TaskState::of(&pod(false, vec![container, running("web", true, true)])) else {
            panic!("an essential container cannot be started");
        };
        assert_eq!(record.code, StopCode::TaskFailedToStart);
        assert_eq!(record.reason, "CannotStartContainerError: no such command");
        assert_eq!(record.containers, []);
    }
}

#[test]
fn a_task_that_is_evicted_for_what_it_has_written_itself_has_ended_by_itself() {
    let evicted = |message: &str, containers| {
        let reason = Some(format!("Evicted: {message}"));
        let ended = PodStatus { phase: PodPhase::Ended, reason, ..pod(false, containers) };
        let TaskState::Stopped(record) = TaskState::of(&ended) else { panic!("it has ended") };
        let periods = HealthPeriods { healthy_after: SignedDuration::from_secs(60), grace: SignedDuration::ZERO };
        (record.code, record.died_early(periods))
    };
    for message in [
        "Pod ephemeral local storage usage exceeds the total limit of containers 21Gi. ",
        "Container app exceeded its local ephemeral storage limit \"1Gi\". ",
        "Usage of EmptyDir volume \"cache\" exceeds the limit \"64Mi\". ",
    ] {
        let of_itself = (StopCode::EssentialContainerExited, true);
        assert_eq!(evicted(message, vec![exited("app", true, 137)]), of_itself, "{message}");
        let before_it_ran = (StopCode::TaskFailedToStart, true);
        let init = ContainerFact { role: ContainerRole::Init, ..exited("migrate", false, 0) };
        let waits = failing("app", true, "PodInitializing");
        assert_eq!(evicted(message, vec![init, waits]), before_it_ran, "{message}");
    }
    let short = "The node was low on resource: memory. ";
    assert_eq!(evicted(short, vec![exited("app", true, 137)]), (StopCode::TerminationNotice, false));
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
fn a_container_with_a_restart_policy_ends_the_task_only_by_an_exit_that_is_not_followed_by_a_restart() {
    let policy = || Some(RestartPolicy { ignored_exit_codes: vec![0], restart_attempt_period: 60 });
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let end =
        |code, seconds: i64| ContainerEnd::Exited { code, reason: None, started_at: at(100), at: at(100 + seconds) };
    let exit = |code, seconds| ContainerFact {
        state: ContainerState::Ended(end(code, seconds)),
        restart: policy(),
        ..running("app", true, false)
    };
    let again = |code, seconds| ContainerFact {
        restarts: 1,
        last_end: Some(end(code, seconds)),
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
fn a_task_that_outlasts_its_health_checks_beside_a_container_that_has_finished_had_passed_them() {
    let at = |second: i64| Timestamp::from_second(second).ok();
    let ended = |name, essential, seconds| {
        let end = ContainerEnd::Exited { code: 1, reason: None, started_at: at(0), at: at(seconds) };
        ContainerFact { state: ContainerState::Ended(end), ..running(name, essential, false) }
    };
    let died_early = |other: i64, app: i64| {
        let seen = PodStatus {
            phase: PodPhase::Ended,
            ready_changed_at: at(0),
            health_check_deadline: Some(SignedDuration::from_secs(108)),
            ..pod(false, vec![ended("migrate", false, other), ended("app", true, app)])
        };
        let TaskState::Stopped(record) = TaskState::of(&seen) else { panic!("it has ended") };
        record.died_early(HealthPeriods { healthy_after: SignedDuration::from_secs(40), grace: SignedDuration::ZERO })
    };
    assert!(!died_early(5, 864_000), "it ran for ten days");
    assert!(died_early(5, 100), "its checks may have failed");
    assert!(died_early(864_001, 864_000), "its pod could be Ready, and never was");
}
