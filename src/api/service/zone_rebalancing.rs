//! What is going on between the Availability Zones of a service.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::other_versions::known_items;

/// How the balance of the Availability Zones is restored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRebalancing {
    /// Whether tasks move, or will once a zone can have them.
    #[serde(default)]
    pub in_progress: bool,
    /// The zones that have not come to have a task that was started there.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub avoided_zones: Vec<AvoidedZone>,
}

/// A zone that tasks are not moved to for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvoidedZone {
    /// The zone.
    pub zone: String,
    /// When it is tried again.
    pub retry_at: Time,
    /// What has become of a task there, or what the API server said of one that it refused.
    #[serde(default)]
    pub reason: String,
    /// Whether the API server has refused the task. Others may be on their way to the zone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}
