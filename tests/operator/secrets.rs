//! What tasks take from Secrets, ConfigMaps and AWS, and how they wait for it.

use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::namespace::{Namespace, service, stderr, task_definition};

/// No value of a secret is anywhere but in Secrets, however it gets there.
pub(crate) const CANARY: &str = "canary-5f1d7c3e9b";
/// The module that has the definition of `ExternalSecret`.
const EXTERNAL_SECRETS: &str = "github.com/external-secrets/external-secrets@v1.3.2";
const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf";

/// A task definition whose container has `members` too.
pub(crate) fn taking(image: &str, members: &Value) -> Value {
    let mut definition = task_definition(image);
    let container = definition["containerDefinitions"][0].as_object_mut().unwrap();
    container.extend(members.as_object().unwrap().clone());
    definition
}

fn secret(value_from: &str) -> Value {
    json!({ "secrets": [{ "name": "PASSWORD", "valueFrom": value_from }] })
}

impl Namespace {
    /// Creates a Secret, or changes what it holds.
    pub(crate) async fn store(&self, name: &str, values: &[(&str, &str)]) {
        let values: serde_json::Map<String, Value> =
            values.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let api = self.api::<Secret>();
        let object = json!({ "metadata": { "name": name }, "stringData": values });
        if api.get_opt(name).await.unwrap().is_some() {
            api.patch(name, &PatchParams::default(), &Patch::Merge(&object)).await.unwrap();
        } else {
            api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        }
    }

