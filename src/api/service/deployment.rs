//! A deployment of a service, as its status shows it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::other_versions::none_if_unknown;

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
    /// Number of its tasks that failed: they did not come to run, ended right after, failed their health checks, or were refused by the
    /// API server.
    pub failed_tasks: i32,
    /// Number of tasks it holds, beyond ECS: while it is paused, or is being replaced and the service is below its floor, it starts
    /// no others than those that it loses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_count: Option<i32>,
    /// When the deployment began.
    pub created_at: Time,
    /// When its state last changed.
    pub updated_at: Time,
    /// How far the rollout has come.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub rollout_state: Option<RolloutState>,
    /// Why the rollout is in that state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_state_reason: Option<String>,
    /// Number of the deployment in its service, from 1.
    pub ordinal: i64,
    /// Attempts used up by task slots of which no pod shows it, as ranges of slots and the attempt, such as `0-3:1`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub used_attempts: Vec<String>,
    /// What the circuit breaker has counted.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub deployment_circuit_breaker: Option<DeploymentCircuitBreakerStatus>,
    /// How the deployment's tasks have started so far: what the circuit breaker and the launch throttle go by.
    #[serde(default, skip_serializing_if = "Launches::is_empty")]
    pub launches: Launches,
    /// Images by digest: what every later task of the deployment runs, whatever its tags have come to mean since.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub container_images: Vec<ContainerImage>,
    /// Tasks that ran and did not tell the digest of an image with a tag. With three of them the deployment goes on with tags.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub unresolved_images: Vec<String>,
    /// The token of `ecs.longshore.dev/force-new-deployment` that the deployment was started with, or had to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_new_deployment: Option<String>,
}

/// How the launches of a deployment's tasks have gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Launches {
    /// Whether a task of the deployment has ever been RUNNING.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reached_running: bool,
    /// When a task of the deployment last became healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_healthy_at: Option<Time>,
    /// Attempts to start tasks that have failed since then. Tasks that were started together are one attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_attempts: i32,
    /// The highest attempt of a slot that has failed since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_failed_attempt: i32,
    /// When the last of these attempts was found to have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failed_at: Option<Time>,
    /// When the next task may be started; until then the service is throttled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// Since when the API server refuses tasks of the deployment. After 30 seconds those that are lacking count as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<Time>,
    /// Tasks that no node took for so long that the circuit breaker has counted them, as ranges of slots and the attempt, such as
    /// `0-3:1`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub unplaced_tasks: Vec<String>,
    /// Unhealthy tasks that have been counted as failed. A task is replaced for its health only once it stands here.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub unhealthy_tasks: Vec<String>,
}

impl Launches {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(count: &i32) -> bool {
    *count == 0
}

/// What the circuit breaker of a deployment has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCircuitBreakerStatus {
    /// Whether it still counts.
    pub status: MonitoringStatus,
    /// Failures counted.
    pub failure_count: i32,
    /// Failures at which the deployment fails.
    pub threshold: i32,
}

/// Whether a failure detector still watches a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MonitoringStatus {
    /// It has failed the deployment.
    Triggered,
    /// It counts.
    Monitoring,
    /// The deployment has ended; it counts no more.
    MonitoringComplete,
    /// It is not enabled.
    Disabled,
}

/// The image of a container, by tag and by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerImage {
    /// Name of the container.
    pub container_name: String,
    /// The image as the task definition has it.
    pub image: String,
    /// What the image was when the first task of the deployment ran, as `sha256:…`.
    pub image_digest: String,
}

/// Places of a deployment among the others of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentState {
    /// The newest.
    Primary,
    /// Being replaced; has tasks still. Once it has none it is on the list no more.
    Active,
}

/// How far a rollout has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RolloutState {
    /// Tasks are being replaced.
    InProgress,
    /// Every task is replaced and healthy.
    Completed,
    /// The circuit breaker or a person stopped it.
    Failed,
}
