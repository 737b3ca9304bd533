//! Wires watches, caches and controllers together.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::api::names::{TaskDefinitionName, cluster_name};
use crate::api::{
    AvailabilityZoneRebalancing, CapacityProvider, Cluster, SchedulingStrategy, Service, TaskDefinition,
    TaskDefinitionRevision,
};
use crate::controllers::capacity_provider::CapacityProviders;
use crate::controllers::cluster::Clusters;
use crate::controllers::service::Services;
use crate::controllers::task_definition::TaskDefinitions;
use crate::domain::pod::PodBuilder;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::family;
use crate::shell::Context;
use crate::shell::cache::{
    Caches, Listed, Ready, Scope, Sink, Triggers, Urgency, sink, watch_nodes, watch_objects, watch_tasks,
};
use crate::shell::clock::Clock;
use crate::shell::driver::Driver;
use crate::shell::events::Events;

/// How long passes that have begun may go on after the order to stop: less than the pod's grace period of 30 seconds.
const LAST_PASSES: Duration = Duration::from_secs(20);

/// What the controllers take from outside besides the cluster.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The time.
    pub clock: Clock,
    /// What a task's pod looks like. Nothing is decided by it: a pod that another version has built otherwise is as good.
    pub build_pod: PodBuilder,
    /// What the API server can express.
    pub features: Features,
}

/// How the controllers have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every pass that had begun was finished.
    Finished,
    /// Some were not: what they were writing may still arrive.
    Interrupted,
}

/// Runs the controllers over one scope until `stop` says so; passes that have begun are finished first. `ready` is told once
/// everything has been observed. Of several scopes in one process only one is to look after `cluster_scoped` kinds.
pub async fn run(
    client: Client,
    scope: Scope,
    cluster_scoped: bool,
    events: Events,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
    inputs: Inputs,
) -> Ended {
    let (caches, sinks) = empty_caches(cluster_scoped);
    let context = Context {
        client: client.clone(),
        caches: caches.clone(),
        events,
        clock: inputs.clock,
        build_pod: inputs.build_pod,
        features: inputs.features,
    };

    let (triggers, triggered) = Triggers::new();
    let links = Links { caches: caches.clone(), triggers: Arc::new(triggers) };

    let service_watch = watch_objects(
        scope.api(client.clone()),
        sinks.services,
        links.on(Links::service_changed),
        links.always(Links::services_relisted),
    );
    let task_definition_watch = watch_objects(
        scope.api(client.clone()),
        sinks.task_definitions,
        links.on(Links::task_definition_changed),
        links.always(Links::families_relisted),
    );
    let revision_watch = watch_objects(
        scope.api(client.clone()),
        sinks.revisions,
        links.on(Links::revision_changed),
        links.always(Links::families_relisted),
    );
    let cluster_watch = watch_objects(
        scope.api(client.clone()),
        sinks.clusters,
        links.on(Links::cluster_changed),
        links.always(Links::clusters_relisted),
    );
    let capacity_provider_watch = watch_objects(
        kube::Api::all(client.clone()),
        sinks.capacity_providers,
        |_: &DeserializeGuard<CapacityProvider>| {},
        || {},
    );
    let tasks = caches.tasks.clone();
    let task_pods = scope.api(client.clone());
    let task_watch = apart(watch_tasks(task_pods, tasks, context.clock.clone(), sinks.tasks, links.on_task()));
    let node_watch = watch_nodes(client, caches.nodes.clone(), sinks.nodes, |node| links.node_changed(node));

    let capacity_providers_driven = async {
        if cluster_scoped {
            let (watch, triggers) = (capacity_provider_watch, triggered.capacity_providers);
            let driver = Driver::<CapacityProviders>::new(context.clone());
            driver.run(watch, caches.capacity_providers.clone(), triggers, stop.clone()).await;
        }
    };
    let services = Driver::<Services>::new(context.clone());
    let task_definitions = Driver::<TaskDefinitions>::new(context.clone());
    let clusters = Driver::<Clusters>::new(context.clone());
    let (service_store, service_triggers, service_stop) = (caches.services.clone(), triggered.services, stop.clone());
    let (definition_store, definition_triggers) = (caches.task_definitions.clone(), triggered.task_definitions);
    let controllers = async {
        tokio::join!(
            apart(async move { services.run(service_watch, service_store, service_triggers, service_stop).await }),
            task_definitions.run(task_definition_watch, definition_store, definition_triggers, stop.clone()),
            clusters.run(cluster_watch, caches.clusters.clone(), triggered.clusters, stop.clone()),
            capacity_providers_driven,
        )
    };
    // The watches have no end of their own; the controllers end when they are told to stop.
    tokio::select! {
        _ = controllers => Ended::Finished,
        ended = last_passes(&stop, &caches.ready) => ended,
        () = task_watch => Ended::Interrupted,
        () = node_watch => Ended::Interrupted,
        () = revision_watch.for_each(|_| async {}) => Ended::Interrupted,
        () = announce(&ready, &caches.ready) => Ended::Interrupted,
    }
}

