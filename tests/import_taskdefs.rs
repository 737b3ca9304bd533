//! `longshore import` of real task definitions from public repositories, where a folder of them lies next to the repository.
//!
//! They are not part of the repository. `INDEX.md` beside them is a table whose first column names the file and whose
//! last says `raw` or `clean` when the AWS SDK takes the file as `RegisterTaskDefinition` input, `clean` after dropping
//! nulls and members only the API's answers have, and `no` with the reason when it does not.

#![expect(clippy::unwrap_used, reason = "a test may fail this way")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use longshore::import::{Import, Kind, Source, import, yaml};

struct Definition {
    name: String,
    valid: String,
    text: String,
}

/// The definitions, or `None` where the folder is absent.
fn definitions() -> Option<Vec<Definition>> {
    let folder = env::var_os("LONGSHORE_TASKDEFS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/taskdefs"), PathBuf::from);
    let Ok(index) = fs::read_to_string(folder.join("INDEX.md")) else {
        println!("skipped: no real task definitions in {}", folder.display());
        return None;
    };
    let rows = index.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (name, valid) = ((*cells.first()?).to_owned(), (*cells.last()?).to_owned());
        let text = fs::read_to_string(folder.join(&name)).ok()?;
        Some(Definition { name, valid, text })
    });
    let found: Vec<_> = rows.collect();
    assert!(!found.is_empty(), "{} names no definition", folder.join("INDEX.md").display());
    Some(found)
}

fn import_one(definition: &Definition) -> Import {
    let Definition { name, text, .. } = definition;
    import(&[Source { file: name.clone(), stem: Some("real".to_owned()), text: text.clone() }], None)
}

#[test]
fn every_definition_that_aws_takes_is_imported_as_it_is() {
    for definition in definitions().unwrap_or_default() {
        if definition.valid != "raw" && definition.valid != "clean" {
            continue;
        }
        let import = import_one(&definition);
        assert!(import.problems.is_empty(), "{}: {:?}", definition.name, import.problems);
        assert_eq!(import.resources.iter().map(|resource| resource.kind).collect::<Vec<_>>(), [Kind::TaskDefinition]);
        let document: serde_json::Value = serde_saphyr::from_str(&yaml(&import.resources).unwrap()).unwrap();
        let mut given: serde_json::Value = serde_json::from_str(&definition.text).unwrap();
        if given.is_array() {
            given = serde_json::json!({ "containerDefinitions": given });
        }
        if let Some(answer) = given.get_mut("taskDefinition") {
            given = answer.take();
        }
        if definition.valid == "raw" && given["family"] != "" {
            assert_eq!(document["spec"], given, "{}", definition.name);
        }
    }
}

#[test]
fn every_definition_that_aws_refuses_is_refused_with_the_member() {
    for definition in definitions().unwrap_or_default() {
        let Some(reason) = definition.valid.strip_prefix("no: ") else { continue };
        let import = import_one(&definition);
        assert!(import.resources.is_empty(), "{} was imported", definition.name);
        let member = member(reason);
        let told = |problem: String| problem.starts_with(&format!("{}: {member}: ", definition.name));
        let problems: Vec<_> = import.problems.iter().map(ToString::to_string).collect();
        assert!(problems.iter().cloned().any(told), "{member}: {problems:?}");
    }
}

/// The path that the AWS SDK names: `parameter containerDefinitions[0].cpu, value: …`, or `in containerDefinitions[0]:
/// "artifacts", …`.
fn member(reason: &str) -> String {
    let start = reason.find("containerDefinitions").unwrap_or_default();
    let (path, rest) = reason[start..].split_once([',', ':']).unwrap();
    match rest.trim().strip_prefix('"').and_then(|rest| rest.split('"').next()) {
        Some(member) => format!("{path}.{member}"),
        None => path.to_owned(),
    }
}
