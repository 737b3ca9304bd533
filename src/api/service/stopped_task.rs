//! The record kept of a task that has stopped.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::other_versions::none_if_unknown;

/// The record kept of a task that has stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoppedTask {
    /// Id of the task.
    pub task: String,
    /// Task definition as `family:revision`.
    pub task_definition: String,
    /// Id of its deployment.
    pub deployment: String,
    /// Kind of reason it stopped for.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<StopCode>,
    /// Reason it stopped for, in the words of ECS.
    pub stopped_reason: String,
    /// When its containers had started; absent if they never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it had stopped.
    pub stopped_at: Time,
    /// How its containers ended.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<StoppedContainer>,
}

/// How a container of a stopped task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoppedContainer {
    /// Name of the container.
    pub name: String,
    /// Exit code; absent if it never ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// More about how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Kinds of reason a task stops for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StopCode {
    /// It never came to run.
    TaskFailedToStart,
    /// An essential container exited.
    EssentialContainerExited,
    /// Somebody stopped it.
    UserInitiated,
    /// Its service stopped it.
    ServiceSchedulerInitiated,
    /// Its spot capacity was taken back.
    SpotInterruption,
    /// Its node is being ended.
    TerminationNotice,
    /// Its node is unhealthy.
    InfrastructureHealth,
}
