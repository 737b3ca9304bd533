//! A recorder has every event of its pods.

use kube::api::{DeleteParams, ListParams};
use longshore_test_cluster::{Change, PodRecorder};
use serde_json::json;

use crate::{cluster, create, is_ready, pods, status};

#[tokio::test]
async fn every_event_is_recorded_in_order() {
    let pods = pods(cluster().await, "recorder").await;
    create(&pods, "first", "app:1", json!({})).await;
    status(&pods, "first", is_ready).await;
    let recorder = PodRecorder::start(pods.clone(), ListParams::default()).await.unwrap();
    create(&pods, "second", "app:1", json!({})).await;
    status(&pods, "second", is_ready).await;
    pods.delete("first", &DeleteParams::default()).await.unwrap();
    while pods.get_opt("first").await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    recorder.catch_up().await.unwrap();

    let events = recorder.events().unwrap();
    assert!(events.is_sorted_by_key(|event| event.resource_version));
    let of = |name: &str| -> Vec<Change> {
        events
            .iter()
            .filter(|event| event.object.metadata.name.as_deref() == Some(name))
            .map(|event| event.change)
            .collect()
    };
    // Created, scheduled, running.
    assert_eq!(of("second"), [Change::Added, Change::Modified, Change::Modified]);
    assert_eq!(of("first").last(), Some(&Change::Deleted));
    let mut counts = vec![recorder.initial().len()];
    recorder.replay(|pods, _| counts.push(pods.len())).unwrap();
    assert_eq!((counts[0], *counts.iter().max().unwrap()), (1, 2));
    assert_eq!(counts.last(), Some(&1));
    assert_eq!(recorder.objects().len(), 1);
}
