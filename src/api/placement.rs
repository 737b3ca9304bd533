//! Placement constraints and strategies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule every node of a task must satisfy, kept in the task definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinitionPlacementConstraint {
    /// Kind of constraint.
    pub type_: TaskDefinitionPlacementConstraintType,
    /// Cluster query language expression, at most 2000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub expression: Option<String>,
}

/// Kinds of constraint a task definition may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TaskDefinitionPlacementConstraintType {
    /// The node must match the expression.
    MemberOf,
}

/// A rule every node of the service's tasks must satisfy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementConstraint {
    /// Kind of constraint.
    pub type_: PlacementConstraintType,
    /// Cluster query language expression, at most 2000 characters; not used with `distinctInstance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub expression: Option<String>,
}

/// Kinds of constraint a service may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PlacementConstraintType {
    /// Every task on a node of its own.
    DistinctInstance,
    /// The node must match the expression.
    MemberOf,
}

/// How nodes are ranked when a task is placed or one is chosen to stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStrategy {
    /// Kind of strategy.
    pub type_: PlacementStrategyType,
    /// `instanceId`, `host` or `attribute:NAME` to spread over, `cpu` or `memory` to pack by; not used with `random`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Kinds of placement strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlacementStrategyType {
    /// Any feasible node.
    Random,
    /// Evenly over the values of `field`.
    Spread,
    /// The node with least left of `field`.
    Binpack,
}
