//! How tasks end.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use longshore::api::{StopCode, StoppedTask};
use longshore_test_cluster::{Change, PodRecorder};
use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::{Namespace, container, shell};

fn exits(stopped: &StoppedTask) -> Vec<(&str, Option<i32>)> {
    stopped.containers.iter().map(|exit| (exit.name.as_str(), exit.exit_code)).collect()
}

/// "If the essential parameter of a container is marked as true, and that container fails or stops for any reason, all other
/// containers that are part of the task are stopped."
pub(crate) async fn the_end_of_an_essential_container_stops_the_task(cluster: &'static Cluster) {
    let app = shell("app", "sleep 2; exit 3", &json!({}));
    let other = json!({ "name": "other", "essential": false });
    let namespace = Namespace::with_task(cluster, "stop-essential", json!([app, other])).await;
    let first = namespace.until("a task", async || namespace.tasks().await.first().cloned()).await;
    let stopped = namespace.until_stopped().await;
    assert_eq!(stopped.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(stopped.stopped_reason, "Essential container in task exited");
    assert_eq!(exits(&stopped), [("app", Some(3))]);
    assert!(stopped.started_at.is_some());
    let (old, is_first) = (first.metadata.uid, |pod: &Pod, uid: &Option<String>| pod.metadata.uid == *uid);
    namespace
        .until("another task is in its place", async || {
            let tasks = namespace.tasks().await;
            (!tasks.is_empty() && tasks.iter().all(|task| !is_first(task, &old))).then_some(())
        })
        .await;
}

pub(crate) async fn a_container_that_cannot_be_started_fails_the_start_of_its_task(cluster: &'static Cluster) {
    let app = json!({ "name": "app", "entryPoint": ["serve"] });
    let namespace = Namespace::with_task(cluster, "stop-command", json!([app])).await;
    let stopped = namespace.until_stopped().await;
    assert_eq!((stopped.stop_code, &stopped.started_at), (Some(StopCode::TaskFailedToStart), &None));
    assert!(stopped.stopped_reason.starts_with("CannotStartContainerError: "), "{}", stopped.stopped_reason);
    assert!(stopped.stopped_reason.contains("\"serve\": executable file not found"), "{}", stopped.stopped_reason);
    assert_eq!(exits(&stopped), []);
}

pub(crate) async fn the_end_of_a_container_that_is_not_essential_changes_nothing(cluster: &'static Cluster) {
    let app = json!({ "name": "app" });
    let other = shell("other", "exit 5", &json!({ "essential": false }));
    let namespace = Namespace::with_task(cluster, "stop-other", json!([app, other])).await;
    let ended = |task: &Pod| Some(container(task, "other")?.state.as_ref()?.terminated.as_ref()?.exit_code);
    let code = namespace.until("the other container ends", async || ended(namespace.tasks().await.first()?)).await;
    assert_eq!(code, 5);
    let status = namespace.until_steady(1).await;
    assert_eq!((status.running_count, status.stopped_tasks.len()), (Some(1), 0));
}

/// Runs one container until it runs, scales the service to zero, and returns the record of its task with the time from the
/// request to the end of the container.
async fn scale_in(cluster: &'static Cluster, name: &str, line: &str, stop_timeout: u32) -> (StoppedTask, Duration) {
    let app = shell("app", line, &json!({ "stopTimeout": stop_timeout }));
    let namespace = Namespace::with_task(cluster, name, json!([app])).await;
    namespace.until_printed("app", "running").await;
    namespace.until_steady(1).await;
    let record = PodRecorder::start(namespace.api::<Pod>(), ListParams::default()).await.unwrap();
    namespace.create_service(&json!({ "desiredCount": 0 }));
    let stopped = namespace.until_stopped().await;
    namespace.until("the pod goes", async || namespace.tasks().await.is_empty().then_some(())).await;
    record.catch_up().await.unwrap();
    let mut asked = None;
    let mut ended = None;
    for event in record.events().unwrap() {
        let terminated = container(&event.object, "app").and_then(|app| app.state.as_ref()?.terminated.as_ref());
        if event.object.metadata.deletion_timestamp.is_some() {
            asked = asked.or(Some(event.at));
        }
        if terminated.is_some() || event.change == Change::Deleted {
            ended = ended.or(Some(event.at));
        }
    }
    (stopped, ended.unwrap().duration_since(asked.unwrap()).unsigned_abs())
}

pub(crate) async fn a_container_that_handles_its_stop_signal_ends_in_its_own_way(cluster: &'static Cluster) {
    let line = "trap 'exit 4' TERM; echo running; while :; do sleep 0.1; done";
    let (stopped, took) = scale_in(cluster, "stop-signal", line, 30).await;
    assert_eq!(stopped.stop_code, Some(StopCode::ServiceSchedulerInitiated));
    assert!(stopped.stopped_reason.starts_with("Scaling activity initiated by (deployment ecs-svc/"), "{stopped:?}");
    assert_eq!(exits(&stopped), [("app", Some(4))]);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// `stopTimeout`: "Time duration (in seconds) to wait before the container is forcefully killed if it doesn't exit normally
/// on its own." Longshore gives the pod five seconds more.
pub(crate) async fn a_container_that_does_not_is_killed_after_its_stop_timeout(cluster: &'static Cluster) {
    let line = "trap '' TERM; echo running; while :; do sleep 0.1; done";
    let (stopped, took) = scale_in(cluster, "stop-timeout", line, 4).await;
    assert_eq!(exits(&stopped), [("app", Some(137))]);
    assert!((4..20).contains(&took.as_secs()), "{took:?}");
}
