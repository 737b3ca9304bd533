//! What kustomize and Helm make of the files here.

use std::process::Command;

use longshore_test_cluster::{Program, Programs};
use serde_json::Value;

use crate::{NAMESPACE, path, succeed};

/// The objects of `config/default`.
pub(crate) async fn by_kustomize() -> Vec<Value> {
    let kubectl = Programs::ready().await.unwrap().path(Program::Kubectl);
    objects(&succeed(Command::new(kubectl).arg("kustomize").arg(path("config/default"))))
}

/// The objects of the chart, in a release by its own name.
pub(crate) async fn by_helm(arguments: &[&str]) -> Vec<Value> {
    let helm = Programs::ready().await.unwrap().path(Program::Helm);
    let mut command = Command::new(helm);
    command.args(["template", "longshore", "--namespace", NAMESPACE]).arg(path("charts/longshore")).args(arguments);
    objects(&succeed(&mut command))
}

/// The objects of a file of several.
pub(crate) fn objects(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|object| !object.is_null()).collect()
}

/// The one object of that kind and name.
#[track_caller]
pub(crate) fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "there is more than one {kind} {name}");
    object
}
