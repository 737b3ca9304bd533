//! `dependsOn`: which container waits for what of which other one. The containers tell when they start.

use kube::ResourceExt;
use longshore::api::{StopCode, StoppedTask};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::namespace::{Namespace, container, shell};

/// Tells when it starts, in seconds since the start of the machine, and does more.
fn timed(name: &str, then: &str, members: &Value) -> Value {
    shell(name, &format!("echo \"started $(cut -d ' ' -f 1 /proc/uptime)\"; {then}"), members)
}

/// An essential container that waits for the container `first`.
fn app(condition: &str) -> Value {
    let dependency = json!({ "containerName": "first", "condition": condition });
    timed("app", "exec /task pause", &json!({ "dependsOn": [dependency] }))
}

/// How many seconds `app` started after `first`.
async fn seconds_between(namespace: &Namespace) -> f64 {
    let started = async |name| namespace.until_printed(name, "started ").await.parse::<f64>().unwrap();
    started("app").await - started("first").await
}

/// "START – This condition emulates the behavior of links and volumes today. It validates that a dependent container is
/// started before permitting other containers to start."
pub(crate) async fn start_waits_until_the_other_container_has_started(cluster: &'static Cluster) {
    // Declared in the other order.
    let first = timed("first", "exec /task pause", &json!({}));
    let namespace = Namespace::with_task(cluster, "depends-start", json!([app("START"), first])).await;
    let between = seconds_between(&namespace).await;
    assert!(between > 0.0, "{between} s");
}

/// "HEALTHY – This condition validates that the dependent container passes its Docker healthcheck before permitting other
/// containers to start."
pub(crate) async fn healthy_waits_until_the_other_container_passes_its_health_check(cluster: &'static Cluster) {
    let check = json!({ "command": ["CMD-SHELL", "test -e /tmp/healthy"], "interval": 5, "retries": 10 });
    let line = "sleep 4; touch /tmp/healthy; exec /task pause";
    let first = timed("first", line, &json!({ "healthCheck": check }));
    let namespace = Namespace::with_task(cluster, "depends-healthy", json!([first, app("HEALTHY")])).await;
    let between = seconds_between(&namespace).await;
    assert!(between >= 4.0, "{between} s");
    namespace.until_steady(1).await;
}

/// "SUCCESS – This condition is the same as COMPLETE, but it also requires that the container exits with a zero status."
pub(crate) async fn success_waits_until_the_other_container_has_exited_with_zero(cluster: &'static Cluster) {
    let first = timed("first", "sleep 3", &json!({ "essential": false }));
    let namespace = Namespace::with_task(cluster, "depends-success", json!([app("SUCCESS"), first])).await;
    let between = seconds_between(&namespace).await;
    assert!(between >= 3.0, "{between} s");
    namespace.until_steady(1).await;
}

/// "COMPLETE – This condition validates that a dependent container runs to completion (exits) before permitting other containers to
/// start." With another exit code than 0 it acts as SUCCESS does, as the verdict says.
pub(crate) async fn complete_waits_until_the_other_container_has_exited(cluster: &'static Cluster) {
    let first = timed("first", "sleep 3", &json!({ "essential": false }));
    let namespace = Namespace::with_task(cluster, "depends-complete", json!([app("COMPLETE"), first])).await;
    let between = seconds_between(&namespace).await;
    assert!(between >= 3.0, "{between} s");
    let verdict = namespace.verdict(1).await;
    assert!(verdict.contains("[app].dependsOn[0].condition") && verdict.contains("(CompleteMasked)"), "{verdict}");
}

/// HEALTHY: "this condition is confirmed only at task startup". Afterwards a dependency that is not essential may end, be it in a later
/// step of the start or when all run. The kubelet starts it again, as the verdict says.
pub(crate) async fn a_dependency_that_nobody_waits_for_any_more_may_end(cluster: &'static Cluster) {
    let on = |name: &str, condition: &str| json!({ "containerName": name, "condition": condition });
    let check = json!({ "command": ["CMD-SHELL", "test -e /tmp/healthy"], "interval": 5 });
    let proxy = json!({ "essential": false, "healthCheck": check });
    let proxy = shell("proxy", "touch /tmp/healthy; sleep 8; exit 1", &proxy);
    let first = json!({ "essential": false, "dependsOn": [on("proxy", "HEALTHY")] });
    let first = shell("first", "sleep 10", &first);
    let namespace = Namespace::with_task(cluster, "depends-ended", json!([proxy, first, app("SUCCESS")])).await;
    let restarted = async |times: i32| {
        let task = namespace.tasks().await.into_iter().next()?;
        (container(&task, "proxy")?.restart_count >= times).then_some(task)
    };
    let starting = namespace.until("it ends during the start", async || restarted(1).await).await;
    assert!(container(&starting, "app").is_some_and(|app| app.started != Some(true)), "{starting:?}");
    let again = namespace.until("it ends beside what runs", async || restarted(2).await).await;
    assert_eq!(again.metadata.uid, starting.metadata.uid);
    let status = namespace.until_steady(1).await;
    assert!(status.stopped_tasks.is_empty(), "{:?}", status.stopped_tasks);
    let verdict = namespace.verdict(1).await;
    assert!(verdict.contains("containerDefinitions[proxy]") && verdict.contains("(SidecarRestarts)"), "{verdict}");
}

