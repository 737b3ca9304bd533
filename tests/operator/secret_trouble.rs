//! What goes wrong with secrets: for one revision alone, for as long as it lasts, and told.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use longshore::api::ServiceStatus;
use longshore_test_cluster::Objects;
use serde_json::{Value, json};

use crate::failure::breaking;
use crate::judge::{is_active, is_healthy, runs};
use crate::namespace::{Namespace, service};
use crate::secrets::{external_secrets, taking};

/// The finalizer of the External Secrets Operator.
const HOLD: &str = r#"{"metadata": {"finalizers": ["externalsecrets.external-secrets.io/externalsecret-cleanup"]}}"#;

/// A container with a variable from a key, or from a member of the document under it.
fn secret(value_from: &str) -> Value {
    json!({ "secrets": [{ "name": "PASSWORD", "valueFrom": value_from }] })
}

fn takes_from(pod: &Pod, name: &str) -> bool {
    let container = serde_json::to_value(&pod.spec.as_ref().unwrap().containers[0]).unwrap();
    container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == name
}

/// Three services, since it depends on the order in which revisions come out of a cache what is known of them beforehand.
#[tokio::test]
async fn a_rollback_of_a_completed_deployment_starts_tasks_with_all_that_they_take() {
    let namespace = Namespace::new("secret-back").await;
    namespace.apply_default_cluster();
    namespace.store("db", &[("document", r#"{"password": "old"}"#), ("password", "new")]).await;
    let families = ["one", "two", "three"];
    for (n, value_from) in [
        (1, "k8s://secret/db/document#password"),
        (2, "k8s://secret/db/document#password"),
        (3, "k8s://secret/db/password"),
    ] {
        for family in families {
            namespace.apply("TaskDefinition", family, &taking(&format!("secret-back:{n}"), &secret(value_from)));
            namespace.apply("Service", family, &service(family, 2, 100, 200));
        }
        for family in families {
            namespace.until_steady(family, &format!("{family}:{n}")).await;
        }
    }
    for family in families {
        let done = |status: &ServiceStatus| status.derived_secrets.is_empty();
        let status = namespace.until_service(family, "what nothing runs with is given up", done).await;
        namespace.annotate(family, &format!("ecs.longshore.dev/rollback-deployment={}", status.deployments[0].id));
    }
    for family in families {
        namespace.until_reason(family, "RolledBack").await;
        let derived = namespace.derived(family).await;
        assert_eq!(derived.len(), 1, "{derived:?}");
        let pods: Vec<Pod> = namespace.pods().await.into_iter().filter(is_active).collect();
        let of_family =
            pods.iter().filter(|pod| pod.metadata.labels.as_ref().unwrap()["ecs.longshore.dev/service"] == family);
        let of_family: Vec<_> = of_family.collect();
        assert_eq!(of_family.len(), 2);
        assert!(of_family.iter().all(|pod| takes_from(pod, &derived[0])), "{of_family:#?}");
    }
}

#[tokio::test]
async fn a_secret_that_the_api_server_refuses_holds_up_no_old_task_and_its_revision_is_rolled_back() {
    let namespace = Namespace::new("secret-refused").await;
    namespace.apply_default_cluster();
    namespace.store("db", &[("document", r#"{"password": "old"}"#)]).await;
    namespace.apply_task_definition("web", "secret-refused:1");
    namespace.apply_service("web", 2, 100, 200);
    namespace.until_steady("web", "web:1").await;
    namespace.must(&["create", "quota", "few", "--hard=count/secrets=1"]);
    namespace.must(&["wait", "--for=jsonpath={.status.used.count/secrets}=1", "quota/few"]);
    let members = secret("k8s://secret/db/document#password");
    namespace.apply("TaskDefinition", "web", &taking("secret-refused:2", &members));
    let message = namespace.until_reason("web", "WriteRefused").await;
    assert!(message.contains("creating Secret longshore-json-db-") && message.contains("exceeded quota"), "{message}");

    let old = namespace.pods().await;
    namespace.must(&["delete", "pod", "--wait=false", &old[0].name_any()]);
    let recorder = namespace.record().await;
    let is_restored = |pods: &Objects<Pod>| pods.values().filter(|pod| is_healthy(pod)).count() == 2;
    recorder.until("another task of the old revision", Duration::from_secs(30), is_restored).await.unwrap();

    // What is refused counts after half a minute; a change of the service is tried at once.
    tokio::time::sleep(Duration::from_secs(31)).await;
    namespace.apply("Service", "web", &breaking(service("web", 2, 100, 200), true));
    let message = namespace.until_reason("web", "RolledBack").await;
    assert!(message.contains("web:2"), "{message}");
    namespace.until_event("web", ("Warning", "TaskPlacementFailure"), " tasks for deployment ecs-svc/").await;
    assert!(
        namespace.pods().await.iter().all(|pod| runs(pod, "secret-refused:1")),
        "no task starts without its Secret"
    );
}

/// Several of these, since their order in a cache is chance.
#[tokio::test]
async fn a_cluster_whose_name_another_has_already_supplies_no_secrets_and_no_roles() {
    let namespace = Namespace::new("secret-cluster").await;
    let (arn, role) =
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf", "arn:aws:iam::123456789012:role/web");
    let mapped = |name: &str| json!({ "secretMappings": [{ "from": arn, "name": name, "key": "password" }] });
    namespace.apply("Cluster", "default", &json!({ "kubernetes": mapped("db") }));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for other in ["a", "b", "c", "d", "e"] {
        let mut kubernetes = mapped(other);
        kubernetes["roleMappings"] = json!([{ "roleArn": role, "serviceAccountName": other }]);
        namespace.apply("Cluster", other, &json!({ "clusterName": "default", "kubernetes": kubernetes }));
        namespace.must(&["create", "serviceaccount", other]);
        namespace.store(other, &[("password", "of another")]).await;
    }
    namespace.store("db", &[("password", "its own")]).await;
    let mut definition = taking("secret-cluster:1", &secret(arn));
    definition["taskRoleArn"] = json!(role);
    namespace.apply("TaskDefinition", "web", &definition);
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_steady("web", "web:1").await;
    let pod = namespace.pods().await.remove(0);
    assert!(takes_from(&pod, "db"), "{pod:#?}");
    assert_eq!(pod.spec.unwrap().service_account_name.as_deref(), Some("default"));
}

#[tokio::test]
async fn what_others_change_in_a_secret_that_is_made_is_put_back() {
    let namespace = Namespace::new("secret-tampered").await;
    namespace.apply_default_cluster();
    let rotate = async |password: &str| {
        namespace.store("db", &[("document", &json!({ "password": password }).to_string())]).await;
    };
    rotate("first").await;
    let members = secret("k8s://secret/db/document#password");
    namespace.apply("TaskDefinition", "web", &taking("secret-tampered:1", &members));
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_steady("web", "web:1").await;
    let made = &namespace.derived("web").await[0];
    let holds = async |password: &str| {
        namespace.stored(made).await.is_some_and(|stored| stored == [("password".to_owned(), password.to_owned())])
    };
    let label = async || {
        let found = namespace.api::<Secret>().get(made).await.unwrap();
        found.labels().get("app.kubernetes.io/managed-by").map(String::as_str) == Some("longshore")
    };

    namespace.must(&["label", "secret", made, "app.kubernetes.io/managed-by-"]);
    namespace.until_stored("its label comes back", label).await;

    namespace.must(&["patch", "secret", made, "--patch", r#"{"immutable": true}"#]);
    rotate("second").await;
    namespace.until_stored("an immutable one is made anew", async || holds("second").await).await;
    rotate("third").await;
    namespace.until_stored("and follows its source again", async || holds("third").await).await;
    namespace.until_steady("web", "web:1").await;
}

/// The External Secrets Operator puts a finalizer on its objects, and does not run.
#[tokio::test]
async fn an_external_secret_that_a_finalizer_holds_is_given_up_by_one_request() {
    let namespace = Namespace::alone("secret-held").await;
    namespace.must(&["apply", "--server-side", "--filename", &external_secrets(&namespace).to_string_lossy()]);
    namespace.must(&["wait", "--for=condition=Established", "crd/externalsecrets.external-secrets.io"]);
    let store = json!({ "service": "ParameterStore", "storeRef": { "name": "aws" } });
    namespace.apply("Cluster", "default", &json!({ "kubernetes": { "secretStores": [store] } }));
    namespace.apply("TaskDefinition", "web", &taking("secret-held:1", &secret("/prod/db")));
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_reason("web", "SecretNotFound").await;
    let made = namespace.derived("web").await.remove(0);
    let exists = || namespace.kubectl(&["get", "externalsecret", &made]).status.success();
    namespace.until_stored("it is asked for", async || exists()).await;
    namespace.store(&made, &[("whole-value", "secret")]).await;
    namespace.must(&["patch", "externalsecret", &made, "--type=merge", "--patch", HOLD]);
    namespace.until_steady("web", "web:1").await;

    namespace.apply_task_definition("web", "secret-held:2");
    namespace.until_steady("web", "web:2").await;
    let told = async || namespace.derived("web").await.is_empty();
    namespace.until_stored("it is given up", told).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes = namespace.writes().await;
    let deletes = writes.iter().filter(|write| write.resource == "externalsecrets" && write.verb == "delete");
    assert_eq!(deletes.count(), 1, "{writes:#?}");

    // Needed again while it is held, it is neither made nor changed.
    namespace.apply("TaskDefinition", "web", &taking("secret-held:3", &secret("/prod/db")));
    namespace.until_steady("web", "web:3").await;
    let before = namespace.writes().await.len();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes = namespace.writes().await.split_off(before);
    assert!(writes.iter().all(|write| write.resource != "externalsecrets"), "{writes:#?}");
    namespace.must(&[
        "patch",
        "externalsecret",
        &made,
        "--type=merge",
        "--patch",
        r#"{"metadata": {"finalizers": null}}"#,
    ]);
    namespace.until_stored("once it is gone, it is asked for anew", async || exists()).await;
}
