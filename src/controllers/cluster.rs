//! Clusters: they are ACTIVE, and count what runs in them.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt};

use crate::api::names::cluster_name;
use crate::api::{Cluster, ClusterStatus, labels};
use crate::controllers::is_older;
use crate::domain::Plan;
use crate::domain::cluster;
use crate::shell::Context;
use crate::shell::driver::{Performed, Reconciler};
use crate::shell::writer::WriteError;

/// The controller of clusters.
pub struct Clusters;

/// What a cluster's plan is made from.
pub struct Seen {
    taken_by: Option<String>,
    services: Vec<String>,
    running: usize,
    pending: usize,
    nodes: usize,
}

impl Reconciler for Clusters {
    type Object = Cluster;
    type Observed = Seen;
    /// Nothing is written but status.
    type Action = Infallible;
    type Status = ClusterStatus;

    const FIELD_MANAGER: &'static str = labels::field_manager::CLUSTER;
    const FINALIZER: Option<&'static str> = Some(labels::IN_USE_FINALIZER);
    const STATUS_INTERVAL: Duration = Duration::from_secs(5);

    fn api(context: &Context, namespace: Option<&str>) -> Api<Cluster> {
        Api::namespaced(context.client.clone(), namespace.unwrap_or_default())
    }

    fn status(object: &Cluster) -> Option<&ClusterStatus> {
        object.status.as_ref()
    }

    fn conditions(status: &mut ClusterStatus) -> &mut Vec<Condition> {
        &mut status.conditions
    }

    async fn observe(context: &Context, object: &Cluster) -> Seen {
        let name = object.cluster_name();
        let nodes = context.caches.nodes.nodes().len();
        let clusters = context.caches.clusters.state();
        let others = clusters.iter().filter_map(|guard| guard.0.as_ref().ok());
        let taken_by = others
            .filter(|other| other.namespace() == object.namespace() && is_older(*other, object))
            .find(|other| other.cluster_name() == name)
            .map(ResourceExt::name_any);
        let mut seen = Seen { taken_by, services: Vec::new(), running: 0, pending: 0, nodes };
        for guard in context.caches.services.state() {
            let Ok(service) = &guard.0 else {
                // What cannot be read may run in any cluster.
                if guard.namespace() == object.namespace() {
                    seen.services.push(guard.name_any());
                }
                continue;
            };
            if service.namespace() == object.namespace() && cluster_name(service.spec.cluster.as_deref()) == name {
                seen.services.push(service.name_any());
                let count = |count: Option<i32>| count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
                let status = service.status.as_ref();
                seen.running = seen.running.saturating_add(count(status.and_then(|status| status.running_count)));
                seen.pending = seen.pending.saturating_add(count(status.and_then(|status| status.pending_count)));
            }
        }
        seen.services.sort();
        seen
    }

    fn plan(object: &Cluster, status: &ClusterStatus, seen: &Seen, now: Timestamp) -> Plan<Infallible, ClusterStatus> {
        let observed = cluster::Observed {
            generation: object.metadata.generation,
            deleting: object.metadata.deletion_timestamp.is_some(),
            spec: &object.spec,
            status,
            taken_by: seen.taken_by.as_deref(),
            services: seen.services.clone(),
            running: seen.running,
            pending: seen.pending,
            nodes: seen.nodes,
        };
        cluster::plan(&observed, now)
    }

    async fn perform(_: &Context, _: &Cluster, _: &Seen, _: Vec<Infallible>) -> Result<Performed, WriteError> {
        Ok(Performed::All)
    }
}
