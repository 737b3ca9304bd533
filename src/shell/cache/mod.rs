//! Caches: one watch a kind, folded into what is needed of it.
//!
//! kube's shared reflector streams are not used: deletes do not reach their subscribers, and a lost wake-up can stop the root
//! watch. Each watch here feeds its own cache and sends the objects it concerns to the controllers.

mod definitions;
mod nodes;
mod pod_size;
mod ready;
mod task_pod;
mod tasks;
mod triggers;
mod watches;

pub use definitions::{Definition, Definitions};
pub use nodes::{NodeIndex, watch_nodes};
pub use ready::{Listed, Ready};
pub use task_pod::TaskPod;
pub use tasks::{Overdue, TaskIndex};
pub use triggers::{Asked, Trigger, Triggers, Urgency};
pub use watches::{Scope, Sink, sink, watch_objects, watch_tasks};

use std::sync::Arc;

use crate::api::{CapacityProvider, Cluster, Service, TaskDefinition, TaskDefinitionRevision};
use crate::shell::secrets::SecretIndex;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;

/// Everything that has been observed.
#[derive(Clone)]
pub struct Caches {
    /// The services.
    pub services: Store<DeserializeGuard<Service>>,
    /// The task definitions.
    pub task_definitions: Store<DeserializeGuard<TaskDefinition>>,
    /// Their revisions.
    pub revisions: Store<DeserializeGuard<TaskDefinitionRevision>>,
    /// The clusters.
    pub clusters: Store<DeserializeGuard<Cluster>>,
    /// The capacity providers.
    pub capacity_providers: Store<DeserializeGuard<CapacityProvider>>,
    /// The same as they are run.
    pub definitions: Arc<Definitions>,
    /// The nodes.
    pub nodes: Arc<NodeIndex>,
    /// The tasks.
    pub tasks: Arc<TaskIndex>,
    /// What is known of the Secrets and ConfigMaps that they take from. Not a watch: each is looked at by its name.
    pub secrets: Arc<SecretIndex>,
    /// Until it says so, something is missing. kube's controllers wait for their own kind only; a plan made before the tasks
    /// are known would start them all a second time.
    pub ready: Ready,
}
