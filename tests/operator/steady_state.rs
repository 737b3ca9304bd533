//! At rest.

use std::time::Duration;

use crate::namespace::Namespace;

#[tokio::test]
async fn in_steady_state_the_operator_sends_no_mutating_request_for_five_minutes() {
    let namespace = Namespace::alone("steady").await;
    namespace.apply_default_cluster();
    for name in ["api", "worker"] {
        namespace.apply_task_definition(name, "steady:1");
        namespace.apply_service(name, 3, 100, 200);
        namespace.until_steady(name, &format!("{name}:1")).await;
    }
    // The cluster's counts are written at most every five seconds.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = namespace.writes().await.len();
    assert!(before > 0, "the audit log shows what the operator does");
    tokio::time::sleep(Duration::from_mins(5)).await;
    let writes = namespace.writes().await.split_off(before);
    assert!(writes.is_empty(), "{writes:#?}");
}
