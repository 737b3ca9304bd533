//! When containers start and start again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;

/// A condition another container must reach first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDependency {
    /// Name of the other container.
    pub container_name: String,
    /// Condition it must reach.
    pub condition: ContainerCondition,
}

/// What a container can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ContainerCondition {
    /// It has been started.
    Start,
    /// It has run to its end, with any exit code.
    Complete,
    /// It has run to its end with exit code 0.
    Success,
    /// Its health check passes.
    Healthy,
}

/// Restarts one container in place, without replacing the task.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerRestartPolicy {
    /// Whether the container is restarted.
    pub enabled: bool,
    /// Exit codes after which it is not restarted, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub ignored_exit_codes: Vec<i32>,
    /// Seconds a container must have run before it may be restarted again, 60 to 1800, default 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1800))]
    pub restart_attempt_period: Option<i32>,
}
