//! The record kept of a deployment: ECS's service deployment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::ContainerImage;
use crate::api::nulls::empty_if_null;

/// What became of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDeployment {
    /// Id, `ecs-svc/` and a number.
    pub id: String,
    /// Number of the deployment in its service, from 1.
    pub ordinal: i64,
    /// Task definition as `family:revision`.
    pub task_definition: String,
    /// How far it has come, or how it ended.
    pub status: ServiceDeploymentStatus,
    /// Why, where it did not simply succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When it began.
    pub created_at: Time,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Number of tasks it aimed for when it ended, or when this was last written.
    pub requested_task_count: i32,
    /// Number of its tasks that ran then.
    pub running_task_count: i32,
    /// Number of its tasks that failed.
    pub failed_task_count: i32,
    /// Where the service went back to, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Attempts used up by its task slots, for the case that the service comes back to it.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub used_attempts: Vec<String>,
    /// Its images by digest, for the same case.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub container_images: Vec<ContainerImage>,
    /// The token that it was forced with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_new_deployment: Option<String>,
}

impl ServiceDeployment {
    /// Where a rollback from the PRIMARY deployment goes: "the most recent deployment that is in a COMPLETED state".
    pub fn way_back<'h>(history: &'h [Self], primary: Option<&str>) -> Option<&'h Self> {
        let completed =
            |past: &&Self| past.status == ServiceDeploymentStatus::Successful && Some(past.id.as_str()) != primary;
        history.iter().filter(completed).max_by_key(|past| past.ordinal)
    }
}

/// A return to an earlier deployment. The spec is as it was: what it asks for is not what runs, until it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// Why.
    pub reason: String,
    /// When it began.
    pub started_at: Time,
    /// Id of the deployment that the service went back to.
    pub deployment: String,
}

/// States of a service deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceDeploymentStatus {
    /// Tasks are being replaced.
    InProgress,
    /// Every task was replaced and healthy.
    Successful,
    /// It was ended before it could succeed: by a newer one, by a person, or by the circuit breaker without rollback.
    Stopped,
    /// It failed, and the service is on its way back.
    RollbackInProgress,
    /// It failed, and the service is back where it was.
    RollbackSuccessful,
    /// It failed, and the way back was not completed either.
    RollbackFailed,
}
