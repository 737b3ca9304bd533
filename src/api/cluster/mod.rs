//! The kind `Cluster`: what `CreateCluster` takes.

mod configuration;
mod secrets;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::{CapacityProviderStrategyItem, ClusterKubernetes, Tag};

pub use configuration::{
    ClusterConfiguration, ExecuteCommandConfiguration, ExecuteCommandLogConfiguration, ExecuteCommandLogging,
    ManagedStorageConfiguration,
};
pub use secrets::{SecretMapping, SecretMappingKind, SecretStore, SecretStoreKind, SecretStoreRef, SecretStoreService};
pub use status::{ClusterState, ClusterStatus};

/// Input of CreateCluster, member for member.
#[derive(CustomResource, Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ecs.longshore.dev",
    version = "v1alpha1",
    kind = "Cluster",
    doc = "A group of services and the capacity they run on. Its spec is CreateCluster input.",
    namespaced,
    plural = "clusters",
    shortname = "ecl",
    category = "ecs",
    status = "ClusterStatus",
    derive = "PartialEq",
    derive = "Default",
    cel,
    printcolumn(name = "Status", type_ = "string", json_path = ".status.status"),
    printcolumn(name = "Services", type_ = "integer", json_path = ".status.activeServicesCount"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.runningTasksCount"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.pendingTasksCount"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.registeredContainerInstancesCount"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.clusterName) || self.metadata.name.matches('^[A-Za-z0-9_-]{1,255}$')")
        .message("spec.clusterName: the object's name has a dot, which a cluster name may not have; set \
            spec.clusterName"),
    validation = Rule::new("(has(self.spec.clusterName) ? self.spec.clusterName : self.metadata.name) == \
        (has(oldSelf.spec.clusterName) ? oldSelf.spec.clusterName : oldSelf.metadata.name)")
        .message("spec.clusterName: a cluster cannot be renamed; create another Cluster")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Name of the cluster: 1 to 255 letters, digits, `-` and `_`. Defaults to the object's name; cannot change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"), length(max = 255))]
    pub cluster_name: Option<String>,
    /// Tags, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tags: Vec<Tag>,
    /// Settings of the cluster.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<ClusterSetting>,
    /// Settings of ECS Exec and of managed storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ClusterConfiguration>,
    /// Names of the capacity providers of the cluster.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub capacity_providers: Vec<String>,
    /// How tasks are divided that name neither launchType nor a strategy, at most 20.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(
        validation = Rule::new("self.filter(item, has(item.base) && item.base > 0).size() <= 1")
            .message("defaultCapacityProviderStrategy: only one capacity provider may have a base above 0; set the \
                others to 0")
    )]
    #[x_kube(
        validation = Rule::new("self.size() <= 1 || self.exists(item, has(item.weight) && item.weight > 0)")
            .message("defaultCapacityProviderStrategy: of several capacity providers at least one needs a weight \
                above 0; set a weight")
    )]
    pub default_capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    /// Namespace of services that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_connect_defaults: Option<ClusterServiceConnectDefaultsRequest>,
    /// What ECS has no member for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<ClusterKubernetes>,
}

/// A setting of the cluster.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSetting {
    /// Name of the setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ClusterSettingName>,
    /// Its value: `enabled`, `enhanced` or `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Settings of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClusterSettingName {
    /// Container Insights.
    ContainerInsights,
}

/// Namespace of services that name none.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterServiceConnectDefaultsRequest {
    /// Name or ARN of the namespace.
    pub namespace: String,
}

impl Cluster {
    /// The name that services know the cluster by; it defaults to the name of the object.
    pub fn cluster_name(&self) -> &str {
        self.spec.cluster_name.as_deref().or(self.metadata.name.as_deref()).unwrap_or_default()
    }
}
