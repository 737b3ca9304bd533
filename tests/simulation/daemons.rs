//! DAEMON services: on which nodes they are to have a task, and how many of them may be without.

use std::collections::BTreeSet;
use std::sync::Arc;

use longshore::api::labels;
use longshore_test_apiserver::Store;
use serde_json::Value;

use crate::task::{NODES, PODS, annotation, is_live, name, number, service_of, text, uid};

/// The one constraint that people here put on a DAEMON service.
pub(crate) const CONSTRAINT: &str = "attribute:zone == 0";

pub(crate) fn is_daemon(service: &Value) -> bool {
    text(service, "/spec/schedulingStrategy") == "DAEMON"
}

pub(crate) fn is_draining(node: &Value) -> bool {
    node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))
}

/// Whether a node that is not draining repels pods that tolerate nothing.
pub(crate) fn is_tainted(node: &Value) -> bool {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array);
    taints.into_iter().flatten().any(|taint| text(taint, "/effect") != "PreferNoSchedule")
}

/// Whether a node may get a new task.
pub(crate) fn takes_tasks(service: &Value, node: &Value) -> bool {
    satisfies(service, node) && !is_draining(node) && !is_tainted(node)
}

/// Whether the constraints let a task be on a node.
pub(crate) fn satisfies(service: &Value, node: &Value) -> bool {
    text(service, "/spec/placementConstraints/0/expression") != CONSTRAINT || text(node, "/metadata/labels/zone") == "0"
}

/// Whether a task may stay on a node.
fn may_stay(service: &Value, node: &Value) -> bool {
    satisfies(service, node) && !is_draining(node)
}

/// The nodes that are to have a task: those that take one, and those in trouble that have one.
pub(crate) fn eligible_of<'a>(
    service: &Value,
    nodes: impl Iterator<Item = &'a Arc<Value>>,
    pods: impl Iterator<Item = &'a Arc<Value>>,
) -> BTreeSet<&'a str> {
    let tasks = pods.filter(|pod| service_of(pod) == Some(uid(service)) && is_live(pod));
    let taken: BTreeSet<&str> = tasks.map(|pod| annotation(pod, labels::NODE)).collect();
    let wanted =
        |node: &&Arc<Value>| takes_tasks(service, node) || (may_stay(service, node) && taken.contains(name(node)));
    nodes.filter(wanted).map(|node| name(node)).collect()
}

/// The same, of all that is there.
pub(crate) fn eligible<'a>(service: &Value, store: &'a Store) -> BTreeSet<&'a str> {
    eligible_of(service, store.all(NODES), store.all(PODS))
}

/// How many of so many nodes have to have a healthy task.
pub(crate) fn floor(service: &Value, nodes: usize) -> usize {
    let percent = number(service, "/spec/deploymentConfiguration/minimumHealthyPercent");
    (nodes * usize::try_from(percent).unwrap_or(0)).div_ceil(100)
}
