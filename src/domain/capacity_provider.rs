//! A capacity provider: a name for a set of nodes.

use std::collections::BTreeMap;
use std::convert::Infallible;

use jiff::Timestamp;

use crate::api::conditions::{Conditions, Reason, Summary};
use crate::api::{CapacityProviderSpec, CapacityProviderState, CapacityProviderStatus};
use crate::domain::Plan;
use crate::domain::resolve::members::{self, not_implemented};

/// What was observed of a capacity provider.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Its spec.
    pub spec: &'a CapacityProviderSpec,
    /// Its status as last written.
    pub status: &'a CapacityProviderStatus,
    /// The labels of all nodes.
    pub nodes: Vec<BTreeMap<String, String>>,
}

/// Plans one pass over a capacity provider.
pub fn plan(seen: &Observed<'_>, now: Timestamp) -> Plan<Infallible, CapacityProviderStatus> {
    let selector = seen.spec.kubernetes.as_ref().map(|kubernetes| &kubernetes.node_selector);
    let selected = |labels: &&BTreeMap<String, String>| {
        selector.is_none_or(|selector| selector.iter().all(|(name, value)| labels.get(name) == Some(value)))
    };
    let nodes = seen.nodes.iter().filter(selected).count();
    let summary = Summary::Ready(Reason::Active, format!("{nodes} nodes belong to the capacity provider"));
    let status = CapacityProviderStatus {
        observed_generation: seen.generation,
        conditions: Conditions::new(&seen.status.conditions, seen.generation, now)
            .summary(&summary)
            .not_implemented(&not_implemented(seen.spec, members::CAPACITY_PROVIDER))
            .build(),
        status: Some(CapacityProviderState::Active),
        registered_container_instances_count: Some(i32::try_from(nodes).unwrap_or(i32::MAX)),
    };
    Plan { actions: Vec::new(), status, hold: false, wake_at: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CapacityProviderKubernetes;

    #[test]
    fn a_capacity_provider_stands_for_the_nodes_that_its_selector_selects() {
        let labels = |pool: &str| BTreeMap::from([("pool".to_owned(), pool.to_owned())]);
        let kubernetes = CapacityProviderKubernetes { node_selector: labels("spot"), ..Default::default() };
        let spec = CapacityProviderSpec { kubernetes: Some(kubernetes), ..Default::default() };
        let status = CapacityProviderStatus::default();
        let nodes = vec![labels("spot"), labels("on-demand"), labels("spot")];
        let plan = plan(&Observed { generation: None, spec: &spec, status: &status, nodes }, Timestamp::UNIX_EPOCH);
        assert_eq!(plan.status.registered_container_instances_count, Some(2));
    }
}
