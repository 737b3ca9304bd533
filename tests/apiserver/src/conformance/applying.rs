//! Server-side apply.

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Subject, assert_refused, suite, version};

suite! {
    "an apply creates what is not there" => creates,
    "what a manager does not apply any more goes" => removes,
    "what another manager has written stays" => leaves_others,
    "an apply of another's field is a conflict" => conflicts,
    "a forced apply takes another's field" => takes,
    "an apply of the value that another has written shares it" => shares,
    "an apply of the same makes no new version" => the_same,
    "an apply to an older version is a conflict" => an_older_version,
    "an apply creates what is not there even with a version" => a_version_of_nothing,
    "items of a list with keys are merged, and those of one without are replaced" => lists,
    "an apply of the status leaves the spec alone, and one of the object the status" => the_status,
    "the status of what is not there is not applied" => the_status_of_nothing,
    "what an apply of the status leaves out goes, down to the last member" => the_status_shrinks,
}

fn configuration(extra: &Value) -> Value {
    let mut object =
        json!({ "apiVersion": "conformance.longshore.dev/v1", "kind": "Widget", "metadata": { "name": "one" } });
    json_patch::merge(&mut object, extra);
    object
}

async fn apply(subject: &Subject, manager: &str, force: bool, extra: Value) -> Result<DynamicObject, kube::Error> {
    let params = PatchParams { force, ..PatchParams::apply(manager) };
    subject.widgets().patch("one", &params, &Patch::Apply(configuration(&extra))).await
}

async fn apply_status(subject: &Subject, manager: &str, extra: Value) -> Result<DynamicObject, kube::Error> {
    let params = PatchParams::apply(manager).force();
    subject.widgets().patch_status("one", &params, &Patch::Apply(configuration(&extra))).await
}

async fn creates(subject: Subject) {
    let created = apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    assert_eq!(created.data["spec"], json!({ "note": "x", "size": 1 }));
    let managers = created.metadata.managed_fields.unwrap();
    assert_eq!((managers.len(), managers[0].operation.as_deref()), (1, Some("Apply")));
}

async fn removes(subject: Subject) {
    apply(&subject, "a", false, json!({ "spec": { "note": "x", "color": "red" } })).await.unwrap();
    let applied = apply(&subject, "a", false, json!({ "spec": { "color": "red" } })).await.unwrap();
    assert_eq!(applied.data["spec"], json!({ "color": "red", "size": 1 }));
}

async fn leaves_others(subject: Subject) {
    apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    apply(&subject, "b", false, json!({ "spec": { "color": "red" } })).await.unwrap();
    let applied = apply(&subject, "a", false, json!({ "spec": {} })).await.unwrap();
    assert_eq!(applied.data["spec"], json!({ "color": "red", "size": 1 }));
}

async fn conflicts(subject: Subject) {
    apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    let answer = apply(&subject, "b", false, json!({ "spec": { "note": "y" } })).await;
    assert_refused(answer, 409, "Conflict", "Apply failed with 1 conflict: conflict with \"a\": .spec.note");
    let patch = Patch::Merge(json!({ "spec": { "color": "red" } }));
    subject.widgets().patch("one", &PatchParams::default(), &patch).await.unwrap();
    let answer = apply(&subject, "b", false, json!({ "spec": { "color": "blue" } })).await;
    assert_refused(answer, 409, "Conflict", ".spec.color");
}

async fn takes(subject: Subject) {
    apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    apply(&subject, "b", true, json!({ "spec": { "note": "y" } })).await.unwrap();
    let applied = apply(&subject, "a", false, json!({ "spec": {} })).await.unwrap();
    assert_eq!(applied.data["spec"]["note"], "y");
}

async fn shares(subject: Subject) {
    apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    apply(&subject, "b", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    let applied = apply(&subject, "a", false, json!({ "spec": {} })).await.unwrap();
    assert_eq!(applied.data["spec"]["note"], "x");
}

async fn the_same(subject: Subject) {
    let first = apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    let again = apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    assert_eq!(version(&first), version(&again));
    let status = json!({ "status": { "phase": "x", "replicas": 1 } });
    let first = apply_status(&subject, "a", status.clone()).await.unwrap();
    let again = apply_status(&subject, "a", status).await.unwrap();
    assert_eq!(version(&first), version(&again));
}

async fn an_older_version(subject: Subject) {
    let old = apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    let at =
        |version: &str, note: &str| json!({ "metadata": { "resourceVersion": version }, "spec": { "note": note } });
    let new = apply(&subject, "a", true, at(&version(&old), "y")).await.unwrap();
    let answer = apply(&subject, "a", true, at(&version(&old), "z")).await;
    assert_refused(answer, 409, "Conflict", "the object has been modified");
    let status = |version: &str| json!({ "metadata": { "resourceVersion": version }, "status": { "phase": "x" } });
    let answer = apply_status(&subject, "a", status(&version(&old))).await;
    assert_refused(answer, 409, "Conflict", "the object has been modified");
    apply_status(&subject, "a", status(&version(&new))).await.unwrap();
}

async fn a_version_of_nothing(subject: Subject) {
    let created =
        apply(&subject, "a", true, json!({ "metadata": { "resourceVersion": "1" }, "spec": {} })).await.unwrap();
    assert_eq!(created.metadata.generation, Some(1));
}

async fn lists(subject: Subject) {
    let spec =
        |part: &str, order: &str| json!({ "spec": { "parts": [{ "name": part, "value": "1" }], "order": [order] } });
    apply(&subject, "a", false, spec("left", "x")).await.unwrap();
    let applied = apply(&subject, "b", true, spec("right", "y")).await.unwrap();
    let both = json!([{ "name": "left", "value": "1" }, { "name": "right", "value": "1" }]);
    assert_eq!((&applied.data["spec"]["parts"], &applied.data["spec"]["order"]), (&both, &json!(["y"])));
    let applied = apply(&subject, "a", true, json!({ "spec": {} })).await.unwrap();
    assert_eq!(applied.data["spec"]["parts"], json!([{ "name": "right", "value": "1" }]));
}

async fn the_status(subject: Subject) {
    apply(&subject, "a", false, json!({ "spec": { "note": "x" } })).await.unwrap();
    let both = json!({ "spec": { "note": "y" }, "status": { "phase": "x" } });
    let applied = apply_status(&subject, "b", both).await.unwrap();
    assert_eq!(applied.data, json!({ "spec": { "note": "x", "size": 1 }, "status": { "phase": "x" } }));
    let both = json!({ "spec": { "note": "z" }, "status": { "phase": "y" } });
    let applied = apply(&subject, "a", false, both).await.unwrap();
    assert_eq!(applied.data, json!({ "spec": { "note": "z", "size": 1 }, "status": { "phase": "x" } }));
}

async fn the_status_of_nothing(subject: Subject) {
    let answer = apply_status(&subject, "a", json!({ "status": { "phase": "x" } })).await;
    assert_refused(answer, 404, "NotFound", "one");
}

async fn the_status_shrinks(subject: Subject) {
    apply(&subject, "a", false, json!({ "spec": {} })).await.unwrap();
    apply_status(&subject, "a", json!({ "status": { "phase": "x", "note": "y" } })).await.unwrap();
    let applied = apply_status(&subject, "a", json!({ "status": { "phase": "x" } })).await.unwrap();
    assert_eq!(applied.data["status"], json!({ "phase": "x" }));
}
