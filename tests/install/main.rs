//! Installing Longshore: what kustomize and Helm render, and what comes of it on a real control plane.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a function of tests fails its test by a panic"
)]

mod chart;
mod copies;
mod operator;
mod rendered;
mod rights;
mod with_helm;
mod with_kustomize;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use longshore_test_cluster::{Nodes, Program, TestCluster};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// Where both ways of installing put the operator.
const NAMESPACE: &str = "longshore-system";

/// The definitions of our kinds.
const DEFINITIONS: [&str; 5] = [
    "crd/capacityproviders.ecs.longshore.dev",
    "crd/clusters.ecs.longshore.dev",
    "crd/services.ecs.longshore.dev",
    "crd/taskdefinitionrevisions.ecs.longshore.dev",
    "crd/taskdefinitions.ecs.longshore.dev",
];

/// A file or folder of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The cluster that the tests share, for one test at a time: definitions and cluster roles have no namespace.
///
/// Each test leaves our kinds defined, and takes away what else it has installed. One that fails does not, and the next ones
/// fail of that: look at the first.
///
/// The cluster enforces what OpenShift does: an owner reference that blocks deletion needs a right on the owner.
async fn cluster() -> MutexGuard<'static, TestCluster> {
    static CLUSTER: OnceCell<Mutex<TestCluster>> = OnceCell::const_new();
    let start = async || {
        let enforce = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement";
        let cluster = TestCluster::builder().flag(Program::KubeApiserver, enforce).start().await.unwrap();
        cluster.create_nodes(&Nodes::count(2)).await.unwrap();
        Mutex::new(cluster)
    };
    CLUSTER.get_or_init(start).await.lock().await
}

/// What the command prints; it must succeed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{stderr}");
    String::from_utf8(stdout).unwrap()
}

#[track_caller]
fn kubectl(cluster: &TestCluster, arguments: &[&str]) -> String {
    succeed(cluster.kubectl().args(arguments))
}

#[track_caller]
fn helm(cluster: &TestCluster, arguments: &[&str]) -> String {
    let mut command = Command::new(cluster.program(Program::Helm));
    succeed(command.env("KUBECONFIG", cluster.kubeconfig()).args(["--namespace", NAMESPACE]).args(arguments))
}

/// Waits until the API server serves our kinds and the operator's pod is ready.
#[track_caller]
fn wait_until_installed(cluster: &TestCluster) {
    let established = ["wait", "--for=condition=Established", "--timeout=60s"];
    kubectl(cluster, &[&established[..], &DEFINITIONS].concat());
    kubectl(cluster, &["-n", NAMESPACE, "rollout", "status", "deployment/longshore", "--timeout=60s"]);
}

/// What `kubectl auth can-i` answers for a user, about a resource or `resource/subresource`.
fn may(cluster: &TestCluster, user: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let arguments =
        ["auth", "can-i", verb, resource, "--subresource", subresource, "--as", user, "--namespace", namespace];
    cluster.kubectl().args(arguments).output().unwrap().stdout.starts_with(b"yes")
}
