//! One pod for each feature of the pod builder: see `golden/README.md`.

#![expect(clippy::unwrap_used, reason = "a test may fail this way")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use longshore::api::names::{DeploymentId, RevisionName, TaskKey, Uid};
use longshore::api::{ClusterKubernetes, ContainerImage, TaskDefinitionSpec};
use longshore::domain::pod::{self, ServiceOwner};
use longshore::domain::resolve::features::Features;
use longshore::domain::resolve::task_definition::{MEMBERS, Treatment, check, family, resolve};
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

#[test]
fn every_member_that_has_an_effect_or_a_deviation_is_in_some_task_definition() {
    let mut written = BTreeSet::new();
    for case in cases() {
        let definition = fs::read_to_string(case.with_extension("json")).unwrap();
        paths("", &serde_json::from_str(&definition).unwrap(), &mut written);
    }
    let has_case = |treatment| match treatment {
        Treatment::Mapped | Treatment::Deviates(_) => true,
        Treatment::Refused | Treatment::NotImplemented => false,
    };
    let members = MEMBERS.iter().filter(|member| has_case(member.treatment)).map(|member| member.path);
    let without: Vec<_> = members.filter(|path| !written.contains(*path)).collect();
    assert!(without.is_empty(), "in no case: {without:#?}");
}

/// Puts down the path of each member of a value, as the table of members has it.
fn paths(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    found.insert(path.to_owned());
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                paths(&path, value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(&format!("{path}[]"), item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
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

/// What a pod depends on besides the task definition.
#[derive(Default)]
struct Circumstances {
    features: Option<Features>,
    deregistration_delay: u32,
    images: Vec<ContainerImage>,
    node: Option<String>,
    zone: Option<Arc<str>>,
}

impl Circumstances {
    /// Those in which a case is not like most others, by the end of its name.
    fn of(case: &Path) -> Self {
        let name = case.file_stem().unwrap().to_string_lossy();
        let image = |container: &str, image: &str| ContainerImage {
            container_name: container.to_owned(),
            image: image.to_owned(),
            image_digest: format!("sha256:{}", "0".repeat(64)),
        };
        let images = vec![image("Web_API", "example.com/web:1"), image("log_", "example.com/log:1")];
        let drains = Self { deregistration_delay: 300, images, ..Self::default() };
        if name.ends_with("-on-1-33") {
            Self { features: Some(Features::of_version(33)), ..Self::default() }
        } else if name.ends_with("-in-a-zone") {
            Self { zone: Some("eu-west-1a".into()), ..drains }
        } else if name.ends_with("-on-a-node") {
            Self { node: Some("node-1".to_owned()), ..drains }
        } else {
            Self::default()
        }
    }
}

/// The second task in the fourth slot of a deployment of the service `checkout`.
fn pod_of(definition: &Path) -> k8s_openapi::api::core::v1::Pod {
    let Circumstances { features, deregistration_delay, images, node, zone } = Circumstances::of(definition);
    let spec: TaskDefinitionSpec = serde_json::from_str(&fs::read_to_string(definition).unwrap()).unwrap();
    assert_eq!(check(&spec), [], "{}", definition.display());
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
        deregistration_delay,
        service_accounts: BTreeMap::from([("arn:aws:iam::123456789012:role/mapped".to_owned(), "of-role".to_owned())]),
        volume_configurations,
    };
    let key = TaskKey { deployment: DeploymentId(1_234_567_890_123_456_789), slot: 3, attempt: 2 };
    let revision = RevisionName { family: family(&spec, "").parse().unwrap(), number: 7 };
    let definition = resolve(&spec, features.unwrap_or(Features::ALL)).unwrap();
    let secrets = Arc::new(task_secrets::find(&definition.secrets, Some(&cluster())).unwrap());
    pod::build(
        &definition,
        &owner,
        &Start { key, revision, images: images.into(), secrets, node, zone, on_freed_place: false },
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
