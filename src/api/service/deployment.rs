//! A deployment of a service, as its status shows it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;

/// A deployment of a service: one task definition and one configuration on its way into, in, or out of use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Id, `ecs-svc/` and a number.
    pub id: String,
    /// Place of the deployment among the others.
    pub status: DeploymentState,
    /// Task definition as `family:revision`.
    pub task_definition: String,
    /// Number of tasks the deployment aims for.
    pub desired_count: i32,
    /// Number of its tasks that have not started yet.
    pub pending_count: i32,
    /// Number of its running tasks.
    pub running_count: i32,
    /// Number of its tasks that failed, as the circuit breaker counts.
    pub failed_tasks: i32,
    /// When the deployment began.
    pub created_at: Time,
    /// When its state last changed.
    pub updated_at: Time,
    /// How far the rollout has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_state: Option<RolloutState>,
    /// Why the rollout is in that state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_state_reason: Option<String>,
    /// Number of the deployment in its service, from 1.
    pub ordinal: i64,
    /// Attempts used up by task slots of which no pod shows it, as ranges of slots and the attempt, such as `0-3:1`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub used_attempts: Vec<String>,
}

/// Places of a deployment among the others of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentState {
    /// The newest.
    Primary,
    /// Being replaced; has tasks still.
    Active,
    /// Replaced.
    Inactive,
}

/// How far a rollout has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RolloutState {
    /// Tasks are being replaced.
    InProgress,
    /// Every task is replaced and healthy.
    Completed,
    /// The circuit breaker stopped it.
    Failed,
}
