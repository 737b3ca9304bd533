//! What is too long or too large.

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::{Subject, assert_refused, refusal, suite, widget};

suite! {
    "a name has up to 253 characters" => names,
    "a label's value has up to 63 characters, and not every one" => label_values,
    "annotations have up to 256 KiB together" => annotations,
    "an object of more than 1.5 MiB is not stored" => objects,
    "the note of an event has up to 1024 bytes" => notes,
}

async fn names(subject: Subject) {
    let longest = "n".repeat(253);
    subject.create(&longest, json!({})).await;
    let longer = widget(&"n".repeat(254), json!({}));
    assert_refused(subject.widgets().create(&PostParams::default(), &longer).await, 422, "Invalid", "metadata.name");
    let upper = widget("Upper", json!({}));
    assert_refused(subject.widgets().create(&PostParams::default(), &upper).await, 422, "Invalid", "metadata.name");
}

async fn label_values(subject: Subject) {
    for (value, is_taken) in [("v".repeat(63), true), ("v".repeat(64), false), ("naïve".to_owned(), false)] {
        let mut object = widget("one", json!({}));
        object.labels_mut().insert("label".to_owned(), value);
        let answer = subject.widgets().create(&PostParams::default(), &object).await;
        if is_taken {
            let name = answer.unwrap().name_any();
            subject.widgets().delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
        } else {
            assert_refused(answer, 422, "Invalid", "metadata.labels");
        }
    }
}

async fn annotations(subject: Subject) {
    let mut object = widget("one", json!({}));
    object.annotations_mut().insert("a".to_owned(), "x".repeat(256 * 1024));
    assert_refused(subject.widgets().create(&PostParams::default(), &object).await, 422, "Invalid", "Too long");
    object.annotations_mut().insert("a".to_owned(), "x".repeat(256 * 1024 - 1));
    subject.widgets().create(&PostParams::default(), &object).await.unwrap();
}

async fn objects(subject: Subject) {
    let order = |items: usize| -> Value { vec!["x".repeat(1024); items].into() };
    subject.create("large", json!({ "order": order(600) })).await;
    let larger = widget("larger", json!({ "order": order(1600) }));
    let refused = refusal(subject.widgets().create(&PostParams::default(), &larger).await);
    assert!(refused.code >= 400 && refused.message.contains("too large"), "{refused:?}");
}

async fn notes(subject: Subject) {
    let kind = GroupVersionKind::gvk("events.k8s.io", "v1", "Event");
    let kind = ApiResource::from_gvk_with_plural(&kind, "events");
    let events: Api<DynamicObject> = Api::namespaced_with(subject.client.clone(), &subject.namespace, &kind);
    let event = |name: &str, note: String| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": { "name": name },
            "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Test", "action": "Test",
            "reportingController": "longshore.dev/test", "reportingInstance": "test", "note": note,
            "regarding": { "kind": "Pod", "namespace": subject.namespace, "name": "one" },
        }))
        .unwrap()
    };
    events.create(&PostParams::default(), &event("short", "ü".repeat(512))).await.unwrap();
    let long = events.create(&PostParams::default(), &event("long", "ü".repeat(513))).await;
    assert_refused(long, 422, "Invalid", "1024");
}
