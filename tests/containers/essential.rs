//! `essential`: what a task goes on without, and what ends it.

use kube::ResourceExt;
use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::{Namespace, container, shell};

/// "If that container fails or stops for any reason, all other containers that are part of the task are stopped": of an essential one,
/// though another one waits for its start, and no other.
pub(crate) async fn a_task_goes_on_without_the_container_that_waited_for_the_essential_one(cluster: &'static Cluster) {
    let dependency = json!({ "containerName": "app", "condition": "START" });
    let agent = shell("agent", "exit 3", &json!({ "essential": false, "dependsOn": [dependency] }));
    let app = shell("app", "sleep 20; exit 4", &json!({}));
    let namespace = Namespace::with_task(cluster, "essential-awaited", json!([agent, app])).await;
    let task = namespace
        .until("the agent has ended", async || {
            let task = namespace.tasks().await.into_iter().next()?;
            container(&task, "agent")?.state.as_ref()?.terminated.as_ref()?;
            Some(task)
        })
        .await;
    let stopped = namespace.until_stopped().await;
    assert!(task.name_any().ends_with(&stopped.task), "{stopped:?}");
    assert_eq!(stopped.stopped_reason, "Essential container in task exited");
    let code = |name: &str| stopped.containers.iter().find(|container| container.name == name)?.exit_code;
    assert_eq!((code("app"), code("agent")), (Some(4), Some(3)), "it has run to its own end");
}
