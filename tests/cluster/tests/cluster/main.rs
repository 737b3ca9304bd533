//! What a started cluster does, on one cluster that the tests share.
#![expect(clippy::disallowed_methods, reason = "a test acts on its cluster as an administrator does")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a helper of tests fails its test by a panic")]

mod audit;
mod behaviours;
mod nodes;
mod recorder;
mod rights;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, PostParams};
use kube::runtime::wait::await_condition;
use longshore_test_cluster::{Nodes, TestCluster};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The cluster that the tests share. It ends with the process.
async fn cluster() -> &'static TestCluster {
    static CLUSTER: OnceCell<TestCluster> = OnceCell::const_new();
    CLUSTER
        .get_or_init(async || {
            let cluster = TestCluster::start().await.unwrap();
            cluster.create_nodes(&Nodes::count(3)).await.unwrap();
            cluster
        })
        .await
}

/// The pods of a namespace that only this test uses.
async fn pods(cluster: &TestCluster, namespace: &str) -> Api<Pod> {
    cluster.create_namespace(namespace).await.unwrap();
    Api::namespaced(cluster.client().unwrap(), namespace)
}

/// Creates a pod with one container of `image`, and what else `spec` has.
async fn create(pods: &Api<Pod>, name: &str, image: &str, spec: Value) {
    let mut pod = json!({
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": image }] },
    });
    let own = pod["spec"].as_object_mut().unwrap();
    own.extend(spec.as_object().unwrap().clone());
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
}

/// Waits until the status of the pod is as wanted, and returns it.
async fn status(pods: &Api<Pod>, name: &str, wanted: impl Fn(&PodStatus) -> bool + Send + Sync) -> PodStatus {
    let wanted = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()).is_some_and(&wanted);
    let pod = await_condition(pods.clone(), name, wanted);
    tokio::time::timeout(Duration::from_mins(1), pod).await.unwrap().unwrap().unwrap().status.unwrap()
}

fn condition<'a>(status: &'a PodStatus, name: &str) -> &'a str {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == name)
        .map_or("", |condition| &condition.status)
}

fn is_ready(status: &PodStatus) -> bool {
    condition(status, "Ready") == "True"
}

#[tokio::test]
async fn two_clusters_run_side_by_side() {
    let first = cluster().await;
    let second = TestCluster::start().await.unwrap();
    let nodes = Nodes { prefix: "second".to_owned(), ..Nodes::count(1) };
    second.create_nodes(&nodes).await.unwrap();
    let pods = pods(&second, "side-by-side").await;
    create(&pods, "runs", "app:1", json!({})).await;
    let status = status(&pods, "runs", is_ready).await;
    assert!(status.pod_ip.is_some());

    let output = first.kubectl().args(["get", "nodes"]).output().unwrap();
    let nodes = String::from_utf8(output.stdout).unwrap();
    assert!(nodes.contains("node-0") && !nodes.contains("second"), "{nodes}");

    let folder = second.folder().to_owned();
    drop(second);
    assert!(!folder.exists());
}
