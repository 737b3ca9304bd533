//! What a task pod says of itself: enough to read its task back from it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::names::label_value;
use crate::api::{API_VERSION, labels};
use crate::domain::pod::{ServiceOwner, probes};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::service::Start;

/// Names, labels, annotations and owner of a task pod.
pub(super) fn build(definition: &ResolvedTaskDefinition, owner: &ServiceOwner, start: &Start) -> ObjectMeta {
    let Start { key, revision, images: _, node } = start;
    let labels = [
        (labels::MANAGED_BY, labels::MANAGED_BY_LONGSHORE.to_owned()),
        (labels::CLUSTER, label_value(&owner.cluster)),
        (labels::SERVICE, label_value(&owner.object_name)),
        (labels::FAMILY, label_value(revision.family.as_str())),
        (labels::REVISION, revision.number.to_string()),
        (labels::DEPLOYMENT, key.deployment.0.to_string()),
    ];
    let containers = || definition.init.iter().chain(&definition.main);
    let essential = containers().filter(|container| container.essential).map(|container| container.name.pod.as_str());
    let renamed: BTreeMap<&str, &str> = containers()
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
    if let Some(deadline) = probes::deadline(definition) {
        annotations.insert(labels::HEALTH_CHECK_DEADLINE.to_owned(), deadline.to_string());
    }
    if let Some(node) = node {
        annotations.insert(labels::NODE.to_owned(), node.clone());
    }
    if !renamed.is_empty() {
        let renamed = serde_json::to_string(&renamed).unwrap_or_default();
        annotations.insert(labels::CONTAINER_NAMES.to_owned(), renamed);
    }
    ObjectMeta {
        name: Some(key.task_id(&owner.uid).pod_name(&owner.object_name)),
        namespace: Some(owner.namespace.clone()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).into()),
        annotations: Some(annotations),
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
