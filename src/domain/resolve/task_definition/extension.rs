//! `spec.kubernetes` of a task definition.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use k8s_openapi::api::core::v1::{PodSecurityContext, Volume as PodVolume};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::names::dns_label;
use crate::api::{ContainerVolumeMount, TaskDefinitionKubernetes, TaskDefinitionSpec, labels};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::deviation::Verdict;
use crate::domain::resolve::task_definition::{POD_NAME_MAX, mounts, networking};

/// The part of `spec.kubernetes` that tasks are made of, and that a revision keeps.
pub(super) fn of_revision(kubernetes: &TaskDefinitionKubernetes) -> Option<TaskDefinitionKubernetes> {
    let kept = TaskDefinitionKubernetes { revision_history_limit: None, strict: None, ..kubernetes.clone() };
    Some(kept).filter(|kept| *kept != TaskDefinitionKubernetes::default())
}

/// `spec.kubernetes`, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extension {
    /// Most of it needs no reading.
    pub given: TaskDefinitionKubernetes,
    /// `securityContext`.
    pub security_context: PodSecurityContext,
    /// `volumes`, by the names that they have in the pod.
    pub volumes: Vec<PodVolume>,
}

pub(super) fn resolve(spec: &TaskDefinitionSpec) -> Extension {
    let given = spec.kubernetes.as_ref().and_then(of_revision).unwrap_or_default();
    let security_context = given.security_context.clone().and_then(|context| serde_json::from_value(context).ok());
    let volumes = given.volumes.iter().filter_map(|volume| serde_json::from_value::<PodVolume>(volume.clone()).ok());
    let renamed = |volume: PodVolume| PodVolume { name: dns_label(&volume.name, POD_NAME_MAX), ..volume };
    Extension { security_context: security_context.unwrap_or_default(), volumes: volumes.map(renamed).collect(), given }
}

pub(super) fn node_selector(spec: &TaskDefinitionSpec) -> impl Iterator<Item = (String, String)> {
    spec.kubernetes.iter().flat_map(|kubernetes| kubernetes.node_selector.clone())
}

pub(super) fn refused(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let Some(kubernetes) = &spec.kubernetes else { return Vec::new() };
    let mut problems = Vec::new();
    problems.extend(kubernetes.security_context.as_ref().and_then(|context| {
        misread::<PodSecurityContext>(context).map(|why| Problem::new("kubernetes.securityContext", why))
    }));
    let mut names = BTreeSet::new();
    for (n, volume) in kubernetes.volumes.iter().enumerate() {
        let place = format!("kubernetes.volumes[{n}]");
        problems.extend(misread::<PodVolume>(volume).map(|why| Problem::new(place.clone(), why)));
        let name = volume.get("name").and_then(Value::as_str).unwrap_or_default();
        if !names.insert(dns_label(name, POD_NAME_MAX)) {
            problems.push(Problem::new(format!("{place}.name"), "the name is used twice; give each its own"));
        }
    }
    for (n, mount) in kubernetes.volume_mounts.iter().enumerate() {
        let ContainerVolumeMount { container, name, mount_path, sub_path, read_only: _ } = mount;
        let place = |member: &str| format!("kubernetes.volumeMounts[{n}].{member}");
        if !spec.container_definitions.iter().any(|known| known.name == *container) {
            let message = format!("there is no container {container:?} in this task definition; name one of it");
            problems.push(Problem::new(place("container"), message));
        }
        if !names.contains(&dns_label(name, POD_NAME_MAX)) {
            problems.push(Problem::new(
                place("name"),
                format!("there is no volume {name:?} in spec.kubernetes.volumes; add it there"),
            ));
        }
        if !mounts::is_path(mount_path) {
            problems.push(Problem::new(place("mountPath"), mounts::no_path(mount_path)));
        } else if let Some(other) = taken_by(spec, kubernetes, n, mount) {
            let message = format!("{mount_path:?} is the place of {other} already; give each its own");
            problems.push(Problem::new(place("mountPath"), message));
        }
        let is_inside = |path: &String| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if let Some(path) = sub_path.as_ref().filter(|path| !is_inside(path)) {
            let message = format!("{path:?} is not a path inside of the volume; write for example web/conf");
            problems.push(Problem::new(place("subPath"), message));
        }
    }
    let ours = |key: &&String| key.starts_with(labels::PREFIX) || key.as_str() == labels::MANAGED_BY;
    for (list, keys) in [("labels", &kubernetes.labels), ("annotations", &kubernetes.annotations)] {
        for key in keys.keys().filter(ours) {
            problems.push(Problem::new(format!("kubernetes.{list}"), format!("{key} is set by Longshore; remove it")));
        }
    }
    problems.extend(bad_keys(kubernetes));
    problems
}

