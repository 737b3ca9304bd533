//! Wires watches, caches and controllers together.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::names::{TaskDefinitionName, cluster_name};
use crate::api::{CapacityProvider, Cluster, Service, TaskDefinition, TaskDefinitionRevision};
use crate::controllers::capacity_provider::CapacityProviders;
use crate::controllers::cluster::Clusters;
use crate::controllers::service::Services;
use crate::controllers::task_definition::TaskDefinitions;
use crate::domain::resolve::task_definition::family;
use crate::shell::Context;
use crate::shell::cache::{
    Caches, Ready, Scope, TaskIndex, Trigger, Triggers, watch_nodes, watch_objects, watch_tasks,
};
use crate::shell::driver::{Driver, Reconciler};
use crate::shell::events::Events;

/// Most passes at once over objects of one kind.
const CONCURRENCY: u16 = 32;

/// Runs the controllers over one scope until `stop` says so; passes that have begun are finished first. `ready` is told once
/// everything has been observed. Of several scopes in one process only one is to look after `cluster_scoped` kinds.
pub async fn run(
    client: Client,
    scope: Scope,
    cluster_scoped: bool,
    events: Events,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let (services, services_writer) = reflector::store();
    let (task_definitions, task_definitions_writer) = reflector::store();
    let (revisions, revisions_writer) = reflector::store();
    let (clusters, clusters_writer) = reflector::store();
    let (capacity_providers, capacity_providers_writer) = reflector::store();
    let (nodes, nodes_writer) = reflector::store();
    let mut caches_ready = Ready::default();
    let mut listed = || caches_ready.listed();
    let (services_listed, task_definitions_listed, revisions_listed) = (listed(), listed(), listed());
    let (clusters_listed, capacity_providers_listed) = (listed(), listed());
    let (nodes_listed, tasks_listed) = (listed(), listed());
    if !cluster_scoped {
        capacity_providers_listed.complete();
    }
    let caches = Caches {
        services: services.clone(),
        task_definitions: task_definitions.clone(),
        revisions,
        clusters: clusters.clone(),
        capacity_providers: capacity_providers.clone(),
        nodes,
        tasks: Arc::new(TaskIndex::default()),
        ready: caches_ready,
    };
    let context = Context { client: client.clone(), caches: caches.clone(), events };

    let (service_trigger, service_triggers) = Trigger::new();
    let (task_definition_trigger, task_definition_triggers) = Trigger::new();
    let (cluster_trigger, cluster_triggers) = Trigger::new();
    let (capacity_provider_trigger, capacity_provider_triggers) = Trigger::new();
    let triggers = Arc::new(Triggers {
        services: service_trigger,
        task_definitions: task_definition_trigger,
        clusters: cluster_trigger,
        capacity_providers: capacity_provider_trigger,
    });
    let links = Links { caches: caches.clone(), triggers };

    let service_watch =
        watch_objects(scope.api(client.clone()), services_writer, services_listed, links.on(Links::service_changed));
    let task_definition_watch = watch_objects(
        scope.api(client.clone()),
        task_definitions_writer,
        task_definitions_listed,
        links.on(Links::task_definition_changed),
    );
    let revision_watch =
        watch_objects(scope.api(client.clone()), revisions_writer, revisions_listed, links.on(Links::revision_changed));
    let cluster_watch =
        watch_objects(scope.api(client.clone()), clusters_writer, clusters_listed, links.on(Links::cluster_changed));
    let capacity_provider_watch = watch_objects(
        kube::Api::all(client.clone()),
        capacity_providers_writer,
        capacity_providers_listed,
        |_: &DeserializeGuard<CapacityProvider>| {},
    );
    let task_watch = {
        let triggers = links.triggers.clone();
        let changed = move |service: &str, namespace: &str| triggers.services.send(service, Some(namespace));
        watch_tasks(scope.api(client.clone()), caches.tasks.clone(), tasks_listed, changed)
    };
    let node_watch = watch_nodes(client, nodes_writer, nodes_listed, || links.nodes_changed());

    let capacity_providers_driven = async {
        if cluster_scoped {
            let (watch, triggers) = (capacity_provider_watch, capacity_provider_triggers);
            drive::<CapacityProviders>(&context, watch, capacity_providers, triggers, &stop).await;
        }
    };
    let controllers = async {
        tokio::join!(
            drive::<Services>(&context, service_watch, services, service_triggers, &stop),
            drive::<TaskDefinitions>(
                &context,
                task_definition_watch,
                task_definitions,
                task_definition_triggers,
                &stop
            ),
            drive::<Clusters>(&context, cluster_watch, clusters, cluster_triggers, &stop),
            capacity_providers_driven,
        )
    };
    let announce_ready = async {
        caches.ready.wait().await;
        // Nobody listens once the process ends.
        let _ = ready.send(true);
        std::future::pending::<()>().await;
    };
    // The watches have no end of their own; the controllers end when they are told to stop.
    tokio::select! {
        _ = controllers => {}
        () = task_watch => {}
        () = node_watch => {}
        () = revision_watch.for_each(|_| async {}) => {}
        () = announce_ready => {}
    }
}