    /// What a Secret holds, if it is there.
    pub(crate) async fn stored(&self, name: &str) -> Option<Vec<(String, String)>> {
        let found = self.api::<Secret>().get_opt(name).await.unwrap()?;
        let text = |value: ByteString| String::from_utf8(value.0).unwrap();
        Some(found.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value))).collect())
    }

    /// Waits until something holds of the Secrets.
    pub(crate) async fn until_stored(&self, what: &str, wanted: impl AsyncFn() -> bool) {
        let started = std::time::Instant::now();
        while !wanted().await {
            assert!(started.elapsed() < Duration::from_secs(90), "{what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The names of the objects that are made for a service, as status tells.
    pub(crate) async fn derived(&self, service: &str) -> Vec<String> {
        let service = self.api::<longshore::api::Service>().get(service).await.unwrap();
        service.status.unwrap_or_default().derived_secrets.into_iter().map(|derived| derived.name).collect()
    }

    /// No value has got out of the Secrets: not even into the log of an operator that [traces](Self::traced).
    pub(crate) fn assert_no_canary(&self) {
        let kinds = "esvc,td,tdr,ecl,events,pods,configmaps";
        let all = self.kubectl(&["get", kinds, "--output=yaml", "--show-managed-fields"]);
        assert!(all.status.success(), "{}", stderr(&all));
        let all = String::from_utf8_lossy(&all.stdout).into_owned();
        assert!(all.contains("kind: Pod") && all.contains("kind: Event"), "{all}");
        let metadata = self.kubectl(&["get", "secrets", "--output=jsonpath={.items[*].metadata}"]);
        let metadata = String::from_utf8_lossy(&metadata.stdout).into_owned();
        let log = self.log();
        assert!(log.contains(" TRACE "), "the log has everything");
        for (what, text) in [("objects", all), ("metadata of Secrets", metadata), ("log", log)] {
            for canary in forms(CANARY) {
                let line = text.lines().find(|line| line.contains(&canary));
                assert_eq!(line, None, "a value is in the {what}");
            }
        }
    }
}

/// What to look for where a value must not be, alone or within more: as it is, in base64, and as `Debug` prints bytes.
fn forms(value: &str) -> Vec<String> {
    let bytes: Vec<_> = value.bytes().map(|byte| byte.to_string()).collect();
    // Three bytes are four digits, so there are three ways, by how many bytes of the first three are not of the value.
    let in_base64 = ["", "-", "--"].map(|before| {
        let digits = STANDARD_NO_PAD.encode(format!("{before}{value}"));
        // A digit at either end may have bits of what is beside the value.
        let (first, end) = ((before.len() * 8).div_ceil(6), (before.len() + value.len()) * 8 / 6);
        digits[first..end].to_owned()
    });
    [vec![value.to_owned(), bytes.join(", ")], in_base64.into()].concat()
}

#[test]
fn a_value_is_found_in_whatever_form_it_gets_out() {
    let finds = |text: &str| forms(CANARY).iter().any(|form| text.contains(form));
    let config = json!({ "username": "ann", "password": CANARY, "auth": STANDARD.encode(format!("ann:{CANARY}")) });
    for (sentence, text) in [
        ("as it is", format!("PASSWORD={CANARY}")),
        ("as the data of a Secret", STANDARD.encode(CANARY)),
        ("a line of a file as that", STANDARD.encode(format!("MODE={CANARY}\nOLD=1"))),
        ("an image pull secret as that", STANDARD.encode(json!({ "auths": { "ghcr.io": config } }).to_string())),
        ("its credentials", STANDARD.encode(format!("ann:{CANARY}"))),
        ("bytes of a Secret in a trace", format!("{:?}", ByteString(format!("MODE={CANARY}\n").into_bytes()))),
    ] {
        assert!(finds(&text), "{sentence}: {text}");
    }
    assert!(!finds("canary") && !finds(&STANDARD.encode("canary-5f1d7c3e9")));
}

#[tokio::test]
async fn a_task_waits_for_its_secret_and_its_key_and_what_runs_goes_on() {
    let namespace = Namespace::traced("secret-later").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "secret-later:1");
    namespace.apply_service("web", 2, 100, 200);
    namespace.until_steady("web", "web:1").await;
    namespace.apply("TaskDefinition", "web", &taking("secret-later:2", &secret("k8s://secret/db/password")));
    let message = namespace.until_reason("web", "SecretNotFound").await;
    assert!(message.contains("waiting for Secret db, which web:2 takes from; create it"), "{message}");
    assert_eq!(namespace.pods().await.len(), 2, "what runs goes on");
    namespace.store("db", &[("user", "ann")]).await;
    let has_key = |message: &str| message.contains("Secret db to have the key password");
    namespace
        .until_service("web", "the key is waited for", |status| {
            status.conditions.iter().any(|condition| has_key(&condition.message))
        })
        .await;
    namespace.store("db", &[("password", CANARY)]).await;
    namespace.until_steady("web", "web:2").await;
    for pod in namespace.pods().await {
        let container = serde_json::to_value(&pod.spec.unwrap().containers[0]).unwrap();
        let expected =
            json!({ "name": "PASSWORD", "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } } });
        assert_eq!(container["env"], json!([expected]));
    }
    namespace.assert_no_canary();
}

#[tokio::test]
async fn documents_and_files_become_secrets_that_follow_their_source_and_go_when_nothing_uses_them() {
    let namespace = Namespace::traced("secret-derived").await;
    namespace.apply_default_cluster();
    let document = |password: &str| json!({ "username": "ann", "password": password, "port": 5432 }).to_string();
    namespace.store("db", &[("document", &document(CANARY))]).await;
    // Of what is refused, neither name nor value: a file that is none may be a private key.
    let file = format!("# web\nMODE={CANARY}\nexport {CANARY}={CANARY}\nEMPTY=");
    namespace.store("web", &[("web.env", &file)]).await;
    let members = json!({
        "secrets": [
            { "name": "PASSWORD", "valueFrom": "k8s://secret/db/document#password" },
            { "name": "PORT", "valueFrom": "k8s://secret/db/document#port" },
        ],
        "environmentFiles": [{ "value": "k8s://secret/web/web.env", "type": "s3" }],
    });
    namespace.apply("TaskDefinition", "web", &taking("secret-derived:1", &members));
    namespace.apply_service("web", 1, 100, 200);
    let status = namespace.until_steady("web", "web:1").await;
    let ignored = status.conditions.iter().find(|condition| condition.type_ == "NotImplemented").unwrap();
    assert!(ignored.message.contains("line 3 of Secret web, key web.env"), "{}", ignored.message);
    let names = namespace.derived("web").await;
    assert_eq!(names.len(), 2, "{names:?}");
    let (file, json) = (&names[0], &names[1]);
    assert!(file.starts_with("longshore-env-web-") && json.starts_with("longshore-json-db-"), "{names:?}");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(namespace.stored(file).await.unwrap(), [pair("MODE", CANARY)]);
    assert_eq!(namespace.stored(json).await.unwrap(), [pair("password", CANARY), pair("port", "5432")]);
    let pod = namespace.pods().await.remove(0);
    let container = serde_json::to_value(&pod.spec.unwrap().containers[0]).unwrap();
    assert_eq!(container["envFrom"], json!([{ "secretRef": { "name": file } }]));
    assert_eq!(container["env"][0]["valueFrom"]["secretKeyRef"], json!({ "name": json, "key": "password" }));

    // At rest for longer than it takes until the next look.
    let before = namespace.writes().await.len();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let writes = namespace.writes().await.split_off(before);
    // The cluster's counts are written a little later.
    assert!(writes.iter().all(|write| write.resource == "clusters"), "{writes:#?}");

    namespace.store("db", &[("document", &document("rotated"))]).await;
    let rotated = [pair("password", "rotated"), pair("port", "5432")];
    let follows = async || namespace.stored(json).await.is_some_and(|stored| stored == rotated);
    namespace.until_stored("the Secret follows its source", follows).await;
    let still = namespace.until_steady("web", "web:1").await;
    assert_eq!(still.deployments[0].id, status.deployments[0].id, "a rotation deploys nothing by itself");

    namespace.apply_task_definition("web", "secret-derived:2");
    namespace.until_steady("web", "web:2").await;
    let gone = async || namespace.stored(json).await.is_none() && namespace.stored(file).await.is_none();
    namespace.until_stored("what is not used goes", gone).await;
    let told = async || namespace.derived("web").await.is_empty();
    namespace.until_stored("and status says so", told).await;
    namespace.assert_no_canary();
}

#[tokio::test]
async fn what_is_not_what_it_should_be_is_told_without_its_words() {
    let namespace = Namespace::traced("secret-invalid").await;
    namespace.apply_default_cluster();
    namespace.store("db", &[("document", &format!("{{\"password\": {CANARY}}}"))]).await;
    namespace.apply("TaskDefinition", "web", &taking("secret-invalid:1", &secret("k8s://secret/db/document#password")));
    namespace.apply_service("web", 1, 100, 200);
    let message = namespace.until_reason("web", "SecretInvalid").await;
    assert!(message.contains("Secret db, key document is not a JSON object"), "{message}");
    namespace.store("db", &[("document", &json!({ "user": CANARY }).to_string())]).await;
    let names_key = |message: &str| message.contains("has no JSON key \"password\"");
    namespace
        .until_service("web", "the JSON key is named", |status| {
            status.conditions.iter().any(|condition| names_key(&condition.message))
        })
        .await;
    namespace.store("db", &[("document", &json!({ "password": CANARY }).to_string())]).await;
    namespace.until_steady("web", "web:1").await;

    let credentials = json!({ "credentialsParameter": "k8s://secret/registry/login" });
    namespace.apply(
        "TaskDefinition",
        "web",
        &taking("secret-invalid:2", &json!({ "repositoryCredentials": credentials })),
    );
    let login = |password: Value| json!({ "username": CANARY, "password": password }).to_string();
    namespace.store("registry", &[("login", &login(json!([CANARY])))]).await;
    let message = namespace.until_reason("web", "SecretInvalid").await;
    assert!(message.contains("must be a JSON object with the texts username and password"), "{message}");
    namespace.store("registry", &[("login", &login(json!(CANARY)))]).await;
    namespace.until_steady("web", "web:2").await;
    namespace.assert_no_canary();
}

#[tokio::test]
async fn a_secret_of_aws_is_found_by_the_mapping_of_the_cluster() {
    let namespace = Namespace::traced("secret-mapped").await;
    namespace.apply_default_cluster();
    namespace.apply("TaskDefinition", "web", &taking("secret-mapped:1", &secret(&format!("{ARN}:password::"))));
    namespace.apply_service("web", 1, 100, 200);
    let message = namespace.until_reason("web", "SecretNotMapped").await;
    assert!(message.contains(ARN) && message.contains("spec.kubernetes.secretMappings"), "{message}");
    let mapping = json!({ "from": ARN, "name": "db" });
    namespace.apply("Cluster", "default", &json!({ "kubernetes": { "secretMappings": [mapping] } }));
    namespace.until_reason("web", "SecretNotFound").await;
    namespace.store("db", &[("password", CANARY)]).await;
    namespace.until_steady("web", "web:1").await;
    namespace.assert_no_canary();
}

#[tokio::test]
async fn a_rotation_starts_a_deployment_where_that_is_asked_for() {
    let namespace = Namespace::new("secret-rotated").await;
    namespace.apply_default_cluster();
    namespace.store("db", &[("password", "first")]).await;
    namespace.apply("TaskDefinition", "web", &taking("secret-rotated:1", &secret("k8s://secret/db/password")));
    let mut web = service("web", 2, 100, 200);
    web["kubernetes"] = json!({ "deployOnSecretChange": true });
    namespace.apply("Service", "web", &web);
    let before = namespace.until_steady("web", "web:1").await.deployments[0].id.clone();
    namespace.store("db", &[("password", "second")]).await;
    namespace
        .until_service("web", "another deployment completes", |status| {
            status.deployments.first().is_some_and(|primary| {
                primary.id != before && primary.rollout_state == Some(longshore::api::RolloutState::Completed)
            })
        })
        .await;
}

/// The definition of `ExternalSecret`, as its operator has it.
pub(crate) fn external_secrets(namespace: &Namespace) -> std::path::PathBuf {
    let folder = namespace.cluster.folder().join("external-secrets");
    std::fs::create_dir_all(&folder).unwrap();
    let output = Command::new("go")
        .args(["mod", "download", "-json", EXTERNAL_SECRETS])
        .current_dir(folder)
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let module: Value = serde_json::from_slice(&output.stdout).unwrap();
    std::path::Path::new(module["Dir"].as_str().unwrap())
        .join("config/crds/bases/external-secrets.io_externalsecrets.yaml")
}

#[tokio::test]
async fn a_secret_of_aws_is_fetched_through_a_store_of_the_external_secrets_operator() {
    let namespace = Namespace::traced("secret-external").await;
    let store = json!({ "service": "SecretsManager", "storeRef": { "kind": "ClusterSecretStore", "name": "aws" } });
    namespace.apply("Cluster", "default", &json!({ "kubernetes": { "secretStores": [store] } }));
    let members = json!({ "secrets": [
        { "name": "PASSWORD", "valueFrom": format!("{ARN}:password::") },
        { "name": "OLD", "valueFrom": format!("{ARN}:password:AWSPREVIOUS:") },
    ] });
    namespace.apply("TaskDefinition", "web", &taking("secret-external:1", &members));
    namespace.apply_service("web", 1, 100, 200);
    let message = namespace.until_reason("web", "SecretNotFound").await;
    assert!(message.contains("install the External Secrets Operator"), "{message}");

    let crd = external_secrets(&namespace);
    namespace.must(&["apply", "--server-side", "--filename", &crd.to_string_lossy()]);
    namespace.must(&["wait", "--for=condition=Established", "crd/externalsecrets.external-secrets.io"]);
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("external-secrets.io", "v1", "ExternalSecret"));
    let external: Api<DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
    let names = namespace.derived("web").await;
    assert_eq!(names.len(), 2, "one for each version: {names:?}");
    let there = async || external.list(&kube::api::ListParams::default()).await.is_ok_and(|all| all.items.len() == 2);
    namespace.until_stored("the ExternalSecrets are there", there).await;
    let value = |version: Option<&str>| format!("{CANARY} of {}", version.unwrap_or("AWSCURRENT"));
    for name in &names {
        let data = external.get(name).await.unwrap().data;
        let found = &data["spec"]["data"][0];
        assert_eq!((&found["secretKey"], &found["remoteRef"]["key"]), (&json!("password"), &json!(ARN)));
        assert_eq!(data["spec"]["secretStoreRef"], json!({ "kind": "ClusterSecretStore", "name": "aws" }));
        // What the External Secrets Operator does.
        namespace.store(name, &[("password", &value(found["remoteRef"]["version"].as_str()))]).await;
    }
    namespace.until_steady("web", "web:1").await;
    for (variable, version) in [("PASSWORD", None), ("OLD", Some("AWSPREVIOUS"))] {
        let pod = serde_json::to_value(namespace.pods().await.remove(0)).unwrap();
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        let of_variable = env.into_iter().find(|of| of["name"] == variable).unwrap();
        let from = &of_variable["valueFrom"]["secretKeyRef"];
        let stored = namespace.stored(from["name"].as_str().unwrap()).await.unwrap();
        assert_eq!(stored, [(from["key"].as_str().unwrap().to_owned(), value(version))], "{variable}");
    }

    namespace.apply_task_definition("web", "secret-external:2");
    namespace.until_steady("web", "web:2").await;
    let gone = async || external.list(&kube::api::ListParams::default()).await.unwrap().items.is_empty();
    namespace.until_stored("the ExternalSecrets go when nothing uses them", gone).await;
    namespace.assert_no_canary();
}
