//! A task definition becomes a pod: one fragment a file.
//!
//! The pod never restarts as a whole and carries nothing that the cluster would add for its own workloads (service links, API
//! tokens): a task looks like a task on ECS.

mod container;
mod escape;
mod meta;
mod node;
mod probes;
mod resources;
pub mod secrets;

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, PodSpec, Volume};

use crate::api::names::Uid;
use crate::domain::resolve::dependencies::Role;
use crate::domain::resolve::task_definition::{Container, ResolvedTaskDefinition};
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
}

/// A way to build the pod of a service's task: [`build`].
pub type PodBuilder = fn(&ResolvedTaskDefinition, &ServiceOwner, &Start) -> Pod;

/// Builds the pod of a service's task.
pub fn build(definition: &ResolvedTaskDefinition, owner: &ServiceOwner, start: &Start) -> Pod {
    let volume = |name: &String| Volume {
        name: name.clone(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let volumes: Vec<Volume> = definition.volumes.iter().map(|name| volume(&name.pod)).collect();
    let build = |container| container::build(container, &start.images, owner.deregistration_delay);
    let init: Vec<_> = definition.init.iter().map(build).collect();
    let grace_period = termination_grace_period(definition).saturating_add(owner.deregistration_delay);
    Pod {
        metadata: meta::build(definition, owner, start),
        spec: Some(PodSpec {
            restart_policy: Some("Never".to_owned()),
            enable_service_links: Some(false),
            automount_service_account_token: Some(false),
            termination_grace_period_seconds: Some(i64::from(grace_period)),
            resources: resources::task(definition),
            init_containers: Some(init).filter(|init| !init.is_empty()),
            containers: definition.main.iter().map(build).collect(),
            affinity: start.node.as_deref().map(node::affinity),
            tolerations: start.node.as_ref().map(|_| node::daemon_tolerations()),
            volumes: Some(volumes).filter(|volumes| !volumes.is_empty()),
            ..PodSpec::default()
        }),
        status: None,
    }
}

/// Kubernetes stops all main containers at once, then the sidecars one by one, within one period for all: the longest stop
/// timeout of the former and the sum of the latter. A main with 60 seconds and a sidecar with 30 need 95.
fn termination_grace_period(definition: &ResolvedTaskDefinition) -> u32 {
    let timeout = |container: &Container| container.stop_timeout;
    let mains = definition.main.iter().map(timeout).max().unwrap_or(0);
    let sidecars = definition.init.iter().filter(|container| container.role != Role::InitOnce).map(timeout);
    sidecars.fold(mains, u32::saturating_add).saturating_add(STOP_MARGIN)
}
