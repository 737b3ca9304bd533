//! Merge patches and JSON patches.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Subject, assert_refused, suite, version};

suite! {
    "a merge patch sets what it names, removes what it names as null, and leaves the rest" => a_merge_patch,
    "a merge patch with an older version is a conflict" => a_merge_patch_with_a_version,
    "a merge patch with another uid is refused" => a_merge_patch_with_a_uid,
    "a merge patch that changes nothing makes no new version" => a_merge_patch_that_changes_nothing,
    "a patch of what is not there finds nothing" => a_patch_of_nothing,
    "a patch that is answered with metadata only has been carried out" => a_patch_answered_with_metadata,
    "a JSON patch whose test fails changes nothing" => a_json_patch,
}

async fn patch(subject: &Subject, patch: Value) -> Result<kube::api::DynamicObject, kube::Error> {
    subject.widgets().patch("one", &PatchParams::default(), &Patch::Merge(patch)).await
}

async fn a_merge_patch(subject: Subject) {
    subject.create("one", json!({ "note": "a", "color": "red" })).await;
    let patched = patch(&subject, json!({ "spec": { "note": "b", "color": null } })).await.unwrap();
    assert_eq!(patched.data["spec"], json!({ "note": "b", "size": 1 }));
}

async fn a_merge_patch_with_a_version(subject: Subject) {
    let old = subject.create("one", json!({})).await;
    let at =
        |version: &str, note: &str| json!({ "metadata": { "resourceVersion": version }, "spec": { "note": note } });
    let new = patch(&subject, at(&version(&old), "a")).await.unwrap();
    assert_refused(patch(&subject, at(&version(&old), "b")).await, 409, "Conflict", "the object has been modified");
    patch(&subject, at(&version(&new), "b")).await.unwrap();
}

async fn a_merge_patch_with_a_uid(subject: Subject) {
    subject.create("one", json!({})).await;
    let other = json!({ "metadata": { "uid": "11111111-2222-4333-8444-555555555555" } });
    assert_refused(patch(&subject, other).await, 422, "Invalid", "metadata.uid: Invalid value");
}

async fn a_merge_patch_that_changes_nothing(subject: Subject) {
    let object = subject.create("one", json!({ "note": "a" })).await;
    let again = patch(&subject, json!({ "spec": { "note": "a" } })).await.unwrap();
    assert_eq!(version(&object), version(&again));
}

async fn a_patch_of_nothing(subject: Subject) {
    assert_refused(patch(&subject, json!({})).await, 404, "NotFound", "one");
}

async fn a_patch_answered_with_metadata(subject: Subject) {
    subject.create("one", json!({})).await;
    let change = json!({ "metadata": { "finalizers": ["longshore.dev/test"] } });
    let answer = subject.widgets().patch_metadata("one", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    assert_eq!(answer.metadata.finalizers.as_deref(), Some(["longshore.dev/test".to_owned()].as_slice()));
    let release = json!({ "metadata": { "finalizers": [] } });
    let answer =
        subject.widgets().patch_metadata("one", &PatchParams::default(), &Patch::Merge(release)).await.unwrap();
    assert_eq!(answer.metadata.finalizers.unwrap_or_default(), Vec::<String>::new());
}

async fn a_json_patch(subject: Subject) {
    subject.create("one", json!({ "note": "a" })).await;
    let apply = async |patch: Value| {
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
        subject.widgets().patch("one", &PatchParams::default(), &Patch::Json::<()>(patch)).await
    };
    let replace = json!({ "op": "replace", "path": "/spec/note", "value": "b" });
    let refused = apply(json!([{ "op": "test", "path": "/spec/note", "value": "x" }, replace])).await;
    assert_refused(refused, 422, "Invalid", "");
    let taken = apply(json!([{ "op": "test", "path": "/spec/note", "value": "a" }, replace])).await.unwrap();
    assert_eq!(taken.data["spec"]["note"], "b");
}
