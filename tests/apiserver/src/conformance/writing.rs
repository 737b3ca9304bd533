//! Creating and replacing.

use kube::ResourceExt;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};

use super::{Subject, assert_refused, suite, version, widget};

suite! {
    "a create gives a uid, a creation time, generation 1 and a version" => a_create_gives,
    "a second create of a name is a conflict with the reason AlreadyExists" => a_second_create,
    "a create in a namespace that is not there finds nothing" => a_create_in_no_namespace,
    "a create with a version is refused" => a_create_with_a_version,
    "what is not there is not found" => what_is_not_there,
    "a replace of an older version is a conflict" => a_replace_of_an_older_version,
    "a custom resource is not replaced without a version" => a_replace_without_a_version,
    "a write that changes nothing makes no new version" => a_write_that_changes_nothing,
    "the generation grows with the spec and with nothing else" => the_generation,
    "the schema's defaults are stored" => defaults,
    "members that the schema does not know are dropped" => unknown_members,
    "a value that the schema does not allow is refused as Invalid" => invalid_values,
}

async fn a_create_gives(subject: Subject) {
    let created = subject.create("one", json!({})).await;
    assert!(!created.uid().unwrap().is_empty() && created.creation_timestamp().is_some());
    assert_eq!(created.metadata.generation, Some(1));
    assert!(version(&created).parse::<u64>().unwrap() > 0);
    let other = subject.create("two", json!({})).await;
    assert_ne!(created.uid(), other.uid());
    assert!(version(&other).parse::<u64>().unwrap() > version(&created).parse::<u64>().unwrap());
}

async fn a_second_create(subject: Subject) {
    subject.create("one", json!({})).await;
    let again = subject.widgets().create(&PostParams::default(), &widget("one", json!({}))).await;
    assert_refused(again, 409, "AlreadyExists", "widgets.conformance.longshore.dev \"one\" already exists");
}

async fn a_create_in_no_namespace(subject: Subject) {
    let nowhere: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(subject.client.clone(), "no-such-place");
    let object = serde_json::from_value(json!({ "metadata": { "name": "one" } })).unwrap();
    assert_refused(nowhere.create(&PostParams::default(), &object).await, 404, "NotFound", "no-such-place");
}

async fn a_create_with_a_version(subject: Subject) {
    let mut object = widget("one", json!({}));
    object.metadata.resource_version = Some("1".to_owned());
    let answer = subject.widgets().create(&PostParams::default(), &object).await;
    assert!(matches!(answer, Err(kube::Error::Api(status)) if status.message.contains("resourceVersion")));
}

async fn what_is_not_there(subject: Subject) {
    let words = "widgets.conformance.longshore.dev \"one\" not found";
    assert_refused(subject.widgets().get("one").await, 404, "NotFound", words);
}

async fn a_replace_of_an_older_version(subject: Subject) {
    let old = subject.create("one", json!({ "note": "a" })).await;
    let mut new = old.clone();
    new.data["spec"]["note"] = json!("b");
    let replaced = subject.widgets().replace("one", &PostParams::default(), &new).await.unwrap();
    assert_eq!(replaced.data["spec"]["note"], "b");
    let answer = subject.widgets().replace("one", &PostParams::default(), &old).await;
    assert_refused(
        answer,
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version",
    );
}

async fn a_replace_without_a_version(subject: Subject) {
    let mut object = subject.create("one", json!({})).await;
    object.metadata.resource_version = None;
    let answer = subject.widgets().replace("one", &PostParams::default(), &object).await;
    assert_refused(answer, 422, "Invalid", "must be specified for an update");
}

async fn a_write_that_changes_nothing(subject: Subject) {
    let object = subject.create("one", json!({ "note": "a" })).await;
    let again = subject.widgets().replace("one", &PostParams::default(), &object).await.unwrap();
    assert_eq!(version(&object), version(&again));
}

async fn the_generation(subject: Subject) {
    let mut object = subject.create("one", json!({ "note": "a" })).await;
    object.labels_mut().insert("a".to_owned(), "b".to_owned());
    let mut labelled = replace(&subject, &object).await;
    assert_eq!(labelled.metadata.generation, Some(1));
    labelled.data["spec"]["note"] = json!("b");
    assert_eq!(replace(&subject, &labelled).await.metadata.generation, Some(2));
}

async fn replace(subject: &Subject, object: &DynamicObject) -> DynamicObject {
    subject.widgets().replace(&object.name_any(), &PostParams::default(), object).await.unwrap()
}

async fn defaults(subject: Subject) {
    let object = subject.create("one", json!({})).await;
    assert_eq!(object.data["spec"]["size"], 1);
    assert_eq!(subject.widgets().get("one").await.unwrap().data["spec"], json!({ "size": 1 }));
}

async fn unknown_members(subject: Subject) {
    let object = subject.create("one", json!({ "taste": "sour", "note": null })).await;
    assert_eq!(object.data["spec"], json!({ "size": 1 }));
}

async fn invalid_values(subject: Subject) {
    let refused: [(Value, &str); 6] = [
        (json!({ "size": 11 }), "spec.size"),
        (json!({ "size": -1 }), "spec.size"),
        (json!({ "size": "1" }), "spec.size"),
        (json!({ "color": "green" }), "spec.color"),
        (json!({ "note": "much longer than twenty characters" }), "spec.note"),
        (json!({ "parts": [{ "value": "a" }] }), "spec.parts[0].name"),
    ];
    for (spec, member) in refused {
        let answer = subject.widgets().create(&PostParams::default(), &widget("one", spec)).await;
        assert_refused(answer, 422, "Invalid", member);
    }
}
