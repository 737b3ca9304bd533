//! The nodes that a task may run on.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Toleration,
};

use crate::domain::placement::node::{AVAILABILITY_ZONE, label_of};
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

/// Binds a pod to one of the alternatives, the task of a DAEMON service to its node, as the DaemonSet controller does, and one that
/// balances the zones to its zone: the scheduler still checks that it fits.
pub(super) fn affinity(terms: &[NodeTerm], node: Option<&str>, zone: Option<&str>) -> Option<Affinity> {
    let any = [NodeTerm::default()];
    let terms = if terms.is_empty() { &any[..] } else { terms };
    let pin = node.map(|node| (NameOperator::In, node.to_owned()));
    let zone = zone.map(|zone| requirement(label_of(AVAILABILITY_ZONE), "In", Some(vec![zone.to_owned()])));
    let pinned = |term: &NodeTerm| {
        let names = term.names.iter().chain(&pin).map(name);
        let labels = term.labels.iter().map(label).chain(zone.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each alternative as `key operator values`.
    fn shown(terms: &[NodeTerm], node: Option<&str>, zone: Option<&str>) -> Vec<String> {
        let selector = affinity(terms, node, zone)
            .and_then(|affinity| affinity.node_affinity)
            .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution);
        let show = |NodeSelectorRequirement { key, operator, values }: &NodeSelectorRequirement| {
            format!("{key} {operator} {}", values.iter().flatten().cloned().collect::<Vec<_>>().join(","))
        };
        let show = |term: &NodeSelectorTerm| {
            let all = term.match_fields.iter().chain(&term.match_expressions).flatten().map(show);
            all.collect::<Vec<_>>().join(" and ")
        };
        selector.iter().flat_map(|selector| &selector.node_selector_terms).map(show).collect()
    }

    #[test]
    fn the_node_or_zone_of_a_task_holds_in_each_alternative() {
        let term = |value: &str| {
            let labels = vec![Requirement { key: "stack".to_owned(), operator: Operator::In(vec![value.to_owned()]) }];
            NodeTerm { labels, ..NodeTerm::default() }
        };
        assert_eq!(shown(&[], None, None), Vec::<String>::new());
        assert_eq!(shown(&[], Some("n"), None), ["metadata.name In n"]);
        assert_eq!(shown(&[], None, Some("a")), ["topology.kubernetes.io/zone In a"]);
        assert_eq!(
            shown(&[term("prod"), term("test")], None, Some("a")),
            [
                "stack In prod and topology.kubernetes.io/zone In a",
                "stack In test and topology.kubernetes.io/zone In a",
            ]
        );
    }
}
