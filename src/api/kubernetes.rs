//! The extension blocks `spec.kubernetes`: everything a kind needs that ECS has no member for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::nulls::empty_if_null;
use crate::api::{SecretMapping, SecretStore};

/// What a task definition needs that ECS has no member for. But for `revisionHistoryLimit` and `strict` it is part of a revision: a
/// change registers another one.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinitionKubernetes {
    /// Number of revisions nothing uses that are kept, at least 1, default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub revision_history_limit: Option<i32>,
    /// Whether a task definition is refused where its tasks would not do exactly what they do on ECS; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// ServiceAccount of the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_account_name: Option<String>,
    /// Whether the tasks get the token of their ServiceAccount; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automount_service_account_token: Option<bool>,
    /// When images are pulled. Unless given as on ECS: tags at every start, digests where the node has them not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Labels of the tasks' pods.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the tasks' pods.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels a node must have.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the tasks tolerate.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// RuntimeClass of the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// PriorityClass of the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// A pod's `securityContext`, as Kubernetes has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_in_a_pod")]
    pub security_context: Option<Value>,
    /// A pod's `volumes`, as Kubernetes has them, at most 50. One with the name of a volume of the task definition takes its place.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), schema_with = "list_as_in_a_pod")]
    pub volumes: Vec<Value>,
    /// Where containers find `volumes`, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub volume_mounts: Vec<ContainerVolumeMount>,
}

/// When the image of a container is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At every start.
    Always,
    /// Where the node does not have it.
    IfNotPresent,
    /// Never: the node has it.
    Never,
}

/// Where a container finds a volume of `kubernetes.volumes`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerVolumeMount {
    /// Name of the container.
    pub container: String,
    /// Name of the volume.
    pub name: String,
    /// Path in the container.
    pub mount_path: String,
    /// Path in the volume; its root unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
    /// Whether it cannot be written; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// What the API server checks when it gets the pod. Spelt out, these types would be larger than all of the task definition.
fn as_in_a_pod(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn list_as_in_a_pod(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "maxItems": 50, "items": as_in_a_pod(generator) })
}

/// The nodes a capacity provider stands for, and what its tasks need to run on them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProviderKubernetes {
    /// Labels a node must have; absent means every node.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of the nodes that tasks of this provider tolerate.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// RuntimeClass of the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
}

/// What a cluster needs that ECS has no member for: it finds all of this in the AWS account.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterKubernetes {
    /// The ServiceAccounts of this namespace that stand for task roles. Of two for one role the last counts.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub role_mappings: Vec<RoleMapping>,
    /// Where the secrets, parameters and files that task definitions name by AWS's names are in this namespace. They come before
    /// the stores.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub secret_mappings: Vec<SecretMapping>,
    /// Stores of the External Secrets Operator that reach AWS. Of those that fit, the one that says most of what it is for is
    /// asked, and of equals the first.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub secret_stores: Vec<SecretStore>,
}

/// A ServiceAccount that stands for a task role.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleMapping {
    /// The role: its ARN or its name, whichever of both `taskRoleArn` has.
    #[schemars(length(min = 1, max = 2048))]
    pub role_arn: String,
    /// The ServiceAccount.
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: String,
}

/// What ECS has no member for in a service. None of it starts a deployment, but a change of `deployOnSecretChange`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceKubernetes {
    /// Seconds that a task without health check and without target group has to be RUNNING before it counts as healthy; 40,
    /// as on ECS, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub healthy_after_seconds: Option<i32>,
    /// Seconds between the moment at which a task that is to stop gets no new connections and its stop signal: the
    /// deregistration delay of a target group. 0 unless given, 300 for a service with load balancers, as on ECS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub deregistration_delay_seconds: Option<i32>,
    /// Whether a task of a new deployment that dies right after it ran counts for the circuit breaker and the launch throttle.
    /// ECS counts only tasks that fail to start or fail their health checks; here it counts unless this is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_early_exits: Option<bool>,
    /// Whether a change of a Secret or ConfigMap that the task definition names starts a deployment. On ECS, and unless this is
    /// true, tasks find the new values when they start for another reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_on_secret_change: Option<bool>,
}
