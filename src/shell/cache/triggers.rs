//! From a change to the objects it concerns.

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use crate::api::{CapacityProvider, Cluster, Service, TaskDefinition};

/// How much hurry there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// There may be something to do.
    Now,
    /// There is something to tell at the most. So many of these make one pass.
    Soon,
}

/// A pass over an object, asked for.
pub type Asked<K> = (ObjectRef<DeserializeGuard<K>>, Urgency);

/// Sends objects of one kind to their controller.
pub struct Trigger<K: kube::Resource>(UnboundedSender<Asked<K>>)
where
    K::DynamicType: Eq + std::hash::Hash + Clone + Default;

impl<K> Trigger<K>
where
    K: kube::Resource<DynamicType = ()>,
{
    /// A trigger, and the stream that the controller reads.
    fn new() -> (Self, UnboundedReceiver<Asked<K>>) {
        let (sender, receiver) = unbounded();
        (Self(sender), receiver)
    }

    /// Asks for a pass over an object, now.
    pub fn send(&self, name: &str, namespace: Option<&str>) {
        self.ask(name, namespace, Urgency::Now);
    }

    /// Asks for a pass over an object.
    pub fn ask(&self, name: &str, namespace: Option<&str>, urgency: Urgency) {
        let object = ObjectRef::new(name);
        let object = match namespace {
            Some(namespace) => object.within(namespace),
            None => object,
        };
        // A controller that no longer listens is shutting down.
        let _ = self.0.unbounded_send((object, urgency));
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
    pub services: UnboundedReceiver<Asked<Service>>,
    /// Of task definitions.
    pub task_definitions: UnboundedReceiver<Asked<TaskDefinition>>,
    /// Of clusters.
    pub clusters: UnboundedReceiver<Asked<Cluster>>,
    /// Of capacity providers.
    pub capacity_providers: UnboundedReceiver<Asked<CapacityProvider>>,
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
