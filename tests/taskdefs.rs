//! Real task definitions from public repositories, where a folder of them lies next to the repository.
//!
//! They are not part of the repository. `INDEX.md` beside them is a table whose first column names the file and whose
//! last says `raw` or `clean` when the AWS SDK takes the file as `RegisterTaskDefinition` input, `clean` after dropping
//! nulls and members only the API's answers have.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may fail this way")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use longshore::api::TaskDefinitionSpec;
use serde_json::{Map, Value};

/// Members of an answer that input does not have.
const ANSWER_ONLY: [&str; 9] = [
    "compatibilities",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
    "deleteRequestedAt",
];

/// Files the SDK takes and ECS refuses, and we with it, each with a part of our reason.
const REFUSED: [(&str, &str); 3] = [
    ("container_transform__tests__composev2_extended_output.json", "invalid type: null, expected a string"),
    ("container_transform__tests__composev2_output.json", "missing field `image`"),
    ("naonao2323__ecs-task-def__testData__container__container.json", "invalid type"),
];

#[test]
fn every_definition_survives_the_types_without_losing_a_member() {
    let Some(definitions) = definitions() else { return };
    for (name, definition) in definitions {
        let read = serde_json::from_value::<TaskDefinitionSpec>(definition.clone());
        if let Some((_, reason)) = REFUSED.iter().find(|(file, _)| name.ends_with(file)) {
            let error = read.unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
            continue;
        }
        let written = serde_json::to_value(read.unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap();
        assert_eq!(written, meaningful(definition), "{name}");
    }
}

/// Every definition the SDK takes, or `None` where the folder is absent.
fn definitions() -> Option<Vec<(String, Value)>> {
    let folder = env::var_os("LONGSHORE_TASKDEFS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/taskdefs"), PathBuf::from);
    let Ok(index) = fs::read_to_string(folder.join("INDEX.md")) else {
        println!("skipped: no real task definitions in {}", folder.display());
        return None;
    };
    let rows = index.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (name, valid) = (*cells.first()?, *cells.last()?);
        (valid == "raw" || valid == "clean").then(|| name.to_owned())
    });
    let read = |name: String| {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(answer) = value.get_mut("taskDefinition") {
            value = answer.take();
        }
        (name, value)
    };
    let found: Vec<_> = rows.map(read).collect();
    assert!(!found.is_empty(), "{} names no valid definition", folder.join("INDEX.md").display());
    Some(found)
}

/// What of a definition has a meaning: no nulls, nothing empty where absent means the same, nothing only answers have.
fn meaningful(definition: Value) -> Value {
    let Value::Object(mut members) = without_nothing(definition) else { return Value::Null };
    members.retain(|name, _| !ANSWER_ONLY.contains(&name.as_str()));
    Value::Object(members)
}

fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, value)| (name, without_nothing(value)));
            Value::Object(kept.filter(|(name, value)| !says_nothing(name, value)).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nothing).collect()),
        other => other,
    }
}

/// Lists and maps are empty when absent; an empty structure, such as `host`, is not the same as none.
fn says_nothing(name: &str, value: &Value) -> bool {
    const MAPS: [&str; 4] = ["options", "dockerLabels", "driverOpts", "labels"];
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() && MAPS.contains(&name),
        _ => false,
    }
}
