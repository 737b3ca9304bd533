//! The extension blocks `spec.kubernetes`: everything a kind needs that ECS has no member for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::{SecretMapping, SecretStore};

/// What a task definition needs that ECS has no member for.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinitionKubernetes {
    /// Number of revisions nothing uses that are kept, at least 1, default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub revision_history_limit: Option<i32>,
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
