//! What a task pod says of itself: enough to read its task back from it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;

use crate::api::names::label_value;
use crate::api::{API_VERSION, labels};
use crate::domain::pod::{ServiceOwner, ports, probes};
use crate::domain::resolve::dependencies::Role;
use crate::domain::resolve::task_definition::{Container, ResolvedTaskDefinition};
use crate::domain::service::Start;
use crate::domain::task::{Awaited, AwaitedState, RestartPolicy};

/// Names, labels, annotations and owner of a task pod.
pub(super) fn build(definition: &ResolvedTaskDefinition, owner: &ServiceOwner, start: &Start) -> ObjectMeta {
    let Start { key, revision, images: _, secrets: _, node, zone, on_freed_place: _ } = start;
    let labels = [
        (labels::MANAGED_BY, labels::MANAGED_BY_LONGSHORE.to_owned()),
        (labels::CLUSTER, label_value(&owner.cluster)),
        (labels::SERVICE, label_value(&owner.object_name)),
        (labels::FAMILY, label_value(revision.family.as_str())),
        (labels::REVISION, revision.number.to_string()),
        (labels::DEPLOYMENT, key.deployment.0.to_string()),
    ];
    let essential =
        containers(definition).filter(|container| container.essential).map(|container| container.name.pod.as_str());
    let renamed: BTreeMap<&str, &str> = containers(definition)
        .filter(|container| container.name.pod != container.name.ecs)
        .map(|container| (container.name.pod.as_str(), container.name.ecs.as_str()))
        .collect();
    let mut annotations: BTreeMap<String, String> = [
        (labels::TASK_DEFINITION, revision.to_string()),
        (labels::SLOT, key.slot.to_string()),
        (labels::ATTEMPT, key.attempt.to_string()),
        (labels::ESSENTIAL, essential.collect::<Vec<_>>().join(",")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let deadlines = probes::deadlines(definition);
    if let Some(last) = deadlines.values().max() {
        annotations.insert(labels::HEALTH_CHECK_DEADLINE.to_owned(), last.to_string());
        // Where there is more than one time.
        if deadlines.values().any(|deadline| deadline != last) {
            annotate_as_json(&mut annotations, labels::HEALTH_CHECK_DEADLINES, &deadlines);
        }
    }
    if let Some(node) = node {
        annotations.insert(labels::NODE.to_owned(), node.clone());
    }
    if let Some(zone) = zone {
        annotations.insert(labels::ZONE.to_owned(), zone.to_string());
    }
    annotate_as_json(&mut annotations, labels::CONTAINER_NAMES, &renamed);
    annotate_as_json(&mut annotations, labels::PORT_NAMES, &port_names(definition));
    annotate_as_json(&mut annotations, labels::RESTART_POLICIES, &restart_policies(definition));
    annotate_as_json(&mut annotations, labels::AWAITED, &awaited(definition));
    annotate_as_json(&mut annotations, labels::DOCKER_LABELS, &docker_labels(definition));
    // Ours come last: those that people may give are others.
    let mut of_people = definition.extension.given.clone();
    of_people.annotations.extend(annotations);
    of_people.labels.extend(labels.map(|(name, value)| (name.to_owned(), value)));
    ObjectMeta {
        name: Some(key.task_id(&owner.uid).pod_name(&owner.object_name)),
        namespace: Some(owner.namespace.clone()),
        labels: Some(of_people.labels),
        annotations: Some(of_people.annotations),
        owner_references: Some(vec![OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: "Service".to_owned(),
            name: owner.object_name.clone(),
            uid: owner.uid.0.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}

/// Adds an annotation, unless there is nothing to say.
fn annotate_as_json<V: Serialize>(annotations: &mut BTreeMap<String, String>, key: &str, values: &BTreeMap<&str, V>) {
    if !values.is_empty() {
        annotations.insert(key.to_owned(), serde_json::to_string(values).unwrap_or_default());
    }
}

fn containers(definition: &ResolvedTaskDefinition) -> impl Iterator<Item = &Container> {
    definition.init.iter().chain(&definition.main)
}

fn restart_policies(definition: &ResolvedTaskDefinition) -> BTreeMap<&str, RestartPolicy> {
    let mut policies = BTreeMap::new();
    for container in containers(definition) {
        if let Some(restart) = &container.lifecycle.restart {
            let policy = RestartPolicy {
                ignored_exit_codes: restart.ignored_exit_codes.clone(),
                restart_attempt_period: restart.attempt_period,
            };
            policies.insert(container.name.pod.as_str(), policy);
        }
    }
    policies
}

fn awaited(definition: &ResolvedTaskDefinition) -> BTreeMap<&str, Awaited> {
    let mut awaited = BTreeMap::new();
    for container in containers(definition) {
        let until = match container.role() {
            Role::Sidecar { awaited_healthy: true } => AwaitedState::Healthy,
            Role::InitOnce => AwaitedState::Ended,
            Role::Sidecar { awaited_healthy: false } | Role::Main => continue,
        };
        let (by, seconds) = (container.lifecycle.awaited_by.clone(), container.lifecycle.start_timeout);
        awaited.insert(container.name.pod.as_str(), Awaited { by, until, seconds });
    }
    awaited
}

fn port_names(definition: &ResolvedTaskDefinition) -> BTreeMap<&str, BTreeMap<&str, String>> {
    let names = containers(definition).map(|container| (container.name.ecs.as_str(), ports::renamed(container)));
    names.filter(|(_, renamed)| !renamed.is_empty()).collect()
}

fn docker_labels(definition: &ResolvedTaskDefinition) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let mut labels = BTreeMap::new();
    for container in containers(definition).filter(|container| !container.docker_labels.is_empty()) {
        let of_container =
            container.docker_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        labels.insert(container.name.ecs.as_str(), of_container);
    }
    labels
}
