//! Watches.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use super::{Subject, suite, version};

suite! {
    "a watch from a version shows what came after it, in order" => from_a_version,
    "a watch without a version begins with what is there" => without_a_version,
    "initial events without a version are those of no older state than that of the request, and end with a mark" => newest_events,
    "an object that enters or leaves the selection of a watch is added or deleted there" => the_selection,
    "the event of a deletion has the last state and a newer version" => a_deletion,
    "a watch from a forgotten version is told so within the stream" => a_forgotten_version,
    "a watch ends when its time is over" => the_end,
    "a watch of metadata has no spec" => metadata,
}

type Event = WatchEvent<DynamicObject>;

async fn events(subject: &Subject, params: &WatchParams, from: &str, count: usize) -> Vec<Event> {
    let stream = subject.widgets().watch(params, from).await.unwrap();
    let events = stream.take(count).try_collect();
    tokio::time::timeout(Duration::from_secs(20), events).await.unwrap().unwrap()
}

fn told(events: &[Event]) -> Vec<String> {
    let told = |event: &Event| match event {
        WatchEvent::Added(object) => format!("+{}", object.name_any()),
        WatchEvent::Modified(object) => format!("~{}", object.name_any()),
        WatchEvent::Deleted(object) => format!("-{}", object.name_any()),
        WatchEvent::Bookmark(mark) if mark.metadata.annotations.contains_key("k8s.io/initial-events-end") => {
            "end".to_owned()
        }
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(error) => error.code.to_string(),
    };
    events.iter().map(told).collect()
}

async fn now(subject: &Subject) -> String {
    subject.widgets().list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap()
}

async fn change(subject: &Subject, name: &str, patch: serde_json::Value) -> DynamicObject {
    subject.widgets().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
}

async fn from_a_version(subject: Subject) {
    subject.create("old", json!({})).await;
    let from = now(&subject).await;
    subject.create("one", json!({})).await;
    change(&subject, "one", json!({ "spec": { "note": "x" } })).await;
    subject.widgets().delete("one", &DeleteParams::default()).await.unwrap();
    let events = events(&subject, &WatchParams::default(), &from, 3).await;
    assert_eq!(told(&events), ["+one", "~one", "-one"]);
}

async fn without_a_version(subject: Subject) {
    subject.create("one", json!({})).await;
    subject.create("two", json!({})).await;
    let mut told = told(&events(&subject, &WatchParams::default(), "0", 2).await);
    told.sort();
    assert_eq!(told, ["+one", "+two"]);
}

async fn newest_events(subject: Subject) {
    // With "0" any state will do that the server has at hand, and nothing can be said of it.
    let params = WatchParams::default().initial_events();
    for number in 0..5 {
        let object = subject.create(&format!("w{number}"), json!({})).await;
        let events = events(&subject, &params, "", number + 2).await;
        let WatchEvent::Bookmark(end) = events.last().unwrap() else { panic!("{:?}", told(&events)) };
        assert_eq!(told(&events).last().unwrap(), "end");
        let at: u64 = end.metadata.resource_version.parse().unwrap();
        assert!(at >= version(&object).parse().unwrap());
    }
}

async fn the_selection(subject: Subject) {
    subject.create("one", json!({})).await;
    let from = now(&subject).await;
    for value in ["web", "web", "db"] {
        let patch = json!({ "metadata": { "labels": { "app": value } }, "spec": { "note": value } });
        change(&subject, "one", patch).await;
        change(&subject, "one", json!({ "spec": { "note": "more" } })).await;
    }
    let params = WatchParams::default().labels("app=web");
    let events = events(&subject, &params, &from, 5).await;
    assert_eq!(told(&events), ["+one", "~one", "~one", "~one", "-one"]);
    let WatchEvent::Deleted(last) = &events[4] else { panic!("{:?}", events[4]) };
    assert_eq!(last.labels()["app"], "web", "it is told as it was when it was last selected");
}

async fn a_deletion(subject: Subject) {
    let object = subject.create("one", json!({ "note": "x" })).await;
    subject.widgets().delete("one", &DeleteParams::default()).await.unwrap();
    let events = events(&subject, &WatchParams::default(), &version(&object), 1).await;
    let WatchEvent::Deleted(last) = &events[0] else { panic!("{events:?}") };
    assert_eq!(last.data["spec"]["note"], "x");
    assert!(version(last).parse::<u64>().unwrap() > version(&object).parse::<u64>().unwrap());
}

async fn a_forgotten_version(subject: Subject) {
    subject.create("one", json!({})).await;
    (subject.forget_history)();
    let events = events(&subject, &WatchParams::default(), "1", 1).await;
    let WatchEvent::Error(error) = &events[0] else { panic!("{events:?}") };
    assert_eq!((error.code, error.reason.as_str()), (410, "Expired"));
    assert!(error.message.contains("too old resource version"), "{}", error.message);
}

async fn the_end(subject: Subject) {
    let from = now(&subject).await;
    let params = WatchParams::default().timeout(1).disable_bookmarks();
    let stream = subject.widgets().watch(&params, &from).await.unwrap();
    let rest: Vec<Event> = tokio::time::timeout(Duration::from_secs(20), stream.try_collect()).await.unwrap().unwrap();
    assert_eq!(told(&rest), [""; 0]);
}

async fn metadata(subject: Subject) {
    let from = now(&subject).await;
    let object = subject.create("one", json!({})).await;
    let stream = subject.widgets().watch_metadata(&WatchParams::default(), &from).await.unwrap();
    let first = Box::pin(stream).try_next().await.unwrap().unwrap();
    let WatchEvent::Added(seen) = first else { panic!("{first:?}") };
    assert_eq!((seen.metadata.uid, seen.types.unwrap().kind), (object.uid(), "PartialObjectMetadata".to_owned()));
}
