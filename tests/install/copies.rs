//! What is said in two places is the same in both.

use std::collections::BTreeSet;
use std::fs;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use longshore::api;
use serde_json::Value;

use crate::path;
use crate::rendered::{by_helm, by_kustomize, objects, one};

/// The files of a folder whose names end so.
fn names(folder: &str, end: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(end)).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap()
}

#[test]
fn the_chart_has_the_definitions_of_crds() {
    let theirs = names("crds", ".ecs.longshore.dev.yaml");
    assert_eq!(theirs, names("charts/longshore/files/crds", ""), "run `make manifests`");
    for name in theirs {
        let same = read(&format!("crds/{name}")) == read(&format!("charts/longshore/files/crds/{name}"));
        assert!(same, "charts/longshore/files/crds/{name} is out of date: run `make manifests`");
    }
}

#[test]
fn the_chart_has_the_rules_of_config_rbac() {
    let theirs = names("config/rbac", "_role.yaml");
    assert_eq!(theirs, names("charts/longshore/files/rbac", ""), "run `make manifests`");
    for name in theirs {
        let same = read(&format!("config/rbac/{name}")) == read(&format!("charts/longshore/files/rbac/{name}"));
        assert!(same, "charts/longshore/files/rbac/{name} is out of date: run `make manifests`");
    }
}

#[tokio::test]
async fn both_install_the_definition_of_every_kind_as_generated() {
    let (kustomized, templated) = (by_kustomize().await, by_helm(&[]).await);
    let count =
        |objects: &[Value]| objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").count();
    assert_eq!((count(&kustomized), count(&templated)), (api::crds().len(), api::crds().len()));
    for generated in api::crds() {
        let name = generated.metadata.name.as_deref().unwrap();
        for objects in [&kustomized, &templated] {
            let installed = one(objects, "CustomResourceDefinition", name).clone();
            let installed: CustomResourceDefinition = serde_json::from_value(installed).unwrap();
            assert_eq!(installed.spec, generated.spec, "{name}");
        }
    }
}

#[tokio::test]
async fn both_run_the_operator_alike() {
    let (kustomized, templated) = (by_kustomize().await, by_helm(&[]).await);
    let (kustomized, templated) =
        (one(&kustomized, "Deployment", "longshore"), one(&templated, "Deployment", "longshore"));
    for field in ["replicas", "strategy"] {
        assert_eq!(kustomized["spec"][field], templated["spec"][field]);
    }
    assert_eq!(kustomized["spec"]["template"]["spec"], templated["spec"]["template"]["spec"]);
}

#[tokio::test]
async fn the_version_is_the_one_of_the_crate() {
    let chart = &objects(&read("charts/longshore/Chart.yaml"))[0];
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let kustomized = by_kustomize().await;
    let container = &one(&kustomized, "Deployment", "longshore")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], concat!("ghcr.io/longshore/longshore:", env!("CARGO_PKG_VERSION")));
}
