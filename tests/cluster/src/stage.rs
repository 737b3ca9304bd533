//! kwok's Stages: what happens to a node or a pod, when, and to which of them.

use std::time::Duration;

use serde_json::{Value, json};

/// The kind of object that a stage is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageKind {
    /// A ConfigMap.
    ConfigMap,
    /// A node.
    Node,
    /// A pod.
    Pod,
}

/// One condition on an object; a stage applies to those that meet all of its conditions.
///
/// The first field is a jq expression such as `.spec.containers[].image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The expression yields at least one of the values.
    In(String, Vec<String>),
    /// The expression yields none of the values.
    NotIn(String, Vec<String>),
    /// The expression yields something.
    Exists(String),
    /// The expression yields nothing.
    DoesNotExist(String),
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Patches the status with what the Go template renders.
    Status(String),
    /// Patches the data of a ConfigMap with what the Go template renders.
    Data(String),
    /// Deletes the object, as a kubelet does when a pod has ended.
    Delete,
}

/// When a stage takes effect on an object that meets its conditions.
///
/// kwok starts a delay anew each time the object changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delay {
    /// This long after the object last changed.
    For(Duration),
    /// At the time that the jq expression yields (RFC 3339), however often the object changes.
    Until(String),
}

/// A stage in the life of nodes or pods.
///
/// Of several stages that match an object kwok draws one by weight, and stages of weight 0
/// count only if no other matches: the stages that every cluster starts with have weight 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The name of the Stage object; a stage of the same name is replaced.
    pub name: String,
    /// What kind of object it is about.
    pub kind: StageKind,
    /// Which of them it is about.
    pub matches: Vec<Match>,
    /// How likely it is among several that match; 0 is below all others.
    pub weight: u32,
    /// When it takes effect.
    pub delay: Delay,
    /// What it does, in order.
    pub effects: Vec<Effect>,
}

impl Stage {
    /// The stage as a Kubernetes object.
    pub(crate) fn manifest(&self) -> Value {
        let kind = match self.kind {
            StageKind::ConfigMap => "ConfigMap",
            StageKind::Node => "Node",
            StageKind::Pod => "Pod",
        };
        let delay = match &self.delay {
            Delay::For(delay) => json!({ "durationMilliseconds": milliseconds(*delay) }),
            Delay::Until(expression) => {
                json!({ "durationFrom": { "jq": { "expression": expression } } })
            }
        };
        json!({
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "Stage",
            "metadata": { "name": self.name },
            "spec": {
                "resourceRef": { "apiGroup": "v1", "kind": kind },
                "selector": {
                    "matchExpressions": self.matches.iter().map(Match::manifest).collect::<Vec<_>>(),
                },
                "weight": self.weight,
                "delay": delay,
                "steps": self.effects.iter().map(Effect::manifest).collect::<Vec<_>>(),
            },
        })
    }
}

impl Match {
    fn manifest(&self) -> Value {
        match self {
            Self::In(key, values) => jq(key, "In", values),
            Self::NotIn(key, values) => jq(key, "NotIn", values),
            Self::Exists(key) => jq(key, "Exists", &[]),
            Self::DoesNotExist(key) => jq(key, "DoesNotExist", &[]),
        }
    }
}

impl Effect {
    fn manifest(&self) -> Value {
        match self {
            // Strategic, so that conditions of other owners stay: a merge patch replaces the list.
            Self::Status(template) => json!({ "patch": {
                "subresource": "status",
                "root": "status",
                "template": template,
                "type": "strategic",
            }}),
            Self::Data(template) => json!({ "patch": {
                "root": "data",
                "template": template,
                "type": "merge",
            }}),
            Self::Delete => json!({ "delete": true }),
        }
    }
}

fn jq(key: &str, operator: &str, values: &[String]) -> Value {
    json!({ "key": key, "operator": operator, "values": values })
}

fn milliseconds(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}
