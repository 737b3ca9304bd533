//! `healthCheck`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use longshore::api::StopCode;
use longshore_test_cluster::PodRecorder;
use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::{Namespace, shell};

/// "If a task is unhealthy, the service scheduler starts a replacement task first if maximumPercent allows."
pub(crate) async fn a_task_that_fails_its_health_check_is_replaced_start_first(cluster: &'static Cluster) {
    let check = json!({ "command": ["CMD-SHELL", "test ! -e /tmp/sick"], "interval": 5, "retries": 2 });
    let app = json!([{ "name": "app", "healthCheck": check }]);
    let namespace = Namespace::with_task(cluster, "health", app).await;
    namespace.until_steady(1).await;
    let record = PodRecorder::start(namespace.api::<Pod>(), ListParams::default()).await.unwrap();
    let sick = namespace.tasks().await.remove(0);
    namespace.execute(&sick, "app", &["touch", "/tmp/sick"]);

    let stopped = namespace.until_stopped().await;
    assert_eq!(stopped.stop_code, Some(StopCode::ServiceSchedulerInitiated));
    assert_eq!(stopped.stopped_reason, "Task failed container health checks");
    namespace.until_steady(1).await;
    record.catch_up().await.unwrap();
    let mut seen = BTreeSet::new();
    let mut overlapped = false;
    record
        .replay(|pods, _| {
            let ready = |pod: &Pod| {
                let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
                conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
            };
            let is_there = |pod: &Pod| pod.name_any() == sick.name_any() && pod.metadata.deletion_timestamp.is_none();
            seen.extend(pods.values().map(ResourceExt::name_any));
            overlapped |=
                pods.values().any(is_there) && pods.values().any(|pod| pod.name_any() != sick.name_any() && ready(pod));
        })
        .unwrap();
    assert_eq!(seen.len(), 2, "one task and its replacement: {seen:?}");
    assert!(overlapped, "the replacement is healthy before the sick task is stopped");
}

/// "The time period in seconds between each health check execution": ECS checks for the first time after an interval. A kubelet does at
/// once, and then after an interval; with one retry that first check, which fails, must not be the last.
pub(crate) async fn a_container_has_until_its_last_check_to_become_healthy(cluster: &'static Cluster) {
    let check = json!({ "command": ["CMD-SHELL", "test -e /tmp/up"], "interval": 15, "retries": 1, "timeout": 5 });
    let app = shell("app", "sleep 8; touch /tmp/up; exec /task pause", &json!({ "healthCheck": check }));
    let namespace = Namespace::with_task(cluster, "health-late", json!([app])).await;
    let status = namespace.until_steady(1).await;
    assert!(status.stopped_tasks.is_empty(), "{:?}", status.stopped_tasks);
}
