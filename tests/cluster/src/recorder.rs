//! A record of everything that happens to objects, one event at a time.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::{Error, wait};

/// How long an event may take from the server to the record.
const LIMIT: Duration = Duration::from_secs(30);

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub struct Recorded<K> {
    /// What happened.
    pub change: Change,
    /// The place of the event in the order of all events of the cluster.
    pub resource_version: u64,
    /// When the event reached the recorder.
    pub at: Timestamp,
    /// The object after the event; for a deletion, as it was last.
    pub object: K,
}

/// Objects by namespace and name.
pub type Objects<K> = BTreeMap<(String, String), K>;

/// A record of pods.
pub type PodRecorder = Recorder<Pod>;

/// Records every event of some objects, in order and without a gap, until it is dropped.
#[derive(Debug)]
pub struct Recorder<K> {
    api: Api<K>,
    parameters: ListParams,
    initial: Objects<K>,
    record: Arc<Mutex<Record<K>>>,
    watch: JoinHandle<()>,
}

#[derive(Debug)]
struct Record<K> {
    events: Vec<Recorded<K>>,
    objects: Objects<K>,
    resource_version: String,
    gap: Option<String>,
}

impl<K> Recorder<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Lists the objects of `api` that `parameters` select and records their events from there on.
    pub async fn start(api: Api<K>, parameters: ListParams) -> Result<Self, Error> {
        let list = api.list(&parameters).await.map_err(Error::request("list the objects to record"))?;
        let initial: Objects<K> = list.items.into_iter().map(|item| (key(&item), item)).collect();
        let record = Arc::new(Mutex::new(Record {
            events: Vec::new(),
            objects: initial.clone(),
            resource_version: list.metadata.resource_version.unwrap_or_default(),
            gap: None,
        }));
        let watch = tokio::spawn(watch(api.clone(), parameters.clone(), record.clone()));
        Ok(Self { api, parameters, initial, record, watch })
    }

    /// The objects as they were when the record began.
    pub const fn initial(&self) -> &Objects<K> {
        &self.initial
    }

    /// The objects as they are after the last event.
    pub fn objects(&self) -> Objects<K> {
        lock(&self.record).objects.clone()
    }

    /// Every event so far, in order.
    pub fn events(&self) -> Result<Vec<Recorded<K>>, Error> {
        Ok(self.whole()?.events.clone())
    }

    /// Goes through the record: calls `visit` with all objects as they were right after each
    /// event, and with that event.
    pub fn replay(&self, mut visit: impl FnMut(&Objects<K>, &Recorded<K>)) -> Result<(), Error> {
        let mut objects = self.initial.clone();
        for event in self.events()? {
            apply(&mut objects, &event);
            visit(&objects, &event);
        }
        Ok(())
    }

    /// Waits until the objects are as `condition` wants them.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Objects<K>) -> bool,
    ) -> Result<(), Error> {
        wait::until(what, limit, async || Ok(condition(&self.whole()?.objects))).await
    }

    /// Waits until everything that has happened up to now is in the record.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let list = self.api.list(&self.parameters).await.map_err(Error::request("list the recorded objects"))?;
        let listed = parse(list.metadata.resource_version.as_deref());
        let now: BTreeMap<_, _> = list.items.iter().map(|item| (key(item), version(item))).collect();
        wait::until("the arrival of all events", LIMIT, async || {
            let record = self.whole()?;
            // Events arrive in order: a later one means that all before it are there.
            let later = parse(Some(&record.resource_version)) >= listed;
            let same = || {
                let recorded = &record.objects;
                recorded.len() == now.len()
                    && recorded.iter().all(|(key, object)| now.get(key) == Some(&version(object)))
            };
            Ok(later || same())
        })
        .await
    }

    /// The record, if nothing is missing in it.
    fn whole(&self) -> Result<MutexGuard<'_, Record<K>>, Error> {
        let record = lock(&self.record);
        match &record.gap {
            None => Ok(record),
            Some(gap) => Err(Error::Gap(gap.clone())),
        }
    }
}

impl<K> Drop for Recorder<K> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

async fn watch<K>(api: Api<K>, parameters: ListParams, record: Arc<Mutex<Record<K>>>)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let parameters = WatchParams {
        label_selector: parameters.label_selector,
        field_selector: parameters.field_selector,
        ..WatchParams::default().timeout(290)
    };
    loop {
        let from = lock(&record).resource_version.clone();
        // A watch that ends, or fails on the way, is taken up again where it stopped: nothing
        // is lost unless the server says that it no longer has the events in between.
        if let Ok(stream) = api.watch(&parameters, &from).await {
            let mut stream = stream.boxed();
            while let Some(Ok(event)) = stream.next().await {
                let mut record = lock(&record);
                match event {
                    WatchEvent::Added(object) => record.add(Change::Added, object),
                    WatchEvent::Modified(object) => record.add(Change::Modified, object),
                    WatchEvent::Deleted(object) => record.add(Change::Deleted, object),
                    WatchEvent::Bookmark(bookmark) => {
                        record.resource_version = bookmark.metadata.resource_version;
                    }
                    WatchEvent::Error(status) => {
                        record.gap = Some(status.message);
                        return;
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl<K: Resource + Clone> Record<K> {
    fn add(&mut self, change: Change, object: K) {
        self.resource_version = object.resource_version().unwrap_or_default();
        let event = Recorded { change, resource_version: version(&object), at: Timestamp::now(), object };
        apply(&mut self.objects, &event);
        self.events.push(event);
    }
}

fn apply<K: Resource + Clone>(objects: &mut Objects<K>, event: &Recorded<K>) {
    let key = key(&event.object);
    match event.change {
        Change::Deleted => objects.remove(&key),
        Change::Added | Change::Modified => objects.insert(key, event.object.clone()),
    };
}

fn key(object: &impl ResourceExt) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn version(object: &impl ResourceExt) -> u64 {
    parse(object.resource_version().as_deref())
}

fn parse(resource_version: Option<&str>) -> u64 {
    resource_version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// A panic in a test's closure leaves the record itself whole.
fn lock<K>(record: &Mutex<Record<K>>) -> MutexGuard<'_, Record<K>> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
