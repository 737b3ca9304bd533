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
use crate::api::names::{DeploymentId, TaskId, TaskKey, Uid};
use crate::domain::facts::{Presence, TaskFact, TaskImages};
use crate::domain::task::{
    Awaited, ContainerEnd, ContainerFact, ContainerRole, ContainerState, PodPhase, PodStatus, ReadinessGates,
    RestartPolicy, Target, TargetHealth, TaskState, disruption,
};
use crate::shell::cache::pod_size::{ContainerSize, Requirements, reserves};

/// The readiness gates by which load balancer controllers tell the health of a pod's targets begin so.
const TARGET_HEALTH: &str = "target-health.";
/// "If the target state is unhealthy, the reason code can be one of the following".
const CHECKS_FAILED: [&str; 3] = ["Target.ResponseCodeMismatch", "Target.Timeout", "Target.FailedHealthChecks"];
/// What container runtimes say of a container that they could not start: containerd, and others.
const CANNOT_START: [&str; 2] = ["StartError", "ContainerCannotRun"];

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
    readiness_gates: Vec<ReadinessGate>,
    resources: Requirements,
    init_containers: Vec<ContainerSize>,
    containers: Vec<ContainerSize>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReadinessGate {
    condition_type: String,
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
    message: Option<String>,
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
            node: self.spec.node_name.as_deref().map(Arc::from),
            pinned_to: annotations.get(labels::NODE).map(|node| Arc::from(node.as_str())),
            zone: annotations.get(labels::ZONE).map(|zone| Arc::from(zone.as_str())),
            reserves: reserves(&self.spec.resources, &self.spec.init_containers, &self.spec.containers),
            protected_until: annotations.get(labels::PROTECTED_UNTIL).and_then(|until| until.parse().ok()),
            stop_requested_at: self.stop_requested_at(),
            disruption: self.disruption().map(Arc::from),
            stopped_for: None,
        })
    }

    fn disruption(&self) -> Option<String> {
        let condition = self.status.conditions.iter().find(|condition| condition.type_ == "DisruptionTarget")?;
        let PodCondition { reason, message, .. } = condition;
        let words = |text: &Option<String>| text.clone().unwrap_or_default();
        disruption(&words(reason), &words(message), self.node().unwrap_or_default()).filter(|_| condition.is_true())
    }

    /// `deletionTimestamp` is when the grace period ends, not when it began.
    fn stop_requested_at(&self) -> Option<Timestamp> {
        let grace = SignedDuration::from_secs(self.metadata.deletion_grace_period_seconds.unwrap_or(0));
        let ends = self.metadata.deletion_timestamp.as_ref()?.0;
        Some(ends.saturating_sub(grace).unwrap_or(ends))
    }

    /// What the task's images turned out to be. None before every container has had one, and of a container runtime that does
    /// not tell: it is to a node what an agent is to a container instance that "doesn't support image digest resolution".
    pub fn images(&self) -> Option<TaskImages> {
        let renamed = self.renamed();
        let digest = |container: &ContainerStatus| {
            // `docker.io/library/nginx@sha256:…`, or `docker-pullable://…`, or the bare id of an image that was never pulled.
            let digest = container.image_id.split_once('@').map(|(_, digest)| digest.to_owned());
            let name = renamed.get(&container.name).unwrap_or(&container.name).clone();
            (!container.image_id.is_empty()).then_some((name, digest))
        };
        let statuses = self.status.init_container_statuses.iter().chain(&self.status.container_statuses);
        let digests: BTreeMap<_, _> = statuses.map(digest).collect::<Option<_>>()?;
        let task = TaskId::of_pod(self.metadata.name.as_deref()?);
        Some(TaskImages { task, digests }).filter(|images| !images.digests.is_empty())
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
            last_end: container.last_state.terminated.as_ref().map(Terminated::fact),
            started: container.started,
            restart: restarts.get(&container.name).cloned(),
            awaited: awaited.get(&container.name).cloned(),
        };
        let init = status.init_container_statuses.iter().map(|container| fact(ContainerRole::Init, container));
        let main = status.container_statuses.iter().map(|container| fact(ContainerRole::Main, container));
        let condition = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
        let ready = condition("Ready");
        let gates = self.spec.readiness_gates.iter().map(|gate| gate.condition_type.as_str());
        let types = status.conditions.iter().map(|condition| condition.type_.as_str());
        let unplaced =
            condition("PodScheduled").filter(|scheduled| scheduled.reason.as_deref() == Some("Unschedulable"));
        let unprepared = condition("PodReadyToStartContainers").filter(|prepared| !prepared.is_true());
        let deadline = annotations.get(labels::HEALTH_CHECK_DEADLINE).and_then(|seconds| seconds.parse().ok());
        let deadlines = self.read::<i64>(labels::HEALTH_CHECK_DEADLINES).into_iter();
        PodStatus {
            phase: match status.phase.as_str() {
                "Running" => PodPhase::Running,
                "Succeeded" | "Failed" => PodPhase::Ended,
                _ => PodPhase::Pending,
            },
            ready: ready.is_some_and(PodCondition::is_true),
            ready_changed_at: ready.and_then(PodCondition::changed_at),
            containers_ready: condition("ContainersReady").is_some_and(PodCondition::is_true),
            unschedulable: unplaced.map(|unplaced| unplaced.message.clone().unwrap_or_default()),
            unschedulable_since: unplaced.and_then(PodCondition::changed_at),
            unprepared_since: unprepared.and_then(PodCondition::changed_at),
            health_check_deadline: deadline.map(SignedDuration::from_secs),
            health_check_deadlines: deadlines
                .map(|(name, seconds)| (name, SignedDuration::from_secs(seconds)))
                .collect(),
            gates: ReadinessGates {
                of_targets: gates.clone().chain(types).any(|gate| gate.starts_with(TARGET_HEALTH)),
                targets: status.conditions.iter().filter_map(PodCondition::target).collect(),
                closed: gates.clone().any(|gate| !condition(gate).is_some_and(PodCondition::is_true)),
            },
            reason: status.reason.as_ref().map(|reason| match &status.message {
                Some(message) => format!("{reason}: {message}"),
                None => reason.clone(),
            }),
            containers: init.chain(main).collect(),
        }
    }
}

