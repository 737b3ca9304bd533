//! The subresource `status`.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::{Subject, assert_refused, suite, version, widget};

suite! {
    "a create drops the status" => a_create_drops_the_status,
    "a write of the status leaves spec, metadata and generation alone" => a_status_write,
    "a write of the object leaves the status alone" => an_object_write,
    "a status write with an older version is a conflict" => a_status_write_with_an_older_version,
    "the status of what is not there is not found" => the_status_of_nothing,
}

async fn a_create_drops_the_status(subject: Subject) {
    let mut object = widget("one", json!({}));
    object.data["status"] = json!({ "phase": "x" });
    let created = subject.widgets().create(&PostParams::default(), &object).await.unwrap();
    assert!(created.data.get("status").is_none());
}

async fn a_status_write(subject: Subject) {
    let before = subject.create("one", json!({ "note": "a" })).await;
    let patch = json!({
        "metadata": { "labels": { "a": "b" } }, "spec": { "note": "b" }, "status": { "phase": "x" },
    });
    let after = subject.widgets().patch_status("one", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert_eq!(after.data, json!({ "spec": { "note": "a", "size": 1 }, "status": { "phase": "x" } }));
    assert_eq!(after.metadata.labels, None);
    assert_eq!(after.metadata.generation, Some(1));
    assert_ne!(version(&before), version(&after));
}

async fn an_object_write(subject: Subject) {
    subject.create("one", json!({})).await;
    let status = Patch::Merge(json!({ "status": { "phase": "x" } }));
    let object = subject.widgets().patch_status("one", &PatchParams::default(), &status).await.unwrap();
    let change = Patch::Merge(json!({ "status": { "phase": "y" }, "spec": { "note": "a" } }));
    let changed = subject.widgets().patch("one", &PatchParams::default(), &change).await.unwrap();
    assert_eq!(changed.data["status"], object.data["status"]);
    assert_eq!(changed.data["spec"]["note"], "a");
}

async fn a_status_write_with_an_older_version(subject: Subject) {
    let old = subject.create("one", json!({})).await;
    let write = async |phase: &str| {
        let patch = json!({ "metadata": { "resourceVersion": version(&old) }, "status": { "phase": phase } });
        subject.widgets().patch_status("one", &PatchParams::default(), &Patch::Merge(patch)).await
    };
    write("a").await.unwrap();
    assert_refused(write("b").await, 409, "Conflict", "the object has been modified");
}

async fn the_status_of_nothing(subject: Subject) {
    let patch = Patch::Merge(json!({ "status": {} }));
    let answer = subject.widgets().patch_status("one", &PatchParams::default(), &patch).await;
    assert_refused(answer, 404, "NotFound", "one");
}
