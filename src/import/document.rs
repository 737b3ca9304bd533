//! What a file holds: inputs of the ECS API, answers of it, or lists of either.

use crate::import::Kind;
use crate::import::json::Json;
use crate::import::path::Path;
use crate::import::report::Findings;

/// One thing to import.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) kind: Kind,
    pub(super) path: Path,
    pub(super) members: Vec<Member>,
}

/// A member of an object, with the place it was found in: an answer of AWS keeps some apart from the others.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) path: Path,
    pub(super) value: Json,
}

impl Member {
    /// The members of the object at a path.
    pub(super) fn all(path: &Path, members: Vec<(String, Json)>) -> Vec<Self> {
        members.into_iter().map(|(name, value)| Self { path: path.member(&name), name, value }).collect()
    }
}

/// Why a value is nothing that can be imported.
#[derive(Debug, thiserror::Error)]
pub(super) enum DocumentError {
    #[error("an empty list; there is nothing to import")]
    Empty,
    #[error("expected an object, found {0}")]
    NotAnObject(String),
    #[error(
        "neither a task definition (containerDefinitions), a service (serviceName, taskDefinition) nor a cluster (clusterName) in the JSON of the ECS API"
    )]
    Unknown,
    #[error("taskDefinition has tags of its own; keep one of the two lists")]
    TagsTwice,
}

/// Members by which a kind is told, inputs and answers alike. The first kind that has one counts.
const MARKS: [(Kind, &[&str]); 3] = [
    (Kind::TaskDefinition, &["containerDefinitions", "family", "taskDefinitionArn"]),
    (Kind::Service, &["serviceName", "serviceArn", "taskDefinition", "desiredCount", "schedulingStrategy"]),
    (Kind::Cluster, &["clusterName", "clusterArn", "settings", "capacityProviders", "defaultCapacityProviderStrategy"]),
];

/// The members of an answer that hold what was asked for.
const ANSWERS: [(&str, Kind); 5] = [
    ("taskDefinition", Kind::TaskDefinition),
    ("service", Kind::Service),
    ("services", Kind::Service),
    ("cluster", Kind::Cluster),
    ("clusters", Kind::Cluster),
];

/// Takes a file apart.
pub(super) fn documents(value: Json, path: &Path, findings: &mut Findings) -> Vec<Document> {
    match value {
        Json::List(items) if items.is_empty() => {
            findings.problem(path.clone(), DocumentError::Empty);
            Vec::new()
        }
        Json::List(items) if items.iter().all(is_container) => {
            let value = Json::List(items);
            let containers = Member { name: "containerDefinitions".to_owned(), path: path.clone(), value };
            vec![Document { kind: Kind::TaskDefinition, path: path.clone(), members: vec![containers] }]
        }
        Json::List(items) => {
            let items = items.into_iter().enumerate();
            items.flat_map(|(n, item)| documents(item, &path.item(n), findings)).collect()
        }
        Json::Object(members) => match kind(&members) {
            Some(kind) => {
                vec![Document { kind, path: path.clone(), members: Member::all(path, members) }]
            }
            None if members.iter().any(is_answer) => answer(members, path, findings),
            None => {
                findings.problem(path.clone(), DocumentError::Unknown);
                Vec::new()
            }
        },
        other => {
            findings.problem(path.clone(), DocumentError::NotAnObject(other.to_string()));
            Vec::new()
        }
    }
}

/// An item of a bare list of container definitions, as some tools keep it.
fn is_container(item: &Json) -> bool {
    match item {
        Json::Object(members) => {
            kind(members).is_none()
                && !members.iter().any(is_answer)
                && (item.get("name").is_some() || item.get("image").is_some())
        }
        _ => false,
    }
}

fn kind(members: &[(String, Json)]) -> Option<Kind> {
    let has = |mark: &&str| members.iter().any(|member| member.0 == *mark && !is_answer(member));
    MARKS.iter().find(|(_, marks)| marks.iter().any(has)).map(|(kind, _)| *kind)
}

/// Whether a member is what an answer wraps. A service's own `taskDefinition` is a text.
fn is_answer((name, value): &(String, Json)) -> bool {
    answered(name).is_some() && matches!(value, Json::Object(_) | Json::List(_))
}

fn answered(name: &str) -> Option<Kind> {
    ANSWERS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// Takes an answer apart: `{"taskDefinition": {…}, "tags": […]}`, `{"services": […], "failures": []}`.
fn answer(members: Vec<(String, Json)>, path: &Path, findings: &mut Findings) -> Vec<Document> {
    let mut found = Vec::new();
    let mut tags = None;
    let mut dropped = Vec::new();
    for (name, value) in members {
        let path = path.member(&name);
        match (answered(&name), value) {
            (Some(kind), Json::Object(members)) => {
                found.push(Document { kind, members: Member::all(&path, members), path });
            }
            (Some(kind), Json::List(items)) => {
                if items.is_empty() {
                    findings.problem(path.clone(), DocumentError::Empty);
                }
                for (n, item) in items.into_iter().enumerate() {
                    let path = path.item(n);
                    match item {
                        Json::Object(members) => {
                            found.push(Document { kind, members: Member::all(&path, members), path });
                        }
                        other => findings.problem(path, DocumentError::NotAnObject(other.to_string())),
                    }
                }
            }
            (None, value) if name == "tags" => tags = Some(Member { name, path, value }),
            (None, Json::List(failures)) if name == "failures" => {
                for (n, failure) in failures.iter().enumerate() {
                    let text = |member| failure.get(member).and_then(Json::as_str).unwrap_or("?");
                    findings.note(path.item(n), format!("AWS did not answer for {}: {}", text("arn"), text("reason")));
                }
            }
            _ => dropped.push(name),
        }
    }
    if !dropped.is_empty() {
        findings.note(path.clone(), format!("dropped {} (output of AWS, not input)", dropped.join(", ")));
    }
    match (tags, found.iter_mut().find(|document| document.kind == Kind::TaskDefinition)) {
        (None, _) => {}
        (Some(tags), Some(document)) => add_tags(document, tags, findings),
        (Some(tags), None) => findings.note(tags.path, "dropped, as there is no taskDefinition beside it"),
    }
    found
}

/// RegisterTaskDefinition takes the tags as a member; the answers have them beside the task definition.
fn add_tags(document: &mut Document, tags: Member, findings: &mut Findings) {
    let says_nothing = |tags: &Json| *tags == Json::Null || tags.as_list().is_some_and(<[_]>::is_empty);
    match document.members.iter().position(|member| member.name == "tags") {
        Some(_) if says_nothing(&tags.value) => {}
        Some(own) if document.members.get(own).is_some_and(|own| says_nothing(&own.value)) => {
            document.members.remove(own);
            document.members.push(tags);
        }
        Some(_) => findings.problem(tags.path, DocumentError::TagsTwice),
        None => document.members.push(tags),
    }
}
