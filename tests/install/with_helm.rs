//! `helm install`, `helm upgrade` and `helm uninstall` on a real control plane.

use longshore_test_cluster::TestCluster;

use crate::{DEFINITIONS, NAMESPACE, cluster, helm, kubectl, may, operator, path, wait_until_installed};

/// Installs the chart over definitions that may be there from another test, as people do over ones from kustomize.
fn install(cluster: &TestCluster, arguments: &[&str]) {
    let chart = path("charts/longshore").display().to_string();
    helm(cluster, &[&["install", "longshore", &chart, "--create-namespace", "--take-ownership"], arguments].concat());
    wait_until_installed(cluster);
}

fn uninstall(cluster: &TestCluster) {
    helm(cluster, &["uninstall", "longshore", "--wait", "--timeout=60s"]);
}

#[tokio::test]
async fn a_release_can_be_upgraded_and_its_definitions_outlive_it() {
    let cluster = cluster().await;
    install(&cluster, &[]);
    kubectl(&cluster, &["apply", "--server-side", "-f", &path("tests/install/cluster.yaml").display().to_string()]);

    // As if by an older version of the chart, from which an upgrade has to lead to this one.
    let older = r#"{"spec":{"names":{"shortNames":null}}}"#;
    kubectl(
        &cluster,
        &["patch", "crd/clusters.ecs.longshore.dev", "--type=merge", "--patch", older, "--field-manager=helm"],
    );
    let chart = path("charts/longshore").display().to_string();
    helm(&cluster, &["upgrade", "longshore", &chart, "--set", "log.filter=debug"]);
    wait_until_installed(&cluster);
    let filter = "-o=jsonpath={.spec.template.spec.containers[0].env[?(@.name=='LONGSHORE_LOG_FILTER')].value}";
    assert_eq!(kubectl(&cluster, &["-n", NAMESPACE, "get", "deployment/longshore", filter]), "debug");
    let names = "-o=jsonpath={.spec.names.shortNames}";
    assert_eq!(kubectl(&cluster, &["get", "crd/clusters.ecs.longshore.dev", names]), r#"["ecl"]"#);

    uninstall(&cluster);
    let left = kubectl(&cluster, &["-n", NAMESPACE, "get", "deployments,serviceaccounts", "-o=name"]);
    assert_eq!(left, "serviceaccount/default\n");
    let roles = kubectl(&cluster, &["get", "clusterroles,clusterrolebindings", "-o=name"]);
    assert!(!roles.contains("longshore"), "{roles}");
    kubectl(&cluster, &[&["get"], &DEFINITIONS[..]].concat());
    kubectl(&cluster, &["get", "clusters.ecs/outlives-the-release"]);

    helm(&cluster, &["install", "longshore", &chart]);
    wait_until_installed(&cluster);
    kubectl(&cluster, &["delete", "clusters.ecs/outlives-the-release"]);
    uninstall(&cluster);
}

#[tokio::test]
async fn with_watch_namespaces_the_operator_does_its_work_in_these_alone() {
    let cluster = cluster().await;
    for namespace in ["team-a", "team-b", "team-c"] {
        cluster.create_namespace(namespace).await.unwrap();
    }
    install(&cluster, &["--set", "watchNamespaces={team-a,team-b}"]);

    operator::is_refused_nothing(&cluster, "team-a", &["--namespaces=team-a,team-b"]).await;

    let operator = format!("system:serviceaccount:{NAMESPACE}:longshore");
    let starts_tasks_in = |namespace: &&str| may(&cluster, &operator, "create", "pods", namespace);
    let everywhere = ["default", NAMESPACE, "team-a", "team-b", "team-c"];
    assert_eq!(everywhere.into_iter().filter(starts_tasks_in).collect::<Vec<_>>(), ["team-a", "team-b"]);

    uninstall(&cluster);
}
