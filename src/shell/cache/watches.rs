//! The watches behind the caches.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::api::labels;
use crate::shell::cache::ready::Listed;
use crate::shell::cache::task_pod::TaskPod;
use crate::shell::cache::tasks::TaskIndex;
use crate::shell::cache::triggers::Urgency;
use crate::shell::clock::Clock;

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

/// Where a watch puts what it sees.
pub struct Sink<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    writer: Writer<K>,
    listed: Listed,
}

/// A store, and the sink that fills it.
pub fn sink<K>(listed: Listed) -> (Store<K>, Sink<K>)
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone + Default,
{
    let (store, writer) = reflector::store();
    (store, Sink { writer, listed })
}

/// A watch that fills a store and tells of every change: `changed` gets the object as it is now, or as it was when it was
/// deleted. Which objects are gone when the watch begins anew no event tells: `relisted` is called once the store has what a new
/// list has. The stream has to be polled. It names the objects that want a pass, each once the store shows what has become of it;
/// objects that cannot be read are among them.
pub fn watch_objects<K>(
    api: Api<DeserializeGuard<K>>,
    sink: Sink<DeserializeGuard<K>>,
    changed: impl Fn(&DeserializeGuard<K>) + Send + 'static,
    relisted: impl Fn() + Send + 'static,
) -> impl Stream<Item = ObjectRef<DeserializeGuard<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let Sink { writer, listed } = sink;
    let store = writer.as_reader();
    let stored = move || -> Vec<_> { store.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect() };
    let mut before = Vec::new();
    let named = move |event| match event {
        Ok(Event::Apply(object) | Event::Delete(object)) => {
            changed(&object);
            vec![ObjectRef::from_obj(&object)]
        }
        Ok(Event::Init) => {
            before = stored();
            Vec::new()
        }
        Ok(Event::InitApply(object)) => {
            changed(&object);
            Vec::new()
        }
        Ok(Event::InitDone) => {
            listed.complete();
            relisted();
            // Those that are gone are looked for, too, and found to be.
            before.drain(..).chain(stored()).collect()
        }
        Err(error) => {
            let kind = K::kind(&());
            tracing::warn!(%kind, %error, "the watch failed and will be tried again");
            Vec::new()
        }
    };
    let events = watcher(api, watcher::Config::default()).default_backoff().reflect(writer);
    events.map(named).flat_map(futures::stream::iter)
}

/// Keeps the index of task pods. `changed` is told the name and namespace of the service that a change concerns, the pod's node,
/// and whether there is hurry.
///
/// The list is of no older state than that of the request. After a restart, or beside others that are ahead, an old one would do
/// harm: tasks started since would be missing and be started again, tasks stopped since would count as healthy, and another one would
/// be stopped on their account. It is read page by page: a streamed list takes the API server twice as long (10,000 pods: 2.1 s,
/// and a list 1.1 s).
pub async fn watch_tasks(
    api: Api<TaskPod>,
    index: Arc<TaskIndex>,
    clock: Clock,
    listed: Listed,
    changed: impl Fn(&str, &str, Option<&str>, Urgency),
) {
    let ours = format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_LONGSHORE);
    let mut events = watcher(api, watcher::Config::default().labels(&ours)).default_backoff().boxed();
    let mut seen: HashSet<(String, String)> = HashSet::new();
    let tell = |pod: &TaskPod, urgency| {
        if let (Some(owner), Some(namespace)) = (pod.owner(), pod.metadata.namespace.as_deref()) {
            changed(&owner.name, namespace, pod.node(), urgency);
        }
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(pod)) => {
                seen.insert(pod.reference());
                let urgency = index.apply(&pod, clock.now());
                tell(&pod, urgency);
            }
            Ok(Event::InitDone) => {
                for (namespace, service) in index.retain(&seen) {
                    changed(&service, &namespace, None, Urgency::Now);
                }
                listed.complete();
            }
            Ok(Event::Apply(pod)) => {
                let urgency = index.apply(&pod, clock.now());
                tell(&pod, urgency);
            }
            Ok(Event::Delete(pod)) => {
                let urgency = index.delete(&pod);
                tell(&pod, urgency);
            }
            Err(error) => tracing::warn!(%error, "the watch of task pods failed and will be tried again"),
        }
    }
}
