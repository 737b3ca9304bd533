//! One pod for each feature of the pod builder: see `golden/README.md`.

#![expect(clippy::unwrap_used, reason = "a test may fail this way")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use longshore::api::names::{DeploymentId, RevisionName, TaskKey, Uid};
use longshore::api::{ClusterKubernetes, TaskDefinitionSpec};
use longshore::domain::pod::{self, ServiceOwner};
use longshore::domain::resolve::features::Features;
use longshore::domain::resolve::task_definition::{family, resolve};
use longshore::domain::secrets::task_secrets;
use longshore::domain::service::Start;
use serde_json::{Value, json};

#[test]
fn a_task_definition_becomes_the_pod_next_to_it() {
    let mut differences = Vec::new();
    for case in cases() {
        let pod = serde_json::to_value(pod_of(&case.with_extension("json"))).unwrap();
        let golden = fs::read_to_string(case.with_extension("yaml")).unwrap();
        let rule: String = golden.lines().take_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
        assert!(!rule.is_empty(), "{}.yaml does not say which rule it shows", case.display());
        if env::var_os("UPDATE_GOLDEN").is_some() {
            let text = format!("{rule}\n{}", serde_saphyr::to_string(&pod).unwrap());
            fs::write(case.with_extension("yaml"), text).unwrap();
            continue;
        }
        let mut lines = Vec::new();
        compare("", &serde_saphyr::from_str(&golden).unwrap(), &pod, &mut lines);
        if !lines.is_empty() {
            differences.push(format!("{}.yaml\n{rule}\n{}", case.display(), lines.join("\n")));
        }
    }
    assert!(
        differences.is_empty(),
        "{}\n\nIf that is meant: UPDATE_GOLDEN=1 cargo test --test golden, and read what it changes.",
        differences.join("\n\n")
    );
}

/// The files of the folder without their extensions, each once.
fn cases() -> BTreeSet<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension != "md"))
        .map(|file| file.with_extension(""))
        .collect()
}

/// The second task in the fourth slot of a deployment of the service `checkout`.
fn pod_of(definition: &Path) -> k8s_openapi::api::core::v1::Pod {
    let spec: TaskDefinitionSpec = serde_json::from_str(&fs::read_to_string(definition).unwrap()).unwrap();
    let volume_configurations = serde_json::from_value(json!([
        { "name": "disk", "managedEBSVolume": {
            "sizeInGiB": 20, "volumeType": "gp3", "snapshotId": "snap-066877671789bd71b", "roleArn": "arn:aws:iam::123456789012:role/ebs",
        } },
    ]))
    .unwrap();
    let owner = ServiceOwner {
        object_name: "checkout".to_owned(),
        namespace: "shop".to_owned(),
        uid: Uid("6f2c2f0e-5a0e-4d53-9d5c-2a8f7c1f3b11".to_owned()),
        cluster: "Blue_Cluster".to_owned(),
        deregistration_delay: 0,
        service_accounts: BTreeMap::from([("arn:aws:iam::123456789012:role/mapped".to_owned(), "of-role".to_owned())]),
        volume_configurations,
    };
    let key = TaskKey { deployment: DeploymentId(1_234_567_890_123_456_789), slot: 3, attempt: 2 };
    let revision = RevisionName { family: family(&spec, "").parse().unwrap(), number: 7 };
    let is_older = definition.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("-on-1-33"));
    let definition = resolve(&spec, if is_older { Features::of_version(33) } else { Features::ALL }).unwrap();
    let secrets = task_secrets::find(&definition.secrets, Some(&cluster())).unwrap();
    let (images, secrets) = (Vec::new().into(), Arc::new(secrets));
    pod::build(
        &definition,
        &owner,
        &Start { key, revision, images, secrets, node: None, zone: None, on_freed_place: false },
    )
}

/// What the cluster of the service says of where AWS's secrets and files are.
fn cluster() -> ClusterKubernetes {
    let arn = |service: &str, resource: &str| format!("arn:aws:{service}:eu-west-1:123456789012:{resource}");
    let stores = json!([
        { "service": "SecretsManager", "region": "eu-west-1", "storeRef": { "kind": "ClusterSecretStore", "name": "aws" } },
        { "service": "ParameterStore", "storeRef": { "name": "parameters" } },
    ]);
    let mappings = json!([
        { "from": arn("secretsmanager", "secret:mapped-AbCdEf"), "name": "mapped", "key": "document" },
        { "from": arn("secretsmanager", "secret:by-key-AbCdEf"), "name": "by-key" },
        { "from": arn("secretsmanager", "secret:registry-AbCdEf"), "name": "registry", "key": "credentials" },
        { "from": "arn:aws:s3:::config/web.env", "kind": "ConfigMap", "name": "web", "key": "web.env" },
    ]);
    serde_json::from_value(json!({ "secretStores": stores, "secretMappings": mappings })).unwrap()
}

/// Puts down each member in which two values differ, by its path.
fn compare(path: &str, golden: &Value, found: &Value, lines: &mut Vec<String>) {
    match (golden, found) {
        (Value::Object(golden), Value::Object(found)) => {
            for name in golden.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
                let member = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}.{name}"), &member(golden), &member(found), lines);
            }
        }
        (Value::Array(golden), Value::Array(found)) => {
            for n in 0..golden.len().max(found.len()) {
                let item = |of: &[Value]| of.get(n).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}[{n}]"), &item(golden), &item(found), lines);
            }
        }
        (golden, found) if golden == found => {}
        (golden, found) => lines.push(format!("{path}\n  golden {golden}\n  found  {found}")),
    }
}
