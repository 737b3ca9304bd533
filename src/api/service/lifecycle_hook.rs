//! Hooks at the stages of a deployment.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::nulls::empty_if_null;

/// Something that runs, or a pause, at stages of a deployment.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentLifecycleHook {
    /// Kind of hook; default `AWS_LAMBDA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<DeploymentLifecycleHookTargetType>,
    /// ARN of the function to call; not used with `PAUSE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_target_arn: Option<String>,
    /// IAM role that may call the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Stages at which the hook acts.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub lifecycle_stages: Vec<DeploymentLifecycleHookStage>,
    /// Any JSON handed to the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_json")]
    pub hook_details: Option<Value>,
    /// How long to wait for the hook, and what then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_configuration: Option<DeploymentLifecycleHookTimeoutConfiguration>,
}

/// Kinds of hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentLifecycleHookTargetType {
    /// Calls a function.
    AwsLambda,
    /// Waits until somebody continues.
    Pause,
}

/// Stages of a deployment, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentLifecycleHookStage {
    /// More than one revision is active when the deployment begins.
    ReconcileService,
    /// Before new tasks start.
    PreScaleUp,
    /// After new tasks have started.
    PostScaleUp,
    /// While test traffic moves.
    TestTrafficShift,
    /// After test traffic has moved.
    PostTestTrafficShift,
    /// Before production traffic moves.
    PreProductionTrafficShift,
    /// While production traffic moves.
    ProductionTrafficShift,
    /// After production traffic has moved.
    PostProductionTrafficShift,
}

/// How long to wait for a hook, and what then.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentLifecycleHookTimeoutConfiguration {
    /// Minutes to wait, 1 to 20160.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20160))]
    pub timeout_in_minutes: Option<i32>,
    /// What happens at the timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<DeploymentLifecycleHookAction>,
}

/// What happens when a hook times out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentLifecycleHookAction {
    /// Go back to the previous revision.
    Rollback,
    /// Go on.
    Continue,
}

fn any_json(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}
