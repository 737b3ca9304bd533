//! Lists: pages, selectors, versions, metadata only.

use std::collections::BTreeSet;

use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use super::{Subject, assert_refused, suite, version, widget};

suite! {
    "a list has the version at which it was made, and every object its own" => a_list,
    "a list in pages has every object once, and one version" => pages,
    "label selectors select" => label_selectors,
    "field selectors select by name, and pods by node" => field_selectors,
    "a list from the future times out" => the_future,
    "metadata alone comes without spec and status" => metadata_alone,
}

async fn labelled(subject: &Subject) {
    for (name, labels) in
        [("a", json!({ "app": "web", "tier": "1" })), ("b", json!({ "app": "web" })), ("c", json!({}))]
    {
        let mut object = widget(name, json!({}));
        object.metadata.labels = serde_json::from_value(labels).unwrap();
        subject.widgets().create(&PostParams::default(), &object).await.unwrap();
    }
}

async fn names(subject: &Subject, params: &ListParams) -> String {
    subject.widgets().list(params).await.unwrap().iter().map(ResourceExt::name_any).collect()
}

async fn a_list(subject: Subject) {
    let object = subject.create("one", json!({})).await;
    let list = subject.widgets().list(&ListParams::default()).await.unwrap();
    assert_eq!((list.items.len(), version(&list.items[0])), (1, version(&object)));
    let listed: u64 = list.metadata.resource_version.unwrap().parse().unwrap();
    assert!(listed >= version(&object).parse().unwrap());
}

async fn pages(subject: Subject) {
    for number in 0..5 {
        subject.create(&format!("w{number}"), json!({})).await;
    }
    let (mut names, mut versions, mut token) = (Vec::new(), BTreeSet::new(), None);
    loop {
        let params = ListParams { limit: Some(2), continue_token: token, ..ListParams::default() };
        let page = subject.widgets().list(&params).await.unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.iter().map(ResourceExt::name_any));
        versions.insert(page.metadata.resource_version);
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["w0", "w1", "w2", "w3", "w4"]);
    assert_eq!(versions.len(), 1);
}

async fn label_selectors(subject: Subject) {
    labelled(&subject).await;
    for (selector, selected) in [
        ("app=web", "ab"),
        ("app==web,tier", "a"),
        ("app!=web", "c"),
        ("!tier", "bc"),
        ("app in (web, db)", "ab"),
        ("tier notin (1)", "bc"),
        ("app=db", ""),
    ] {
        assert_eq!(names(&subject, &ListParams::default().labels(selector)).await, selected, "{selector}");
    }
}

async fn field_selectors(subject: Subject) {
    labelled(&subject).await;
    assert_eq!(names(&subject, &ListParams::default().fields("metadata.name=b")).await, "b");
    assert_eq!(names(&subject, &ListParams::default().fields("metadata.name!=b")).await, "ac");
    subject.create_pod("one", Some("conformance-node")).await;
    subject.create_pod("two", None).await;
    let on = |node: &str| ListParams::default().fields(&format!("spec.nodeName={node}"));
    let found = subject.pods().list(&on("conformance-node")).await.unwrap();
    assert_eq!(found.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["one"]);
}

async fn the_future(subject: Subject) {
    let params = ListParams::default().at("4000000000").matching(kube::api::VersionMatch::NotOlderThan);
    assert_refused(subject.widgets().list(&params).await, 504, "Timeout", "Too large resource version");
}

async fn metadata_alone(subject: Subject) {
    let object = subject.create("one", json!({})).await;
    let alone = subject.widgets().get_metadata("one").await.unwrap();
    assert_eq!(alone.metadata, object.metadata);
    assert_eq!(alone.types.unwrap().kind, "PartialObjectMetadata");
    let list = subject.widgets().list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].metadata.uid, object.metadata.uid);
    assert!(subject.widgets().get_metadata_opt("two").await.unwrap().is_none());
}
