//! What the operator reports of a service.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::conditions::own_conditions;
use crate::api::names::RevisionName;
use crate::api::nulls::empty_if_null;
use crate::api::other_versions::{known_items, none_if_unknown};
use crate::api::{Deployment, DerivedSecret, ServiceDeployment, ServiceDeploymentStatus, StoppedTask, ZoneRebalancing};

/// What the operator reports of a service.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Generation of the spec this status was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, one of each type.
    #[serde(default, deserialize_with = "own_conditions", skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// State of the service as ECS shows it.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub status: Option<ServiceState>,
    /// Number of tasks the service aims for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_count: Option<i32>,
    /// Number of running tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_count: Option<i32>,
    /// Number of tasks that have not started yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_count: Option<i32>,
    /// Label selector of the service's pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Task definition of the PRIMARY deployment as `family:revision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Deployments, the PRIMARY one first.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<Deployment>,
    /// The last ten deployments, newest first, with what became of them.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub service_deployments: Vec<ServiceDeployment>,
    /// Latest events, newest first.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ServiceEvent>,
    /// Latest stopped tasks, newest first.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub stopped_tasks: Vec<StoppedTask>,
    /// Highest deployment number ever given out; none is used twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_deployment_ordinal: Option<i64>,
    /// How the balance of the Availability Zones is restored, while there is something to tell of it.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub availability_zone_rebalancing: Option<ZoneRebalancing>,
    /// The objects made for what the tasks take from secrets and files.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub derived_secrets: Vec<DerivedSecret>,
}

impl ServiceStatus {
    /// The revisions that the service may have to start a task of without its spec naming them: those of its deployments, and the
    /// one that it would roll back to.
    pub fn revisions(&self) -> impl Iterator<Item = RevisionName> + '_ {
        let deployments = self.deployments.iter().map(|deployment| &deployment.task_definition);
        let completed = |past: &&ServiceDeployment| past.status == ServiceDeploymentStatus::Successful;
        let way_back = self.service_deployments.iter().find(completed).map(|past| &past.task_definition);
        deployments.chain(way_back).filter_map(|name| name.parse().ok())
    }
}

/// States of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceState {
    /// Tasks are kept running.
    Active,
    /// Being deleted; tasks are still stopping.
    Draining,
    /// Deleted.
    Inactive,
}

/// Something that happened to a service, in the words of ECS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEvent {
    /// Id of the event.
    pub id: String,
    /// When it happened.
    pub created_at: Time,
    /// What happened.
    pub message: String,
}
