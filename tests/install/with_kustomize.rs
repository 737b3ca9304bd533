//! `kubectl apply -k config/default` on a real control plane.

use std::time::Duration;

use crate::{NAMESPACE, cluster, kubectl, may, operator, path, wait_until_installed};

#[tokio::test]
async fn applied_the_operator_does_its_work_and_people_use_it() {
    let cluster = cluster().await;
    let folder = path("config/default").display().to_string();
    kubectl(&cluster, &["apply", "--server-side", "-k", &folder]);
    wait_until_installed(&cluster);

    cluster.create_namespace("kustomized").await.unwrap();
    operator::is_refused_nothing(&cluster, "kustomized", &[]).await;

    let (service, status) = ("services.ecs.longshore.dev", "services.ecs.longshore.dev/status");
    for role in ["view", "edit"] {
        kubectl(&cluster, &["-n", "kustomized", "create", "rolebinding", role, "--clusterrole", role, "--user", role]);
    }
    // The control plane adds our rules to its own roles in the background.
    let aggregated = async {
        while !(may(&cluster, "view", "list", service, "kustomized")
            && may(&cluster, "edit", "create", service, "kustomized"))
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), aggregated).await.unwrap();
    assert!(!may(&cluster, "view", "create", service, "kustomized"));
    assert!(!may(&cluster, "edit", "patch", status, "kustomized"), "status is the operator's");
    assert!(!may(&cluster, "edit", "create", service, "default"), "a right in one namespace is none in another");

    let operator = format!("system:serviceaccount:{NAMESPACE}:longshore");
    assert!(may(&cluster, &operator, "get", "secrets", "kustomized"));
    assert!(!may(&cluster, &operator, "list", "secrets", "kustomized"));
    assert!(!may(&cluster, &operator, "patch", "pods", "kustomized"));

    for part in ["config/rbac", "config/manager"] {
        kubectl(&cluster, &["delete", "-k", &path(part).display().to_string(), "--timeout=60s"]);
    }
}
