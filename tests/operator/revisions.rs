//! Revisions, through the API server.

use kube::api::{Api, ListParams};
use longshore::api::{RevisionState, TaskDefinition, TaskDefinitionRevision};
use serde_json::json;

use crate::namespace::{Namespace, stderr, task_definition};

async fn latest(namespace: &Namespace, revision: &str) {
    namespace
        .until::<TaskDefinition>("web", revision, |definition| {
            definition.status.as_ref().is_some_and(|status| status.latest_active_revision.as_deref() == Some(revision))
        })
        .await;
}

async fn revisions(namespace: &Namespace) -> Vec<(i64, Option<RevisionState>)> {
    let api: Api<TaskDefinitionRevision> = namespace.api();
    let list = api.list(&ListParams::default()).await.unwrap();
    let mut revisions: Vec<_> =
        list.items.into_iter().map(|item| (item.spec.revision, item.status.and_then(|status| status.status))).collect();
    revisions.sort_by_key(|(number, _)| *number);
    revisions
}

#[tokio::test]
async fn a_revision_is_registered_when_the_content_changes_and_numbers_never_come_again() {
    let namespace = Namespace::new("revisions").await;
    namespace.apply_task_definition("web", "revisions:1");
    latest(&namespace, "web:1").await;
    let mut written_out = task_definition("revisions:1");
    written_out["cpu"] = json!(64);
    written_out["containerDefinitions"][0]["essential"] = json!(true);
    namespace.apply("TaskDefinition", "web", &written_out);
    namespace.apply_task_definition("web", "revisions:2");
    latest(&namespace, "web:2").await;
    assert_eq!(revisions(&namespace).await.len(), 2, "the same content in other words is the same revision");

    let deleted = namespace.kubectl(&["delete", "td", "web", "--timeout=30s"]);
    assert!(deleted.status.success(), "{}", stderr(&deleted));
    assert_eq!(revisions(&namespace).await, [(2, Some(RevisionState::Inactive))], "the newest stays, INACTIVE");
    namespace.apply_task_definition("web", "revisions:2");
    latest(&namespace, "web:3").await;
}

#[tokio::test]
async fn a_revision_is_immutable() {
    let namespace = Namespace::new("immutable").await;
    namespace.apply_task_definition("web", "immutable:1");
    latest(&namespace, "web:1").await;
    let patch = r#"[{"op": "replace", "path": "/spec/containerDefinitions/0/image", "value": "other"}]"#;
    let patched = namespace.kubectl(&["patch", "tdr", "web-1", "--type=json", "--patch", patch]);
    assert!(!patched.status.success());
    assert!(stderr(&patched).contains("immutable"), "{}", stderr(&patched));
}

#[tokio::test]
async fn old_revisions_that_nothing_uses_are_pruned_and_the_newest_and_the_used_stay() {
    let namespace = Namespace::new("pruned").await;
    namespace.apply_default_cluster();
    namespace.apply("Service", "web", &json!({ "taskDefinition": "web:1", "desiredCount": 1 }));
    for number in 1..=5 {
        let mut definition = task_definition(&format!("pruned:{number}"));
        definition["kubernetes"] = json!({ "revisionHistoryLimit": 1 });
        namespace.apply("TaskDefinition", "web", &definition);
        latest(&namespace, &format!("web:{number}")).await;
    }
    let started = std::time::Instant::now();
    let numbers = loop {
        let numbers: Vec<_> = revisions(&namespace).await.into_iter().map(|(number, _)| number).collect();
        if numbers.len() <= 3 || started.elapsed().as_secs() > 20 {
            break numbers;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(numbers, [1, 4, 5], "used, kept by the limit, newest");
}

#[tokio::test]
async fn a_revision_that_a_person_deregisters_is_inactive_for_ever() {
    let namespace = Namespace::new("deregister").await;
    namespace.apply_task_definition("web", "deregister:1");
    latest(&namespace, "web:1").await;
    namespace.kubectl(&["annotate", "tdr", "web-1", "ecs.longshore.dev/deregister=yes"]);
    let inactive = |revision: &TaskDefinitionRevision| {
        revision.status.as_ref().and_then(|status| status.status) == Some(RevisionState::Inactive)
    };
    namespace.until::<TaskDefinitionRevision>("web-1", "INACTIVE", inactive).await;
    namespace.apply_default_cluster();
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_reason("web", "TaskDefinitionNotFound").await;
    namespace.apply_task_definition("web", "deregister:2");
    namespace.until_steady("web", "web:2").await;
}
