//! Whatever the order of `kubectl apply`.

use serde_json::json;

use crate::namespace::Namespace;

#[tokio::test]
async fn what_does_not_exist_yet_is_a_waiting_condition_and_heals_by_itself() {
    let namespace = Namespace::new("any-order").await;
    namespace.apply_service("web", 2, 100, 200);
    let message = namespace.until_reason("web", "ClusterNotFound").await;
    assert!(message.contains("\"default\""), "{message}");
    namespace.apply_default_cluster();
    let message = namespace.until_reason("web", "TaskDefinitionNotFound").await;
    assert!(message.contains("\"web\""), "{message}");
    namespace.apply_task_definition("web", "any-order:1");
    namespace.until_steady("web", "web:1").await;
}

#[tokio::test]
async fn a_revision_that_does_not_exist_is_waited_for_and_what_runs_goes_on() {
    let namespace = Namespace::new("pinned").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "pinned:1");
    namespace.apply_service("web", 2, 100, 200);
    namespace.until_steady("web", "web:1").await;
    namespace.apply("Service", "web", &json!({ "taskDefinition": "web:2", "desiredCount": 2 }));
    let message = namespace.until_reason("web", "TaskDefinitionNotFound").await;
    assert!(message.contains("web:2"), "{message}");
    assert_eq!(namespace.pods().await.len(), 2);
    namespace.apply_task_definition("web", "pinned:2");
    namespace.until_steady("web", "web:2").await;
    namespace.apply_task_definition("web", "pinned:3");
    namespace
        .until::<longshore::api::TaskDefinition>("web", "web:3 is registered", |definition| {
            definition.status.as_ref().is_some_and(|status| status.latest_active_revision.as_deref() == Some("web:3"))
        })
        .await;
    namespace.until_steady("web", "web:2").await;
}

#[tokio::test]
async fn a_cluster_is_active_and_counts_what_runs_in_it() {
    let namespace = Namespace::new("counts").await;
    namespace.apply("Cluster", "blue", &json!({}));
    namespace.apply_task_definition("web", "counts:1");
    namespace.apply("Service", "web", &json!({ "taskDefinition": "web", "cluster": "blue", "desiredCount": 3 }));
    namespace
        .until::<longshore::api::Cluster>("blue", "three tasks counted", |cluster| {
            cluster.status.as_ref().is_some_and(|status| {
                status.active_services_count == Some(1)
                    && status.running_tasks_count == Some(3)
                    && status.pending_tasks_count == Some(0)
                    && status.registered_container_instances_count.is_some_and(|nodes| nodes >= 6)
            })
        })
        .await;
}
