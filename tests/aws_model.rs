//! The specs against the AWS model of ECS: nothing missing, nothing misspelt, nothing of our own but what is listed.
//!
//! `tests/aws-model/extract.py` makes the extract from a botocore of the version it names.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]

use std::collections::{BTreeMap, BTreeSet};

use longshore::api;
use serde::Deserialize;
use serde_json::Value;

/// How a spec differs from the model on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// The member is ours.
    Added,
    /// The model requires the member, we do not.
    Optional,
    /// We require the member, the model does not.
    Required,
    /// An integer will do as well as a string.
    IntOrString,
}

use Difference::{Added, IntOrString, Optional, Required};

/// Every difference, by shape and member, with its reason.
const DIFFERENCES: [(&str, &str, Difference, &str); 17] = [
    ("RegisterTaskDefinitionRequest", "family", Optional, "defaults to the object's name"),
    ("CreateServiceRequest", "serviceName", Optional, "defaults to the object's name"),
    ("CreateCapacityProviderRequest", "name", Optional, "defaults to the object's name"),
    ("RegisterTaskDefinitionRequest", "cpu", IntOrString, "definitions in the wild have both"),
    ("RegisterTaskDefinitionRequest", "memory", IntOrString, "definitions in the wild have both"),
    ("RegisterTaskDefinitionRequest", "kubernetes", Added, "what ECS has no member for"),
    ("CreateServiceRequest", "kubernetes", Added, "what ECS has no member for"),
    ("CreateClusterRequest", "kubernetes", Added, "what ECS has no member for"),
    ("CreateCapacityProviderRequest", "kubernetes", Added, "the nodes the provider stands for"),
    ("RegisterTaskDefinitionRequest", "revision", Added, "a revision has its number next to the definition"),
    ("ContainerDefinition", "name", Required, "ECS refuses a container without; key of the list"),
    ("Volume", "name", Required, "a volume without cannot be mounted; key of the list"),
    ("KeyValuePair", "name", Required, "ECS refuses a variable without"),
    ("Tag", "key", Required, "ECS refuses a tag without"),
    ("TaskDefinitionPlacementConstraint", "type", Required, "ECS refuses a constraint without"),
    ("PlacementConstraint", "type", Required, "ECS refuses a constraint without"),
    ("PlacementStrategy", "type", Required, "ECS refuses a strategy without"),
];

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
    #[serde(default)]
    required: BTreeSet<String>,
    #[serde(default, rename = "enum")]
    values: BTreeSet<String>,
    #[serde(default)]
    document: bool,
    member: Option<String>,
    value: Option<String>,
    min: Option<i32>,
    max: Option<i32>,
}

#[test]
fn task_definitions_are_the_input_of_register_task_definition() {
    same("TaskDefinition", "RegisterTaskDefinition");
}

#[test]
fn revisions_are_the_input_of_register_task_definition() {
    same("TaskDefinitionRevision", "RegisterTaskDefinition");
}

#[test]
fn services_are_the_input_of_create_service() {
    same("Service", "CreateService");
}

#[test]
fn clusters_are_the_input_of_create_cluster() {
    same("Cluster", "CreateCluster");
}

#[test]
fn capacity_providers_are_the_input_of_create_capacity_provider() {
    same("CapacityProvider", "CreateCapacityProvider");
}

#[test]
fn every_listed_difference_is_one() {
    let mut found = BTreeSet::new();
    for (kind, operation) in [
        ("TaskDefinition", "RegisterTaskDefinition"),
        ("TaskDefinitionRevision", "RegisterTaskDefinition"),
        ("Service", "CreateService"),
        ("Cluster", "CreateCluster"),
        ("CapacityProvider", "CreateCapacityProvider"),
    ] {
        found.extend(compare(kind, operation).differences);
    }
    for (shape, member, difference, _) in DIFFERENCES {
        let listed = (shape.to_owned(), member.to_owned(), difference);
        assert!(found.contains(&listed), "{listed:?} is listed and is no difference");
    }
}

fn same(kind: &str, operation: &str) {
    let comparison = compare(kind, operation);
    let unlisted = comparison.differences.iter().filter(|(shape, member, difference)| {
        !DIFFERENCES.iter().any(|row| (row.0, row.1, row.2) == (shape, member, *difference))
    });
    let unlisted: Vec<_> = unlisted.map(|difference| format!("{difference:?} is not listed")).collect();
    let wrong = [comparison.wrong, unlisted].concat();
    assert!(wrong.is_empty(), "{kind} against {operation}:\n{}", wrong.join("\n"));
}

