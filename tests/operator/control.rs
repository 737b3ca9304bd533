//! What people ask of deployments and tasks by annotations.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use longshore::api::{RolloutState, ServiceDeploymentStatus, ServiceStatus};
use longshore_test_cluster::{Behaviour, Objects, Pods};

use crate::judge::{assert_kept, created, is_active, is_healthy, runs, uids};
use crate::namespace::Namespace;

/// A service of two tasks in a namespace whose image `:2` has a behaviour.
async fn steady(name: &str, second: Behaviour) -> (Namespace, ServiceStatus) {
    let namespace = Namespace::new(name).await;
    namespace.cluster.behave(&Pods::image(format!("{name}:2")), second).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", &format!("{name}:1"));
    namespace.apply_service("web", 2, 100, 200);
    let status = namespace.until_steady("web", "web:1").await;
    (namespace, status)
}

/// Begins a deployment that never completes, and returns its id once its tasks run.
async fn begin(namespace: &Namespace) -> String {
    namespace.apply_task_definition("web", &format!("{}:2", namespace.name));
    let begun = |status: &ServiceStatus| {
        status.task_definition.as_deref() == Some("web:2") && status.deployments[0].running_count == 2
    };
    namespace.until_service("web", "two new tasks", begun).await.deployments[0].id.clone()
}

#[tokio::test]
async fn force_new_deployment_replaces_all_tasks_once_for_each_token() {
    let (namespace, mut before) = steady("forced", Behaviour::NeverReady).await;
    for token in ["monday", "tuesday"] {
        let (id, old) = (before.deployments[0].id.clone(), uids(&namespace.pods().await));
        let recorder = namespace.record().await;
        namespace.annotate("web", &format!("ecs.longshore.dev/force-new-deployment={token}"));
        let completed = |status: &ServiceStatus| {
            let primary = &status.deployments[0];
            primary.id != id && primary.rollout_state == Some(RolloutState::Completed)
        };
        before = namespace.until_service("web", "a new deployment that completed", completed).await;
        assert_eq!(before.task_definition.as_deref(), Some("web:1"));
        recorder.catch_up().await.unwrap();
        assert_kept(&recorder, 2, 4);
        assert!(uids(&namespace.pods().await).iter().all(|task| !old.contains(task)));
    }
    let recorder = namespace.record().await;
    namespace.annotate("web", "ecs.longshore.dev/force-new-deployment=tuesday");
    namespace.annotate("web", "ecs.longshore.dev/force-new-deployment-");
    tokio::time::sleep(Duration::from_secs(4)).await;
    recorder.catch_up().await.unwrap();
    assert!(recorder.events().unwrap().is_empty(), "neither the same token nor none asks for a deployment");
    let ordinals: Vec<_> = before.service_deployments.iter().map(|past| past.ordinal).collect();
    assert_eq!(ordinals, [3, 2, 1]);
}

#[tokio::test]
async fn stop_service_deployment_with_rollback_goes_back_to_the_last_deployment_that_completed() {
    let (namespace, first) = steady("asked-back", Behaviour::NeverReady).await;
    let old = uids(&namespace.pods().await);
    let recorder = namespace.record().await;
    let id = begin(&namespace).await;
    namespace.annotate("web", &format!("ecs.longshore.dev/rollback-deployment={id}"));
    namespace.until_reason("web", "RolledBack").await;
    let status = namespace.until_service("web", "a record", |status| !status.deployments.is_empty()).await;
    assert_eq!(status.deployments[0].id, first.deployments[0].id);
    assert_eq!(status.service_deployments[0].status, ServiceDeploymentStatus::RollbackSuccessful);
    assert_eq!(uids(&namespace.pods().await), old, "the old tasks were never touched");
    recorder.catch_up().await.unwrap();
    assert_kept(&recorder, 2, 4);
    // The annotation names a deployment, so it says nothing about the next one.
    namespace.apply_task_definition("web", "asked-back:3");
    namespace.until_steady("web", "web:3").await;
}

#[tokio::test]
async fn stop_service_deployment_with_abort_stops_where_it_is() {
    let (namespace, _) = steady("aborted", Behaviour::NeverReady).await;
    let old = uids(&namespace.pods().await);
    let id = begin(&namespace).await;
    let recorder = namespace.record().await;
    namespace.annotate("web", &format!("ecs.longshore.dev/stop-deployment={id}"));
    namespace.until_reason("web", "DeploymentFailed").await;
    namespace.until_event("web", ("Normal", "DeploymentStopped"), "deployment stopped by user.").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    recorder.catch_up().await.unwrap();
    assert!(created(&recorder).is_empty());
    let now = uids(&namespace.pods().await);
    assert!(old.iter().all(|task| now.contains(task)));
    namespace.apply_task_definition("web", "aborted:3");
    namespace.until_steady("web", "web:3").await;
}

#[tokio::test]
async fn a_deployment_that_is_paused_holds_what_there_is_and_continues() {
    let (namespace, _) = steady("paused", Behaviour::ReadyAfter(Duration::from_secs(8))).await;
    let recorder = namespace.record().await;
    let id = begin(&namespace).await;
    namespace.annotate("web", &format!("ecs.longshore.dev/pause-deployment={id}"));
    namespace.until_reason("web", "DeploymentPaused").await;
    let is_new = |pod: &&Pod| is_healthy(pod) && runs(pod, "paused:2");
    let limit = Duration::from_secs(30);
    let healthy = |pods: &Objects<Pod>| pods.values().filter(is_new).count() == 2;
    recorder.until("two healthy new tasks", limit, healthy).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    recorder.catch_up().await.unwrap();
    assert!(recorder.events().unwrap().iter().all(|event| is_active(&event.object)), "an old task was stopped");
    namespace.annotate("web", "ecs.longshore.dev/pause-deployment-");
    namespace.until_steady("web", "web:2").await;
    recorder.catch_up().await.unwrap();
    assert_kept(&recorder, 2, 4);
    assert!(namespace.pods().await.iter().filter(|pod| is_active(pod)).all(|pod| runs(pod, "paused:2")));
}

#[tokio::test]
async fn task_scale_in_protection_keeps_a_task_until_it_expires() {
    let (namespace, _) = steady("protected", Behaviour::NeverReady).await;
    let names: Vec<_> = namespace.pods().await.into_iter().filter_map(|pod| pod.metadata.name).collect();
    let expires = Timestamp::now().saturating_add(SignedDuration::from_secs(15)).unwrap();
    for name in &names {
        namespace.must(&["annotate", "pod", name, &format!("ecs.longshore.dev/protected-until={expires}")]);
    }
    let recorder = namespace.record().await;
    namespace.scale("web", 1);
    let message = namespace.until_reason("web", "TasksProtected").await;
    assert!(message.contains("The number of protected tasks are more than the desired count of tasks"), "{message}");
    let one = |status: &ServiceStatus| status.running_count == Some(1) && status.deployments.len() == 1;
    namespace.until_service("web", "one task", one).await;
    recorder.catch_up().await.unwrap();
    let stopped = recorder.events().unwrap().into_iter().find(|event| !is_active(&event.object)).unwrap();
    assert!(stopped.at >= expires, "stopped at {}, protected until {expires}", stopped.at);
}
