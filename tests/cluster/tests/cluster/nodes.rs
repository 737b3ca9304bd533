//! Nodes are spread over zones, and can be lost and found.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{Api, ListParams};
use longshore_test_cluster::{Nodes, Recorder};

use crate::cluster;

fn ready(node: &Node) -> bool {
    node.status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[tokio::test]
async fn nodes_are_as_ordered() {
    let cluster = cluster().await;
    let order = Nodes {
        count: 4,
        prefix: "gpu".to_owned(),
        zones: vec!["x".to_owned(), "y".to_owned()],
        instance_types: vec!["p5.small".to_owned(), "p5.large".to_owned()],
        labels: BTreeMap::from([("team".to_owned(), "ml".to_owned())]),
        resources: BTreeMap::from([("nvidia.com/gpu".to_owned(), "8".to_owned())]),
        taints: vec![Taint { key: "nvidia.com/gpu".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() }],
        ..Nodes::default()
    };
    let names = cluster.create_nodes(&order).await.unwrap();
    assert_eq!(names, ["gpu-0", "gpu-1", "gpu-2", "gpu-3"]);
    let api: Api<Node> = Api::all(cluster.client().unwrap());
    let nodes = api.list(&ListParams::default().labels("team=ml")).await.unwrap();
    let label = |node: &Node, key: &str| node.metadata.labels.as_ref().unwrap()[key].clone();
    let places: Vec<_> = nodes
        .items
        .iter()
        .map(|node| {
            let zone = label(node, "topology.kubernetes.io/zone");
            format!("{zone} {}", label(node, "node.kubernetes.io/instance-type"))
        })
        .collect();
    assert_eq!(places, ["x p5.small", "y p5.small", "x p5.large", "y p5.large"]);
    let allocatable = nodes.items[0].status.as_ref().unwrap().allocatable.clone();
    assert_eq!(allocatable.unwrap()["nvidia.com/gpu"].0, "8");
}

#[tokio::test]
async fn a_lost_node_stays_lost_until_it_is_found() {
    let cluster = cluster().await;
    let order = Nodes {
        prefix: "frail".to_owned(),
        // So that no pod of another test comes to be on it.
        taints: vec![Taint { key: "frail".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() }],
        ..Nodes::count(1)
    };
    cluster.create_nodes(&order).await.unwrap();
    let api: Api<Node> = Api::all(cluster.client().unwrap());
    let frail = ListParams::default().fields("metadata.name=frail-0");
    let recorder = Recorder::start(api.clone(), frail).await.unwrap();
    cluster.lose_node("frail-0").await.unwrap();
    let limit = Duration::from_secs(30);
    recorder
        .until("the taint of a lost node", limit, |nodes| {
            nodes.values().any(|node| {
                let spec = node.spec.as_ref();
                let taints = spec.and_then(|spec| spec.taints.as_ref());
                taints
                    .into_iter()
                    .flatten()
                    .any(|taint| taint.key == "node.kubernetes.io/unreachable" && taint.effect == "NoExecute")
            })
        })
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!ready(&api.get("frail-0").await.unwrap()));

    cluster.find_node("frail-0").await.unwrap();
    assert!(ready(&api.get("frail-0").await.unwrap()));
    cluster.delete_node("frail-0").await.unwrap();
    recorder.until("the end of the node", limit, std::collections::BTreeMap::is_empty).await.unwrap();
}
