//! A started cluster is a real one: pods run on its nodes.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use longshore_test_cluster::{Nodes, TestCluster};
use serde_json::json;

fn pod(name: &str, image: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": image }] },
    }))
    .unwrap()
}

#[tokio::test]
async fn a_pod_runs_on_a_node() {
    let cluster = TestCluster::start().await.unwrap();
    cluster.create_nodes(&Nodes::count(1)).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client().unwrap());
    let pod = pod("runs", "app:1");
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let running = await_condition(pods, "runs", conditions::is_pod_running());
    let pod = tokio::time::timeout(Duration::from_secs(30), running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("node-0"));
    assert!(pod.status.unwrap().pod_ip.is_some());
}
