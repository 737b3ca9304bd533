//! What we read of a task's pod, and the fact it becomes. A full pod takes 30–46 KB in memory; most of it is never looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::api::labels;
use crate::api::names::{DeploymentId, TaskKey, Uid};
use crate::domain::facts::{Presence, TaskFact};
use crate::domain::task::{
    Awaited, ContainerFact, ContainerRole, ContainerState, PodPhase, PodStatus, RestartPolicy, TaskState,
};

/// The readiness gates by which load balancer controllers tell the health of a pod's targets begin so.
const TARGET_HEALTH: &str = "target-health.";

/// A pod, without what we do not read.
#[derive(Debug, Clone, Resource, Serialize, Deserialize)]
#[resource(inherit = Pod)]
pub struct TaskPod {
    /// The metadata, as far as we read it.
    #[serde(deserialize_with = "read_metadata")]
    pub metadata: ObjectMeta,
    /// The spec.
    #[serde(default)]
    pub spec: Spec,
    /// The status.
    #[serde(default)]
    pub status: Status,
}

/// A pod's spec.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    node_name: Option<String>,
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
        deletion_grace_period_seconds: read.deletion_grace_period_seconds,
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
    deletion_grace_period_seconds: Option<i64>,
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
#[serde(rename_all = "camelCase", default)]
struct PodCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    last_transition_time: Option<Time>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "imageID")]
    image_id: String,
    ready: bool,
    started: bool,
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
    message: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Running {
    started_at: Option<Time>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i32,
    reason: Option<String>,
    started_at: Option<Time>,
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

    /// The node that the pod is bound to.
    pub fn node(&self) -> Option<&str> {
        self.spec.node_name.as_deref()
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
            node: self.spec.node_name.as_deref().map(Arc::from),
            pinned_to: annotations.get(labels::NODE).map(|node| Arc::from(node.as_str())),
            protected_until: annotations.get(labels::PROTECTED_UNTIL).and_then(|until| until.parse().ok()),
            stop_requested_at: self.stop_requested_at(),
            stopped_for: None,
        })
    }

    /// `deletionTimestamp` is when the grace period ends, not when it began.
    fn stop_requested_at(&self) -> Option<Timestamp> {
        let grace = SignedDuration::from_secs(self.metadata.deletion_grace_period_seconds.unwrap_or(0));
        let ends = self.metadata.deletion_timestamp.as_ref()?.0;
        Some(ends.saturating_sub(grace).unwrap_or(ends))
    }

    /// The digests of the images that the task's containers run, by container; empty before all of them are known.
    pub fn image_digests(&self) -> BTreeMap<String, String> {
        let renamed = self.renamed();
        let digest = |container: &ContainerStatus| {
            // `docker.io/library/nginx@sha256:…`, or `docker-pullable://…`, or a bare digest of a local image.
            let (_, digest) = container.image_id.split_once('@')?;
            Some((renamed.get(&container.name).unwrap_or(&container.name).clone(), digest.to_owned()))
        };
        let statuses = || self.status.init_container_statuses.iter().chain(&self.status.container_statuses);
        let digests: Option<BTreeMap<String, String>> = statuses().map(digest).collect();
        digests.unwrap_or_default()
    }

    /// The ECS names of containers, by their names in the pod, where the two differ.
    fn renamed(&self) -> BTreeMap<String, String> {
        self.read(labels::CONTAINER_NAMES)
    }

    /// An annotation that is a JSON object; empty where it is not there.
    fn read<V: DeserializeOwned>(&self, key: &str) -> BTreeMap<String, V> {
        let text = self.annotations().get(key);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    fn pod_status(&self) -> PodStatus {
        let status = &self.status;
        let annotations = self.annotations();
        let essential = annotations.get(labels::ESSENTIAL).map(String::as_str).unwrap_or_default();
        let renamed = self.renamed();
        let restarts: BTreeMap<String, RestartPolicy> = self.read(labels::RESTART_POLICIES);
        let awaited: BTreeMap<String, Awaited> = self.read(labels::AWAITED);
        let fact = |role, container: &ContainerStatus| ContainerFact {
            name: renamed.get(&container.name).unwrap_or(&container.name).clone(),
            essential: essential.split(',').any(|name| name == container.name),
            role,
            ready: container.ready,
            restarts: container.restart_count,
            state: container.state.fact(),
            last_exit_code: container.last_state.terminated.as_ref().map(|terminated| terminated.exit_code),
            last_ran_for: container.last_state.terminated.as_ref().and_then(Terminated::ran_for),
            started: container.started,
            restart: restarts.get(&container.name).cloned(),
            awaited: awaited.get(&container.name).copied(),
        };
        let init = status.init_container_statuses.iter().map(|container| fact(ContainerRole::Init, container));
        let main = status.container_statuses.iter().map(|container| fact(ContainerRole::Main, container));
        let condition = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
        let ready = condition("Ready");
        let unplaced =
            condition("PodScheduled").filter(|scheduled| scheduled.reason.as_deref() == Some("Unschedulable"));
        let deadline = annotations.get(labels::HEALTH_CHECK_DEADLINE).and_then(|seconds| seconds.parse().ok());
        PodStatus {
            phase: match status.phase.as_str() {
                "Running" => PodPhase::Running,
                "Succeeded" | "Failed" => PodPhase::Ended,
                _ => PodPhase::Pending,
            },
            ready: ready.is_some_and(|ready| ready.status == "True"),
            ready_changed_at: ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0),
            containers_ready: condition("ContainersReady").is_some_and(|ready| ready.status == "True"),
            unschedulable: unplaced.map(|unplaced| unplaced.message.clone().unwrap_or_default()),
            health_check_deadline: deadline.map(SignedDuration::from_secs),
            has_targets: status.conditions.iter().any(|condition| condition.type_.starts_with(TARGET_HEALTH)),
            reason: status.reason.as_ref().map(|reason| match &status.message {
                Some(message) => format!("{reason}: {message}"),
                None => reason.clone(),
            }),
            containers: init.chain(main).collect(),
        }
    }
}

impl Terminated {
    fn ran_for(&self) -> Option<SignedDuration> {
        Some(self.finished_at.as_ref()?.0.duration_since(self.started_at.as_ref()?.0))
    }
}

impl State {
    fn fact(&self) -> ContainerState {
        match (&self.terminated, &self.running, &self.waiting) {
            (Some(exit), _, _) => ContainerState::Exited {
                code: exit.exit_code,
                reason: exit.reason.clone(),
                started_at: exit.started_at.as_ref().map(|time| time.0),
                at: exit.finished_at.as_ref().map(|time| time.0),
            },
            (None, Some(running), _) => {
                ContainerState::Running { since: running.started_at.as_ref().map(|time| time.0) }
            }
            (None, None, waiting) => ContainerState::Waiting {
                reason: waiting.as_ref().and_then(|waiting| waiting.reason.clone()),
                message: waiting.as_ref().and_then(|waiting| waiting.message.clone()),
            },
        }
    }
}
