//! Deletion: preconditions, finalizers, grace, owners.

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use serde_json::json;

use super::{Subject, assert_refused, eventually, pod, suite, version, widget};

/// A node that no kubelet speaks for: what is on it is removed by nobody.
const NODE: &str = "conformance-node";

suite! {
    "a delete takes an object that nothing holds" => a_delete,
    "a delete of what is not there finds nothing" => a_delete_of_nothing,
    "a delete of another uid is a conflict" => another_uid,
    "a delete of an older version is a conflict" => an_older_version,
    "a delete of this uid at this version is carried out" => this_uid_at_this_version,
    "a finalizer holds an object that is being deleted" => a_finalizer_holds,
    "a second delete of what is being deleted changes nothing" => a_second_delete,
    "an object that is being deleted takes no new finalizers" => no_new_finalizers,
    "what loses its last owner is deleted" => the_last_owner,
    "what is orphaned stays" => orphans,
    "a pod without a node goes at once" => a_pod_without_a_node,
    "a pod on a node stays until its kubelet removes it" => a_pod_on_a_node,
    "a pod on a node that has ended goes at once" => a_pod_that_has_ended,
    "a delete guarded by the version at which a pod was seen is a conflict once it is Ready" => a_pod_that_changed,
}

fn guarded(uid: Option<String>, resource_version: Option<String>) -> DeleteParams {
    DeleteParams { preconditions: Some(Preconditions { uid, resource_version }), ..DeleteParams::background() }
}

async fn a_delete(subject: Subject) {
    subject.create("one", json!({})).await;
    subject.widgets().delete("one", &DeleteParams::background()).await.unwrap();
    assert!(subject.widgets().get_opt("one").await.unwrap().is_none());
}

async fn a_delete_of_nothing(subject: Subject) {
    assert_refused(subject.widgets().delete("one", &DeleteParams::default()).await, 404, "NotFound", "one");
}

async fn another_uid(subject: Subject) {
    subject.create("one", json!({})).await;
    let params = guarded(Some("11111111-2222-4333-8444-555555555555".to_owned()), None);
    let words = "the UID in the precondition";
    assert_refused(subject.widgets().delete("one", &params).await, 409, "Conflict", words);
    subject.create_pod("two", None).await;
    assert_refused(subject.pods().delete("two", &params).await, 409, "Conflict", words);
}

async fn an_older_version(subject: Subject) {
    let old = subject.create("one", json!({})).await;
    let patch = Patch::Merge(json!({ "spec": { "note": "x" } }));
    subject.widgets().patch("one", &PatchParams::default(), &patch).await.unwrap();
    let answer = subject.widgets().delete("one", &guarded(old.uid(), old.resource_version())).await;
    assert_refused(answer, 409, "Conflict", "the ResourceVersion in the precondition");
}

async fn this_uid_at_this_version(subject: Subject) {
    let object = subject.create("one", json!({})).await;
    subject.widgets().delete("one", &guarded(object.uid(), object.resource_version())).await.unwrap();
    assert!(subject.widgets().get_opt("one").await.unwrap().is_none());
}

async fn held(subject: &Subject) {
    let mut object = widget("one", json!({}));
    object.metadata.finalizers = Some(vec!["longshore.dev/test".to_owned()]);
    subject.widgets().create(&PostParams::default(), &object).await.unwrap();
    subject.widgets().delete("one", &DeleteParams::background()).await.unwrap();
}

async fn finalizers(subject: &Subject, finalizers: &[&str]) -> Result<kube::api::DynamicObject, kube::Error> {
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
    subject.widgets().patch("one", &PatchParams::default(), &patch).await
}

async fn a_finalizer_holds(subject: Subject) {
    held(&subject).await;
    let object = subject.widgets().get("one").await.unwrap();
    assert!(object.metadata.deletion_timestamp.is_some());
    finalizers(&subject, &[]).await.unwrap();
    assert!(subject.widgets().get_opt("one").await.unwrap().is_none());
}

