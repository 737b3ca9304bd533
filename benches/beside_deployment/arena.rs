//! The control plane on which both are measured.

use std::path::Path;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use longshore_test_cluster::{Nodes, ServiceAccountAccess, TestCluster};
use serde_json::{Value, json};

use crate::Failure;

/// A control plane in which nobody else makes pods.
pub(crate) struct Arena {
    pub(crate) cluster: TestCluster,
    pub(crate) client: Client,
    /// The rights of the operator, as its manifests give them.
    pub(crate) longshore: ServiceAccountAccess,
    /// A user of their own for the controllers of Deployments.
    pub(crate) deployments: ServiceAccountAccess,
}

impl Arena {
    pub(crate) async fn start(nodes: usize) -> Result<Self, Failure> {
        // The garbage collector and the others run as in production; none of them makes or deletes these pods.
        let builder = TestCluster::builder().controllers("*,-deployment-controller,-replicaset-controller");
        let cluster = builder.start().await?;
        cluster.create_nodes(&Nodes::count(nodes)).await?;
        for namespace in ["longshore-system", "deployments-system", "longshore", "deployments"] {
            cluster.create_namespace(namespace).await?;
        }
        for folder in ["config/crd", "config/rbac"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            kubectl(&cluster, &["apply", "--server-side", "-k", &folder.to_string_lossy()])?;
        }
        kubectl(&cluster, &["wait", "--for=condition=Established", "crd", "--all"])?;
        kubectl(&cluster, &["create", "serviceaccount", "--namespace=deployments-system", "controllers"])?;
        let right = "--clusterrole=cluster-admin";
        let subject = "--serviceaccount=deployments-system:controllers";
        kubectl(&cluster, &["create", "clusterrolebinding", "deployments", right, subject])?;
        let arena = Self {
            client: cluster.client()?,
            longshore: cluster.service_account("longshore-system", "longshore").await?,
            deployments: cluster.service_account("deployments-system", "controllers").await?,
            cluster,
        };
        arena.apply("longshore", &longshore_object("Cluster", "default", &json!({}))).await?;
        Ok(arena)
    }

    /// Applies an object, as `kubectl apply --server-side` does.
    pub(crate) async fn apply(&self, namespace: &str, object: &Value) -> Result<(), Failure> {
        let text = |member: &str| object.pointer(member).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = text("/apiVersion").split_once('/').unwrap_or_else(|| ("", text("/apiVersion")));
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        api.patch(text("/metadata/name"), &PatchParams::apply("bench").force(), &Patch::Apply(object)).await?;
        Ok(())
    }
}

/// An object of the product's kinds.
pub(crate) fn longshore_object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "ecs.longshore.dev/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

fn kubectl(cluster: &TestCluster, arguments: &[&str]) -> Result<(), Failure> {
    let output = cluster.kubectl().args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("kubectl {}: {said}", arguments.join(" ")).into())
}
