//! What is going on between the Availability Zones of a service.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::other_versions::known_items;

/// How the balance of the Availability Zones is restored, while they are uneven.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRebalancing {
    /// The zones in which no node has had room for a task.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub full_zones: Vec<FullZone>,
}

/// A zone in which no node has had room for a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FullZone {
    /// The zone.
    pub zone: String,
    /// When it is tried again.
    pub retry_at: Time,
}
