//! `config/samples`: ECS JSON as a person has it, and the custom resources made of it.

#![expect(clippy::unwrap_used, reason = "a test may fail this way")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use longshore::api::{Service, TaskDefinition};
use longshore::domain::resolve::members::{self, not_implemented};
use longshore::domain::resolve::task_definition::{self, not_implemented_members};
use longshore::import::{Source, import, yaml};
use serde::de::DeserializeOwned;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples")
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_saphyr::from_str(&fs::read_to_string(samples().join(name)).unwrap()).unwrap()
}

/// Names of the files of a folder that end in `.` and the extension, without it.
fn stems(folder: &Path, extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_resource_is_what_import_makes_of_its_json_with_nothing_dropped() {
    for stem in stems(&samples().join("ecs"), "json") {
        let text = fs::read_to_string(samples().join("ecs").join(&stem).with_extension("json")).unwrap();
        let import = import(&[Source { file: stem.clone(), stem: Some(stem.clone()), text }], None);
        assert!(import.problems.is_empty() && import.notes.is_empty(), "{stem}: {import:?}");
        let committed = fs::read_to_string(samples().join(&stem).with_extension("yaml")).unwrap_or_default();
        assert_eq!(yaml(&import.resources).unwrap(), committed, "{stem}: run `make samples`");
    }
}

#[test]
fn kustomize_applies_every_resource() {
    let listed: serde_json::Value = read("kustomization.yaml");
    let files = |member: &str, key: fn(&serde_json::Value) -> &serde_json::Value| {
        let entries = listed[member].as_array().unwrap().iter();
        entries.map(|entry| key(entry).as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let listed: BTreeSet<_> =
        files("resources", |name| name).into_iter().chain(files("patches", |patch| &patch["path"])).collect();
    let imported = stems(&samples().join("ecs"), "json").into_iter().map(|stem| format!("{stem}.yaml"));
    let besides = stems(&samples().join("kubernetes"), "yaml").into_iter();
    assert_eq!(listed, imported.chain(besides.map(|stem| format!("kubernetes/{stem}.yaml"))).collect());
}

#[test]
fn the_api_and_the_worker_use_only_members_that_have_an_effect() {
    for name in ["api", "worker"] {
        let definition: TaskDefinition = read(&format!("{name}-task-definition.yaml"));
        assert_eq!(not_implemented_members(&definition.spec), Vec::<String>::new());
        let service: Service = read(&format!("{name}-service.yaml"));
        assert_eq!(not_implemented(&service.spec, members::SERVICE), Vec::<String>::new());
    }
}

#[test]
fn every_task_definition_can_be_registered() {
    for stem in stems(&samples(), "yaml").iter().filter(|stem| stem.ends_with("-task-definition")) {
        let definition: TaskDefinition = read(&format!("{stem}.yaml"));
        let problems = task_definition::check(&definition.spec);
        assert!(problems.is_empty(), "{stem}: {problems:?}");
    }
}
