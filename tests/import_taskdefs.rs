//! `longshore import` of real task definitions.

#![expect(clippy::unwrap_used, reason = "a test may fail this way")]

mod taskdefs;

use longshore::import::{Import, Kind, Source, import, yaml};
use taskdefs::{Definition, definitions};

fn import_one(definition: &Definition) -> Import {
    let Definition { name, text, .. } = definition;
    import(&[Source { file: name.clone(), stem: Some("real".to_owned()), text: text.clone() }], None)
}

#[test]
fn every_definition_that_aws_takes_is_imported_as_it_is() {
    for definition in definitions() {
        if !definition.is_valid() {
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
    for definition in definitions() {
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
