//! Pods: their beginning, binding and eviction.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, EvictParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{Subject, assert_refused, suite};

suite! {
    "a pod begins as Pending, with 30 seconds to stop" => a_pod_begins,
    "a binding puts a pod on a node, once" => a_binding,
    "the spec of a pod cannot be changed" => the_spec,
    "an eviction deletes a pod" => an_eviction,
    "an eviction that a disruption budget does not allow is refused with 429" => a_budget,
}

async fn a_pod_begins(subject: Subject) {
    let pod = subject.create_pod("one", None).await;
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Pending"));
    assert_eq!(pod.spec.unwrap().termination_grace_period_seconds, Some(30));
}

async fn bind(subject: &Subject, node: &str) -> Result<serde_json::Value, kube::Error> {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "one" },
        "target": { "apiVersion": "v1", "kind": "Node", "name": node },
    });
    subject.pods().create_subresource("binding", "one", &PostParams::default(), &binding).await
}

async fn a_binding(subject: Subject) {
    subject.create_pod("one", None).await;
    bind(&subject, "conformance-node").await.unwrap();
    let pod = subject.pods().get("one").await.unwrap();
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("conformance-node"));
    let scheduled = pod.status.unwrap().conditions.unwrap();
    assert!(scheduled.iter().any(|condition| condition.type_ == "PodScheduled" && condition.status == "True"));
    assert_refused(bind(&subject, "other-node").await, 409, "Conflict", "is already assigned to node");
    subject.pods().delete("one", &DeleteParams::default().grace_period(0)).await.unwrap();
}

async fn the_spec(subject: Subject) {
    subject.create_pod("one", None).await;
    let patch = Patch::Merge(json!({ "spec": { "hostNetwork": true } }));
    let answer = subject.pods().patch("one", &PatchParams::default(), &patch).await;
    assert_refused(answer, 422, "Invalid", "pod updates may not change fields other than");
}

async fn running(subject: &Subject) -> Pod {
    subject.create_pod("one", Some("conformance-node")).await;
    let patch = Patch::Merge(json!({ "status": {
        "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
    } }));
    subject.pods().patch_status("one", &PatchParams::default(), &patch).await.unwrap()
}

async fn an_eviction(subject: Subject) {
    running(&subject).await;
    subject.pods().evict("one", &EvictParams::default()).await.unwrap();
    assert!(subject.pods().get("one").await.unwrap().metadata.deletion_timestamp.is_some());
    subject.pods().delete("one", &DeleteParams::default().grace_period(0)).await.unwrap();
}

async fn a_budget(subject: Subject) {
    running(&subject).await;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(subject.client.clone(), &subject.namespace);
    let budget = json!({
        "metadata": { "name": "one" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "one" } } },
    });
    budgets.create(&PostParams::default(), &serde_json::from_value(budget).unwrap()).await.unwrap();
    let answer = subject.pods().evict("one", &EvictParams::default()).await;
    assert_refused(answer, 429, "TooManyRequests", "disruption budget");
    subject.pods().delete("one", &DeleteParams::default().grace_period(0)).await.unwrap();
}