fn compare(kind: &str, operation: &str) -> Comparison {
    let model: Model = serde_json::from_str(include_str!("aws-model/ecs-2014-11-13.json")).unwrap();
    let crd = api::crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
    let mut comparison = Comparison { model, wrong: Vec::new(), differences: BTreeSet::new() };
    let input = comparison.model.inputs[operation].clone();
    comparison.shape(&input, &schema["openAPIV3Schema"]["properties"]["spec"], "spec");
    comparison
}

struct Comparison {
    model: Model,
    wrong: Vec<String>,
    differences: BTreeSet<(String, String, Difference)>,
}

impl Comparison {
    fn shape(&mut self, name: &str, schema: &Value, path: &str) {
        let shape = &self.model.shapes[name];
        let (low, high) = (shape.min, shape.max);
        match shape.kind.as_str() {
            "structure" if shape.document => {
                self.equal(path, "x-kubernetes-preserve-unknown-fields", schema, true);
            }
            "structure" => self.structure(name, schema, path),
            "list" => {
                self.equal(path, "type", schema, "array");
                self.bound(path, "maxItems", schema, high);
                let member = self.model.shapes[name].member.clone().unwrap();
                self.shape(&member, &schema["items"], &format!("{path}[]"));
            }
            "map" => {
                self.equal(path, "type", schema, "object");
                let value = self.model.shapes[name].value.clone().unwrap();
                self.shape(&value, &schema["additionalProperties"], &format!("{path}.*"));
            }
            "string" => {
                let values = shape.values.clone();
                self.equal(path, "type", schema, "string");
                self.bound(path, "maxLength", schema, high);
                let ours = schema["enum"].as_array().into_iter().flatten();
                let ours: BTreeSet<_> = ours.map(|value| value.as_str().unwrap().to_owned()).collect();
                if ours != values {
                    self.wrong.push(format!("{path}: {ours:?}, the model has {values:?}"));
                }
            }
            "integer" => {
                self.equal(path, "type", schema, "integer");
                self.equal(path, "format", schema, "int32");
                self.bound(path, "minimum", schema, low);
                self.bound(path, "maximum", schema, high.filter(|high| *high < i32::MAX));
            }
            "double" => self.equal(path, "type", schema, "number"),
            "boolean" => self.equal(path, "type", schema, "boolean"),
            other => self.wrong.push(format!("{path}: a shape of the type {other}")),
        }
    }

    fn structure(&mut self, name: &str, schema: &Value, path: &str) {
        self.equal(path, "type", schema, "object");
        let shape = &self.model.shapes[name];
        let (members, required) = (shape.members.clone(), shape.required.clone());
        let ours = schema["properties"].as_object().cloned().unwrap_or_default();
        let needed = schema["required"].as_array().cloned().unwrap_or_default();
        for member in ours.keys().filter(|member| !members.contains_key(*member)) {
            self.differences.insert((name.to_owned(), member.clone(), Added));
        }
        for (member, target) in members {
            let path = format!("{path}.{member}");
            let Some(property) = ours.get(&member) else {
                self.wrong.push(format!("{path} is missing"));
                continue;
            };
            match (required.contains(&member), needed.contains(&Value::from(member.as_str()))) {
                (true, false) => self.differences.insert((name.to_owned(), member.clone(), Optional)),
                (false, true) => self.differences.insert((name.to_owned(), member.clone(), Required)),
                _ => false,
            };
            if property["x-kubernetes-int-or-string"] == true {
                self.differences.insert((name.to_owned(), member, IntOrString));
            } else {
                self.shape(&target, property, &path);
            }
        }
    }

    fn equal(&mut self, path: &str, keyword: &str, schema: &Value, expected: impl Into<Value>) {
        let expected = expected.into();
        if schema[keyword] != expected {
            self.wrong.push(format!("{path}: {keyword} is {}, the model has {expected}", schema[keyword]));
        }
    }

    /// Where the model has a bound, ours is the same; where it has none, its prose may have one.
    fn bound(&mut self, path: &str, keyword: &str, schema: &Value, expected: Option<i32>) {
        let Some(expected) = expected else { return };
        if schema[keyword].as_f64() != Some(expected.into()) {
            self.wrong.push(format!("{path}: {keyword} is {}, the model has {expected}", schema[keyword]));
        }
    }
}
