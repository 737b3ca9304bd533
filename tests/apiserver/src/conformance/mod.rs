//! What the product relies on, one sentence a row. Each row holds against the real API server, and so must it here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::core::{GroupVersionKind, Status};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

mod applying;
mod deleting;
mod limits;
mod listing;
mod patching;
mod pods;
mod scaling;
mod statuses;
mod watching;
mod writing;

/// A server to be judged, and a namespace of the row's own.
#[derive(Clone)]
pub struct Subject {
    /// A client with every right.
    pub client: Client,
    /// A namespace that nobody else uses.
    pub namespace: String,
    /// Makes the server forget its history, where that can be asked for.
    pub forget_history: Arc<dyn Fn() + Send + Sync>,
}

/// One thing that the product relies on. `check` panics if it does not hold.
pub struct Row {
    /// The sentence.
    pub title: &'static str,
    /// The test.
    pub check: fn(Subject) -> BoxFuture<'static, ()>,
}

/// All of it.
pub fn rows() -> Vec<Row> {
    let parts = [
        writing::rows(),
        patching::rows(),
        statuses::rows(),
        applying::rows(),
        deleting::rows(),
        limits::rows(),
        listing::rows(),
        watching::rows(),
        pods::rows(),
        scaling::rows(),
    ];
    parts.into_iter().flatten().collect()
}

/// Rows from sentences and functions.
macro_rules! suite {
    ($($title:literal => $check:ident,)*) => {
        pub(super) fn rows() -> Vec<crate::conformance::Row> {
            vec![$(crate::conformance::Row { title: $title, check: |subject| Box::pin($check(subject)) },)*]
        }
    };
}
use suite;

/// The definition of the kind that the rows use.
pub fn widgets() -> CustomResourceDefinition {
    let schema = json!({
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": { "type": "integer", "minimum": 0, "maximum": 10, "default": 1 },
                    "color": { "type": "string", "enum": ["red", "blue"] },
                    "note": { "type": "string", "maxLength": 20 },
                    "replicas": { "type": "integer" },
                    "order": { "type": "array", "items": { "type": "string" } },
                    "parts": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": { "name": { "type": "string" }, "value": { "type": "string" } },
                        },
                    },
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "note": { "type": "string" },
                    "phase": { "type": "string" },
                    "replicas": { "type": "integer" },
                    "selector": { "type": "string" },
                },
            },
        },
    });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.conformance.longshore.dev" },
        "spec": {
            "group": "conformance.longshore.dev",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList" },
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": schema },
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
            }],
        },
    });
    serde_json::from_value(definition).unwrap()
}

impl Subject {
    fn widgets(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("conformance.longshore.dev", "v1", "Widget");
        Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::from_gvk_with_plural(&kind, "widgets"))
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn create(&self, name: &str, spec: Value) -> DynamicObject {
        self.widgets().create(&PostParams::default(), &widget(name, spec)).await.unwrap()
    }

    /// A pod, on a node that no kubelet speaks for, or on none.
    async fn create_pod(&self, name: &str, node: Option<&str>) -> Pod {
        self.pods().create(&PostParams::default(), &pod(name, node)).await.unwrap()
    }
}

fn widget(name: &str, spec: Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "conformance.longshore.dev/v1",
        "kind": "Widget",
        "metadata": { "name": name },
        "spec": spec,
    }))
    .unwrap()
}

fn pod(name: &str, node: Option<&str>) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "app": name } },
        // No scheduler of the cluster's: one that finds no node says so of a pod that has been bound meanwhile.
        "spec": {
            "schedulerName": "conformance", "nodeName": node, "containers": [{ "name": "app", "image": "app:1" }],
        },
    }))
    .unwrap()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> Box<Status> {
    match answer {
        Err(kube::Error::Api(status)) => status,
        other => panic!("not a refusal: {other:?}"),
    }
}

fn assert_refused<T: std::fmt::Debug>(answer: Result<T, kube::Error>, code: u16, reason: &str, words: &str) {
    let status = refusal(answer);
    assert_eq!((status.code, status.reason.as_str()), (code, reason), "{}", status.message);
    assert!(status.message.contains(words), "{:?} does not say {words:?}", status.message);
}

fn version(object: &impl ResourceExt) -> String {
    object.resource_version().unwrap()
}

/// Waits for what others do in their own time, such as the garbage collector.
async fn eventually<'a>(mut check: impl FnMut() -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>) {
    for _ in 0..300 {
        if check().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("not within 30 seconds");
}
