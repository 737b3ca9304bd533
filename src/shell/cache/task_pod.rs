//! What we read of a task's pod, and the fact it becomes. A full pod takes 30–46 KB in memory; most of it is never looked at.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Deserializer, Serialize};

use crate::api::labels;
use crate::api::names::{DeploymentId, TaskKey, Uid};
use crate::domain::facts::{Presence, TaskFact};
use crate::domain::task::{ContainerFact, ContainerRole, ContainerState, PodPhase, PodStatus, TaskState};

/// A pod, without what we do not read.
#[derive(Debug, Clone, Resource, Serialize, Deserialize)]
#[resource(inherit = Pod)]
pub struct TaskPod {
    /// The metadata, as far as we read it.
    #[serde(deserialize_with = "read_metadata")]
    pub metadata: ObjectMeta,
    /// The status.
    #[serde(default)]
    pub status: Status,
}

/// Metadata without `managedFields`, which is most of it and a tree of its own for every client that has written.
fn read_metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        labels: read.labels,
        annotations: read.annotations,
        owner_references: read.owner_references,
        ..ObjectMeta::default()
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

/// A pod's status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    phase: String,
    reason: Option<String>,
    message: Option<String>,
    start_time: Option<Time>,
    conditions: Vec<PodCondition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct PodCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    ready: bool,
    restart_count: i32,
    state: State,
    last_state: State,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
    running: Option<Running>,
    terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Running {}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i32,
    reason: Option<String>,
    finished_at: Option<Time>,
}

impl TaskPod {
    /// Namespace and name.
    pub fn reference(&self) -> (String, String) {
        (self.metadata.namespace.clone().unwrap_or_default(), self.metadata.name.clone().unwrap_or_default())
    }

    /// The service that owns the pod.
    pub fn owner(&self) -> Option<&OwnerReference> {
        let owners = self.metadata.owner_references.as_ref()?;
        let ours = |owner: &&OwnerReference| {
            owner.controller == Some(true) && owner.kind == "Service" && owner.api_version == crate::api::API_VERSION
        };
        owners.iter().find(ours)
    }

    /// The fact that the pod is. A pod that does not say which task it is was not made by us, or was tampered with.
    pub fn fact(&self) -> Option<TaskFact> {
        let annotations = self.annotations();
        let number = |key| annotations.get(key)?.parse::<u32>().ok();
        let deployment = self.labels().get(labels::DEPLOYMENT)?.parse::<DeploymentId>().ok()?;
        let key = TaskKey { deployment, slot: number(labels::SLOT)?, attempt: number(labels::ATTEMPT)? };
        let stopping = self.metadata.deletion_timestamp.is_some();
        Some(TaskFact {
            pod: self.metadata.name.clone()?,
            uid: Uid(self.metadata.uid.clone()?),
            resource_version: self.metadata.resource_version.clone().unwrap_or_default(),
            key,
            revision: annotations.get(labels::TASK_DEFINITION)?.parse().ok()?,
            state: TaskState::of(&self.pod_status()),
            presence: if stopping { Presence::Stopping } else { Presence::Present },
            started_at: self.status.start_time.as_ref().map(|time| time.0),
            stopped_by_us: false,
        })
    }

    fn pod_status(&self) -> PodStatus {
        let status = &self.status;
        let annotations = self.annotations();
        let essential = annotations.get(labels::ESSENTIAL).map(String::as_str).unwrap_or_default();
        let renamed: BTreeMap<String, String> = annotations
            .get(labels::CONTAINER_NAMES)
            .and_then(|names| serde_json::from_str(names).ok())
            .unwrap_or_default();
        let fact = |role, container: &ContainerStatus| ContainerFact {
            name: renamed.get(&container.name).unwrap_or(&container.name).clone(),
            essential: essential.split(',').any(|name| name == container.name),
            role,
            ready: container.ready,
            restarts: container.restart_count,
            state: container.state.fact(),
            last_exit_code: container.last_state.terminated.as_ref().map(|terminated| terminated.exit_code),
        };
        let init = status.init_container_statuses.iter().map(|container| fact(ContainerRole::Init, container));
        let main = status.container_statuses.iter().map(|container| fact(ContainerRole::Main, container));
        PodStatus {
            phase: match status.phase.as_str() {
                "Running" => PodPhase::Running,
                "Succeeded" | "Failed" => PodPhase::Ended,
                _ => PodPhase::Pending,
            },
            ready: status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            reason: status.reason.as_ref().map(|reason| match &status.message {
                Some(message) => format!("{reason}: {message}"),
                None => reason.clone(),
            }),
            containers: init.chain(main).collect(),
        }
    }
}

impl State {
    fn fact(&self) -> ContainerState {
        match (&self.terminated, &self.running, &self.waiting) {
            (Some(exit), _, _) => ContainerState::Exited {
                code: exit.exit_code,
                reason: exit.reason.clone(),
                at: exit.finished_at.as_ref().map(|time| time.0),
            },
            (None, Some(Running {}), _) => ContainerState::Running,
            (None, None, waiting) => {
                ContainerState::Waiting(waiting.as_ref().and_then(|waiting| waiting.reason.clone()))
            }
        }
    }
}
