//! `restartPolicy`. What the verdict says of it holds here too: the kubelet starts a container again by its exit code alone.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt;
use longshore::api::StopCode;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::namespace::{Namespace, container, shell};

/// The shortest `restartAttemptPeriod` that ECS takes.
const ATTEMPT_PERIOD: u32 = 60;

/// The restart policy, and more members.
fn restarts(members: &Value) -> Value {
    let mut container = json!({ "restartPolicy": { "enabled": true, "restartAttemptPeriod": ATTEMPT_PERIOD } });
    container.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    container
}

fn restart_count(task: &Pod, name: &str) -> Option<i32> {
    Some(container(task, name)?.restart_count)
}

/// The end of the present run of a container.
fn end<'p>(task: &'p Pod, name: &str) -> Option<&'p ContainerStateTerminated> {
    container(task, name)?.state.as_ref()?.terminated.as_ref()
}

/// "A list of exit codes that Amazon ECS will ignore and not attempt a restart on."
pub(crate) async fn an_exit_code_to_be_ignored_is_followed_by_no_restart(cluster: &'static Cluster) {
    let policy = json!({ "enabled": true, "ignoredExitCodes": [0, 7] });
    let members = json!({ "essential": false, "restartPolicy": policy });
    let containers = json!([{ "name": "app" }, shell("done", "exit 7", &members), shell("again", "exit 8", &members)]);
    let namespace = Namespace::with_task(cluster, "restart-ignored", containers).await;
    let task = namespace
        .until("the other exit code is followed by a restart", async || {
            let task = namespace.tasks().await.into_iter().next()?;
            (restart_count(&task, "again")? > 0 && end(&task, "done").is_some()).then_some(task)
        })
        .await;
    assert_eq!((restart_count(&task, "done"), end(&task, "done").map(|end| end.exit_code)), (Some(0), Some(7)));
    let status = namespace.until_steady(1).await;
    assert!(status.stopped_tasks.is_empty(), "{:?}", status.stopped_tasks);
    let verdict = namespace.verdict(1).await;
    assert!(verdict.contains("containerDefinitions[done].restartPolicy.restartAttemptPeriod"), "{verdict}");
}

/// "The container must run for restartAttemptPeriod … before a restart can be attempted."
pub(crate) async fn an_exit_within_the_attempt_period_is_the_last(cluster: &'static Cluster) {
    let app = shell("app", "sleep 1; exit 5", &restarts(&json!({})));
    let namespace = Namespace::with_task(cluster, "restart-early", json!([app])).await;
    let stopped = namespace.until_stopped().await;
    assert_eq!(stopped.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(stopped.containers.first().and_then(|app| app.exit_code), Some(5), "{stopped:?}");
}

pub(crate) async fn an_exit_after_the_attempt_period_is_followed_by_a_restart_in_the_same_task(
    cluster: &'static Cluster,
) {
    let line = format!("echo started; sleep {}; exit 5", ATTEMPT_PERIOD + 1);
    let app = shell("app", &line, &restarts(&json!({})));
    let namespace = Namespace::with_task(cluster, "restart-late", json!([app])).await;
    let first = namespace.until("a task", async || namespace.tasks().await.first()?.uid()).await;
    let again = async || {
        let task = namespace.tasks().await.into_iter().next()?;
        let runs = container(&task, "app")?.state.as_ref()?.running.is_some();
        (runs && restart_count(&task, "app")? == 1).then_some(task)
    };
    let task = namespace.until("the container runs again", again).await;
    assert_eq!(task.uid().as_ref(), Some(&first));
    // The service has been steady for a minute: what it makes of the restart shows in what it does next.
    namespace.create_service(&json!({ "desiredCount": 2 }));
    let status = namespace.until_service("two tasks run", |status| status.running_count == Some(2)).await;
    assert!(status.stopped_tasks.is_empty(), "{:?}", status.stopped_tasks);
    let tasks = namespace.tasks().await;
    assert_eq!((tasks.len(), tasks.first().and_then(ResourceExt::uid)), (2, Some(first)));
}
