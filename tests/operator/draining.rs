//! Nodes that drain, and nodes that are lost.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use longshore::api::ServiceStatus;
use longshore_test_cluster::{Behaviour, Objects, PodRecorder, Pods};

use crate::judge::{assert_kept, assert_stops_kept, is_active, is_healthy};
use crate::namespace::{Namespace, stderr};

fn is_on(pod: &Pod, node: &str) -> bool {
    is_active(pod) && pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node)
}

/// The node with the most tasks.
fn busiest(recorder: &PodRecorder) -> String {
    let mut tasks: BTreeMap<String, usize> = BTreeMap::new();
    let pods = recorder.initial().values().filter(|pod| is_active(pod));
    for node in pods.filter_map(|pod| pod.spec.as_ref()?.node_name.clone()) {
        *tasks.entry(node).or_default() += 1;
    }
    tasks.into_iter().max_by_key(|(_, tasks)| *tasks).unwrap().0
}

/// Waits until so many healthy tasks are on other nodes than this one, and none on it.
async fn until_off(recorder: &PodRecorder, node: &str, count: usize) {
    let off = |pods: &Objects<Pod>| {
        let elsewhere = pods.values().filter(|pod| is_healthy(pod) && !is_on(pod, node)).count();
        elsewhere == count && !pods.values().any(|pod| is_on(pod, node))
    };
    recorder.until("no task on the node", Duration::from_mins(1), off).await.unwrap();
    recorder.catch_up().await.unwrap();
}

#[tokio::test]
async fn tasks_on_a_node_that_drains_or_is_lost_are_replaced_within_floor_and_ceiling() {
    let namespace = Namespace::alone("draining").await;
    let slow = Behaviour::ReadyAfter(Duration::from_millis(700));
    namespace.cluster.behave(&Pods::image("draining:1"), slow).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "draining:1");
    namespace.apply_service("web", 12, 100, 125);
    namespace.until_steady("web", "web:1").await;

    // `kubectl cordon`: ECS's DRAINING.
    let recorder = namespace.record().await;
    let node = busiest(&recorder);
    namespace.must(&["cordon", &node]);
    until_off(&recorder, &node, 12).await;
    assert_kept(&recorder, 12, 15);
    let draining = "The container instance is draining";
    let told = |status: &ServiceStatus| status.stopped_tasks.iter().any(|task| task.stopped_reason == draining);
    namespace.until_service("web", "the record of a task", told).await;
    namespace.must(&["uncordon", &node]);

    // `kubectl drain`, against a budget.
    let budget = ["--selector=ecs.longshore.dev/service=web", "--min-available=12"];
    namespace.must(&[&["create", "poddisruptionbudget", "web"], budget.as_slice()].concat());
    let recorder = namespace.record().await;
    let node = busiest(&recorder);
    let drained =
        namespace.kubectl(&["drain", &node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]);
    assert!(drained.status.success(), "{}\n{}", stderr(&drained), namespace.log());
    until_off(&recorder, &node, 12).await;
    assert_kept(&recorder, 12, 15);
    namespace.must(&["uncordon", &node]);

    // A node whose kubelet is silent: its tasks stop being healthy, and are replaced.
    let recorder = namespace.record().await;
    let node = busiest(&recorder);
    namespace.cluster.lose_node(&node).await.unwrap();
    until_off(&recorder, &node, 12).await;
    assert_stops_kept(&recorder, 12, 15);
}
