//! The files in `crds/` and what the API server asks of them.

use std::path::Path;
use std::{collections::BTreeSet, fs};

use longshore::api;
use serde_json::Value;

/// Client-side `kubectl apply` and Argo CD keep a copy in an annotation, whose limit is 262144 bytes.
const BYTES: usize = 200_000;

#[test]
fn the_committed_files_are_what_the_types_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let manifests = api::manifests().unwrap();
    for manifest in &manifests {
        let committed = fs::read_to_string(dir.join(&manifest.file_name)).unwrap_or_default();
        assert!(committed == manifest.yaml, "crds/{} is out of date: run `make crds`", manifest.file_name);
    }
    let expected: BTreeSet<_> = manifests.iter().map(|manifest| manifest.file_name.clone()).collect();
    let mut found: BTreeSet<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(found.remove("kustomization.yaml"), "config/crd names this folder to kustomize");
    assert_eq!(expected, found, "crds/ holds one file for each kind: run `make crds`");
}

#[test]
fn every_definition_fits_into_an_annotation() {
    for (crd, manifest) in api::crds().iter().zip(api::manifests().unwrap()) {
        assert!(manifest.yaml.len() < BYTES, "{} has {} bytes", manifest.file_name, manifest.yaml.len());
        assert!(serde_json::to_string(crd).unwrap().len() < BYTES, "{}", manifest.file_name);
    }
}

#[test]
fn every_definition_says_what_it_is_called() {
    for crd in api::crds() {
        assert_eq!(crd.spec.group, api::GROUP);
        assert_eq!(crd.spec.versions[0].name, api::VERSION);
        assert_eq!(crd.spec.names.categories, Some(vec!["ecs".into()]));
        assert_eq!(crd.spec.names.short_names.map(|names| names.len()), Some(1), "{}", crd.spec.names.kind);
    }
}

#[test]
fn every_member_is_described_and_none_is_nullable() {
    for crd in api::crds() {
        let kind = &crd.spec.names.kind;
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let root = &schema["openAPIV3Schema"]["properties"];
        for part in ["spec", "status"] {
            check(&format!("{kind}.{part}"), &root[part]);
        }
    }
}

fn check(path: &str, schema: &Value) {
    assert!(schema.get("nullable").is_none(), "{path} is nullable");
    assert!(!schema["enum"].as_array().is_some_and(|values| values.contains(&Value::Null)), "{path} allows null");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        assert!(property["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} is not described");
        check(&path, property);
    }
    if schema.get("items").is_some() {
        check(&format!("{path}[]"), &schema["items"]);
    }
}

#[test]
fn a_service_can_be_scaled_from_its_first_moment() {
    let service = api::crds().into_iter().find(|crd| crd.spec.names.kind == "Service").unwrap();
    let version = serde_json::to_value(&service.spec.versions[0]).unwrap();
    assert_eq!(
        version["subresources"]["scale"],
        serde_json::json!({
            "specReplicasPath": ".spec.desiredCount",
            "statusReplicasPath": ".status.runningCount",
            "labelSelectorPath": ".status.selector",
        })
    );
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
    assert_eq!(spec["properties"]["desiredCount"]["default"], 1);
    assert_eq!(api::ServiceSpec::default().desired_count, 1);
    assert_eq!(serde_json::from_str::<api::ServiceSpec>("{}").unwrap(), api::ServiceSpec::default());
}
