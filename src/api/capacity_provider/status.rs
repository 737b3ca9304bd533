//! What the operator reports of a capacity provider.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::conditions::own_conditions;
use crate::api::other_versions::none_if_unknown;

/// What the operator reports of a capacity provider.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProviderStatus {
    /// Generation of the spec this status was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, one of each type.
    #[serde(default, deserialize_with = "own_conditions", skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// State of the capacity provider as ECS shows it.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub status: Option<CapacityProviderState>,
    /// Number of nodes the provider stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_container_instances_count: Option<i32>,
}

/// States of a capacity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CapacityProviderState {
    /// Being set up.
    Provisioning,
    /// Strategies can name it.
    Active,
    /// Being deleted.
    Deprovisioning,
    /// Deleted.
    Inactive,
}
