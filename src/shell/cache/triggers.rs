//! From a change to the objects it concerns.

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use crate::api::{CapacityProvider, Cluster, Service, TaskDefinition};

/// Sends objects of one kind to their controller.
pub struct Trigger<K: kube::Resource>(UnboundedSender<ObjectRef<DeserializeGuard<K>>>)
where
    K::DynamicType: Eq + std::hash::Hash + Clone + Default;

impl<K> Trigger<K>
where
    K: kube::Resource<DynamicType = ()>,
{
    /// A trigger, and the stream that the controller reads.
    pub fn new() -> (Self, UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>) {
        let (sender, receiver) = unbounded();
        (Self(sender), receiver)
    }

    /// Asks for a pass over an object.
    pub fn send(&self, name: &str, namespace: Option<&str>) {
        let object = ObjectRef::new(name);
        let object = match namespace {
            Some(namespace) => object.within(namespace),
            None => object,
        };
        // A controller that no longer listens is shutting down.
        let _ = self.0.unbounded_send(object);
    }
}

/// The triggers of all controllers.
pub struct Triggers {
    /// Of services.
    pub services: Trigger<Service>,
    /// Of task definitions.
    pub task_definitions: Trigger<TaskDefinition>,
    /// Of clusters.
    pub clusters: Trigger<Cluster>,
    /// Of capacity providers.
    pub capacity_providers: Trigger<CapacityProvider>,
}
