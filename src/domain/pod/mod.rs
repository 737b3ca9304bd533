//! A task definition becomes a pod: one fragment a file.
//!
//! The pod never restarts as a whole and carries nothing that the cluster would add for its own workloads (service links, API
//! tokens): a task looks like a task on ECS.

mod container;
mod escape;
mod meta;
mod network;
mod node;
mod ports;
mod probes;
mod resources;
mod secrets;
mod security;
mod service_account;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::api::ServiceVolumeConfiguration;
use crate::api::names::Uid;
use crate::domain::resolve::dependencies::Role;
use crate::domain::resolve::task_definition::{Container, Processes, ResolvedTaskDefinition};
use crate::domain::service::Start;

/// Seconds that a pod has beyond its containers' own stop timeouts.
const STOP_MARGIN: u32 = 5;

/// Whose task a pod is.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceOwner {
    /// The name of the `Service` object.
    pub object_name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: Uid,
    /// The cluster that the service runs in.
    pub cluster: String,
    /// Seconds between the end of new connections to a task and its stop signal.
    pub deregistration_delay: u32,
    /// The ServiceAccounts that the cluster has for task roles, by ARN or name of the role.
    pub service_accounts: BTreeMap<String, String>,
    /// The volumes that the task definition leaves to the service.
    pub volume_configurations: Vec<ServiceVolumeConfiguration>,
}

/// A way to build the pod of a service's task: [`build`].
pub type PodBuilder = fn(&ResolvedTaskDefinition, &ServiceOwner, &Start) -> Pod;

/// Builds the pod of a service's task.
pub fn build(definition: &ResolvedTaskDefinition, owner: &ServiceOwner, start: &Start) -> Pod {
    let pull = definition.extension.given.image_pull_policy;
    let build = |container| container::build(container, &start.images, pull, owner.deregistration_delay);
    let init: Vec<_> = definition.init.iter().map(build).collect();
    let grace_period = termination_grace_period(definition).saturating_add(owner.deregistration_delay);
    let Processes { share_pid, host_pid, host_ipc } = definition.processes;
    let given = &definition.extension.given;
    let tolerated = start.node.iter().flat_map(|_| node::daemon_tolerations());
    let mut spec = PodSpec {
        restart_policy: Some("Never".to_owned()),
        enable_service_links: Some(false),
        automount_service_account_token: Some(given.automount_service_account_token.unwrap_or(false)),
        service_account_name: service_account::of(definition, &owner.service_accounts),
        termination_grace_period_seconds: Some(i64::from(grace_period)),
        resources: resources::task(definition),
        init_containers: list(init),
        containers: definition.main.iter().map(build).collect(),
        affinity: node::affinity(&definition.platform.terms, start.node.as_deref(), start.zone.as_deref()),
        node_selector: Some(definition.platform.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: list(given.tolerations.iter().cloned().chain(tolerated).collect()),
        runtime_class_name: given.runtime_class_name.clone(),
        priority_class_name: given.priority_class_name.clone(),
        security_context: Some(security::pod(definition)),
        share_process_namespace: share_pid.then_some(true),
        host_pid: host_pid.then_some(true),
        host_ipc: host_ipc.then_some(true),
        volumes: list(volumes::build(definition, &owner.volume_configurations)),
        ..PodSpec::default()
    };
    network::build(&definition.network, &mut spec);
    secrets::add(&mut spec, &start.secrets);
    Pod { metadata: meta::build(definition, owner, start), spec: Some(spec), status: None }
}

fn list<T>(items: Vec<T>) -> Option<Vec<T>> {
    Some(items).filter(|items| !items.is_empty())
}

/// Kubernetes stops all main containers at once, then the sidecars one by one, within one period for all: the longest stop
/// timeout of the former and the sum of the latter. A main with 60 seconds and a sidecar with 30 need 95.
fn termination_grace_period(definition: &ResolvedTaskDefinition) -> u32 {
    let timeout = |container: &Container| container.lifecycle.stop_timeout;
    let mains = definition.main.iter().map(timeout).max().unwrap_or(0);
    let sidecars = definition.init.iter().filter(|container| container.role() != Role::InitOnce).map(timeout);
    sidecars.fold(mains, u32::saturating_add).saturating_add(STOP_MARGIN)
}
