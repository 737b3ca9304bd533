//! Resolution of a service's metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;

/// Resolution of a service's metrics.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringConfiguration {
    /// Metrics and their resolution, at most 5.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub metric_configurations: Vec<MetricConfiguration>,
}

/// Resolution of some metrics.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricConfiguration {
    /// Names of the metrics, 1 to 5: `CPUUtilization`, `MemoryUtilization`.
    #[schemars(length(min = 1, max = 5), inner(length(min = 1, max = 255)))]
    pub metric_names: Vec<String>,
    /// Seconds between two values: 20 or 60.
    #[schemars(range(min = 20, max = 60))]
    pub resolution_seconds: i32,
}