/// The record of a task that stops before `app` comes to run.
async fn failed_start(cluster: &'static Cluster, name: &str, containers: Value) -> StoppedTask {
    let namespace = Namespace::with_task(cluster, name, containers).await;
    let stopped = namespace.until_stopped().await;
    assert_eq!((stopped.stop_code, &stopped.started_at), (Some(StopCode::TaskFailedToStart), &None));
    for task in namespace.tasks().await {
        let started = container(&task, "app").and_then(|app| app.started);
        assert_ne!(started, Some(true), "{}", task.name_any());
    }
    stopped
}

fn exits(stopped: &StoppedTask) -> Vec<(&str, Option<i32>)> {
    stopped.containers.iter().map(|exit| (exit.name.as_str(), exit.exit_code)).collect()
}

/// "SUCCESS … also requires that the container exits with a zero status": else the task never comes to run.
pub(crate) async fn a_container_whose_dependency_does_not_succeed_never_starts(cluster: &'static Cluster) {
    let first = timed("first", "exit 7", &json!({ "essential": false }));
    let stopped = failed_start(cluster, "depends-failure", json!([first, app("SUCCESS")])).await;
    let reason = "CannotStartContainerError: container first exited with 7, and app waits for its success";
    assert_eq!((stopped.stopped_reason.as_str(), exits(&stopped)), (reason, vec![("first", Some(7))]));
}

/// A health check that never passes.
fn never_healthy() -> Value {
    json!({ "command": ["CMD-SHELL", "false"], "interval": 5 })
}

/// "If a startTimeout value is specified for containerB and it doesn't reach the desired status within that time then containerA gives
/// up and not start."
pub(crate) async fn a_container_whose_dependency_takes_longer_than_its_start_timeout_never_starts(
    cluster: &'static Cluster,
) {
    let members = json!({ "essential": false, "healthCheck": never_healthy(), "startTimeout": 5 });
    let first = timed("first", "exec /task pause", &members);
    let stopped = failed_start(cluster, "depends-timeout", json!([first, app("HEALTHY")])).await;
    let reason = "CannotStartContainerError: container first is not HEALTHY after its startTimeout of 5 seconds";
    assert_eq!(stopped.stopped_reason, reason);
}

/// A container that has exited does not become HEALTHY any more; the kubelet, which starts it again, would wait for ever.
pub(crate) async fn a_container_whose_dependency_exits_before_it_is_healthy_never_starts(cluster: &'static Cluster) {
    let first = timed("first", "sleep 2; exit 3", &json!({ "essential": false, "healthCheck": never_healthy() }));
    let stopped = failed_start(cluster, "depends-exited", json!([first, app("HEALTHY")])).await;
    let reason = "CannotStartContainerError: container first exited, and app waits for it to be HEALTHY";
    assert_eq!(stopped.stopped_reason, reason);
}

/// "If the essential parameter of a container is marked as true, and that container fails or stops for any reason, all other containers
/// that are part of the task are stopped": also one that others have waited for, which the kubelet starts again.
pub(crate) async fn the_end_of_an_essential_dependency_stops_the_task(cluster: &'static Cluster) {
    let first = timed("first", "sleep 6; exit 3", &json!({}));
    let namespace = Namespace::with_task(cluster, "depends-essential", json!([first, app("START")])).await;
    let stopped = namespace.until_stopped().await;
    assert_eq!(stopped.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(stopped.stopped_reason, "Essential container in task exited");
    assert!(exits(&stopped).contains(&("first", Some(3))) && stopped.started_at.is_some(), "{stopped:?}");
}
