//! The rules of the custom resource definitions, told before the API server tells them.

use kube::core::cel::ValidationErrors;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{Cluster, Service, TaskDefinition};
use crate::domain::resolve::{Problem, task_definition};
use crate::import::Kind;
use crate::import::document::Document;
use crate::import::path::Path;
use crate::import::report::Findings;

/// Why an object of the right shape is not one to apply.
#[derive(Debug, thiserror::Error)]
pub(super) enum RuleError {
    #[error("the operator cannot read it: {0}")]
    Read(#[source] serde_json::Error),
    #[error("{0}")]
    Broken(String),
}

/// Checks the spec of the object that a document becomes.
pub(super) fn check(document: &Document, name: &str, spec: Value, findings: &mut Findings) {
    let checked = match document.kind {
        Kind::TaskDefinition => typed(spec, |spec| {
            let refused = task_definition::check(&spec);
            TaskDefinition::new(name, spec).validate_cel().map(|()| refused)
        }),
        Kind::Service => typed(spec, |spec| Service::new(name, spec).validate_cel().map(|()| Vec::new())),
        Kind::Cluster => typed(spec, |spec| Cluster::new(name, spec).validate_cel().map(|()| Vec::new())),
    };
    match checked {
        Err(error) => findings.problem(document.path.clone(), RuleError::Read(error)),
        // What the JSON of ECS lacks may come from a patch of the object, in spec.kubernetes: so this is no reason not to import it.
        Ok(Ok(refused)) => {
            for Problem { member, message } in refused {
                findings.note(within(document, &member), format!("the operator will refuse this: {message}"));
            }
        }
        Ok(Err(errors)) => {
            for error in errors.into_vec() {
                let (path, message) = place(document, &error.field_path, &error.message);
                findings.problem(path, RuleError::Broken(message));
            }
        }
    }
}

fn typed<S: DeserializeOwned>(
    spec: Value,
    rules: impl FnOnce(S) -> Result<Vec<Problem>, ValidationErrors>,
) -> Result<Result<Vec<Problem>, ValidationErrors>, serde_json::Error> {
    serde_json::from_value(spec).map(rules)
}

/// Where in the file a broken rule belongs. Rules name the member they speak of, their own or one below, in front.
fn place(document: &Document, field_path: &str, message: &str) -> (Path, String) {
    let path = field_path.strip_prefix("spec").unwrap_or(field_path);
    let path = path.strip_prefix('.').unwrap_or(path);
    let (member, message) = message.split_once(": ").unwrap_or(("", message));
    let own = path.rsplit('.').next().and_then(|last| last.split('[').next());
    let path = match (path, member) {
        (path, "") => path.to_owned(),
        (path, member) if own == Some(member) => path.to_owned(),
        ("", member) => member.to_owned(),
        (path, member) => format!("{path}.{member}"),
    };
    (within(document, &path), message.to_owned())
}

/// A path below the document's spec, as the file has it.
fn within(document: &Document, path: &str) -> Path {
    let (first, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    let known = document.members.iter().find(|member| member.name == first);
    known.map_or_else(|| document.path.member(first).rest(rest), |member| member.path.rest(rest))
}
