//! The subresource `scale`.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{Subject, suite};

suite! {
    "scale tells what is wanted, what is there and how it is selected" => scale_tells,
    "a write of scale changes the spec, and with it the generation" => scale_changes,
}

async fn scale_tells(subject: Subject) {
    subject.create("one", json!({ "replicas": 3 })).await;
    let status = Patch::Merge(json!({ "status": { "replicas": 2, "selector": "app=one" } }));
    subject.widgets().patch_status("one", &PatchParams::default(), &status).await.unwrap();
    let scale = subject.widgets().get_scale("one").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    let status = scale.status.unwrap();
    assert_eq!((status.replicas, status.selector.as_deref()), (2, Some("app=one")));
}

async fn scale_changes(subject: Subject) {
    subject.create("one", json!({ "replicas": 3, "note": "x" })).await;
    let patch = Patch::Merge(json!({ "spec": { "replicas": 5 } }));
    subject.widgets().patch_scale("one", &PatchParams::default(), &patch).await.unwrap();
    let object = subject.widgets().get("one").await.unwrap();
    assert_eq!(object.data["spec"], json!({ "replicas": 5, "note": "x", "size": 1 }));
    assert_eq!(object.metadata.generation, Some(2));
}
