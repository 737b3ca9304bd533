//! Tasks that stop, are lost, or are asked for.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use longshore::api::StopCode;
use longshore_test_cluster::{Behaviour, Pods};
use serde_json::json;

use crate::judge::is_active;
use crate::namespace::Namespace;

#[tokio::test]
async fn a_service_scales_through_its_scale_subresource() {
    let namespace = Namespace::new("scale").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "scale:1");
    namespace.apply("Service", "web", &json!({ "taskDefinition": "web" }));
    let status = namespace.until_steady("web", "web:1").await;
    assert_eq!(status.running_count, Some(1), "desiredCount left out is 1");
    assert_eq!(status.selector.as_deref(), Some("ecs.longshore.dev/service=web"));
    for replicas in [5, 2, 0, 3] {
        let scaled =
            namespace.kubectl(&["scale", "services.ecs.longshore.dev", "web", &format!("--replicas={replicas}")]);
        assert!(scaled.status.success(), "{}", crate::namespace::stderr(&scaled));
        let reached = |status: &longshore::api::ServiceStatus| {
            status.desired_count == Some(replicas)
                && status.running_count == Some(replicas)
                && status.pending_count == Some(0)
        };
        namespace.until_service("web", &format!("{replicas} tasks"), reached).await;
    }
    let names: Vec<_> = namespace.pods().await.into_iter().filter(is_active).collect();
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn a_task_whose_essential_container_exits_is_replaced_and_recorded_with_its_exit_code() {
    let namespace = Namespace::new("exits").await;
    let crash = Behaviour::Crash { after: Duration::from_millis(500), exit_code: 3 };
    namespace.cluster.behave(&Pods::image("exits:1"), crash).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "exits:1");
    namespace.apply_service("web", 1, 100, 200);
    let status = namespace.until_service("web", "three tasks stopped", |status| status.stopped_tasks.len() >= 3).await;
    let stopped = &status.stopped_tasks[0];
    assert_eq!(stopped.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(stopped.stopped_reason, "Essential container in task exited");
    assert_eq!(stopped.containers[0].name, "app");
    assert_eq!(stopped.containers[0].exit_code, Some(3));
    assert!(status.deployments[0].failed_tasks >= 3);
    assert!(namespace.pods().await.len() <= 3, "the pods of recorded tasks are removed");
}

#[tokio::test]
async fn tasks_of_a_node_that_is_gone_are_started_elsewhere() {
    let namespace = Namespace::alone("lost").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "lost:1");
    namespace.apply_service("web", 7, 100, 200);
    namespace.until_steady("web", "web:1").await;
    let node_of = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let pods = namespace.pods().await;
    let node = node_of(&pods[0]).unwrap();
    let victims: Vec<_> = pods.into_iter().filter(|pod| node_of(pod).as_ref() == Some(&node)).collect();
    namespace.cluster.delete_node(&node).await.unwrap();
    for victim in &victims {
        // What the pod garbage collector does within minutes.
        namespace.kubectl(&["delete", "pod", victim.metadata.name.as_deref().unwrap(), "--force", "--grace-period=0"]);
    }
    let stopped = |status: &longshore::api::ServiceStatus| {
        status.running_count == Some(7) && status.stopped_tasks.len() == victims.len()
    };
    namespace.until_service("web", "seven tasks again", stopped).await;
    assert!(namespace.pods().await.iter().all(|pod| node_of(pod).as_ref() != Some(&node)));
}
