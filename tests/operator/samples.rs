//! From ECS JSON to running tasks: import, apply, an ACTIVE revision, RUNNING.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use longshore::api::{ContainerDefinition, TaskDefinition, TaskDefinitionStatus};
use serde_json::{Value, json};

use crate::namespace::{Namespace, reason, stderr};
use crate::taskdefs::definitions;

/// `longshore import - | kubectl apply -f -`; returns the name of the task definition.
fn import(namespace: &Namespace, file: &str, json: &str) -> String {
    let run = |mut command: Command, input: &str| {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{file}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = namespace.cluster.folder().join(&namespace.name);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(file);
    std::fs::write(&path, json).unwrap();
    let mut longshore = Command::new(env!("CARGO_BIN_EXE_longshore"));
    longshore.arg("import").arg(&path);
    let yaml = run(longshore, "");
    let mut kubectl = namespace.cluster.kubectl();
    kubectl.args(["--namespace", &namespace.name, "apply", "--filename", "-"]);
    run(kubectl, &yaml);
    let resource: Value = serde_saphyr::from_str(&yaml).unwrap();
    resource["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Waits for the ACTIVE revision that the present content is, and returns the status.
async fn active(namespace: &Namespace, name: &str) -> TaskDefinitionStatus {
    let registered = |definition: &TaskDefinition| {
        definition.status.as_ref().is_some_and(|status| {
            status.observed_generation == definition.metadata.generation
                && reason(&status.conditions) == "Registered"
                && status.conditions[0].status == "True"
        })
    };
    namespace.until::<TaskDefinition>(name, "an ACTIVE revision", registered).await.status.unwrap()
}

fn has_members_without_effect(status: &TaskDefinitionStatus) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == "NotImplemented")
}

/// One task of the family's newest revision reaches RUNNING.
async fn runs(namespace: &Namespace, name: &str, status: &TaskDefinitionStatus) {
    let revision = status.latest_active_revision.clone().unwrap();
    let at_once = json!({ "healthyAfterSeconds": 0 });
    namespace.apply("Service", name, &json!({ "taskDefinition": revision, "desiredCount": 1, "kubernetes": at_once }));
    namespace.until_steady(name, &revision).await;
    let deleted = namespace.kubectl(&["delete", "esvc", name, "--timeout=30s"]);
    let now = namespace.kubectl(&["get", "esvc,pods", "--output=yaml"]);
    let now = String::from_utf8_lossy(&now.stdout);
    assert!(deleted.status.success(), "{}\n{now}\n{}", stderr(&deleted), namespace.log());
}

/// What a container takes of AWS's, which this cluster has no mapping for, each with a key of the Secret `given` that will do for it.
fn taken(container: &ContainerDefinition) -> Vec<Value> {
    let mapping = |from: &str, key: &str| json!({ "from": from, "name": "given", "key": key });
    let secrets = container.secrets.iter().map(|secret| mapping(&secret.value_from, "value"));
    let files = container.environment_files.iter().map(|file| mapping(&file.value, "file"));
    let credentials = container.repository_credentials.iter().map(|credentials| &credentials.credentials_parameter);
    let credentials = credentials.filter(|parameter| !parameter.is_empty());
    secrets.chain(files).chain(credentials.map(|parameter| mapping(parameter, "credentials"))).collect()
}

/// A service of the family waits for what its tasks take, and says so.
async fn waits(namespace: &Namespace, name: &str, status: &TaskDefinitionStatus) {
    let revision = status.latest_active_revision.clone().unwrap();
    namespace.apply("Service", name, &json!({ "taskDefinition": revision, "desiredCount": 1 }));
    let message = namespace.until_reason(name, "SecretNotMapped").await;
    assert!(message.contains("arn:") || message.contains("ecs-cwagent"), "it is named: {message}");
}

#[tokio::test]
async fn the_samples_become_active_revisions_and_every_service_of_them_runs() {
    let namespace = Namespace::new("samples").await;
    let applied = namespace.kubectl(&["apply", "-k", &format!("{}/config/samples", env!("CARGO_MANIFEST_DIR"))]);
    assert!(applied.status.success(), "{}", stderr(&applied));
    let mut complete = Vec::new();
    for name in ["api", "worker", "nightly-report", "catalog", "gateway", "node-exporter"] {
        let status = active(&namespace, name).await;
        if !has_members_without_effect(&status) {
            complete.push(name);
        }
    }
    assert!(complete.contains(&"api") && complete.contains(&"worker"), "{complete:?}");
    for name in ["api", "worker", "catalog", "node-exporter"] {
        let status = namespace.until_steady(name, &format!("{name}:1")).await;
        let is_complete = status.conditions.iter().all(|condition| condition.type_ != "NotImplemented");
        assert!(is_complete || !["api", "worker"].contains(&name), "{name}");
    }
}

#[tokio::test]
async fn every_real_definition_becomes_an_active_revision_and_runs_once_its_secrets_are_mapped() {
    let namespace = Namespace::new("real").await;
    namespace.apply_default_cluster();
    let credentials = r#"{"username": "of", "password": "nobody"}"#;
    namespace.store("given", &[("value", "given"), ("file", "GIVEN=1"), ("credentials", credentials)]).await;
    let (mut registered, mut ran, mut waited) = (0, 0, 0);
    let definitions = definitions();
    for definition in definitions.iter().filter(|definition| definition.is_valid()) {
        // The name of a file is not always one that a cluster's folder can have twice.
        let file = Path::new(&definition.name).file_name().unwrap().to_str().unwrap().to_owned();
        let name = import(&namespace, &file, &definition.text);
        let status = active(&namespace, &name).await;
        registered += 1;
        let revision: TaskDefinition = namespace.api().get(&name).await.unwrap();
        let taken: Vec<Value> = revision.spec.container_definitions.iter().flat_map(taken).collect();
        if !taken.is_empty() {
            waits(&namespace, &name, &status).await;
            waited += 1;
        }
        // AWS's validator takes a container without an image; its scheduler has nothing to run either.
        if revision.spec.container_definitions.iter().all(|container| container.image.is_some()) {
            namespace.apply("Cluster", "default", &json!({ "kubernetes": { "secretMappings": taken } }));
            runs(&namespace, &name, &status).await;
            ran += 1;
        }
    }
    println!("{registered} real definitions registered; {ran} of them ran, {waited} once their secrets were mapped");
    assert!(definitions.is_empty() || ran > 0);
}
