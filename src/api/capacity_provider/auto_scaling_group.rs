//! A capacity provider made of an Auto Scaling group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Auto Scaling group behind a capacity provider.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoScalingGroupProvider {
    /// ARN or name of the Auto Scaling group.
    pub auto_scaling_group_arn: String,
    /// How the group follows the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_scaling: Option<ManagedScaling>,
    /// Whether instances with tasks are kept when the group shrinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_termination_protection: Option<ManagedTerminationProtection>,
    /// Whether instances that go are drained first; default `ENABLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_draining: Option<ManagedDraining>,
}

/// How an Auto Scaling group follows the tasks.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedScaling {
    /// Whether the group follows the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ManagedScalingStatus>,
    /// Share of the instances in use to aim for, 1 to 100 percent, default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub target_capacity: Option<i32>,
    /// Fewest instances added at once, 1 to 10000, default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub minimum_scaling_step_size: Option<i32>,
    /// Most instances added at once, 1 to 10000, default 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub maximum_scaling_step_size: Option<i32>,
    /// Seconds until a new instance counts, 0 to 10000, default 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub instance_warmup_period: Option<i32>,
}

/// Whether the group follows the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ManagedScalingStatus {
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
}

/// Whether instances with tasks are kept when the group shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ManagedTerminationProtection {
    /// They are.
    Enabled,
    /// They are not.
    Disabled,
}

/// Whether instances that go are drained first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ManagedDraining {
    /// They are.
    Enabled,
    /// They are not.
    Disabled,
}
