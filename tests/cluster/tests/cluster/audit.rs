//! The audit log tells who did what.

use kube::api::DeleteParams;
use serde_json::json;

use crate::{cluster, create, pods};

#[tokio::test]
async fn requests_are_recorded_from_a_mark_on() {
    let cluster = cluster().await;
    let pods = pods(cluster, "audited").await;
    create(&pods, "before", "app:1", json!({})).await;
    let mark = cluster.audit_mark().await.unwrap();
    create(&pods, "after", "app:1", json!({})).await;
    pods.get("after").await.unwrap();
    assert!(pods.get("absent").await.is_err());
    pods.delete("after", &DeleteParams::default()).await.unwrap();

    let records = cluster.audit_since(mark).await.unwrap();
    let own: Vec<_> = records.iter().filter(|record| record.user == "admin" && record.namespace == "audited").collect();
    let asked: Vec<_> = own.iter().map(|record| (record.verb.as_str(), record.name.as_str(), record.code)).collect();
    assert_eq!(
        asked,
        [("create", "after", 201), ("get", "after", 200), ("get", "absent", 404), ("delete", "after", 200),]
    );
    assert!(own.iter().all(|record| record.resource == "pods" && !record.took().is_negative()));
    let mutating: Vec<_> = own.iter().map(|record| record.is_mutating()).collect();
    assert_eq!(mutating, [true, false, false, true]);
    let bound = |user: &str| records.iter().any(|record| record.user == user && record.subresource == "binding");
    assert!(bound("system:kube-scheduler"));
    let all = cluster.audit().await.unwrap();
    assert!(all.iter().any(|record| record.name == "before" && record.is_mutating()));
}
