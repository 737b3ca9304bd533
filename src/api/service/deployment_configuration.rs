//! How a deployment proceeds and when it has failed.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::DeploymentLifecycleHook;
use crate::api::nulls::empty_if_null;

/// How a deployment proceeds and when it has failed.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentConfiguration {
    /// Fails a deployment whose tasks keep failing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_circuit_breaker: Option<DeploymentCircuitBreaker>,
    /// Most tasks during a deployment, in percent of desiredCount rounded down. Default 200; always 100 for DAEMON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 10_000))]
    pub maximum_percent: Option<i32>,
    /// Fewest healthy tasks during a deployment, in percent of desiredCount rounded up. Default 100; 0 for DAEMON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub minimum_healthy_percent: Option<i32>,
    /// CloudWatch alarms that fail a deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarms: Option<DeploymentAlarms>,
    /// Kind of deployment; default `ROLLING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<DeploymentStrategy>,
    /// Minutes old and new tasks run side by side after production traffic has moved, 0 to 1440.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440))]
    pub bake_time_in_minutes: Option<i32>,
    /// Hooks that run or pause at stages of a deployment.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub lifecycle_hooks: Vec<DeploymentLifecycleHook>,
    /// Steps of a `LINEAR` deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear_configuration: Option<LinearConfiguration>,
    /// Steps of a `CANARY` deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_configuration: Option<CanaryConfiguration>,
    /// Lets a rolling deployment complete before every task is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_success_criteria: Option<DeploymentEarlySuccessCriteria>,
}

/// Kinds of deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStrategy {
    /// Tasks are replaced a few at a time.
    Rolling,
    /// A full new set takes over at once.
    BlueGreen,
    /// Traffic moves in equal steps.
    Linear,
    /// A small share of traffic moves first, then the rest.
    Canary,
}

/// Fails a deployment whose tasks keep failing.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCircuitBreaker {
    /// Whether the circuit breaker is on.
    pub enable: bool,
    /// Whether a failed deployment goes back to the last one that completed.
    pub rollback: bool,
    /// Whether a task that becomes healthy sets the count of failures back to 0; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_on_healthy_task: Option<bool>,
    /// Number of failures after which the deployment has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_configuration: Option<ThresholdConfiguration>,
}

/// Number of task failures after which a deployment has failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.type == 'COUNT' || self.value <= 100")
        .message("thresholdConfiguration.value: a percentage is 1 to 100; lower it or use type COUNT")
)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdConfiguration {
    /// How `value` is meant; default `BOUNDED_PERCENT`.
    pub type_: ThresholdType,
    /// A number of failures, or a percentage (1 to 100) of desiredCount rounded up; default 50.
    #[schemars(range(min = 1))]
    pub value: i32,
}

/// How a failure threshold is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ThresholdType {
    /// A number of failures.
    Count,
    /// A percentage of desiredCount, never below 3 or above 200 failures.
    BoundedPercent,
    /// A percentage of desiredCount.
    UnboundedPercent,
}

/// CloudWatch alarms that fail a deployment.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentAlarms {
    /// Names of the alarms.
    pub alarm_names: Vec<String>,
    /// Whether a failed deployment goes back to the last one that completed.
    pub rollback: bool,
    /// Whether the alarms are watched.
    pub enable: bool,
}

/// Lets a rolling deployment complete before every task is replaced.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!self.enable || (has(self.healthyPercent) && has(self.sourceServiceRevisionCleanup))")
        .message("earlySuccessCriteria: healthyPercent and sourceServiceRevisionCleanup are required when enable is \
            true; add them")
)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentEarlySuccessCriteria {
    /// Whether early success is on.
    pub enable: bool,
    /// Percentage of desiredCount that must be healthy in the new revision, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub healthy_percent: Option<i32>,
    /// When the old tasks are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_service_revision_cleanup: Option<ServiceRevisionCleanup>,
}

/// When old tasks are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceRevisionCleanup {
    /// Before the deployment completes.
    Blocking,
    /// After the deployment has completed.
    Deferred,
}

/// Steps of a linear deployment.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinearConfiguration {
    /// Share of traffic moved in each step, 3.0 to 100.0 percent, default 10.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3.0, max = 100.0))]
    pub step_percent: Option<f64>,
    /// Minutes between two steps, 0 to 1440, default 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440))]
    pub step_bake_time_in_minutes: Option<i32>,
}

/// Steps of a canary deployment.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryConfiguration {
    /// Share of traffic moved first, 0.1 to 100.0 percent, default 5.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 100.0))]
    pub canary_percent: Option<f64>,
    /// Minutes before the rest moves, 0 to 1440, default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440))]
    pub canary_bake_time_in_minutes: Option<i32>,
}

/// Who carries out deployments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentController {
    /// Kind of controller.
    pub type_: DeploymentControllerType,
}

/// Kinds of deployment controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentControllerType {
    /// The operator.
    Ecs,
    /// CodeDeploy.
    CodeDeploy,
    /// A third party, by task sets.
    External,
}
