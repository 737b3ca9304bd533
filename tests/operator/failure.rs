//! Deployments that fail.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use longshore::api::{RolloutState, Service, ServiceDeploymentStatus, ServiceStatus};
use longshore_test_cluster::{Behaviour, Objects, Pods};
use serde_json::{Value, json};

use crate::judge::{assert_stops_kept, created, is_active, is_healthy, runs, uids};
use crate::namespace::{Namespace, reason, service, task_definition};

/// A namespace in which the image `:2` does not work, with a service of revision 1.
async fn steady(name: &str, bad: Behaviour, spec: &Value) -> Namespace {
    let namespace = Namespace::new(name).await;
    namespace.cluster.behave(&Pods::image(format!("{name}:2")), bad).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", &format!("{name}:1"));
    namespace.apply("Service", "web", spec);
    namespace.until_steady("web", "web:1").await;
    namespace
}

fn with_circuit_breaker(rollback: bool) -> Value {
    breaking(service("web", 3, 100, 200), rollback)
}

pub(crate) fn breaking(mut spec: Value, rollback: bool) -> Value {
    spec["deploymentConfiguration"]["deploymentCircuitBreaker"] = json!({ "enable": true, "rollback": rollback });
    spec
}

const CRASH: Behaviour = Behaviour::CrashBeforeReady { after: Duration::from_millis(300), exit_code: 1 };

/// What a person wrote, and who wrote which member.
async fn written(namespace: &Namespace) -> (Option<i64>, Value, Value) {
    let service = namespace.api::<Service>().get("web").await.unwrap();
    let managed = service.metadata.managed_fields.into_iter().flatten();
    let of_people: Vec<_> = managed.filter(|entry| entry.subresource.is_none()).collect();
    (service.metadata.generation, json!(service.spec), json!(of_people))
}

#[tokio::test]
async fn the_circuit_breaker_rolls_an_image_that_cannot_be_pulled_back_and_touches_no_old_task() {
    let namespace = steady("no-image", Behaviour::ImagePullFailure, &with_circuit_breaker(true)).await;
    let (old, spec) = (uids(&namespace.pods().await), written(&namespace).await);
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "no-image:2");
    let message = namespace.until_reason("web", "RolledBack").await;
    assert!(message.contains("web:2"), "{message}");
    let rolled_back =
        |status: &ServiceStatus| status.service_deployments[0].status == ServiceDeploymentStatus::RollbackSuccessful;
    let status = namespace.until_service("web", "a rollback on record", rolled_back).await;
    let failed = &status.service_deployments[0];
    assert_eq!(failed.task_definition, "web:2");
    let why = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
    assert_eq!(failed.rollback.as_ref().map(|rollback| rollback.reason.as_str()), Some(why));
    assert_eq!(status.task_definition.as_deref(), Some("web:1"));
    // Those that the rollback found still trying have its reason.
    let refused = status.stopped_tasks.iter().filter(|task| task.task_definition == "web:2");
    let reasons: Vec<&str> = refused.map(|task| task.stopped_reason.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.starts_with("CannotPullContainerError: ")), "{reasons:?}");
    namespace.until_event("web", ("Warning", "DeploymentFailed"), "deployment failed: tasks failed to start.").await;

    assert_eq!(uids(&namespace.pods().await), old, "no task of the old revision was touched");
    assert_eq!(written(&namespace).await, spec, "what the person wrote stays as it is");
    recorder.catch_up().await.unwrap();
    assert_stops_kept(&recorder, 3, 6);
    // Three failures are the threshold. Each of the first three tasks fails in its own time, and one that has failed is replaced as
    // long as the last of them has not.
    let started = created(&recorder).len();
    assert!((3..=5).contains(&started), "{started} tasks were started");
    let new = |pod: &&Pod| is_active(pod) && runs(pod, "no-image:2");
    let at_once = |pods: &Objects<Pod>| pods.values().filter(new).count();
    recorder.replay(|pods, _| assert!(at_once(pods) <= 3, "each in the place of one that has gone")).unwrap();

    namespace.apply_task_definition("web", "no-image:3");
    namespace.until_steady("web", "web:3").await;
}

#[tokio::test]
async fn a_rollback_starts_the_tasks_again_that_the_deployment_had_stopped() {
    let namespace = steady("restarted", CRASH, &breaking(service("web", 4, 50, 100), true)).await;
    let old = uids(&namespace.pods().await);
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "restarted:2");
    namespace.until_reason("web", "RolledBack").await;
    let full = |pods: &Objects<Pod>| pods.values().filter(|pod| is_healthy(pod)).count() == 4;
    recorder.until("four healthy tasks", Duration::from_secs(30), full).await.unwrap();
    recorder.catch_up().await.unwrap();
    assert_stops_kept(&recorder, 2, 4);
    let now = namespace.pods().await;
    assert!(now.iter().filter(|pod| is_active(pod)).all(|pod| runs(pod, "restarted:1")));
    let kept = uids(&now).into_iter().filter(|uid| old.contains(uid)).count();
    assert_eq!(kept, 2, "two were stopped for room, and the floor kept the others");
}

