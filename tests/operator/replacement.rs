//! Tasks that fail their health checks.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use longshore::api::{ServiceStatus, StoppedTask};
use longshore_test_cluster::{Behaviour, Change, PodRecorder, Pods};
use serde_json::json;

use crate::judge::{assert_stops_kept, created, first, is_active, is_healthy, runs};
use crate::namespace::Namespace;

/// A kubelet finds that the health check of a task fails. Returns its pod.
async fn fail_health_check(namespace: &Namespace) -> String {
    let pods = namespace.pods().await;
    let healthy = pods.iter().filter(|pod| is_healthy(pod)).filter_map(|pod| pod.metadata.name.clone());
    let name = healthy.min().unwrap();
    // Times in a pod's status have whole seconds: the check is to have failed after it passed.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let failed = |type_: &str| json!({ "type": type_, "status": "False", "lastTransitionTime": Timestamp::now() });
    let status = json!({ "status": { "conditions": [failed("Ready"), failed("ContainersReady")] } });
    namespace.api::<Pod>().patch_status(&name, &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
    name
}

async fn until_stopped(namespace: &Namespace, pod: &str) -> StoppedTask {
    let task = pod.strip_prefix("web-").unwrap().to_owned();
    let recorded = |status: &ServiceStatus| status.stopped_tasks.iter().any(|stopped| stopped.task == task);
    let status = namespace.until_service("web", "the record of the unhealthy task", recorded).await;
    status.stopped_tasks.into_iter().find(|stopped| stopped.task == task).unwrap()
}

/// The place in the record at which a task is stopped.
fn first_stop(recorder: &PodRecorder, pod: &str) -> Option<usize> {
    first(recorder, |event| {
        event.object.metadata.name.as_deref() == Some(pod)
            && (event.change == Change::Deleted || event.object.metadata.deletion_timestamp.is_some())
    })
}

/// The unhealthy task is not stopped before its replacement has become healthy.
fn assert_start_first(recorder: &PodRecorder, sick: &str) {
    let new = created(recorder)[0].metadata.name.clone();
    let healthy = first(recorder, |event| event.object.metadata.name == new && is_healthy(&event.object));
    let stopped = first_stop(recorder, sick);
    assert!(healthy.is_some() && healthy < stopped, "healthy at {healthy:?}, stopped at {stopped:?}");
}

#[tokio::test]
async fn an_unhealthy_task_is_replaced_by_one_of_the_same_revision_which_starts_first() {
    let namespace = Namespace::new("unhealthy").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "unhealthy:1");
    namespace.apply_service("web", 2, 100, 200);
    let before = namespace.until_steady("web", "web:1").await;
    let recorder = namespace.record().await;
    let sick = fail_health_check(&namespace).await;
    let record = until_stopped(&namespace, &sick).await;
    assert_eq!(record.stopped_reason, "Task failed container health checks");
    assert_eq!(record.task_definition, "web:1");
    let after = namespace.until_steady("web", "web:1").await;
    assert_eq!(after.deployments[0].id, before.deployments[0].id, "a replacement is no deployment");
    recorder.catch_up().await.unwrap();
    assert_stops_kept(&recorder, 2, 4);
    assert_start_first(&recorder, &sick);
    assert_eq!(created(&recorder).len(), 1);
}

#[tokio::test]
async fn where_the_ceiling_leaves_no_room_an_unhealthy_task_is_stopped_before_its_replacement_starts() {
    let namespace = Namespace::new("in-place").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "in-place:1");
    namespace.apply_service("web", 2, 50, 100);
    let before = namespace.until_steady("web", "web:1").await;
    let recorder = namespace.record().await;
    let sick = fail_health_check(&namespace).await;
    let record = until_stopped(&namespace, &sick).await;
    assert_eq!(record.stopped_reason, "Task failed container health checks");
    let after = namespace.until_steady("web", "web:1").await;
    assert_eq!(after.deployments[0].id, before.deployments[0].id, "a replacement is no deployment");
    recorder.catch_up().await.unwrap();
    assert_stops_kept(&recorder, 1, 2);
    assert_eq!(created(&recorder).len(), 1);
    let started = first(&recorder, |event| event.change == Change::Added);
    let stopped = first_stop(&recorder, &sick);
    assert!(stopped.is_some() && stopped < started, "stopped at {stopped:?}, started at {started:?}");
}

/// A task of revision 1 becomes unhealthy while no task of revision 2 ever becomes healthy.
async fn old_task_fails(name: &str, maximum: u32, ceiling: usize) -> (PodRecorder, String) {
    let namespace = Namespace::new(name).await;
    namespace.cluster.behave(&Pods::image(format!("{name}:2")), Behaviour::NeverReady).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", &format!("{name}:1"));
    namespace.apply_service("web", 2, 100, maximum);
    namespace.until_steady("web", "web:1").await;
    namespace.apply_task_definition("web", &format!("{name}:2"));
    let both = |status: &ServiceStatus| status.running_count == Some(4) && status.deployments.len() == 2;
    namespace.until_service("web", "both revisions", both).await;
    let recorder = namespace.record().await;
    let sick = fail_health_check(&namespace).await;
    let record = until_stopped(&namespace, &sick).await;
    assert_eq!(record.stopped_reason, "Task failed container health checks");
    assert_eq!(record.task_definition, "web:1");
    let image = format!("{name}:1");
    let healthy = |pod: &&Pod| is_healthy(pod) && runs(pod, &image);
    let limit = Duration::from_secs(30);
    recorder.until("two healthy tasks", limit, |pods| pods.values().filter(healthy).count() == 2).await.unwrap();
    recorder.catch_up().await.unwrap();
    assert_stops_kept(&recorder, 2, ceiling);
    let started = created(&recorder);
    assert_eq!(started.len(), 1);
    assert!(runs(&started[0], &image) && is_active(&started[0]), "of the same revision");
    (recorder, sick)
}

#[tokio::test]
async fn an_unhealthy_task_of_the_old_revision_is_replaced_while_the_new_one_never_works() {
    old_task_fails("old-unhealthy", 200, 4).await;
}

#[tokio::test]
async fn an_unhealthy_task_of_the_old_revision_is_replaced_start_first_where_there_is_room() {
    let (recorder, sick) = old_task_fails("old-unhealthy-room", 300, 6).await;
    assert_start_first(&recorder, &sick);
}
