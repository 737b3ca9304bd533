//! What a pod says of its task. The only place that knows what is live and what is healthy.

use longshore::api::labels;
use serde_json::Value;

pub(crate) const PODS: &str = "pods";
pub(crate) const NODES: &str = "nodes";
pub(crate) const SERVICES: &str = "services.ecs.longshore.dev";
pub(crate) const DEFINITIONS: &str = "taskdefinitions.ecs.longshore.dev";
pub(crate) const REVISIONS: &str = "taskdefinitionrevisions.ecs.longshore.dev";
pub(crate) const LEASES: &str = "leases.coordination.k8s.io";
pub(crate) const CLUSTERS: &str = "clusters.ecs.longshore.dev";

/// The text at a pointer.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a pointer.
pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

pub(crate) fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    object.pointer("/metadata/labels").and_then(|labels| labels.get(name)?.as_str()).unwrap_or_default()
}

pub(crate) fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    object.pointer("/metadata/annotations").and_then(|all| all.get(name)?.as_str()).unwrap_or_default()
}

/// A condition of an object, if it has it.
pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().find(|condition| text(condition, "/type") == type_)
}

/// Whether a condition of an object is true.
pub(crate) fn says(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|condition| text(condition, "/status") == "True")
}

/// Whether a pod waits for a condition before it is Ready.
pub(crate) fn has_gate(pod: &Value, gate: &str) -> bool {
    gates(pod).any(|one| one == gate)
}

/// The conditions that a pod waits for before it is Ready.
pub(crate) fn gates(pod: &Value) -> impl Iterator<Item = &str> {
    let gates = pod.pointer("/spec/readinessGates").and_then(Value::as_array).into_iter().flatten();
    gates.map(|gate| text(gate, "/conditionType"))
}

/// Whether a pod may be where a taint is.
pub(crate) fn tolerates(pod: &Value, taint: &Value) -> bool {
    let tolerations = pod.pointer("/spec/tolerations").and_then(Value::as_array);
    tolerations.into_iter().flatten().any(|toleration| {
        let of_effect = text(toleration, "/effect");
        text(toleration, "/key") == text(taint, "/key") && (of_effect.is_empty() || of_effect == text(taint, "/effect"))
    })
}

/// Deployment, slot and attempt of a task, and the zone that it is for, for a person who reads the log.
pub(crate) fn place(pod: &Value) -> String {
    let deployment: String = label(pod, labels::DEPLOYMENT).chars().rev().take(4).collect();
    let number = |name| annotation(pod, name);
    if deployment.is_empty() {
        return String::new();
    }
    let zone = if number(labels::ZONE).is_empty() { "" } else { " in " };
    format!("{deployment}/{}/{}{zone}{}", number(labels::SLOT), number(labels::ATTEMPT), number(labels::ZONE))
}

/// The uid of the service that a pod is a task of. One whose labels or annotations somebody has taken away is a task of none.
pub(crate) fn service_of(pod: &Value) -> Option<&str> {
    let says_so = label(pod, labels::MANAGED_BY) == labels::MANAGED_BY_LONGSHORE
        && !label(pod, labels::DEPLOYMENT).is_empty()
        && !annotation(pod, labels::SLOT).is_empty();
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let controls = |owner: &&Value| text(owner, "/kind") == "Service" && owner["controller"] == true;
    let owner = owners.into_iter().flatten().find(controls);
    owner.map(uid_of_reference).filter(|_| says_so)
}

fn uid_of_reference(owner: &Value) -> &str {
    text(owner, "/uid")
}

/// RUNNING or PENDING: it counts against the ceiling.
pub(crate) fn is_live(pod: &Value) -> bool {
    !is_deleting(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// RUNNING and healthy: it counts towards the floor.
pub(crate) fn is_healthy(pod: &Value) -> bool {
    is_live(pod) && text(pod, "/status/phase") == "Running" && says(pod, "Ready")
}

/// Floor and ceiling of a service.
pub(crate) fn bounds(service: &Value) -> (usize, usize) {
    let desired = number(service, "/spec/desiredCount");
    let percent = |name: &str, default| {
        let configured = service.pointer(&format!("/spec/deploymentConfiguration/{name}"));
        configured.and_then(Value::as_i64).unwrap_or(default)
    };
    let (least, most) = (percent("minimumHealthyPercent", 100), percent("maximumPercent", 200));
    let count = |tasks: i64| usize::try_from(tasks).unwrap_or(0);
    (count((desired * least + 99) / 100), count(desired * most / 100))
}
