//! The kinds that the server serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

/// A kind.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceType {
    /// The API group; empty for the core.
    pub group: String,
    /// The version.
    pub version: String,
    /// The name in paths.
    pub plural: String,
    /// The name in objects.
    pub kind: String,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    pub(crate) status: bool,
    pub(crate) scale: Option<Scale>,
    /// The structural schema of a custom resource.
    pub(crate) schema: Option<Value>,
}

/// Where the parts of a `Scale` lie in an object, as JSON pointers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    pub(crate) wanted: String,
    pub(crate) actual: String,
    pub(crate) selector: Option<String>,
}

impl ResourceType {
    fn built_in(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool, status: bool) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            namespaced,
            status,
            scale: None,
            schema: None,
        }
    }

    /// The kinds of a definition, one a version.
    fn defined(crd: &CustomResourceDefinition) -> impl Iterator<Item = Self> {
        let pointer = |path: &String| path.replace('.', "/");
        crd.spec.versions.iter().filter(|version| version.served).map(move |version| {
            let subresources = version.subresources.as_ref();
            let scale = subresources.and_then(|subresources| subresources.scale.as_ref()).map(|scale| Scale {
                wanted: pointer(&scale.spec_replicas_path),
                actual: pointer(&scale.status_replicas_path),
                selector: scale.label_selector_path.as_ref().map(pointer),
            });
            let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
            Self {
                group: crd.spec.group.clone(),
                version: version.name.clone(),
                plural: crd.spec.names.plural.clone(),
                kind: crd.spec.names.kind.clone(),
                namespaced: crd.spec.scope == "Namespaced",
                status: subresources.is_some_and(|subresources| subresources.status.is_some()),
                scale,
                schema: schema.map(|schema| json!(schema)),
            }
        })
    }

    /// The name that tells it from all others, as in `kubectl get services.ecs.longshore.dev`.
    pub fn id(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub(crate) fn is_pod(&self) -> bool {
        self.group.is_empty() && self.plural == "pods"
    }
}

/// All kinds, by their ids.
#[derive(Debug, Clone)]
pub(crate) struct ResourceTypes(BTreeMap<String, Arc<ResourceType>>);

impl ResourceTypes {
    pub(crate) fn new(crds: &[CustomResourceDefinition]) -> Self {
        let built_in = [
            ResourceType::built_in("", "v1", "namespaces", "Namespace", false, true),
            ResourceType::built_in("", "v1", "nodes", "Node", false, true),
            ResourceType::built_in("", "v1", "pods", "Pod", true, true),
            ResourceType::built_in("", "v1", "configmaps", "ConfigMap", true, false),
            ResourceType::built_in("coordination.k8s.io", "v1", "leases", "Lease", true, false),
            ResourceType::built_in("events.k8s.io", "v1", "events", "Event", true, false),
            ResourceType::built_in("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true),
        ];
        let all = built_in.into_iter().chain(crds.iter().flat_map(ResourceType::defined));
        Self(all.map(|resource| (resource.id(), Arc::new(resource))).collect())
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<ResourceType>> {
        self.0.get(id).cloned()
    }

    pub(crate) fn by_path(&self, group: &str, version: &str, plural: &str) -> Option<Arc<ResourceType>> {
        let id = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        self.by_id(&id).filter(|resource| resource.version == version)
    }
}
