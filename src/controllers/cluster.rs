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

/// The cluster of this name: "of two objects with one name" the older one, whatever order they come in. The other one is told that
/// it is no cluster, and nothing of it counts.
pub(super) fn named<'a>(
    clusters: impl Iterator<Item = &'a Cluster>,
    namespace: Option<&str>,
    name: &str,
) -> Option<&'a Cluster> {
    let has_name =
        |cluster: &&Cluster| cluster.metadata.namespace.as_deref() == namespace && cluster.cluster_name() == name;
    clusters.filter(has_name).reduce(|oldest, other| if is_older(other, oldest) { other } else { oldest })
}

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
        let clusters = clusters.iter().filter_map(|guard| guard.0.as_ref().ok());
        let holder = named(clusters, object.metadata.namespace.as_deref(), name);
        let taken_by = holder.filter(|holder| is_older(*holder, object)).map(ResourceExt::name_any);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_two_objects_with_one_name_the_older_one_is_the_cluster() {
        let cluster = |object: &str, namespace: &str, given: Option<&str>, day: u32| -> Cluster {
            let created = format!("2026-01-{day:02}T00:00:00Z");
            let metadata =
                json!({ "name": object, "namespace": namespace, "uid": object, "creationTimestamp": created });
            let (api_version, spec) = (crate::api::API_VERSION, json!({ "clusterName": given }));
            let object = json!({ "apiVersion": api_version, "kind": "Cluster", "metadata": metadata, "spec": spec });
            serde_json::from_value(object).unwrap()
        };
        let mut clusters = [
            cluster("blue", "shop", Some("default"), 2),
            cluster("default", "shop", None, 1),
            cluster("a", "shop", Some("default"), 2),
            cluster("old", "elsewhere", Some("default"), 1),
            cluster("green", "shop", None, 1),
        ];
        for _ in 0..clusters.len() {
            clusters.rotate_left(1);
            let named = |name: &str| named(clusters.iter(), Some("shop"), name).map(ResourceExt::name_any);
            assert_eq!(named("default").as_deref(), Some("default"));
            assert_eq!((named("green").as_deref(), named("blue")), (Some("green"), None));
        }
    }
}
