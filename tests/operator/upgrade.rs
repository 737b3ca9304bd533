//! A new version of the operator.

use std::time::Duration;

use crate::judge::uids;
use crate::namespace::{Namespace, service};
use serde_json::json;

#[tokio::test]
async fn a_version_that_builds_other_pods_leaves_the_tasks_of_an_older_one_as_they_are() {
    let mut namespace = Namespace::new("upgraded").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "upgraded:1");
    let mut spec = service("web", 3, 100, 200);
    // Without its annotation a task counts as one without health check, which is healthy once it has run for this long.
    spec["kubernetes"] = json!({ "healthyAfterSeconds": 0 });
    namespace.apply("Service", "web", &spec);
    namespace.until_steady("web", "web:1").await;
    // The cluster's counts are written at most every five seconds.
    tokio::time::sleep(Duration::from_secs(8)).await;
    namespace.kill_operator();

    let tasks = uids(&namespace.pods().await);
    namespace.must(&["annotate", "pods", "--all", "ecs.longshore.dev/health-check-deadline-"]);
    namespace.must(&["annotate", "pods", "--all", "ecs.longshore.dev/of-an-older-version=yes"]);
    namespace.must(&["label", "pods", "--all", "ecs.longshore.dev/of-an-older-version=yes"]);
    namespace.must(&["label", "pods", "--all", "ecs.longshore.dev/revision-"]);
    let before = namespace.writes().await.len();
    namespace.start_operator();
    tokio::time::sleep(Duration::from_secs(12)).await;
    let writes = namespace.writes().await.split_off(before);
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(uids(&namespace.pods().await), tasks);

    // It looks after them all the same.
    namespace.scale("web", 4);
    namespace.until_service("web", "four tasks", |status| status.running_count == Some(4)).await;
    let now = uids(&namespace.pods().await);
    assert!(tasks.iter().all(|task| now.contains(task)));
}