impl PodCondition {
    fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn changed_at(&self) -> Option<Timestamp> {
        self.last_transition_time.as_ref().map(|time| time.0)
    }

    /// What a target group says, if it is one that does: `target-health.elbv2.k8s.aws/web` is about the group `web`.
    fn target(&self) -> Option<Target> {
        let controller = self.type_.strip_prefix(TARGET_HEALTH)?;
        let group = controller.split_once('/').map_or(controller, |(_, group)| group);
        let words = self.message.as_ref().filter(|message| !message.is_empty()).or(self.reason.as_ref());
        let reason = words.cloned().unwrap_or_default();
        let health = match self.reason.as_deref() {
            _ if self.is_true() => TargetHealth::Healthy,
            Some(code) if CHECKS_FAILED.contains(&code) => TargetHealth::Unhealthy { reason },
            Some(_) | None => TargetHealth::Other { reason },
        };
        Some(Target { group: group.into(), health })
    }
}

impl Terminated {
    /// Whether there never was a process, of which a container runtime tells an exit code, and containerd a start in 1970, all the
    /// same.
    fn has_not_run(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| CANNOT_START.contains(&reason.as_str()))
    }

    fn fact(&self) -> ContainerEnd {
        let at = self.finished_at.as_ref().map(|time| time.0);
        if self.has_not_run() {
            return ContainerEnd::CannotStart { message: self.message.clone(), at };
        }
        let started_at = self.started_at.as_ref().map(|time| time.0);
        ContainerEnd::Exited { code: self.exit_code, reason: self.reason.clone(), started_at, at }
    }
}

impl State {
    fn fact(&self) -> ContainerState {
        match (&self.terminated, &self.running, &self.waiting) {
            (Some(end), _, _) => ContainerState::Ended(end.fact()),
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

#[cfg(test)]
mod built;
#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_readiness_gate_of_a_load_balancer_controller_tells_the_health_of_a_target() {
        let condition = |status: &str, reason: &str, message: &str| -> PodCondition {
            let type_ = "target-health.elbv2.k8s.aws/k8s-shop-web-8080";
            let condition = json!({ "type": type_, "status": status, "reason": reason, "message": message });
            serde_json::from_value(condition).unwrap()
        };
        let words = |reason: &str| reason.to_owned();
        for (condition, health) in [
            (condition("True", "", ""), TargetHealth::Healthy),
            (
                condition("False", "Elb.InitialHealthChecking", "Initial health checks in progress"),
                TargetHealth::Other { reason: words("Initial health checks in progress") },
            ),
            (
                condition("False", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [502]"),
                TargetHealth::Unhealthy { reason: words("Health checks failed with these codes: [502]") },
            ),
            (condition("False", "Target.Timeout", ""), TargetHealth::Unhealthy { reason: words("Target.Timeout") }),
        ] {
            assert_eq!(condition.target(), Some(Target { group: "k8s-shop-web-8080".into(), health }));
        }
        assert_eq!(serde_json::from_value::<PodCondition>(json!({ "type": "Ready" })).unwrap().target(), None);
    }

    #[test]
    fn a_container_that_the_runtime_could_not_start_has_not_run() {
        let terminated = json!({
            "exitCode": 128,
            "reason": "StartError",
            "message": "exec: \"serve\": executable file not found in $PATH",
            "startedAt": "1970-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:00:00Z",
        });
        let terminated: Terminated = serde_json::from_value(terminated).unwrap();
        let expected = ContainerEnd::CannotStart {
            message: Some("exec: \"serve\": executable file not found in $PATH".to_owned()),
            at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        };
        assert_eq!(terminated.fact(), expected);
    }

    #[test]
    fn a_node_that_is_at_the_volumes_of_a_pod_says_since_when() {
        let since = |conditions: Value| {
            let pod = json!({ "metadata": {}, "spec": {}, "status": { "conditions": conditions } });
            serde_json::from_value::<TaskPod>(pod).unwrap().pod_status().unprepared_since
        };
        let at = "2026-01-01T00:00:00Z";
        let ready =
            |status| json!([{ "type": "PodReadyToStartContainers", "status": status, "lastTransitionTime": at }]);
        assert_eq!(since(ready("False")), Some(at.parse().unwrap()));
        assert_eq!(since(ready("True")), None);
        assert_eq!(since(json!([])), None, "no node has it yet");
    }

    #[test]
    fn a_gate_without_a_condition_is_closed() {
        let pod = |gates: Value, conditions: Value| {
            let pod =
                json!({ "metadata": {}, "spec": { "readinessGates": gates }, "status": { "conditions": conditions } });
            serde_json::from_value::<TaskPod>(pod).unwrap().pod_status().gates
        };
        let gates = json!([{ "conditionType": "target-health.elbv2.k8s.aws/web" }]);
        let passes = json!([{ "type": "target-health.elbv2.k8s.aws/web", "status": "True" }]);
        let unregistered = pod(gates.clone(), json!([]));
        assert!(unregistered.of_targets && unregistered.closed);
        assert!(!pod(gates, passes).closed);
        assert!(!pod(json!([]), json!([])).closed);
    }
}
