//! `longshore import`: from the JSON of the ECS API to custom resources.
//!
//! A file is taken apart into documents, each document is freed of what only answers of AWS have, and what is left is
//! checked against the schema and the rules of the custom resource definitions. A file is imported whole or not at all.

mod document;
mod json;
mod output_only;
mod path;
mod render;
mod report;
mod rules;
mod schema;
mod service;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use serde_json::Value;

use crate::api;
use crate::api::names::dns_label;
use crate::import::document::Document;
use crate::import::json::Json;
use crate::import::path::Path;
use crate::import::report::{Findings, ImportError};

pub use render::{RenderError, yaml};
pub use report::{Note, Problem};

/// Longest name of an object: it becomes part of labels and host names.
const NAME_MAX: usize = 63;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is called in messages.
    pub file: String,
    /// What is named after it if it names itself not; `None` for standard input.
    pub stem: Option<String>,
    /// What is in it.
    pub text: String,
}

/// Kinds that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// From the input of RegisterTaskDefinition.
    TaskDefinition,
    /// From the input of CreateService.
    Service,
    /// From the input of CreateCluster.
    Cluster,
}

impl Kind {
    /// As in `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskDefinition => "TaskDefinition",
            Self::Service => "Service",
            Self::Cluster => "Cluster",
        }
    }

    /// The member that names what is imported.
    fn name_member(self) -> &'static str {
        match self {
            Self::TaskDefinition => "family",
            Self::Service => "serviceName",
            Self::Cluster => "clusterName",
        }
    }
}

/// A custom resource to apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    spec: Json,
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Import {
    /// What to apply, in the order of the files.
    pub resources: Vec<Resource>,
    /// What was dropped or changed.
    pub notes: Vec<Note>,
    /// What could not be taken.
    pub problems: Vec<Problem>,
    /// How many files were not imported.
    pub refused: usize,
}

/// Imports files, into a namespace if one is given.
pub fn import(sources: &[Source], namespace: Option<&str>) -> Import {
    let schemas = spec_schemas();
    let mut import = Import::default();
    let mut taken: BTreeMap<(Kind, String), String> = BTreeMap::new();
    for Source { file, stem, text } in sources {
        let mut findings = Findings::default();
        let mut names = BTreeMap::new();
        let mut resources = Vec::new();
        for mut document in parse(text, &mut findings) {
            let Some((name, spec)) = convert(&mut document, stem.as_deref(), &schemas, &mut findings) else { continue };
            let key = (document.kind, name);
            if let Some(first) = taken.get(&key).or_else(|| names.get(&key)) {
                let (kind, name, first) = (key.0.name(), key.1, first.clone());
                findings.problem(document.path, ImportError::Duplicate { kind, name, first });
                continue;
            }
            names.insert(key.clone(), file.clone());
            let (kind, name) = key;
            resources.push(Resource { kind, name, namespace: namespace.map(str::to_owned), spec });
        }
        let Findings { notes, problems } = findings;
        if problems.is_empty() {
            taken.append(&mut names);
            import.resources.append(&mut resources);
            import.notes.extend(notes.into_iter().map(|(path, text)| Note { file: file.clone(), path, text }));
        } else {
            import.refused = import.refused.saturating_add(1);
            let problems = problems.into_iter();
            import.problems.extend(problems.map(|(path, error)| Problem { file: file.clone(), path, error }));
        }
    }
    import
}

fn parse(text: &str, findings: &mut Findings) -> Vec<Document> {
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(json) => document::documents(json, &Path::default(), findings),
        Err(error) => {
            let (line, column, reason) = (error.line(), error.column(), error.to_string());
            let reason = reason.split(" at line ").next().unwrap_or_default();
            let reason = if error.is_data() { reason.to_owned() } else { format!("not JSON: {reason}") };
            findings.problem(Path::default(), ImportError::Syntax { line, column, reason });
            Vec::new()
        }
    }
}

/// The name and spec of the custom resource that a document becomes.
fn convert(
    document: &mut Document,
    stem: Option<&str>,
    schemas: &BTreeMap<String, JSONSchemaProps>,
    findings: &mut Findings,
) -> Option<(String, Json)> {
    if document.kind == Kind::Service {
        service::settle(document, findings);
    }
    output_only::drop_from(document, findings);
    let name = object_name(document, stem, findings);
    let before = findings.problems.len();
    let spec = schema::check(schemas.get(document.kind.name())?, &document.path, &document.members, findings);
    let name = name?;
    if findings.problems.len() == before {
        rules::check(document, &name, Value::from(&spec), findings);
    }
    Some((name, spec))
}

/// The name that a document gives itself, or that of its file, as Kubernetes takes it.
fn object_name(document: &mut Document, stem: Option<&str>, findings: &mut Findings) -> Option<String> {
    let member = document.kind.name_member();
    let own = document.members.iter().position(|known| known.name == member);
    let own = match own.and_then(|n| Some((n, document.members.get(n)?.value.as_str()?.to_owned()))) {
        Some((n, name)) if name.is_empty() => {
            document.members.remove(n);
            findings.note(document.path.clone(), format!("dropped {member} (empty)"));
            None
        }
        own => own.map(|(_, name)| name),
    };
    let path = document.path.clone();
    match (own, document.kind, stem) {
        (Some(name), _, _) => {
            let label = dns_label(&name, NAME_MAX);
            if label != name {
                let text = format!("the object is named {label}, as {name:?} is not a DNS name; {member} stays");
                findings.note(path, text);
            }
            Some(label)
        }
        // "If you don't specify a name for your cluster, you create a cluster that's named default."
        (None, Kind::Cluster, _) => Some("default".to_owned()),
        (None, kind, Some(stem)) => {
            let label = dns_label(stem, NAME_MAX);
            findings
                .note(path, format!("the {} is named {label} after the file, as {member} is not given", kind.name()));
            Some(label)
        }
        (None, kind, None) => {
            findings.problem(path.member(member), ImportError::Unnamed(kind.name()));
            None
        }
    }
}

/// The schema of `spec` of every kind, by kind.
fn spec_schemas() -> BTreeMap<String, JSONSchemaProps> {
    let schema = |crd: CustomResourceDefinition| {
        let version = crd.spec.versions.into_iter().next()?;
        let spec = version.schema?.open_api_v3_schema?.properties?.remove("spec")?;
        Some((crd.spec.names.kind, spec))
    };
    api::crds().into_iter().filter_map(schema).collect()
}
