//! What the operator reports of a cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::conditions::own_conditions;
use crate::api::other_versions::none_if_unknown;

/// What the operator reports of a cluster.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Generation of the spec this status was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, one of each type.
    #[serde(default, deserialize_with = "own_conditions", skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// State of the cluster as ECS shows it.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub status: Option<ClusterState>,
    /// Number of nodes of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_container_instances_count: Option<i32>,
    /// Number of running tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_tasks_count: Option<i32>,
    /// Number of tasks that have not started yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_tasks_count: Option<i32>,
    /// Number of services that are not being deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_services_count: Option<i32>,
}

/// States of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClusterState {
    /// Tasks and services can be created.
    Active,
    /// Capacity providers are being set up.
    Provisioning,
    /// Capacity providers are being taken away.
    Deprovisioning,
    /// Capacity providers could not be set up.
    Failed,
    /// Deleted.
    Inactive,
}