async fn a_second_delete(subject: Subject) {
    held(&subject).await;
    let before = subject.widgets().get("one").await.unwrap();
    subject.widgets().delete("one", &DeleteParams::background()).await.unwrap();
    assert_eq!(version(&before), version(&subject.widgets().get("one").await.unwrap()));
    finalizers(&subject, &[]).await.unwrap();
}

async fn no_new_finalizers(subject: Subject) {
    held(&subject).await;
    let answer = finalizers(&subject, &["longshore.dev/test", "longshore.dev/other"]).await;
    assert_refused(answer, 422, "Invalid", "no new finalizers can be added");
    finalizers(&subject, &[]).await.unwrap();
}

async fn owned(subject: &Subject) {
    let owner = subject.create("owner", json!({})).await;
    let mut child = widget("child", json!({}));
    child.metadata.owner_references = Some(vec![serde_json::from_value(json!({
        "apiVersion": "conformance.longshore.dev/v1", "kind": "Widget", "name": "owner", "uid": owner.uid(), "controller": true,
    })).unwrap()]);
    subject.widgets().create(&PostParams::default(), &child).await.unwrap();
}

async fn the_last_owner(subject: Subject) {
    owned(&subject).await;
    subject.widgets().delete("owner", &DeleteParams::background()).await.unwrap();
    let widgets = subject.widgets();
    eventually(|| {
        let widgets = widgets.clone();
        Box::pin(async move { widgets.get_opt("child").await.unwrap().is_none() })
    })
    .await;
}

async fn orphans(subject: Subject) {
    owned(&subject).await;
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    subject.widgets().delete("owner", &orphan).await.unwrap();
    let widgets = subject.widgets();
    eventually(|| {
        let widgets = widgets.clone();
        Box::pin(async move { widgets.get_opt("owner").await.unwrap().is_none() })
    })
    .await;
    let child = subject.widgets().get("child").await.unwrap();
    assert_eq!(child.metadata.owner_references.unwrap_or_default(), []);
}

async fn a_pod_without_a_node(subject: Subject) {
    subject.create_pod("one", None).await;
    subject.pods().delete("one", &DeleteParams::background()).await.unwrap();
    assert!(subject.pods().get_opt("one").await.unwrap().is_none());
}

async fn a_pod_on_a_node(subject: Subject) {
    subject.create_pod("one", Some(NODE)).await;
    subject.pods().delete("one", &DeleteParams::background()).await.unwrap();
    let going = subject.pods().get("one").await.unwrap();
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(30));
    subject.pods().delete("one", &DeleteParams::background()).await.unwrap();
    assert_eq!(version(&going), version(&subject.pods().get("one").await.unwrap()), "a second delete adds no grace");
    subject.pods().delete("one", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(subject.pods().get_opt("one").await.unwrap().is_none());
}

async fn set_status(subject: &Subject, status: serde_json::Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    subject.pods().patch_status("one", &PatchParams::default(), &patch).await.unwrap();
}

async fn a_pod_that_has_ended(subject: Subject) {
    subject.create_pod("one", Some(NODE)).await;
    set_status(&subject, json!({ "phase": "Failed" })).await;
    subject.pods().delete("one", &DeleteParams::background()).await.unwrap();
    assert!(subject.pods().get_opt("one").await.unwrap().is_none());
}

async fn a_pod_that_changed(subject: Subject) {
    let seen = subject.pods().create(&PostParams::default(), &pod("one", Some(NODE))).await.unwrap();
    set_status(&subject, json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] })).await;
    let answer = subject.pods().delete("one", &guarded(seen.uid(), seen.resource_version())).await;
    assert_refused(answer, 409, "Conflict", "the ResourceVersion in the precondition");
    subject.pods().delete("one", &DeleteParams::default().grace_period(0)).await.unwrap();
}