async fn drive<R: Reconciler>(
    context: &Context,
    watch: impl Stream<Item = Result<DeserializeGuard<R::Object>, watcher::Error>> + Send + 'static,
    store: Store<DeserializeGuard<R::Object>>,
    triggers: impl Stream<Item = ObjectRef<DeserializeGuard<R::Object>>> + Send + 'static,
    stop: &CancellationToken,
) where
    <DeserializeGuard<R::Object> as Resource>::DynamicType: Eq + Hash + Clone + Debug + Unpin,
{
    let driver = Arc::new(Driver::<R>::new(context.clone()));
    Controller::for_stream(watch, store)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(triggers)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(Driver::reconcile, Driver::after_failure, driver.clone())
        .for_each(|outcome| async {
            match outcome {
                Err(controller::Error::ObjectNotFound(gone)) => driver.forget(&gone.name, gone.namespace.as_deref()),
                Err(controller::Error::QueueError(error)) => {
                    let kind = R::Object::kind(&());
                    tracing::warn!(%kind, %error, "the watch failed and will be tried again");
                }
                // A pass that failed has been logged where it failed.
                Ok(_) | Err(_) => {}
            }
        })
        .await;
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

    /// A service counts in its cluster, and uses the family it names and those it still runs.
    fn service_changed(&self, service: &Service) {
        let cluster = cluster_name(service.spec.cluster.as_deref());
        for guard in self.caches.clusters.state() {
            if let Ok(candidate) = &guard.0 {
                let name = candidate.spec.cluster_name.as_deref().or(candidate.metadata.name.as_deref());
                if candidate.metadata.namespace == service.metadata.namespace && name == Some(cluster) {
                    self.triggers.clusters.send(&candidate.name_any(), candidate.namespace().as_deref());
                }
            }
        }
        let deployed = service.status.iter().flat_map(|status| &status.deployments);
        let families = deployed.map(|deployment| deployment.task_definition.as_str());
        for named in families.chain(service.spec.task_definition.as_deref()) {
            if let Ok(name) = named.parse::<TaskDefinitionName>() {
                self.family_changed(name.family().as_str(), service.namespace().as_deref());
            }
        }
    }

    fn family_changed(&self, changed: &str, namespace: Option<&str>) {
        for guard in self.caches.task_definitions.state() {
            if let Ok(definition) = &guard.0
                && definition.metadata.namespace.as_deref() == namespace
                && family(&definition.spec, &definition.name_any()) == changed
            {
                self.triggers.task_definitions.send(&definition.name_any(), namespace);
            }
        }
    }

    /// Whoever has the family next is another object.
    fn task_definition_changed(&self, definition: &TaskDefinition) {
        self.family_changed(family(&definition.spec, &definition.name_any()), definition.namespace().as_deref());
    }

    fn revision_changed(&self, revision: &TaskDefinitionRevision) {
        let Some(family) = revision.spec.task_definition.family.as_deref() else { return };
        let namespace = revision.namespace();
        self.family_changed(family, namespace.as_deref());
        self.services_where(namespace.as_deref(), |service| {
            let named = service.spec.task_definition.as_deref();
            named
                .and_then(|name| name.parse::<TaskDefinitionName>().ok())
                .is_some_and(|name| name.family().as_str() == family)
        });
    }

    fn cluster_changed(&self, cluster: &Cluster) {
        let name = cluster.spec.cluster_name.clone().unwrap_or_else(|| cluster.name_any());
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

    fn nodes_changed(&self) {
        for cluster in self.caches.clusters.state() {
            self.triggers.clusters.send(&cluster.name_any(), cluster.namespace().as_deref());
        }
        for provider in self.caches.capacity_providers.state() {
            self.triggers.capacity_providers.send(&provider.name_any(), None);
        }
    }
}
