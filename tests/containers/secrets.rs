//! `secrets`, `environmentFiles` and `repositoryCredentials`: what the processes get, and who may pull.

use kube::ResourceExt;
use longshore::api::{ServiceStatus, StopCode};
use serde_json::{Value, json};

use crate::cluster::{Cluster, succeed};
use crate::namespace::{Namespace, reason, shell, waiting};

/// A Secret with one key.
fn secret(namespace: &Namespace, name: &str, key: &str, value: &str) {
    let literal = format!("--from-literal={key}={value}");
    succeed(namespace.kubectl().args(["create", "secret", "generic", name, &literal]));
}

/// A container that prints its environment.
fn tells(members: &Value) -> Value {
    json!([shell("app", "env | sed 's/^/env /'; exec /task pause", members)])
}

pub(crate) async fn a_container_gets_the_values_of_its_secrets(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "secrets").await;
    secret(&namespace, "database", "all", r#"{"user": "app", "password": "pa$$ $(word)"}"#);
    secret(&namespace, "api", "key", "of the API");
    let secrets = json!({ "secrets": [
        { "name": "PASSWORD", "valueFrom": "k8s://secret/database/all#password" },
        { "name": "KEY", "valueFrom": "k8s://secret/api/key" },
    ]});
    namespace.register(&json!({}), tells(&secrets));
    namespace.create_service(&json!({}));
    assert_eq!(namespace.until_printed("app", "env PASSWORD=").await, "pa$$ $(word)");
    assert_eq!(namespace.until_printed("app", "env KEY=").await, "of the API");
    for task in namespace.tasks().await {
        let pod = serde_json::to_string(&task.spec).unwrap();
        assert!(!pod.contains("of the API") && !pod.contains("(word)"), "{}", task.name_any());
    }
}

/// A kubelet waits for ever for a Secret that goes once its task is on its way; ECS stops a task whose secrets it cannot have with
/// `ResourceInitializationError`. Longshore gives it two minutes to come back.
pub(crate) async fn a_task_whose_secret_goes_while_it_starts_is_given_up(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "secrets-gone").await;
    secret(&namespace, "api", "key", "of the API");
    let on_its_way =
        shell("first", "echo started; until [ -e /tmp/go ]; do sleep 0.1; done", &json!({ "essential": false }));
    let app = json!({
        "name": "app",
        "secrets": [{ "name": "KEY", "valueFrom": "k8s://secret/api/key" }],
        "dependsOn": [{ "containerName": "first", "condition": "SUCCESS" }],
    });
    namespace.register(&json!({}), json!([on_its_way, app]));
    namespace.create_service(&json!({}));
    namespace.until_printed("first", "started").await;
    succeed(namespace.kubectl().args(["delete", "secret", "api"]));
    let task = namespace.tasks().await.remove(0);
    namespace.execute(&task, "first", &["touch", "/tmp/go"]);
    let refused = async || {
        let task = namespace.tasks().await.into_iter().next()?;
        waiting(&task, "app").filter(|reason| *reason != "PodInitializing").map(str::to_owned)
    };
    assert_eq!(namespace.until("the kubelet says why", refused).await, "CreateContainerConfigError");
    let stopped = namespace.until_stopped().await;
    assert_eq!((stopped.stop_code, &stopped.started_at), (Some(StopCode::TaskFailedToStart), &None));
    assert_eq!(stopped.stopped_reason, "ResourceInitializationError: secret \"api\" not found");
    let missed = |status: &ServiceStatus| reason(status) == "SecretNotFound";
    namespace.until_service("no other task is started without it", missed).await;
}

/// "If there are environment variables specified using the environment parameter in a container definition, they take
/// precedence over the variables contained within an environment file."
pub(crate) async fn a_container_gets_the_variables_of_its_files(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "secrets-files").await;
    let file = "# of the application\nMODE=slow\nQUOTED=\"as it is\"\nLEVEL=file\n";
    succeed(namespace.kubectl().args(["create", "configmap", "files", &format!("--from-literal=app.env={file}")]));
    let files = json!({
        "environmentFiles": [{ "type": "s3", "value": "k8s://configmap/files/app.env" }],
        "environment": [{ "name": "LEVEL", "value": "definition" }],
    });
    namespace.register(&json!({}), tells(&files));
    namespace.create_service(&json!({}));
    for (name, value) in [("MODE", "slow"), ("QUOTED", "\"as it is\""), ("LEVEL", "definition")] {
        assert_eq!(namespace.until_printed("app", &format!("env {name}=")).await, value);
    }
}

/// A task whose image is in the private registry, under a name that no other test has pulled, with this password.
async fn with_password(cluster: &'static Cluster, name: &str, password: &str) -> Namespace {
    let private = cluster.node.private();
    let image = format!("{name}:1");
    private.copy("task:1", &image).unwrap();
    let namespace = Namespace::new(cluster, name).await;
    let username = private.credentials().unwrap().username;
    let credentials = json!({ "username": username, "password": password });
    secret(&namespace, "registry", "login", &credentials.to_string());
    let credentials = json!({ "credentialsParameter": "k8s://secret/registry/login" });
    let app = json!({ "name": "app", "image": private.image(&image), "repositoryCredentials": credentials });
    namespace.register(&json!({}), json!([app]));
    namespace.create_service(&json!({}));
    namespace
}

pub(crate) async fn a_private_image_is_pulled_with_its_credentials(cluster: &'static Cluster) {
    let password = cluster.node.private().credentials().unwrap().password;
    let namespace = with_password(cluster, "secrets-registry", password).await;
    let status = namespace.until_steady(1).await;
    assert!(status.stopped_tasks.is_empty(), "{:?}", status.stopped_tasks);
}

pub(crate) async fn a_private_image_is_not_pulled_with_others(cluster: &'static Cluster) {
    let namespace = with_password(cluster, "secrets-registry-wrong", "open barley").await;
    let stopped = namespace.until_stopped().await;
    assert_eq!(stopped.stop_code, Some(StopCode::TaskFailedToStart));
    assert!(stopped.stopped_reason.starts_with("CannotPullContainerError: "), "{}", stopped.stopped_reason);
    assert!(stopped.stopped_reason.contains("401 Unauthorized"), "{}", stopped.stopped_reason);
    assert!(!stopped.stopped_reason.contains("barley"), "{}", stopped.stopped_reason);
}
