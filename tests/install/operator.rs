//! The operator at work, as its service account.

use std::process::{Child, Command};
use std::time::Duration;

use longshore_test_cluster::TestCluster;
use serde_json::{Value, json};

use crate::{NAMESPACE, kubectl};

/// The operator as a process here instead of in its pod, where kwok only plays it.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// OwnerReferencesPermissionEnforcement learns of new kinds every 30 s, and refuses owners of kinds that it does not know.
async fn until_owners_are_known(cluster: &TestCluster, namespace: &str, user: &str) {
    let owner = json!({
        "apiVersion": "ecs.longshore.dev/v1alpha1", "kind": "Service", "name": "web", "uid": "1", "blockOwnerDeletion": true,
    });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "probe", "ownerReferences": [owner] },
        "spec": { "containers": [{ "name": "probe", "image": "example.com/probe:1" }] },
    });
    let file = cluster.folder().join(format!("{namespace}-probe.json"));
    std::fs::write(&file, pod.to_string()).unwrap();
    let try_it = || {
        let mut command = cluster.kubectl();
        command.args(["create", "--dry-run=server", "--validate=false", "--as", user, "-n", namespace, "-f"]);
        command.arg(&file).output().unwrap().status.success()
    };
    while !try_it() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Runs a service from its first task to its deletion, and asserts that the operator was refused nothing on the way.
pub(crate) async fn is_refused_nothing(cluster: &TestCluster, namespace: &str, arguments: &[&str]) {
    let access = cluster.service_account(NAMESPACE, "longshore").await.unwrap();
    let known = until_owners_are_known(cluster, namespace, &access.user);
    tokio::time::timeout(Duration::from_mins(1), known).await.unwrap();
    let mark = cluster.audit_mark().await.unwrap();
    let log = cluster.folder().join(format!("logs/operator-in-{namespace}.log"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.args(["run", "--admin-address=127.0.0.1:0", "--leader-elect"]).args(arguments);
    // The names that the pod has, which kwok only plays.
    command.env("LONGSHORE_POD_NAMESPACE", NAMESPACE).env("KUBECONFIG", &access.kubeconfig);
    let output = std::fs::File::create(&log).unwrap();
    let operator = Operator(command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap());

    let apply = |file: &str, items: Value| {
        let path = cluster.folder().join(format!("{namespace}-{file}.json"));
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        std::fs::write(&path, list.to_string()).unwrap();
        kubectl(cluster, &["-n", namespace, "apply", "--server-side", "-f", &path.display().to_string()]);
    };
    let object = |kind: &str, name: &str, spec: Value| json!({ "apiVersion": "ecs.longshore.dev/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec });
    let family = |tag: u8| {
        let container = json!({ "name": "app", "image": format!("example.com/app:{tag}"), "memory": 64 });
        object("TaskDefinition", "web", json!({ "containerDefinitions": [container] }))
    };
    let service = json!({ "taskDefinition": "web", "desiredCount": 2, "kubernetes": { "healthyAfterSeconds": 0 } });
    apply(
        "first",
        json!([
            object("CapacityProvider", &format!("of-{namespace}"), json!({})),
            object("Cluster", "default", json!({})),
            family(1),
            object("Service", "web", service),
        ]),
    );
    let wait = |revision: &str| {
        let revision = format!("--for=jsonpath={{.status.taskDefinition}}={revision}");
        for condition in [&*revision, "--for=condition=Ready"] {
            kubectl(cluster, &["-n", namespace, "wait", "services.ecs/web", condition, "--timeout=60s"]);
        }
    };
    wait("web:1");
    apply("second", json!([family(2)]));
    wait("web:2");
    let first = |member: &str| {
        let path = format!("jsonpath={{.items[0].{member}}}");
        kubectl(cluster, &["-n", namespace, "get", "pods", "-l", "ecs.longshore.dev/service=web", "-o", &path])
    };
    let (pod, node) = (first("metadata.name"), first("spec.nodeName"));
    kubectl(cluster, &["cordon", &node]);
    kubectl(cluster, &["-n", namespace, "wait", "--for=delete", &format!("pod/{pod}"), "--timeout=60s"]);
    kubectl(cluster, &["uncordon", &node]);
    for objects in ["services.ecs/web", "taskdefinitions/web", "clusters.ecs/default"] {
        kubectl(cluster, &["-n", namespace, "delete", objects, "--timeout=60s"]);
    }
    kubectl(cluster, &["delete", &format!("capacityproviders/of-{namespace}")]);

    drop(operator);
    let asked = cluster.audit_since(mark).await.unwrap();
    let asked: Vec<_> = asked.into_iter().filter(|record| record.user == access.user).collect();
    let did = |verb: &str, resource: &str, subresource: &str| {
        let matches = asked
            .iter()
            .filter(|record| (&*record.verb, &*record.resource, &*record.subresource) == (verb, resource, subresource));
        matches.count()
    };
    for (verb, resource, subresource) in [
        ("create", "pods", ""),
        ("delete", "pods", ""),
        ("create", "pods", "eviction"),
        ("create", "taskdefinitionrevisions", ""),
        ("patch", "taskdefinitionrevisions", "status"),
        ("patch", "services", ""),
        ("patch", "services", "status"),
        ("patch", "taskdefinitions", ""),
        ("patch", "taskdefinitions", "status"),
        ("patch", "clusters", ""),
        ("patch", "clusters", "status"),
        ("patch", "capacityproviders", "status"),
        ("create", "events", ""),
        ("list", "nodes", ""),
        ("get", "leases", ""),
        ("update", "leases", ""),
    ] {
        assert!(did(verb, resource, subresource) > 0, "the operator did not {verb} {resource} {subresource}");
    }
    let refused: Vec<_> = asked.iter().filter(|record| record.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}
