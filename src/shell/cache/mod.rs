//! Caches: one watch a kind, folded into what is needed of it.
//!
//! kube's shared reflector streams are not used: deletes do not reach their subscribers, and a lost wake-up can stop the root
//! watch. Each watch here feeds its own cache and sends the objects it concerns to the controllers.

mod task_pod;
mod tasks;
mod triggers;
mod watches;

pub use task_pod::TaskPod;
pub use tasks::{Overdue, TaskIndex};
pub use triggers::{Trigger, Triggers};
pub use watches::{Scope, watch_nodes, watch_objects, watch_tasks};

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::Store;
use tokio::sync::watch;

use crate::api::{CapacityProvider, Cluster, Service, TaskDefinition, TaskDefinitionRevision};

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
    /// The nodes: names and labels.
    pub nodes: Store<PartialObjectMeta<Node>>,
    /// The tasks.
    pub tasks: Arc<TaskIndex>,
    /// Whether the first list of task pods is complete.
    pub tasks_ready: watch::Receiver<bool>,
}

impl Caches {
    /// Waits until every cache holds what there is. kube's controllers wait for their own kind only; a plan made before the
    /// tasks are known would start them all a second time.
    pub async fn ready(&self) {
        let mut tasks_ready = self.tasks_ready.clone();
        // A writer that is gone means that the process ends; whoever waits is about to be dropped.
        let _ = self.services.wait_until_ready().await;
        let _ = self.task_definitions.wait_until_ready().await;
        let _ = self.revisions.wait_until_ready().await;
        let _ = self.clusters.wait_until_ready().await;
        let _ = self.capacity_providers.wait_until_ready().await;
        let _ = self.nodes.wait_until_ready().await;
        let _ = tasks_ready.wait_for(|ready| *ready).await;
    }
}
