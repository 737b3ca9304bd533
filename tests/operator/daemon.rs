//! The DAEMON scheduling strategy.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use longshore::api::ServiceStatus;
use longshore_test_cluster::{Behaviour, Nodes, Objects, PodRecorder, Pods};
use serde_json::{Value, json};

use crate::judge::{assert_kept, is_active, runs};
use crate::namespace::Namespace;

fn on_edge_nodes() -> Value {
    json!({
        "taskDefinition": "web",
        "schedulingStrategy": "DAEMON",
        "deploymentConfiguration": { "minimumHealthyPercent": 80, "maximumPercent": 100 },
        "placementConstraints": [{ "type": "memberOf", "expression": "attribute:pool == edge" }],
    })
}

fn nodes(prefix: &str, count: usize) -> Nodes {
    let labels = BTreeMap::from([("pool".to_owned(), "edge".to_owned())]);
    Nodes { prefix: prefix.to_owned(), labels, ..Nodes::count(count) }
}

fn nodes_of(pods: &Objects<Pod>) -> Vec<String> {
    let active = pods.values().filter(|pod| is_active(pod));
    let mut nodes: Vec<_> = active.filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
    nodes.sort_unstable();
    nodes
}

/// Waits until exactly these nodes have a task, and each has one.
async fn until_on(recorder: &PodRecorder, nodes: &[&str]) {
    let limit = Duration::from_mins(1);
    let found = recorder.until("one task on each node", limit, |pods| nodes_of(pods) == nodes).await;
    assert!(found.is_ok(), "tasks on {:?}, and not on {nodes:?}", nodes_of(&recorder.objects()));
}

#[tokio::test]
async fn the_daemon_strategy_keeps_exactly_one_task_on_each_node_that_meets_the_constraints() {
    let namespace = Namespace::alone("daemon").await;
    let slow = Behaviour::ReadyAfter(Duration::from_millis(700));
    namespace.cluster.behave(&Pods::image("daemon:2"), slow).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "daemon:1");
    let recorder = namespace.record().await;
    namespace.cluster.create_nodes(&nodes("edge", 4)).await.unwrap();
    namespace.apply("Service", "web", &on_edge_nodes());
    namespace.until_steady("web", "web:1").await;
    until_on(&recorder, &["edge-0", "edge-1", "edge-2", "edge-3"]).await;

    // A node joins, another one leaves.
    namespace.cluster.create_nodes(&nodes("late", 2)).await.unwrap();
    until_on(&recorder, &["edge-0", "edge-1", "edge-2", "edge-3", "late-0", "late-1"]).await;
    namespace.cluster.delete_node("edge-3").await.unwrap();
    until_on(&recorder, &["edge-0", "edge-1", "edge-2", "late-0", "late-1"]).await;
    let five = |status: &ServiceStatus| status.desired_count == Some(5) && status.running_count == Some(5);
    namespace.until_service("web", "five tasks", five).await;
    namespace.until_steady("web", "web:1").await;

    an_update_stops_the_old_task_of_a_node_before_it_starts_the_new_one(&namespace).await;

    // "Tasks that do not meet the constraints are stopped", those that run included.
    namespace.must(&["label", "node", "edge-1", "pool-"]);
    until_on(&recorder, &["edge-0", "edge-2", "late-0", "late-1"]).await;
    let no_longer = "The container instance does not satisfy the placement constraints of the service any more";
    let told = |status: &ServiceStatus| status.stopped_tasks.iter().any(|task| task.stopped_reason == no_longer);
    namespace.until_service("web", "the record of the task", told).await;
    namespace.must(&["label", "node", "edge-1", "pool=edge"]);
    until_on(&recorder, &["edge-0", "edge-1", "edge-2", "late-0", "late-1"]).await;

    // A node that drains has no daemon, until it takes tasks again.
    namespace.must(&["cordon", "late-0"]);
    until_on(&recorder, &["edge-0", "edge-1", "edge-2", "late-1"]).await;
    namespace.must(&["uncordon", "late-0"]);
    until_on(&recorder, &["edge-0", "edge-1", "edge-2", "late-0", "late-1"]).await;
    namespace.until_steady("web", "web:2").await;
}

/// With 5 nodes at 80 percent, one is without a task at most.
async fn an_update_stops_the_old_task_of_a_node_before_it_starts_the_new_one(namespace: &Namespace) {
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "daemon:2");
    namespace.until_steady("web", "web:2").await;
    recorder.catch_up().await.unwrap();
    assert_kept(&recorder, 4, 5);
    let check = |pods: &Objects<Pod>| {
        let mut on = nodes_of(pods);
        let tasks = on.len();
        on.dedup();
        assert_eq!(on.len(), tasks, "two tasks on one node");
    };
    recorder.replay(|pods, _| check(pods)).unwrap();
    assert!(recorder.objects().values().filter(|pod| is_active(pod)).all(|pod| runs(pod, "daemon:2")));
}
