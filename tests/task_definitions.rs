//! What becomes of task definitions: of every member of the API's model, and of real definitions.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]

mod taskdefs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use longshore::api::TaskDefinitionSpec;
use longshore::domain::resolve::features::Features;
use longshore::domain::resolve::task_definition::{
    DeviationCode, MEMBERS, Treatment, check, not_implemented_members, verdict,
};
use longshore::import::{Source, import, yaml};
use serde::Deserialize;
use serde_json::json;
use taskdefs::{Definition, definitions};

#[derive(Deserialize)]
struct Model {
    inputs: BTreeMap<String, String>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    members: BTreeMap<String, String>,
    member: Option<String>,
}

impl Model {
    fn leaves(&self, shape: &str, path: &str, leaves: &mut BTreeSet<String>) {
        let shape = &self.shapes[shape];
        match shape.kind.as_str() {
            "structure" => {
                for (name, target) in &shape.members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.leaves(target, &path, leaves);
                }
            }
            "list" if self.shapes[shape.member.as_ref().unwrap()].kind == "structure" => {
                self.leaves(shape.member.as_ref().unwrap(), &format!("{path}[]"), leaves);
            }
            _ => drop(leaves.insert(path.to_owned())),
        }
    }
}

#[test]
fn every_member_of_register_task_definition_has_one_row_that_says_what_becomes_of_it() {
    let model: Model = serde_json::from_str(include_str!("aws-model/ecs-2014-11-13.json")).unwrap();
    let mut leaves = BTreeSet::new();
    model.leaves(&model.inputs["RegisterTaskDefinition"], "", &mut leaves);
    let rows: BTreeSet<String> = MEMBERS.iter().map(|member| member.path.to_owned()).collect();
    assert_eq!(rows.len(), MEMBERS.len(), "a member has two rows");
    let missing: Vec<_> = leaves.difference(&rows).collect();
    let surplus: Vec<_> = rows.difference(&leaves).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "without a row: {missing:?}; no members: {surplus:?}");
}

#[test]
fn every_deviation_stands_at_a_member() {
    let codes = |treatment| match treatment {
        Treatment::Deviates(codes) => codes,
        Treatment::Mapped | Treatment::Refused | Treatment::NotImplemented => &[],
    };
    let named: BTreeSet<DeviationCode> = MEMBERS.iter().flat_map(|member| codes(member.treatment)).copied().collect();
    let unnamed = DeviationCode::ALL.iter().filter(|code| !named.contains(code));
    assert_eq!(unnamed.collect::<Vec<_>>(), [&DeviationCode::RefusedToday]);
}

fn in_documentation(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/task-definitions.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (found, after) = rest.split_once(&end).unwrap();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(found, table, "UPDATE_DOCS=1 cargo test --test task_definitions, and read what it changes");
}

/// One test for both tables: they are in one file.
#[test]
fn the_documentation_has_the_members_and_the_deviations() {
    let mut members = "| member | | in the pod |\n|---|---|---|\n".to_owned();
    for member in MEMBERS {
        let treatment = match member.treatment {
            Treatment::Mapped => "mapped".to_owned(),
            Treatment::Deviates(codes) => codes.iter().map(|code| code.name()).collect::<Vec<_>>().join(", "),
            Treatment::Refused => "**refused**".to_owned(),
            Treatment::NotImplemented => "not yet".to_owned(),
        };
        writeln!(members, "| `{}` | {treatment} | {} |", member.path, member.meaning).unwrap();
    }
    in_documentation("members", &members);
    let mut deviations = "| deviation | what is different |\n|---|---|\n".to_owned();
    for code in DeviationCode::ALL {
        writeln!(deviations, "| `{}` | {} |", code.name(), code.sentence()).unwrap();
    }
    in_documentation("deviations", &deviations);
}

#[test]
fn the_documentation_shows_what_is_to_be_made_for_a_file_system() {
    let volume = json!({"name": "shared", "efsVolumeConfiguration": {
        "fileSystemId": "fs-0123abcd", "transitEncryption": "ENABLED", "transitEncryptionPort": 3049,
        "authorizationConfig": {"iam": "ENABLED"},
    }});
    let spec = json!({"containerDefinitions": [{"name": "app"}], "volumes": [volume]});
    let verdict = verdict(&serde_json::from_value(spec).unwrap(), Features::ALL);
    let told = verdict.deviations().iter().find(|deviation| deviation.code == DeviationCode::ClaimNeeded).unwrap();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/task-definitions.md")).unwrap();
    assert!(text.lines().any(|line| line == told.detail), "{}", told.detail);
    let (claim, _) = told.detail.split_once(", ").unwrap();
    assert!(text.contains(&format!("kind: PersistentVolumeClaim\nmetadata:\n  namespace: shop\n  name: {claim}\n")));
}

/// What AWS's validator takes of the real definitions, as its spec.
fn imported(definition: &Definition) -> TaskDefinitionSpec {
    let Definition { name, text, .. } = definition;
    let import = import(&[Source { file: name.clone(), stem: Some("real".to_owned()), text: text.clone() }], None);
    let document: serde_json::Value = serde_saphyr::from_str(&yaml(&import.resources).unwrap()).unwrap();
    serde_json::from_value(document["spec"].clone()).unwrap()
}

/// `make taskdefs` shows the table.
#[test]
fn every_real_definition_that_the_validator_of_aws_takes_becomes_a_pod() {
    println!("| file | verdict | deviations and refusals |\n|---|---|---|");
    let (mut exact, mut all, mut others) = (0, 0, Vec::new());
    for definition in definitions().iter().filter(|definition| definition.is_valid()) {
        let spec = imported(definition);
        let problems = check(&spec);
        let verdict = verdict(&spec, Features::ALL);
        let deviations: BTreeSet<&str> = verdict.deviations().iter().map(|deviation| deviation.code.name()).collect();
        let mut told: Vec<String> = deviations.into_iter().map(str::to_owned).collect();
        told.extend(not_implemented_members(&spec).into_iter().map(|member| format!("not yet: {member}")));
        let judged = match (problems.as_slice(), verdict.is_exact()) {
            ([], true) => "exact",
            ([], false) => "deviates",
            _ => {
                told = problems.iter().map(ToString::to_string).collect();
                "refused"
            }
        };
        println!("| {} | {judged} | {} |", definition.name, told.join(", "));
        others.extend(problems.into_iter().map(|problem| format!("{}: {problem}", definition.name)));
        all += 1;
        exact += usize::from(judged == "exact");
    }
    println!("{all} real definitions, {exact} of them exact");
    assert!(others.is_empty(), "refused:\n{}", others.join("\n"));
}
