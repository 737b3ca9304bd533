//! docs/secrets.md, done as it says: its JSON, its commands and its snippets are read out of the page.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use longshore::api::{DerivedSecret, DerivedSecretKind, ServiceStatus};
use serde_json::{Value, json};

use crate::namespace::{Namespace, reason, stderr};
use crate::secrets::CANARY;

const PAGE: &str = include_str!("../../docs/secrets.md");

/// The blocks of the page in a language, in their order.
fn blocks<const N: usize>(language: &str) -> [&'static str; N] {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    let found: Vec<_> = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect();
    found.try_into().unwrap_or_else(|found: Vec<_>| panic!("the page has {} blocks of {language}", found.len()))
}

/// Somebody who follows the page, with files in a folder.
struct Reader<'n> {
    namespace: &'n Namespace,
    folder: PathBuf,
}

impl<'n> Reader<'n> {
    fn new(namespace: &'n Namespace) -> Self {
        let folder = namespace.cluster.folder().join(&namespace.name);
        fs::create_dir_all(&folder).unwrap();
        Self { namespace, folder }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), text).unwrap();
    }

    /// Runs commands of the page.
    fn run(&self, commands: &str) {
        let programs = r#"longshore() { "$LONGSHORE" "$@"; }; kubectl() { "$KUBECTL" --namespace "$NAMESPACE" "$@"; }"#;
        let kubectl = self.namespace.cluster.kubectl();
        let ran = Command::new("sh")
            .args(["-euc", &format!("{programs}\n{commands}")])
            .current_dir(&self.folder)
            .envs(kubectl.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("LONGSHORE", env!("CARGO_BIN_EXE_longshore"))
            .env("KUBECTL", kubectl.get_program())
            .env("NAMESPACE", &self.namespace.name)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{commands}\n{}\n{}", stderr(&ran), self.namespace.log());
    }

    /// Applies a manifest of the page.
    fn apply(&self, manifest: &str) {
        self.write("manifest.yaml", manifest);
        self.run("kubectl apply -f manifest.yaml");
    }
}

#[tokio::test]
async fn who_follows_the_page_on_secrets_has_a_task_that_runs() {
    let namespace = Namespace::traced("secret-page").await;
    let reader = Reader::new(&namespace);
    let [definition] = blocks("json");
    let [import, create] = blocks("sh");
    let [stores, mappings, deploy_on_change] = blocks("yaml");

    // From ECS JSON to a running task.
    reader.write("task-definition.json", definition);
    reader.write("service.json", r#"{ "serviceName": "web", "taskDefinition": "web", "desiredCount": 1 }"#);
    reader.run(import);
    let message = namespace.until_reason("web", "SecretNotMapped").await;
    let mapped: Value = serde_saphyr::from_str(mappings).unwrap();
    let mapped = mapped["spec"]["kubernetes"]["secretMappings"].as_array().unwrap();
    for mapping in mapped {
        let from = mapping["from"].as_str().unwrap();
        assert!(message.contains(from), "it names {from}: {message}");
    }

    // Where AWS can be reached.
    reader.apply(stores);
    // Of the three ARNs and names of secrets; the file has a mapping here too.
    let is_fetched = |derived: &&DerivedSecret| derived.kind == DerivedSecretKind::ExternalSecret;
    let are_fetched = |status: &ServiceStatus| {
        reason(&status.conditions) == "SecretNotFound" && status.derived_secrets.iter().filter(is_fetched).count() == 3
    };
    namespace.until_service("web", "an ExternalSecret is made for each secret", are_fetched).await;

    // Anywhere else.
    reader.write("web.env", "MODE=live\n");
    reader.run(&create.replace('…', CANARY));
    let (cluster, _) = stores.split_once("spec:").unwrap();
    reader.apply(&format!("{cluster}{mappings}"));
    let runs = |status: &ServiceStatus| status.running_count == Some(1);
    let status = namespace.until_service("web", "its task runs", runs).await;
    let [file] = &namespace.derived("web").await[..] else { panic!("{:?}", status.derived_secrets) };
    let pod = serde_json::to_value(namespace.pods().await.remove(0).spec).unwrap();
    let of_secret = |name: &str, secret: &str, key: &str| {
        let reference = json!({ "name": secret, "key": key });
        json!({ "name": name, "valueFrom": { "secretKeyRef": reference } })
    };
    let env = [of_secret("DB_PASSWORD", "db", "password"), of_secret("API_KEY", "api", "key")];
    assert_eq!(pod["containers"][0]["env"], json!(env));
    assert_eq!(pod["containers"][0]["envFrom"], json!([{ "secretRef": { "name": file } }]));
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "ghcr" }]));

    // "What others change in it is put back within 30 s."
    let live = [("MODE".to_owned(), "live".to_owned())];
    assert_eq!(namespace.stored(file).await.unwrap(), live);
    namespace.store(file, &[("MODE", "changed"), ("MORE", "1")]).await;
    let changed = Instant::now();
    let is_back = async || namespace.stored(file).await.is_some_and(|stored| stored == live);
    namespace.until_stored("it is put back", is_back).await;
    assert!(changed.elapsed() < Duration::from_secs(40), "{:?}", changed.elapsed());

    // Rotation: "switching it on or off starts a deployment, too".
    reader.write("patch.yaml", deploy_on_change);
    reader.run("kubectl patch esvc web --type merge --patch-file patch.yaml");
    let before = &status.deployments[0].id;
    let begins = |status: &ServiceStatus| status.deployments.first().is_some_and(|primary| primary.id != *before);
    namespace.until_service("web", "another deployment begins", begins).await;
    namespace.assert_no_canary();
}
