//! Deleting: services drain, and what is in use waits and says for whom.

use longshore::api::{Cluster, TaskDefinition};

use crate::namespace::{Namespace, reason, stderr};

#[tokio::test]
async fn deleting_a_service_drains_its_tasks() {
    let namespace = Namespace::new("drained").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "drained:1");
    namespace.apply_service("web", 3, 100, 200);
    namespace.until_steady("web", "web:1").await;
    let deleted = namespace.kubectl(&["delete", "esvc", "web", "--timeout=30s"]);
    assert!(deleted.status.success(), "{}\n{}", stderr(&deleted), namespace.log());
    assert_eq!(namespace.pods().await.len(), 0);
}

#[tokio::test]
async fn a_cluster_and_a_task_definition_in_use_wait_and_say_for_whom() {
    let namespace = Namespace::new("in-use").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "in-use:1");
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_steady("web", "web:1").await;
    namespace.kubectl(&["delete", "ecl,td", "--all", "--wait=false"]);
    let waits = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| {
        reason(conditions) == "InUse" && conditions[0].message.contains("web")
    };
    namespace
        .until::<Cluster>("default", "the cluster waits", |cluster| {
            cluster.status.as_ref().is_some_and(|status| waits(&status.conditions))
        })
        .await;
    namespace
        .until::<TaskDefinition>("web", "the task definition waits", |definition| {
            definition.status.as_ref().is_some_and(|status| waits(&status.conditions))
        })
        .await;
    assert_eq!(namespace.pods().await.len(), 1, "what runs goes on");
    namespace.kubectl(&["delete", "esvc", "web", "--timeout=30s"]);
    for kind in ["ecl/default", "td/web"] {
        let gone = namespace.kubectl(&["wait", "--for=delete", kind, "--timeout=30s"]);
        assert!(gone.status.success(), "{kind}: {}\n{}", stderr(&gone), namespace.log());
    }
}

#[tokio::test]
async fn deleting_a_namespace_deletes_everything_in_it() {
    let namespace = Namespace::new("deleted").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "deleted:1");
    namespace.apply_service("web", 2, 100, 200);
    namespace.until_steady("web", "web:1").await;
    let deleted = namespace.kubectl(&["delete", "namespace", "deleted", "--timeout=60s"]);
    assert!(deleted.status.success(), "{}\n{}", stderr(&deleted), namespace.log());
}
