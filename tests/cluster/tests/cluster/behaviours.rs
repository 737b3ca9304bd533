//! Pods behave as their image, label or annotation says.

use std::time::Duration;

use k8s_openapi::api::core::v1::PodStatus;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use longshore_test_cluster::{BEHAVIOUR, Behaviour, Pods};
use serde_json::json;
use tokio::time::Instant;

use crate::{cluster, condition, create, is_ready, pods, status};

fn runs(status: &PodStatus) -> bool {
    status.phase.as_deref() == Some("Running")
}

#[tokio::test]
async fn sidecars_run_and_init_containers_have_ended() {
    let pods = pods(cluster().await, "init").await;
    let init = json!({ "initContainers": [
        { "name": "migrate", "image": "app:1" },
        { "name": "proxy", "image": "app:1", "restartPolicy": "Always" },
    ]});
    create(&pods, "app", "app:1", init).await;
    let status = status(&pods, "app", is_ready).await;
    let containers: Vec<_> =
        status.init_container_statuses.unwrap().into_iter().map(|container| container.state.unwrap()).collect();
    assert_eq!(containers[0].terminated.as_ref().unwrap().exit_code, 0);
    assert!(containers[1].running.is_some());
}

#[tokio::test]
async fn a_readiness_gate_is_obeyed() {
    let pods = pods(cluster().await, "gates").await;
    let gate = json!({ "readinessGates": [{ "conditionType": "example.com/in-service" }] });
    create(&pods, "app", "app:1", gate).await;
    let first = status(&pods, "app", runs).await;
    assert_eq!(condition(&first, "ContainersReady"), "True");
    assert_eq!(condition(&first, "Ready"), "False");

    for (open, wanted) in [("True", true), ("False", false)] {
        let patch = json!({ "status": { "conditions": [
            { "type": "example.com/in-service", "status": open },
        ]}});
        pods.patch_status("app", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
        status(&pods, "app", |status| is_ready(status) == wanted).await;
    }
}

#[tokio::test]
async fn ready_after_a_delay_however_often_the_pod_changes() {
    let cluster = cluster().await;
    let pods = pods(cluster, "ready-after").await;
    let delay = Duration::from_millis(1500);
    cluster.behave(&Pods::image("slow:1"), Behaviour::ReadyAfter(delay)).await.unwrap();
    let created = Instant::now();
    create(&pods, "slow", "slow:1", json!({})).await;
    create(&pods, "usual", "app:1", json!({})).await;
    let first = status(&pods, "slow", runs).await;
    assert!(!is_ready(&first));
    status(&pods, "usual", is_ready).await;
    for change in 0..4 {
        let patch = json!({ "metadata": { "annotations": { "change": change.to_string() } } });
        pods.patch("slow", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let changed = Instant::now();
    let last = status(&pods, "slow", is_ready).await;
    assert!(last.container_statuses.unwrap()[0].ready);
    assert!(created.elapsed() >= delay);
    assert!(changed.elapsed() < delay, "the delay began anew");
}

#[tokio::test]
async fn a_crash_ends_every_container_with_its_exit_code() {
    let cluster = cluster().await;
    let pods = pods(cluster, "crash").await;
    let crash = Behaviour::Crash { after: Duration::from_millis(300), exit_code: 3 };
    cluster.behave(&Pods::label("app", "crashes"), crash).await.unwrap();
    let spec = json!({
        "metadata": { "name": "crashes", "labels": { "app": "crashes" } },
        "spec": {
            "containers": [{ "name": "a", "image": "app:1" }, { "name": "b", "image": "app:1" }],
            "initContainers": [
                { "name": "migrate", "image": "app:1" },
                { "name": "proxy", "image": "app:1", "restartPolicy": "Always" },
            ],
        },
    });
    let pod = serde_json::from_value(spec).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    status(&pods, "crashes", is_ready).await;
    let failed = |status: &PodStatus| status.phase.as_deref() == Some("Failed");
    let status = status(&pods, "crashes", failed).await;
    assert!(!is_ready(&status));
    let code = |container: &k8s_openapi::api::core::v1::ContainerStatus| {
        let terminated = container.state.as_ref()?.terminated.as_ref()?;
        Some(terminated.exit_code)
    };
    let main: Vec<_> = status.container_statuses.unwrap().iter().map(code).collect();
    let init: Vec<_> = status.init_container_statuses.unwrap().iter().map(code).collect();
    assert_eq!(main, [Some(3), Some(3)]);
    assert_eq!(init, [Some(0), Some(0)]);
}

#[tokio::test]
async fn never_ready_until_the_pods_behave_as_usual_again() {
    let cluster = cluster().await;
    let pods = pods(cluster, "never-ready").await;
    let annotated = Pods::annotation("stuck");
    cluster.behave(&annotated, Behaviour::NeverReady).await.unwrap();
    let stuck = |name: &str| {
        serde_json::from_value(json!({
            "metadata": { "name": name, "annotations": { BEHAVIOUR: "stuck" } },
            "spec": { "containers": [{ "name": "main", "image": "app:1" }] },
        }))
        .unwrap()
    };
    pods.create(&PostParams::default(), &stuck("before")).await.unwrap();
    status(&pods, "before", runs).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = pods.get("before").await.unwrap().status.unwrap();
    assert!(runs(&before) && !is_ready(&before));

    cluster.behave_as_usual(&annotated).await.unwrap();
    pods.create(&PostParams::default(), &stuck("after")).await.unwrap();
    status(&pods, "after", is_ready).await;
}

#[tokio::test]
async fn unready_later_and_still_running() {
    let cluster = cluster().await;
    let pods = pods(cluster, "unready").await;
    let unready = Behaviour::UnreadyAfter(Duration::from_millis(500));
    cluster.behave(&Pods::image("weak:1"), unready).await.unwrap();
    create(&pods, "weak", "weak:1", json!({})).await;
    status(&pods, "weak", is_ready).await;
    let status = status(&pods, "weak", |status| !is_ready(status)).await;
    assert!(runs(&status));
    assert_eq!(condition(&status, "ContainersReady"), "False");
    assert!(!status.container_statuses.unwrap()[0].ready);
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_keeps_its_pod_waiting() {
    let cluster = cluster().await;
    let pods = pods(cluster, "pull").await;
    cluster.behave(&Pods::image("absent:1"), Behaviour::ImagePullFailure).await.unwrap();
    create(&pods, "waits", "absent:1", json!({})).await;
    let waits = |status: &PodStatus| status.container_statuses.is_some();
    let first = status(&pods, "waits", waits).await;
    let waiting = first.container_statuses.unwrap()[0].state.clone().unwrap().waiting.unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("ImagePullBackOff"));
    assert_eq!(first.phase.as_deref(), Some("Pending"));
    let version = pods.get("waits").await.unwrap().metadata.resource_version;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let later = pods.get("waits").await.unwrap().metadata.resource_version;
    assert_eq!(version, later, "nobody writes without need");
}

#[tokio::test]
async fn a_slow_stop_ends_with_an_exit_code() {
    let cluster = cluster().await;
    let pods = pods(cluster, "stop").await;
    let stop = Behaviour::StopAfter { after: Duration::from_millis(700), exit_code: 143 };
    cluster.behave(&Pods::image("stops:1"), stop).await.unwrap();
    create(&pods, "stops", "stops:1", json!({})).await;
    status(&pods, "stops", is_ready).await;
    let deleted = Instant::now();
    pods.delete("stops", &DeleteParams::default()).await.unwrap();
    let ended = |status: &PodStatus| status.phase.as_deref() == Some("Failed");
    status(&pods, "stops", ended).await;
    assert!(deleted.elapsed() >= Duration::from_millis(700));
    while pods.get_opt("stops").await.unwrap().is_some() {
        assert!(deleted.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
