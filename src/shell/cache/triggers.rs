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
    fn new() -> (Self, UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>) {
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

/// What the controllers read of the triggers.
pub struct Triggered {
    /// Of services.
    pub services: UnboundedReceiver<ObjectRef<DeserializeGuard<Service>>>,
    /// Of task definitions.
    pub task_definitions: UnboundedReceiver<ObjectRef<DeserializeGuard<TaskDefinition>>>,
    /// Of clusters.
    pub clusters: UnboundedReceiver<ObjectRef<DeserializeGuard<Cluster>>>,
    /// Of capacity providers.
    pub capacity_providers: UnboundedReceiver<ObjectRef<DeserializeGuard<CapacityProvider>>>,
}

impl Triggers {
    /// Triggers, and what comes of them.
    pub fn new() -> (Self, Triggered) {
        let (services, services_triggered) = Trigger::new();
        let (task_definitions, task_definitions_triggered) = Trigger::new();
        let (clusters, clusters_triggered) = Trigger::new();
        let (capacity_providers, capacity_providers_triggered) = Trigger::new();
        let triggered = Triggered {
            services: services_triggered,
            task_definitions: task_definitions_triggered,
            clusters: clusters_triggered,
            capacity_providers: capacity_providers_triggered,
        };
        (Self { services, task_definitions, clusters, capacity_providers }, triggered)
    }
}
