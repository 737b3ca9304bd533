//! The kind `TaskDefinitionRevision`: an immutable snapshot of a task definition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::TaskDefinitionSpec;
use crate::api::conditions::own_conditions;
use crate::api::other_versions::none_if_unknown;

/// A numbered snapshot of a task definition. The members of the task definition stand next to the number.
#[derive(CustomResource, Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ecs.longshore.dev",
    version = "v1alpha1",
    kind = "TaskDefinitionRevision",
    doc = "An immutable snapshot of a TaskDefinition, made by the operator.",
    namespaced,
    plural = "taskdefinitionrevisions",
    shortname = "tdr",
    category = "ecs",
    status = "RevisionStatus",
    derive = "PartialEq",
    derive = "Default",
    cel,
    selectable = ".spec.family",
    selectable = ".status.status",
    printcolumn(name = "Family", type_ = "string", json_path = ".spec.family"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".spec.revision"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.status"),
    printcolumn(name = "Exact", type_ = "string", json_path = ".status.conditions[?(@.type=='Exact')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.family)")
        .message("spec.family: required in a revision"),
    validation = Rule::new("self.spec == oldSelf.spec")
        .message("spec: a revision is immutable; change the TaskDefinition to make a new one")
)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinitionRevisionSpec {
    /// Number of the revision, from 1; never used twice in a family.
    #[schemars(range(min = 1))]
    pub revision: i64,
    /// The task definition as it was, with `family` filled in.
    #[serde(flatten)]
    pub task_definition: TaskDefinitionSpec,
}

/// What the operator reports of a revision.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// Generation of the spec this status was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, one of each type.
    #[serde(default, deserialize_with = "own_conditions", skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Whether new tasks and services may use the revision.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub status: Option<RevisionState>,
    /// When the revision was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Time>,
    /// When the revision was deregistered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistered_at: Option<Time>,
}

/// States of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RevisionState {
    /// New tasks and services may use it.
    Active,
    /// Only tasks and services that already use it may.
    Inactive,
}
