//! Availability Zones that have become uneven.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use longshore::api::ServiceStatus;
use longshore_test_cluster::{Behaviour, Pods};
use serde_json::json;

use crate::judge::{assert_kept, created, is_active};
use crate::namespace::{Namespace, service};

const ZONE: &str = "topology.kubernetes.io/zone";

/// The nodes of a zone.
async fn nodes_in(namespace: &Namespace, zone: &str) -> Vec<String> {
    let nodes: Api<Node> = Api::all(namespace.client.clone());
    let listed = nodes.list(&ListParams::default().labels(&format!("{ZONE}={zone}"))).await.unwrap();
    listed.items.into_iter().filter_map(|node| node.metadata.name).collect()
}

/// How many tasks each zone has.
async fn tasks_by_zone(namespace: &Namespace) -> BTreeMap<String, usize> {
    let nodes: Api<Node> = Api::all(namespace.client.clone());
    let nodes = nodes.list(&ListParams::default()).await.unwrap().items.into_iter();
    let zones: BTreeMap<String, String> =
        nodes.map(|node| (node.metadata.name.unwrap(), node.metadata.labels.unwrap()[ZONE].clone())).collect();
    let mut tasks: BTreeMap<String, usize> = BTreeMap::new();
    for pod in namespace.pods().await.iter().filter(|pod| is_active(pod)) {
        let node = pod.spec.as_ref().unwrap().node_name.as_ref().unwrap();
        *tasks.entry(zones[node].clone()).or_default() += 1;
    }
    tasks
}

fn cordon(namespace: &Namespace, verb: &str, nodes: &[String]) {
    let nodes = nodes.iter().map(String::as_str);
    namespace.must(&std::iter::once(verb).chain(nodes).collect::<Vec<_>>());
}

fn says(sentence: &str) -> impl Fn(&ServiceStatus) -> bool + '_ {
    move |status| status.events.iter().any(|event| event.message.contains(sentence))
}

/// Somebody else's pod, which leaves a node of 16 CPUs too little for a task.
fn crowd(node: &str) -> Pod {
    let resources = json!({ "requests": { "cpu": "15950m" } });
    serde_json::from_value(json!({
        "metadata": { "name": node },
        "spec": { "nodeName": node, "containers": [{ "name": "app", "image": "crowd:1", "resources": resources }] },
    }))
    .unwrap()
}

#[tokio::test]
async fn tasks_move_to_a_zone_that_comes_back_one_that_is_healthy_there_for_each_that_stops_elsewhere() {
    let namespace = Namespace::alone("rebalancing").await;
    let slow = Behaviour::ReadyAfter(Duration::from_millis(700));
    namespace.cluster.behave(&Pods::image("rebalancing:1"), slow).await.unwrap();
    namespace.apply_default_cluster();
    let back = nodes_in(&namespace, "eu-central-1c").await;
    cordon(&namespace, "cordon", &back);
    namespace.apply_task_definition("web", "rebalancing:1");
    let mut spec = service("web", 9, 100, 125);
    spec["availabilityZoneRebalancing"] = json!("ENABLED");
    namespace.apply("Service", "web", &spec);
    namespace.until_steady("web", "web:1").await;
    let even = "(service web) is AZ balanced with 3 tasks in eu-central-1a, 3 tasks in eu-central-1b, 3 tasks in eu-central-1c.";

    // Its nodes are there again, and somebody else has taken them.
    namespace.cluster.create_namespace("crowd").await.unwrap();
    let crowds: Api<Pod> = Api::namespaced(namespace.client.clone(), "crowd");
    for node in &back {
        crowds.create(&PostParams::default(), &crowd(node)).await.unwrap();
    }
    let recorder = namespace.record().await;
    cordon(&namespace, "uncordon", &back);
    let full = "is unable to place a task in eu-central-1c because no container instance met all of its requirements.";
    let waiting = namespace.until_service("web", "the full zone", says(full)).await;
    assert!(says("AZ Rebalancing in progress.")(&waiting), "{:?}", waiting.events);
    assert_eq!(crate::namespace::reason(&waiting.conditions), "SteadyState");

    // They go.
    for node in &back {
        crowds.delete(node, &DeleteParams::default().grace_period(0)).await.unwrap();
    }
    let status = namespace.until_service("web", "even zones", says(even)).await;
    assert_eq!(crate::namespace::reason(&status.conditions), "SteadyState");
    recorder.catch_up().await.unwrap();
    let extent = assert_kept(&recorder, 9, 11);
    assert_eq!(extent.most_active, 11, "as many as the ceiling allows at once");
    assert!(tasks_by_zone(&namespace).await.values().all(|tasks| *tasks == 3));
    let started = created(&recorder);
    let is_for = |pod: &Pod| pod.metadata.annotations.as_ref().unwrap().get("ecs.longshore.dev/zone").cloned();
    assert!(started.iter().all(|pod| is_for(pod).as_deref() == Some("eu-central-1c")), "for the zone that has too few");
    assert_eq!(started.len(), 3, "and no more than it lacks");
    namespace.until_event("web", ("Normal", "RebalancingStarted"), "is not AZ balanced with ").await;
    namespace.until_event("web", ("Normal", "RebalancingCompleted"), even).await;

    // The cluster's counts are written at most every five seconds.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let before = namespace.writes().await.len();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let writes = namespace.writes().await.split_off(before);
    assert!(writes.is_empty(), "{writes:#?}");
}
