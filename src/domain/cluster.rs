//! A cluster: a name that services share, and what runs under it.

use std::convert::Infallible;

use jiff::Timestamp;

use crate::api::conditions::{Conditions, Reason, Summary};
use crate::api::{ClusterSpec, ClusterState, ClusterStatus};
use crate::domain::Plan;
use crate::domain::resolve::members::{self, not_implemented};

/// What was observed of a cluster.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Whether its deletion has been asked for.
    pub deleting: bool,
    /// Its spec.
    pub spec: &'a ClusterSpec,
    /// Its status as last written.
    pub status: &'a ClusterStatus,
    /// An older object that has the same name in ECS.
    pub taken_by: Option<&'a str>,
    /// The services in it.
    pub services: Vec<String>,
    /// RUNNING tasks in it.
    pub running: usize,
    /// Tasks in it that are not RUNNING yet.
    pub pending: usize,
    /// Nodes that tasks may be placed on.
    pub nodes: usize,
}

/// Plans one pass over a cluster.
pub fn plan(seen: &Observed<'_>, now: Timestamp) -> Plan<Infallible, ClusterStatus> {
    // Of two objects with one name the older is the cluster: its services are not the other's.
    let services: &[String] = if seen.taken_by.is_none() { &seen.services } else { &[] };
    let in_use = !services.is_empty();
    let summary = match (seen.deleting, in_use) {
        (false, _) if seen.taken_by.is_some() => {
            let other = seen.taken_by.unwrap_or_default();
            let message =
                format!("spec.clusterName: the Cluster {other:?} has this name already; give this one another");
            Summary::Stalled(Reason::InvalidSpec, message)
        }
        (true, true) => {
            let message = format!("the cluster still has the services {}; delete them first", services.join(", "));
            Summary::Reconciling(Reason::InUse, message)
        }
        (true, false) => Summary::Reconciling(Reason::Draining, "the cluster is being deleted".to_owned()),
        (false, _) => Summary::Ready(Reason::Active, "tasks and services can be created".to_owned()),
    };
    let count = |number: usize| Some(i32::try_from(number).unwrap_or(i32::MAX));
    let status = ClusterStatus {
        observed_generation: seen.generation,
        conditions: Conditions::new(&seen.status.conditions, seen.generation, now)
            .summary(&summary)
            .not_implemented(&not_implemented(seen.spec, members::CLUSTER))
            .build(),
        status: Some(if seen.deleting { ClusterState::Deprovisioning } else { ClusterState::Active }),
        registered_container_instances_count: count(seen.nodes),
        running_tasks_count: count(if in_use { seen.running } else { 0 }),
        pending_tasks_count: count(if in_use { seen.pending } else { 0 }),
        active_services_count: count(services.len()),
    };
    Plan { actions: Vec::new(), status, hold: !seen.deleting || in_use, wake_at: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(spec: &'a ClusterSpec, status: &'a ClusterStatus, deleting: bool, services: &[&str]) -> Observed<'a> {
        let services = services.iter().map(|name| (*name).to_owned()).collect();
        let taken_by = None;
        Observed { generation: Some(1), deleting, spec, status, taken_by, services, running: 3, pending: 1, nodes: 2 }
    }

    #[test]
    fn a_cluster_in_use_waits_to_be_deleted_and_says_for_whom() {
        let (spec, status) = (ClusterSpec::default(), ClusterStatus::default());
        let plan = plan(&seen(&spec, &status, true, &["api", "web"]), Timestamp::UNIX_EPOCH);
        assert!(plan.hold);
        let ready = &plan.status.conditions[0];
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "InUse"));
        assert!(ready.message.contains("api, web"), "{}", ready.message);
    }

    #[test]
    fn of_two_objects_with_one_cluster_name_the_younger_is_no_cluster_and_can_go() {
        let (spec, status) = (ClusterSpec::default(), ClusterStatus::default());
        let seen = |deleting| Observed { taken_by: Some("blue"), ..seen(&spec, &status, deleting, &["api"]) };
        let ready = plan(&seen(false), Timestamp::UNIX_EPOCH).status.conditions.remove(0);
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "InvalidSpec"));
        assert!(ready.message.contains("\"blue\""), "{}", ready.message);
        assert!(!plan(&seen(true), Timestamp::UNIX_EPOCH).hold);
    }

    #[test]
    fn a_cluster_that_nothing_uses_goes() {
        let (spec, status) = (ClusterSpec::default(), ClusterStatus::default());
        assert!(!plan(&seen(&spec, &status, true, &[]), Timestamp::UNIX_EPOCH).hold);
    }

    #[test]
    fn a_cluster_is_active_and_counts_what_runs_in_it() {
        let (spec, status) = (ClusterSpec::default(), ClusterStatus::default());
        let plan = plan(&seen(&spec, &status, false, &["api"]), Timestamp::UNIX_EPOCH);
        let ClusterStatus { status, running_tasks_count, pending_tasks_count, active_services_count, .. } = plan.status;
        assert_eq!(status, Some(ClusterState::Active));
        assert_eq!((running_tasks_count, pending_tasks_count, active_services_count), (Some(3), Some(1), Some(1)));
    }
}
