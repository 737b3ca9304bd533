//! The nodes that a task may run on.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Toleration,
};

use crate::domain::placement::node_terms::{NameOperator, NodeTerm, Operator, Requirement};

/// Taints by which Kubernetes marks a node in trouble, with their effects. A DaemonSet's pods stay on such a node, and so does "the
/// task of each container instance".
const TROUBLE: &[(&str, &str)] = &[
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
];

/// Binds a pod to one of the alternatives, and the task of a DAEMON service to its node, as the DaemonSet controller does: the
/// scheduler still checks that it fits.
pub(super) fn affinity(terms: &[NodeTerm], node: Option<&str>) -> Option<Affinity> {
    let any = [NodeTerm::default()];
    let terms = if terms.is_empty() { &any[..] } else { terms };
    let pin = node.map(|node| (NameOperator::In, node.to_owned()));
    let pinned = |term: &NodeTerm| {
        let names = term.names.iter().chain(&pin).map(name);
        let labels = term.labels.iter().map(label);
        let given = |list: Vec<_>| Some(list).filter(|list| !list.is_empty());
        NodeSelectorTerm { match_expressions: given(labels.collect()), match_fields: given(names.collect()) }
    };
    let node_selector_terms: Vec<NodeSelectorTerm> = terms.iter().map(pinned).collect();
    let asks = node_selector_terms.iter().any(|term| *term != NodeSelectorTerm::default());
    asks.then(|| Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector { node_selector_terms }),
            preferred_during_scheduling_ignored_during_execution: None,
        }),
        ..Affinity::default()
    })
}

fn name((operator, name): &(NameOperator, String)) -> NodeSelectorRequirement {
    let operator = match operator {
        NameOperator::In => "In",
        NameOperator::NotIn => "NotIn",
    };
    requirement("metadata.name", operator, Some(vec![name.clone()]))
}

fn label(label: &Requirement) -> NodeSelectorRequirement {
    let Requirement { key, operator } = label;
    match operator {
        Operator::In(values) => requirement(key, "In", Some(values.clone())),
        Operator::NotIn(values) => requirement(key, "NotIn", Some(values.clone())),
        Operator::Exists => requirement(key, "Exists", None),
        Operator::DoesNotExist => requirement(key, "DoesNotExist", None),
        Operator::Gt(number) => requirement(key, "Gt", Some(vec![number.to_string()])),
        Operator::Lt(number) => requirement(key, "Lt", Some(vec![number.to_string()])),
    }
}

fn requirement(key: &str, operator: &str, values: Option<Vec<String>>) -> NodeSelectorRequirement {
    NodeSelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values }
}

/// What a DAEMON task tolerates.
pub(super) fn daemon_tolerations() -> Vec<Toleration> {
    let toleration = |(key, effect): &(&str, &str)| Toleration {
        key: Some((*key).to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some((*effect).to_owned()),
        ..Toleration::default()
    };
    TROUBLE.iter().map(toleration).collect()
}
