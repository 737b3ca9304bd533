//! The watches behind the caches.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::api::labels;
use crate::api::names::Uid;
use crate::shell::cache::ready::Listed;
use crate::shell::cache::task_pod::TaskPod;
use crate::shell::cache::tasks::TaskIndex;

/// The namespaces that one set of caches covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// One.
    Namespace(String),
}

impl Scope {
    /// The objects of a namespaced kind.
    pub fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::All => Api::all(client),
            Self::Namespace(namespace) => Api::namespaced(client, namespace),
        }
    }
}

/// A watch that fills a store and tells of every change: `changed` gets the object as it is now, or as it was when it was
/// deleted. The stream yields the objects and has to be polled; objects that cannot be read are passed on as such.
pub fn watch_objects<K>(
    api: Api<DeserializeGuard<K>>,
    writer: Writer<DeserializeGuard<K>>,
    listed: Listed,
    changed: impl Fn(&DeserializeGuard<K>) + Send + 'static,
) -> impl Stream<Item = Result<DeserializeGuard<K>, watcher::Error>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect_ok(move |event| match event {
            Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => changed(object),
            Event::InitDone => listed.complete(),
            Event::Init => {}
        })
        .touched_objects()
}

/// Keeps the names and labels of all nodes.
pub async fn watch_nodes(client: Client, writer: Writer<PartialObjectMeta<Node>>, listed: Listed, changed: impl Fn()) {
    let nodes: Api<PartialObjectMeta<Node>> = Api::all(client);
    let slim = |node: &mut PartialObjectMeta<Node>| {
        node.metadata.managed_fields = None;
        node.metadata.annotations = None;
    };
    let watch = watcher(nodes, watcher::Config::default()).default_backoff().modify(slim);
    let mut events = std::pin::pin!(reflector(writer, watch));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if let Event::InitDone = event {
                    listed.complete();
                }
                changed();
            }
            Err(error) => tracing::warn!(%error, "the watch of nodes failed and will be tried again"),
        }
    }
}

/// Keeps the index of task pods. `changed` is told the name and namespace of the service that a change concerns.
pub async fn watch_tasks(api: Api<TaskPod>, index: Arc<TaskIndex>, listed: Listed, changed: impl Fn(&str, &str)) {
    let ours = format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_LONGSHORE);
    let watch = watcher(api, watcher::Config::default().labels(&ours)).default_backoff();
    let mut events = std::pin::pin!(watch);
    let mut seen: HashSet<(Uid, String)> = HashSet::new();
    let tell = |pod: &TaskPod| {
        if let (Some(owner), Some(namespace)) = (pod.owner(), pod.metadata.namespace.as_deref()) {
            changed(&owner.name, namespace);
        }
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(pod)) => {
                if let (Some(owner), Some(name)) = (pod.owner(), &pod.metadata.name) {
                    seen.insert((Uid(owner.uid.clone()), name.clone()));
                }
                index.apply(&pod);
                tell(&pod);
            }
            Ok(Event::InitDone) => {
                index.retain(&seen);
                listed.complete();
            }
            Ok(Event::Apply(pod)) => {
                index.apply(&pod);
                tell(&pod);
            }
            Ok(Event::Delete(pod)) => {
                index.delete(&pod);
                tell(&pod);
            }
            Err(error) => tracing::warn!(%error, "the watch of task pods failed and will be tried again"),
        }
    }
}