/// Runs what has most to do as a task of its own: the answer to a write then wakes that alone, and not all that goes on here.
async fn apart(work: impl Future<Output = ()> + Send + 'static) {
    let outcome = AbortOnDropHandle::new(tokio::spawn(work)).await;
    if let Err(error) = outcome
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Where the watches put what they see.
struct Sinks {
    services: Sink<DeserializeGuard<Service>>,
    task_definitions: Sink<DeserializeGuard<TaskDefinition>>,
    revisions: Sink<DeserializeGuard<TaskDefinitionRevision>>,
    clusters: Sink<DeserializeGuard<Cluster>>,
    capacity_providers: Sink<DeserializeGuard<CapacityProvider>>,
    nodes: Listed,
    tasks: Listed,
}

/// Caches that nothing has been seen in yet. Those that are not `cluster_scoped` do not wait for capacity providers.
fn empty_caches(cluster_scoped: bool) -> (Caches, Sinks) {
    let (ready, [services, task_definitions, revisions, clusters, capacity_providers, nodes, tasks]) = Ready::of();
    if !cluster_scoped {
        capacity_providers.complete();
    }
    let (services, services_sink) = sink(services);
    let (task_definitions, task_definitions_sink) = sink(task_definitions);
    let (revisions, revisions_sink) = sink(revisions);
    let (clusters, clusters_sink) = sink(clusters);
    let (capacity_providers, capacity_providers_sink) = sink(capacity_providers);
    let sinks = Sinks {
        services: services_sink,
        task_definitions: task_definitions_sink,
        revisions: revisions_sink,
        clusters: clusters_sink,
        capacity_providers: capacity_providers_sink,
        nodes,
        tasks,
    };
    let caches = Caches {
        services,
        task_definitions,
        revisions,
        clusters,
        capacity_providers,
        definitions: Arc::default(),
        nodes: Arc::default(),
        tasks: Arc::default(),
        secrets: Arc::default(),
        ready,
    };
    (caches, sinks)
}

/// Tells that everything has been observed; then there is nothing more to say.
async fn announce(told: &watch::Sender<bool>, ready: &Ready) {
    ready.wait().await;
    // Nobody listens once the process ends.
    let _ = told.send(true);
    std::future::pending::<()>().await;
}

/// Waits until passes that have begun have had their time after the order to stop.
async fn last_passes(stop: &CancellationToken, ready: &Ready) -> Ended {
    stop.cancelled().await;
    // Before everything was observed no pass has begun that could be finished.
    if tokio::time::timeout(Duration::from_secs(1), ready.wait()).await.is_err() {
        return Ended::Finished;
    }
    tokio::time::sleep(LAST_PASSES).await;
    tracing::warn!("some passes did not end in time; the next operator goes on from what they have written");
    Ended::Interrupted
}

/// Which objects a change concerns.
#[derive(Clone)]
struct Links {
    caches: Caches,
    triggers: Arc<Triggers>,
}

impl Links {
    fn on<K: Clone + 'static>(&self, changed: fn(&Self, &K)) -> impl Fn(&DeserializeGuard<K>) + Send + 'static {
        let links = self.clone();
        move |guard| {
            if let Ok(object) = &guard.0 {
                changed(&links, object);
            }
        }
    }

    fn always(&self, relisted: fn(&Self)) -> impl Fn() + Send + 'static {
        let links = self.clone();
        move || relisted(&links)
    }

    /// Some services may be gone, and with them what held a cluster or a family.
    fn services_relisted(&self) {
        self.nodes_changed();
        for definition in self.caches.task_definitions.state() {
            self.triggers.task_definitions.send(&definition.name_any(), definition.namespace().as_deref());
        }
    }

    /// Some task definitions or revisions may be gone.
    fn families_relisted(&self) {
        self.services_relisted();
        self.clusters_relisted();
    }

    /// Some clusters may be gone.
    fn clusters_relisted(&self) {
        for service in self.caches.services.state() {
            self.triggers.services.send(&service.name_any(), service.namespace().as_deref());
        }
    }

    /// A service counts in its cluster, and uses the family it names and those it still runs. What it has just let go of its
    /// event does not name: whatever waits for that looks again.
    fn service_changed(&self, service: &Service) {
        for guard in self.caches.task_definitions.state() {
            if let Ok(definition) = &guard.0
                && definition.metadata.deletion_timestamp.is_some()
                && definition.metadata.namespace == service.metadata.namespace
            {
                self.triggers.task_definitions.send(&definition.name_any(), definition.namespace().as_deref());
            }
        }
        let cluster = cluster_name(service.spec.cluster.as_deref());
        for guard in self.caches.clusters.state() {
            if let Ok(candidate) = &guard.0
                && candidate.metadata.namespace == service.metadata.namespace
                && candidate.cluster_name() == cluster
            {
                self.triggers.clusters.send(&candidate.name_any(), candidate.namespace().as_deref());
            }
        }
        let deployed = service.status.iter().flat_map(|status| &status.deployments);
        let families = deployed.map(|deployment| deployment.task_definition.as_str());
        for named in families.chain(service.spec.task_definition.as_deref()) {
            if let Ok(name) = named.parse::<TaskDefinitionName>() {
                self.family_changed(name.family().as_str(), service.namespace().as_deref(), |_| true);
            }
        }
    }

    fn family_changed(&self, changed: &str, namespace: Option<&str>, concerned: impl Fn(&TaskDefinition) -> bool) {
        for guard in self.caches.task_definitions.state() {
            if let Ok(definition) = &guard.0
                && definition.metadata.namespace.as_deref() == namespace
                && family(&definition.spec, &definition.name_any()) == changed
                && concerned(definition)
            {
                self.triggers.task_definitions.send(&definition.name_any(), namespace);
            }
        }
    }

    /// Whoever has the family next is another object. One that fails is not to be brought back by its own status.
    fn task_definition_changed(&self, changed: &TaskDefinition) {
        let name = changed.name_any();
        let another = |definition: &TaskDefinition| definition.name_any() != name;
        self.family_changed(family(&changed.spec, &name), changed.namespace().as_deref(), another);
    }

    fn revision_changed(&self, revision: &TaskDefinitionRevision) {
        let Some(family) = revision.spec.task_definition.family.as_deref() else { return };
        let namespace = revision.namespace();
        self.family_changed(family, namespace.as_deref(), |_| true);
        self.services_where(namespace.as_deref(), |service| {
            let named = service.spec.task_definition.as_deref();
            named
                .and_then(|name| name.parse::<TaskDefinitionName>().ok())
                .is_some_and(|name| name.family().as_str() == family)
        });
    }

    fn cluster_changed(&self, cluster: &Cluster) {
        let name = cluster.cluster_name();
        // Whoever has the name next is another object.
        for guard in self.caches.clusters.state() {
            let same_name =
                |other: &Cluster| other.cluster_name() == name && other.metadata.name != cluster.metadata.name;
            if guard.namespace() == cluster.namespace() && guard.0.as_ref().is_ok_and(same_name) {
                self.triggers.clusters.send(&guard.name_any(), guard.namespace().as_deref());
            }
        }
        self.services_where(cluster.namespace().as_deref(), |service| {
            cluster_name(service.spec.cluster.as_deref()) == name
        });
    }

    fn services_where(&self, namespace: Option<&str>, concerned: impl Fn(&Service) -> bool) {
        for guard in self.caches.services.state() {
            if let Ok(service) = &guard.0
                && service.metadata.namespace.as_deref() == namespace
                && concerned(service)
            {
                self.triggers.services.send(&service.name_any(), namespace);
            }
        }
    }

    /// What follows from a change to a task. On a node that drains, the task of a DAEMON service may have waited for it to go.
    fn on_task(&self) -> impl Fn(&str, &str, Option<&str>, Urgency) + Send + 'static {
        let links = self.clone();
        move |service, namespace, node, urgency| {
            let draining = node.is_some_and(|node| links.caches.nodes.is_draining(node));
            let urgency = if draining { Urgency::Now } else { urgency };
            links.triggers.services.ask(service, Some(namespace), urgency);
            if draining {
                links.daemons_changed();
            }
        }
    }

    /// A node has come, gone or changed: tasks may have to leave it, or come to it.
    fn node_changed(&self, node: &str) {
        self.nodes_changed();
        for (namespace, service) in self.caches.tasks.services_on(node) {
            self.triggers.services.send(&service, Some(&namespace));
        }
        self.services_follow(|service| {
            let spec = &service.spec;
            spec.scheduling_strategy == Some(SchedulingStrategy::Daemon)
                || spec.availability_zone_rebalancing == Some(AvailabilityZoneRebalancing::Enabled)
        });
    }

    /// DAEMON services follow the nodes, and the tasks that leave them.
    fn daemons_changed(&self) {
        self.services_follow(|service| service.spec.scheduling_strategy == Some(SchedulingStrategy::Daemon));
    }

    fn services_follow(&self, concerned: impl Fn(&Service) -> bool) {
        for guard in self.caches.services.state() {
            if let Ok(service) = &guard.0
                && concerned(service)
            {
                self.triggers.services.send(&service.name_any(), service.namespace().as_deref());
            }
        }
    }

    fn nodes_changed(&self) {
        for cluster in self.caches.clusters.state() {
            self.triggers.clusters.send(&cluster.name_any(), cluster.namespace().as_deref());
        }
        for provider in self.caches.capacity_providers.state() {
            self.triggers.capacity_providers.send(&provider.name_any(), None);
        }
    }
}
