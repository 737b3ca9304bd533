//! A node, as ECS sees a container instance.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Toleration;

use crate::domain::placement::resources::Resources;

/// The attribute that names an instance's Availability Zone.
pub const AVAILABILITY_ZONE: &str = "ecs.availability-zone";

/// The attribute that names the architecture of an instance's processors.
const CPU_ARCHITECTURE: &str = "ecs.cpu-architecture";

/// Most characters an attribute's name may have (ECS's limit).
const ATTRIBUTE_NAME_MAX: usize = 128;

/// What placement knows of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFact {
    /// The node's name. It stands for ECS's container instance id.
    pub name: String,
    /// The node's labels.
    pub labels: BTreeMap<String, String>,
    /// `spec.unschedulable`, which `kubectl cordon` and `kubectl drain` set.
    pub unschedulable: bool,
    /// The node's taints.
    pub taints: Vec<Taint>,
    /// When the node joined: ECS's `registeredAt`.
    pub created_at: Option<Timestamp>,
    /// The version of the kubelet, which is to a node what the container agent is to a container instance: `v1.34.2`.
    pub kubelet_version: Option<String>,
    /// What pods may reserve of it, where it says so.
    pub allocatable: Option<Resources>,
}

/// A taint, without the time at which it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Option<String>,
    /// What it does.
    pub effect: TaintEffect,
}

impl Taint {
    /// Whether pods with a toleration may come all the same. A toleration without key is of every taint, one without effect of
    /// every effect; `Equal`, which is the default, compares values, `Exists` does not.
    fn is_tolerated_by(&self, toleration: &Toleration) -> bool {
        let Toleration { key, operator, value, effect, toleration_seconds: _ } = toleration;
        let exists = match operator.as_deref() {
            Some("Exists") => true,
            None | Some("" | "Equal") => false,
            Some(_) => return false,
        };
        let of_key = match key.as_deref().filter(|key| !key.is_empty()) {
            Some(key) => key == self.key,
            None => exists,
        };
        let of_effect = effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == self.effect.as_str());
        let of_value = exists || value.as_deref().unwrap_or_default() == self.value.as_deref().unwrap_or_default();
        of_key && of_effect && of_value
    }
}

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaintEffect {
    /// No new pods.
    NoSchedule,
    /// New pods only where nothing else is left.
    PreferNoSchedule,
    /// No pods at all.
    NoExecute,
}

impl TaintEffect {
    fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// The label in which a node has an attribute.
pub(in crate::domain) fn label_of(attribute: &str) -> &str {
    match attribute {
        AVAILABILITY_ZONE => "topology.kubernetes.io/zone",
        "ecs.instance-type" => "node.kubernetes.io/instance-type",
        "ecs.os-type" => "kubernetes.io/os",
        CPU_ARCHITECTURE => "kubernetes.io/arch",
        other => other,
    }
}

/// What an attribute's value is called in that label.
pub(super) fn label_value_of<'v>(attribute: &str, value: &'v str) -> &'v str {
    if attribute == CPU_ARCHITECTURE && value == "x86_64" { "amd64" } else { value }
}

impl NodeFact {
    /// The value of an ECS attribute. The four attributes that Kubernetes has a well-known label for are read from it; every
    /// other attribute is the label of the same name, so that `attribute:team` is what `kubectl label node N team=…` sets.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match self.labels.get(label_of(name)).map(String::as_str) {
            // The one value that ECS and Kubernetes spell differently.
            Some("amd64") if name == CPU_ARCHITECTURE => Some("x86_64"),
            value => value,
        }
    }

    /// Whether the node is what ECS calls DRAINING: the service's tasks on it are to be replaced elsewhere.
    ///
    /// Cordoned means just that here, since `kubectl drain` begins with it. Taints do not: NoSchedule has no say over the tasks
    /// that are there, and what NoExecute takes away is replaced once it is gone.
    pub fn is_draining(&self) -> bool {
        self.unschedulable
    }

    /// Whether a task with these tolerations can be placed here. None is on a node that drains or whose agent is not connected,
    /// whatever it tolerates: that is no ACTIVE container instance.
    pub fn takes_new_tasks(&self, tolerations: &[Toleration]) -> bool {
        let repels = |taint: &Taint| {
            let keeps_away = matches!(taint.effect, TaintEffect::NoSchedule | TaintEffect::NoExecute);
            keeps_away && !tolerations.iter().any(|toleration| taint.is_tolerated_by(toleration))
        };
        !self.is_draining() && self.is_agent_connected() && !self.taints.iter().any(repels)
    }

    /// Whether the node's agent is in touch. Kubernetes taints a node whose kubelet is not.
    pub fn is_agent_connected(&self) -> bool {
        let out_of_touch = |taint: &Taint| {
            matches!(taint.key.as_str(), "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable")
        };
        !self.taints.iter().any(out_of_touch)
    }
}

/// A node together with the tasks on it: what a cluster query is asked of.
#[derive(Debug, Clone, Copy)]
pub struct Instance<'a> {
    /// The node.
    pub node: &'a NodeFact,
    /// The groups of the tasks on it, such as `service:web` and `family:batch`.
    pub task_groups: &'a BTreeSet<String>,
    /// How many tasks run on it, of whatever service.
    pub running_tasks: u64,
}

/// The name of an attribute, as ECS allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(String);

impl AttributeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one that names the Availability Zone, be it by Kubernetes' name for it.
    pub fn is_zone(&self) -> bool {
        label_of(&self.0) == label_of(AVAILABILITY_ZONE)
    }

    /// Whether a name may hold this character.
    pub(super) fn allows(c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '\\' | '.')
    }
}

