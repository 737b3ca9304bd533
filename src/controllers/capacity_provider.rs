//! Capacity providers: they are ACTIVE, and count their nodes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;

use crate::api::{CapacityProvider, CapacityProviderStatus, labels};
use crate::domain::Plan;
use crate::domain::capacity_provider;
use crate::shell::Context;
use crate::shell::driver::{Performed, Reconciler};
use crate::shell::writer::WriteError;

/// The controller of capacity providers.
pub struct CapacityProviders;

/// The labels of all nodes.
pub struct Seen(Vec<BTreeMap<String, String>>);

impl Reconciler for CapacityProviders {
    type Object = CapacityProvider;
    type Observed = Seen;
    /// Nothing is written but status.
    type Action = Infallible;
    type Status = CapacityProviderStatus;

    const FIELD_MANAGER: &'static str = labels::field_manager::CAPACITY_PROVIDER;
    const FINALIZER: Option<&'static str> = None;
    const STATUS_INTERVAL: Duration = Duration::from_secs(5);

    fn api(context: &Context, _: Option<&str>) -> Api<CapacityProvider> {
        Api::all(context.client.clone())
    }

    fn status(object: &CapacityProvider) -> Option<&CapacityProviderStatus> {
        object.status.as_ref()
    }

    fn conditions(status: &mut CapacityProviderStatus) -> &mut Vec<Condition> {
        &mut status.conditions
    }

    async fn observe(context: &Context, _: &CapacityProvider) -> Seen {
        Seen(context.caches.nodes.nodes().values().map(|node| node.labels.clone()).collect())
    }

    fn plan(
        object: &CapacityProvider,
        status: &CapacityProviderStatus,
        seen: &Seen,
        now: Timestamp,
    ) -> Plan<Infallible, CapacityProviderStatus> {
        let (generation, spec) = (object.metadata.generation, &object.spec);
        capacity_provider::plan(&capacity_provider::Observed { generation, spec, status, nodes: seen.0.clone() }, now)
    }

    async fn perform(_: &Context, _: &CapacityProvider, _: &Seen, _: Vec<Infallible>) -> Result<Performed, WriteError> {
        Ok(Performed::All)
    }
}