/// What is at the path of a mount already: a volume of the task, or an earlier mount of the same list.
fn taken_by(
    spec: &TaskDefinitionSpec,
    kubernetes: &TaskDefinitionKubernetes,
    n: usize,
    mount: &ContainerVolumeMount,
) -> Option<String> {
    let is_there = |path: &str| Path::new(path) == Path::new(&mount.mount_path);
    let container = spec.container_definitions.iter().find(|known| known.name == mount.container)?;
    let of_members = mounts::of_members(spec, container, &mut Verdict::default());
    let volume = of_members.iter().find(|other| is_there(&other.path));
    let volume = volume.map(|other| format!("the volume {:?}", other.volume.ecs));
    let is_the_same = |other: &ContainerVolumeMount| other.container == mount.container && is_there(&other.mount_path);
    let earlier = kubernetes.volume_mounts.iter().take(n).position(is_the_same);
    volume.or_else(|| earlier.map(|other| format!("kubernetes.volumeMounts[{other}]")))
}

/// Keys and values that the API server would not take: with them, no task would ever start.
fn bad_keys(kubernetes: &TaskDefinitionKubernetes) -> Vec<Problem> {
    let TaskDefinitionKubernetes { labels, annotations, node_selector, .. } = kubernetes;
    let mut problems = Vec::new();
    for (list, pairs) in [("labels", labels), ("nodeSelector", node_selector)] {
        let place = format!("kubernetes.{list}");
        for (key, value) in pairs {
            if !is_qualified_name(key) {
                problems.push(Problem::new(place.clone(), no_key(key)));
            }
            if !value.is_empty() && !is_name_part(value) {
                let message = format!(
                    "the value {value:?} of {key} is none of a label; write up to 63 letters, digits and -_. that begin and end \
                     with a letter or digit"
                );
                problems.push(Problem::new(place.clone(), message));
            }
        }
    }
    // Upper case is for the API server the same as lower case in annotations, and in them alone.
    let bad = annotations.keys().filter(|key| !is_qualified_name(&key.to_ascii_lowercase()));
    problems.extend(bad.map(|key| Problem::new("kubernetes.annotations", no_key(key))));
    problems
}

fn no_key(key: &str) -> String {
    format!(
        "{key:?} is not a key; write a name of up to 63 letters, digits and -_. that begins and ends with a letter or digit, with a \
         DNS name and a slash in front of it or without: example.com/team"
    )
}

/// A key of labels: `team` or `example.com/team`.
fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => networking::is_dns_name(prefix) && is_name_part(name),
        None => is_name_part(key),
    }
}

fn is_name_part(text: &str) -> bool {
    let at_the_ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.starts_with(at_the_ends)
        && text.ends_with(at_the_ends)
        && text.chars().all(|c| at_the_ends(c) || "-_.".contains(c))
}

/// Why a value is not one of Kubernetes' types: a member is misspelt, or has another type.
fn misread<T: DeserializeOwned + Serialize>(value: &Value) -> Option<String> {
    match serde_json::from_value::<T>(value.clone()) {
        Err(error) => Some(format!("is not as in a pod: {error}; write it as Kubernetes has it")),
        Ok(read) => {
            let read = serde_json::to_value(read).unwrap_or_default();
            lost("", value, &read)
                .map(|member| format!("has a member that no pod has: {}; remove it", member.trim_start_matches('.')))
        }
    }
}

/// The first member of a value that is not in another.
fn lost(path: &str, given: &Value, read: &Value) -> Option<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match read.get(name) {
                Some(read) => lost(&path, value, read),
                None => (!value.is_null()).then_some(path),
            }
        }),
        (Value::Array(given), Value::Array(read)) => {
            given.iter().zip(read).enumerate().find_map(|(n, (given, read))| lost(&format!("{path}[{n}]"), given, read))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_a_name_that_may_have_a_dns_name_in_front() {
        let long = "a".repeat(63);
        for key in ["team", "Team_1.x", "example.com/team", &long, &format!("example.com/{long}")] {
            assert!(is_qualified_name(key), "{key}");
        }
        for key in ["", "a b", "-a", "a.", "équipe", "/a", "a/", "a/b/c", "Example.com/a", "a_b/c", &format!("{long}a")]
        {
            assert!(!is_qualified_name(key), "{key}");
        }
    }

    #[test]
    fn what_is_not_as_in_a_pod_is_refused_with_the_member() {
        let why = |volume: Value| misread::<PodVolume>(&volume);
        assert_eq!(why(json!({"name": "data", "nfs": {"server": "s", "path": "/", "readOnly": true}})), None);
        assert_eq!(why(json!({"name": "data", "emptyDir": {"sizeLimit": "1Gi"}, "hostPath": null})), None);
        assert_eq!(
            why(json!({"name": "data", "nfs": {"server": "s", "path": "/", "readonly": true}})),
            Some("has a member that no pod has: nfs.readonly; remove it".to_owned())
        );
        assert!(why(json!({"name": "data", "nfs": {"server": 5}})).is_some_and(|why| why.contains("not as in a pod")));
    }
}
