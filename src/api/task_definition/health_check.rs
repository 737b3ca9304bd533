//! The command that tells whether a container is healthy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command that tells by its exit code whether the container is healthy.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// `CMD` and its arguments, or `CMD-SHELL` and one line for the shell.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// Seconds between two runs, 5 to 300, default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 300))]
    pub interval: Option<i32>,
    /// Seconds one run may take, 2 to 60, default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 60))]
    pub timeout: Option<i32>,
    /// Consecutive failures that make the container unhealthy, 1 to 10, default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub retries: Option<i32>,
    /// Seconds after the start in which failures do not count, 0 to 300, default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 300))]
    pub start_period: Option<i32>,
}
