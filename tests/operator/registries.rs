//! Images of private registries.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::secrets::{CANARY, taking};

fn private(image: &str, credentials: &str) -> Value {
    taking(image, &json!({ "repositoryCredentials": { "credentialsParameter": credentials } }))
}

async fn owners(namespace: &Namespace, name: &str) -> Vec<String> {
    let found = namespace.api::<Secret>().get_opt(name).await.unwrap();
    let owners = found.and_then(|found| found.metadata.owner_references).unwrap_or_default();
    let mut names: Vec<String> = owners.into_iter().map(|owner| owner.name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn services_with_the_same_credentials_share_a_secret_until_the_last_of_them_is_gone() {
    let namespace = Namespace::traced("registry-shared").await;
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:registry-AbCdEf";
    let mapping = json!({ "from": arn, "name": "registry", "key": "credentials" });
    namespace.apply("Cluster", "default", &json!({ "kubernetes": { "secretMappings": [mapping] } }));
    let credentials = |password: &str| json!({ "username": "ann", "password": password }).to_string();
    namespace.store("registry", &[("credentials", &credentials(CANARY))]).await;
    for (name, credentials) in [("api", arn), ("web", "k8s://secret/registry/credentials")] {
        namespace.apply("TaskDefinition", name, &private(&format!("ghcr.io/shop/{name}:1"), credentials));
        namespace.apply_service(name, 1, 100, 200);
        namespace.until_steady(name, &format!("{name}:1")).await;
    }
    let names = namespace.derived("api").await;
    assert_eq!(names, namespace.derived("web").await);
    let [name] = names.as_slice() else { panic!("{names:?}") };
    for pod in namespace.pods().await {
        let pulls = serde_json::to_value(pod.spec.unwrap().image_pull_secrets).unwrap();
        assert_eq!(pulls, json!([{ "name": name }]));
    }
    let made = namespace.api::<Secret>().get(name).await.unwrap();
    assert_eq!(made.type_.as_deref(), Some("kubernetes.io/dockerconfigjson"));
    let password = async |expected: &str| {
        let stored = namespace.stored(name).await.unwrap();
        let config: Value = serde_json::from_str(&stored[0].1).unwrap();
        config["auths"]["ghcr.io"]["password"] == expected
    };
    assert!(password(CANARY).await);
    let shared = async || owners(&namespace, name).await == ["api", "web"];
    namespace.until_stored("both services own it", shared).await;

    namespace.store("registry", &[("credentials", &credentials("rotated"))]).await;
    namespace.until_stored("it follows its source", async || password("rotated").await).await;

    namespace.apply_task_definition("api", "registry-shared:2");
    namespace.until_steady("api", "api:2").await;
    let left = async || owners(&namespace, name).await == ["web"];
    namespace.until_stored("one service has given it up, and the other one keeps it", left).await;
    namespace.must(&["delete", "esvc", "web", "--timeout=60s"]);
    namespace.until_stored("it goes with the last one", async || namespace.stored(name).await.is_none()).await;
    namespace.assert_no_canary();
}

#[tokio::test]
async fn an_image_pull_secret_is_used_as_it_is_and_anything_else_is_told() {
    let namespace = Namespace::traced("registry-native").await;
    namespace.apply_default_cluster();
    namespace.apply("TaskDefinition", "web", &private("registry-native:1", "k8s://secret/pull"));
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_reason("web", "SecretNotFound").await;
    namespace.store("pull", &[("username", "ann"), ("password", CANARY)]).await;
    let message = namespace.until_reason("web", "SecretInvalid").await;
    assert!(message.contains("make it of type kubernetes.io/dockerconfigjson"), "{message}");
    namespace.must(&["delete", "secret", "pull"]);
    namespace.must(&[
        "create",
        "secret",
        "docker-registry",
        "pull",
        "--docker-username=ann",
        &format!("--docker-password={CANARY}"),
    ]);
    namespace.until_steady("web", "web:1").await;
    let pod = namespace.pods().await.remove(0);
    assert_eq!(serde_json::to_value(pod.spec.unwrap().image_pull_secrets).unwrap(), json!([{ "name": "pull" }]));
    assert!(namespace.derived("web").await.is_empty());
    namespace.assert_no_canary();
}
