//! Deployments whose images are not what they were, or not there.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use longshore::api::StopCode;
use longshore_test_cluster::PodRecorder;
use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::{Namespace, reason, waiting};

/// "Amazon ECS service deployment circuit breaker … determines whether a task fails to start"; a task whose image cannot be
/// pulled stops with CannotPullContainerError.
pub(crate) async fn an_image_that_cannot_be_pulled_trips_the_circuit_breaker(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "failure-pull").await;
    namespace.register(&json!({}), json!([{ "name": "app" }]));
    let threshold = json!({ "type": "COUNT", "value": 1 });
    let breaker = json!({ "enable": true, "rollback": true, "thresholdConfiguration": threshold });
    namespace.create_service(&json!({ "deploymentConfiguration": { "deploymentCircuitBreaker": breaker } }));
    namespace.until_steady(1).await;

    let record = PodRecorder::start(namespace.api::<Pod>(), ListParams::default()).await.unwrap();
    namespace.register(&json!({}), json!([{ "name": "app", "image": cluster.image("missing:1") }]));
    let stopped = namespace.until_stopped().await;
    assert_eq!((stopped.stop_code, stopped.task_definition.as_str()), (Some(StopCode::TaskFailedToStart), "app:2"));
    let expected = "CannotPullContainerError: ";
    assert!(stopped.stopped_reason.starts_with(expected), "{}", stopped.stopped_reason);
    assert!(stopped.stopped_reason.contains(&cluster.image("missing:1")), "{}", stopped.stopped_reason);
    let status = namespace.until_service("the breaker trips", |status| reason(status) == "RolledBack").await;
    assert_eq!((status.task_definition.as_deref(), status.running_count), (Some("app:1"), Some(1)));

    record.catch_up().await.unwrap();
    let (mut failing, mut asked, mut reasons) = (None, None, BTreeSet::new());
    for event in record.events().unwrap() {
        if let Some(reason) = waiting(&event.object, "app").filter(|reason| reason.contains("ImagePull")) {
            reasons.insert(reason.to_owned());
            failing = failing.or(Some(event.at));
            if event.object.metadata.deletion_timestamp.is_some() {
                asked = asked.or(Some(event.at));
            }
        }
    }
    assert!(reasons.iter().eq(["ErrImagePull", "ImagePullBackOff"]), "the kubelet tries again: {reasons:?}");
    // The agent gives up within some 20 s, Longshore after 30 s, from the first attempt on.
    let took = asked.unwrap().duration_since(failing.unwrap()).unsigned_abs();
    assert!((25..45).contains(&took.as_secs()), "{took:?}");
}

/// "Amazon ECS resolves container image tags to the image digests when the first task of a deployment is started, and uses
/// these digests for all of its tasks."
pub(crate) async fn tasks_of_a_deployment_run_the_build_that_their_tag_meant_when_it_began(cluster: &'static Cluster) {
    let registry = cluster.node.public();
    registry.copy("task:1", "moving:latest").unwrap();
    let namespace = Namespace::new(cluster, "failure-tag").await;
    namespace.register(&json!({}), json!([{ "name": "app", "image": cluster.image("moving:latest") }]));
    namespace.create_service(&json!({}));
    namespace.until_steady(1).await;

    registry.copy("task:2", "moving:latest").unwrap();
    namespace.create_service(&json!({ "desiredCount": 2 }));
    namespace.until_service("two tasks run", |status| status.running_count == Some(2)).await;
    for task in namespace.tasks().await {
        let version = namespace.execute(&task, "app", &["sh", "-c", "echo $VERSION"]);
        assert_eq!(version, "1\n", "{}", task.name_any());
    }
}