impl FromStr for AttributeName {
    type Err = AttributeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=ATTRIBUTE_NAME_MAX).contains(&text.len()) && text.chars().all(Self::allows);
        if fits { Ok(Self(text.to_owned())) } else { Err(AttributeNameError(text.to_owned())) }
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not the name of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an attribute: use 1 to 128 letters, digits and -_./\\")]
pub struct AttributeNameError(String);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(labels: &[(&str, &str)]) -> NodeFact {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        NodeFact { name: "node-1".to_owned(), labels, ..NodeFact::default() }
    }

    fn tainted(key: &str, effect: TaintEffect) -> NodeFact {
        NodeFact { taints: vec![Taint { key: key.to_owned(), value: None, effect }], ..node(&[]) }
    }

    #[test]
    fn built_in_attributes_are_kubernetes_well_known_labels() {
        let node = node(&[
            ("topology.kubernetes.io/zone", "eu-central-1a"),
            ("node.kubernetes.io/instance-type", "m7i.large"),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
        ]);
        for (name, value) in [
            ("ecs.availability-zone", "eu-central-1a"),
            ("ecs.instance-type", "m7i.large"),
            ("ecs.os-type", "linux"),
            ("ecs.cpu-architecture", "x86_64"),
            ("kubernetes.io/arch", "amd64"),
        ] {
            assert_eq!(node.attribute(name), Some(value), "{name}");
        }
        assert_eq!(node.attribute("ecs.os-family"), None);
    }

    #[test]
    fn every_other_attribute_is_the_label_of_the_same_name() {
        let node = node(&[("stack", "prod"), ("example.com/rack", "7"), ("marker", "")]);
        assert_eq!(node.attribute("stack"), Some("prod"));
        assert_eq!(node.attribute("example.com/rack"), Some("7"));
        assert_eq!(node.attribute("marker"), Some(""));
        assert_eq!(node.attribute("absent"), None);
    }

    #[test]
    fn a_cordoned_node_is_draining_and_takes_no_new_tasks() {
        let cordoned = NodeFact { unschedulable: true, ..node(&[]) };
        assert!(cordoned.is_draining() && !cordoned.takes_new_tasks(&[]));
        assert!(!node(&[]).is_draining() && node(&[]).takes_new_tasks(&[]));
    }

    #[test]
    fn a_taint_that_repels_pods_keeps_new_tasks_away_and_drains_nothing() {
        for (effect, takes) in
            [(TaintEffect::NoSchedule, false), (TaintEffect::NoExecute, false), (TaintEffect::PreferNoSchedule, true)]
        {
            let node = tainted("dedicated", effect);
            assert_eq!((node.takes_new_tasks(&[]), node.is_draining()), (takes, false), "{effect:?}");
        }
    }

    #[test]
    fn a_task_is_placed_on_a_node_whose_taints_it_tolerates() {
        let gpu = || Taint { key: "gpu".to_owned(), value: Some("a100".to_owned()), effect: TaintEffect::NoSchedule };
        let tolerates = |toleration: serde_json::Value, taints: Vec<Taint>| {
            let node = NodeFact { taints, ..node(&[]) };
            node.takes_new_tasks(&[serde_json::from_value(toleration).unwrap()])
        };
        for (sentence, toleration, tolerated) in [
            ("key and value", json!({"key": "gpu", "operator": "Equal", "value": "a100"}), true),
            ("Equal is the default", json!({"key": "gpu", "value": "a100"}), true),
            ("another value", json!({"key": "gpu", "value": "t4"}), false),
            ("no value is the empty one", json!({"key": "gpu"}), false),
            ("whatever the value", json!({"key": "gpu", "operator": "Exists"}), true),
            ("another key", json!({"key": "cpu", "operator": "Exists"}), false),
            ("the effect", json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}), true),
            ("another effect", json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}), false),
            ("everything", json!({"operator": "Exists"}), true),
            ("without a key only if it exists", json!({"value": "a100"}), false),
            ("an operator that is not known", json!({"key": "gpu", "operator": "Gt", "value": "1"}), false),
        ] {
            assert_eq!(tolerates(toleration, vec![gpu()]), tolerated, "{sentence}");
        }
        let other = || Taint { key: "team".to_owned(), value: None, effect: TaintEffect::NoExecute };
        assert!(!tolerates(json!({"key": "gpu", "operator": "Exists"}), vec![gpu(), other()]), "one of two");
        let everything = [serde_json::from_value(json!({"operator": "Exists"})).unwrap()];
        assert!(!tainted("node.kubernetes.io/not-ready", TaintEffect::NoExecute).takes_new_tasks(&everything));
        assert!(!NodeFact { unschedulable: true, ..node(&[]) }.takes_new_tasks(&everything));
    }

    #[test]
    fn a_node_whose_kubelet_is_out_of_touch_has_a_disconnected_agent() {
        assert!(tainted("dedicated", TaintEffect::NoExecute).is_agent_connected());
        assert!(!tainted("node.kubernetes.io/not-ready", TaintEffect::NoSchedule).is_agent_connected());
        assert!(!tainted("node.kubernetes.io/unreachable", TaintEffect::NoExecute).is_agent_connected());
    }

    #[test]
    fn an_attribute_name_has_1_to_128_letters_digits_and_separators() {
        for name in ["a", r"ecs.os-type/x_1\y", &"a".repeat(128)] {
            assert!(name.parse::<AttributeName>().is_ok(), "{name}");
        }
        for name in ["", "a b", "a:b", "ä", &"a".repeat(129)] {
            assert!(name.parse::<AttributeName>().is_err(), "{name}");
        }
    }
}
