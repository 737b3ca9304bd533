//! `kill -9`, in the middle of things.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_test_cluster::{Behaviour, Change, Pods};

use crate::judge::assert_kept;
use crate::namespace::Namespace;

#[tokio::test]
async fn an_operator_killed_three_times_in_a_rollout_keeps_floor_and_ceiling_and_starts_no_task_twice() {
    let mut namespace = Namespace::new("killed").await;
    let slow = Behaviour::ReadyAfter(Duration::from_millis(900));
    namespace.cluster.behave(&Pods::image("killed:2"), slow).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "killed:1");
    namespace.apply_service("web", 12, 75, 125);
    namespace.until_steady("web", "web:1").await;

    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "killed:2");
    for replaced in [1, 5, 9] {
        let gone = || recorder.events().unwrap().iter().filter(|event| event.change == Change::Deleted).count();
        let started = std::time::Instant::now();
        while gone() < replaced {
            assert!(started.elapsed() < Duration::from_mins(1), "{} tasks replaced\n{}", gone(), namespace.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        namespace.kill_operator();
        namespace.start_operator();
    }
    namespace.until_steady("web", "web:2").await;
    recorder.catch_up().await.unwrap();
    assert_kept(&recorder, 9, 15);
    let added = recorder.events().unwrap().into_iter().filter(|event| event.change == Change::Added);
    let names: Vec<_> = added.map(|event| event.object.metadata.name.unwrap()).collect();
    assert_eq!(names.len(), 12, "each task was replaced once");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 12);
}

#[tokio::test]
async fn sigterm_ends_the_operator_and_its_tasks_run_on() {
    let mut namespace = Namespace::new("sigterm").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "sigterm:1");
    namespace.apply_service("web", 2, 100, 200);
    namespace.until_steady("web", "web:1").await;
    let pid = namespace.operator().id().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    let started = std::time::Instant::now();
    let status = loop {
        if let Some(status) = namespace.operator().try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "the operator goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
    assert!(namespace.log().contains("stopped"), "{}", namespace.log());
    assert_eq!(namespace.pods().await.len(), 2);
}
