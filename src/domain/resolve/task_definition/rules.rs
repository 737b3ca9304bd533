//! The rules that belong to no single member.

use std::collections::BTreeSet;

use crate::api::names::dns_label;
use crate::api::{ContainerDefinition, Tag, TaskDefinitionSpec};
use crate::domain::resolve::task_definition::{POD_NAME_MAX, member};
use crate::domain::resolve::{Problem, canonical_json};

/// "Task definition size: 64 KiB."
const SIZE_MAX: usize = 64 * 1024;

pub(super) fn too_large(spec: &TaskDefinitionSpec) -> Option<Problem> {
    let size = serde_json::to_value(spec).map_or(0, |spec| canonical_json(&spec).len());
    let message = || {
        format!(
            "the task definition is {size} bytes of JSON and may be {SIZE_MAX} (64 KiB) at most; move large values into files or secrets"
        )
    };
    (size > SIZE_MAX).then(|| Problem::new("containerDefinitions", message()))
}

/// Names are compared as the pod has them: two that become one there are one too many.
pub(super) fn repeated<'a>(list: &str, names: impl Iterator<Item = &'a str>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = names.filter(|name| !seen.insert(dns_label(name, POD_NAME_MAX)));
    again
        .map(|name| Problem::new(format!("{list}[{name}].name"), "the name is used twice; give each its own"))
        .collect()
}

/// "All tasks must have at least one essential container."
pub(super) fn none_essential(containers: &[ContainerDefinition]) -> Option<Problem> {
    let none = !containers.iter().any(|container| container.essential.unwrap_or(true));
    let message = "at least one container must be essential; remove essential: false from one";
    none.then(|| Problem::new("containerDefinitions", message))
}

/// "Each tag key must be unique"; "the allowed characters are letters, numbers, and spaces representable in UTF-8, and the following
/// characters: + - = . _ : / @"; `aws:` in front is for AWS.
pub(super) fn bad_tags(tags: &[Tag]) -> Vec<Problem> {
    let legal = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    let is_reserved = |text: &str| text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    let mut keys = BTreeSet::new();
    let mut problems = Vec::new();
    for (n, Tag { key, value }) in tags.iter().enumerate() {
        for (name, text) in [("key", key.as_str()), ("value", value.as_deref().unwrap_or_default())] {
            let message = if is_reserved(text) {
                "begins with aws:, which is for AWS; choose another"
            } else if !text.chars().all(legal) {
                "has other characters than letters, digits, spaces and + - = . _ : / @; remove them"
            } else if name == "key" && !keys.insert(key) {
                "another tag has the key already; remove one"
            } else {
                continue;
            };
            problems.push(Problem::new(format!("tags[{n}].{name}"), format!("{text:?}: {message}")));
        }
    }
    problems
}

/// What ECS has and a cluster has nobody for.
pub(super) fn without_counterpart(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let credentials = spec.container_definitions.iter().filter(|container| !container.credential_specs.is_empty());
    let credentials = credentials.map(|container| {
        let message = "credential specs are for Active Directory on Windows, and tasks run on Linux only; remove them";
        Problem::new(member(&container.name, "credentialSpecs"), message)
    });
    credentials.collect()
}