#[tokio::test]
async fn without_rollback_a_deployment_that_fails_starts_nothing_more_and_its_old_tasks_run_on() {
    let namespace = steady("no-rollback", CRASH, &with_circuit_breaker(false)).await;
    let old = uids(&namespace.pods().await);
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "no-rollback:2");
    namespace.until_reason("web", "DeploymentFailed").await;
    recorder.catch_up().await.unwrap();
    let before = created(&recorder).len();
    tokio::time::sleep(Duration::from_secs(6)).await;
    recorder.catch_up().await.unwrap();
    assert_eq!(created(&recorder).len(), before, "nothing more is started");
    assert_stops_kept(&recorder, 3, 6);
    assert_eq!(uids(&namespace.pods().await), old);
    let status = namespace.until_service("web", "its record", |status| !status.deployments.is_empty()).await;
    assert_eq!(status.deployments[0].task_definition, "web:2");
    assert_eq!(status.deployments[0].rollout_state, Some(RolloutState::Failed));
    assert_eq!(status.service_deployments[0].status, ServiceDeploymentStatus::Stopped);
    namespace.apply_task_definition("web", "no-rollback:3");
    namespace.until_steady("web", "web:3").await;
}

#[tokio::test]
async fn the_launch_throttle_grows_the_interval_between_attempts_and_a_new_deployment_resets_it() {
    let namespace = steady("throttled", CRASH, &service("web", 1, 100, 200)).await;
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "throttled:2");
    let five = |status: &ServiceStatus| status.deployments[0].launches.failed_attempts >= 5;
    let status = namespace.until_service("web", "five attempts", five).await;
    assert_eq!(reason(&status.conditions), "LaunchThrottled");
    let next_attempt_at = status.deployments[0].launches.next_attempt_at.clone().unwrap().0;
    namespace
        .until_event("web", ("Warning", "TaskStartImpaired"), "is unable to consistently start tasks successfully.")
        .await;
    recorder.catch_up().await.unwrap();
    let created: Vec<_> = created(&recorder).into_iter().filter_map(|pod| pod.metadata.creation_timestamp).collect();
    assert!(created.len() <= 12, "{created:?}");
    let gaps: Vec<_> = created.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0).as_secs()).collect();
    assert!(
        matches!(gaps[..], [.., fourth, fifth] if fourth >= 9 && fifth >= 19),
        "the attempts came after {gaps:?} s"
    );
    namespace.apply_task_definition("web", "throttled:3");
    let status = namespace.until_steady("web", "web:3").await;
    assert!(Timestamp::now() < next_attempt_at, "the new deployment waited for the old one's next attempt");
    assert_eq!(status.deployments[0].launches.next_attempt_at, None);
}

#[tokio::test]
async fn a_revision_whose_tasks_the_api_server_refuses_holds_up_no_old_task_and_is_rolled_back() {
    let namespace = steady("denied", CRASH, &service("web", 3, 100, 200)).await;
    namespace.must(&["label", "namespace", &namespace.name, "pod-security.kubernetes.io/enforce=baseline"]);
    let recorder = namespace.record().await;
    let mut refused = task_definition("denied:3");
    refused["containerDefinitions"][0]["privileged"] = json!(true);
    namespace.apply("TaskDefinition", "web", &refused);
    let message = namespace.until_reason("web", "WriteRefused").await;
    assert!(message.contains("violates PodSecurity \"baseline") && message.contains("privileged"), "{message}");

    let pods = namespace.pods().await;
    let old = uids(&pods);
    namespace.must(&["delete", "pod", "--wait=false", &pods[0].name_any()]);
    let is_restored = |pods: &Objects<Pod>| {
        let healthy = || pods.values().filter(|pod| is_healthy(pod));
        healthy().count() == 3 && healthy().any(|pod| !old.contains(&pod.uid().unwrap_or_default()))
    };
    recorder.until("another task of the old revision", Duration::from_secs(30), is_restored).await.unwrap();

    // What is refused counts after half a minute; a change of the service is tried at once.
    tokio::time::sleep(Duration::from_secs(31)).await;
    namespace.apply("Service", "web", &with_circuit_breaker(true));
    let message = namespace.until_reason("web", "RolledBack").await;
    assert!(message.contains("web:2"), "{message}");
    namespace.until_event("web", ("Warning", "TaskPlacementFailure"), " tasks for deployment ecs-svc/").await;
    assert!(created(&recorder).iter().all(|pod| runs(pod, "denied:1")));
    let now = uids(&namespace.pods().await);
    assert_eq!(old.iter().filter(|uid| now.contains(uid)).count(), 2, "the other two are those that there were");
}
