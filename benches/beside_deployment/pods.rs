//! The pods of a namespace as a watch shows them: what counts in the end.

use std::collections::HashMap;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::arena::Arena;
use crate::contestant::LIMIT;

/// A pod, without what is not looked at: the benchmark is to leave the machine to those it measures.
#[derive(Debug, Clone, Resource, Serialize, Deserialize)]
#[resource(inherit = Pod)]
struct SlimPod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Spec {
    containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Container {
    image: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// What is known of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its image.
    image: String,
    /// Ready, and not being deleted.
    ready: bool,
}

/// The pods of a namespace.
pub(crate) struct Tasks {
    events: BoxStream<'static, Result<Event<SlimPod>, watcher::Error>>,
    pods: HashMap<String, Task>,
    listed: bool,
}

impl Tasks {
    /// Watches from now on.
    pub(crate) fn watch(arena: &Arena, namespace: &str) -> Self {
        let pods: Api<SlimPod> = Api::namespaced(arena.client.clone(), namespace);
        let events = watcher(pods, watcher::Config::default()).default_backoff().boxed();
        Self { events, pods: HashMap::new(), listed: false }
    }

    /// Waits until the pods are as wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&HashMap<String, Task>) -> bool) -> Result<(), Failure> {
        let follow = async {
            while !self.listed || !wanted(&self.pods) {
                match self.events.try_next().await? {
                    Some(Event::Init) => {
                        self.listed = false;
                        self.pods.clear();
                    }
                    Some(Event::InitDone) => self.listed = true,
                    Some(Event::Apply(pod) | Event::InitApply(pod)) => {
                        self.pods.insert(pod.name_any(), Task::of(&pod));
                    }
                    Some(Event::Delete(pod)) => drop(self.pods.remove(&pod.name_any())),
                    None => return Err("the watch of pods has ended".into()),
                }
            }
            Ok(())
        };
        tokio::time::timeout(LIMIT, follow).await?
    }

    /// Waits until there are `count` pods, all of `image` and ready.
    pub(crate) async fn until_ready(&mut self, count: usize, image: &str) -> Result<(), Failure> {
        self.until(|pods| pods.len() == count && pods.values().all(|task| task.ready && task.image == image)).await
    }

    /// The names of the pods, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.pods.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

impl Task {
    fn of(pod: &SlimPod) -> Self {
        let is_ready = |condition: &Condition| condition.type_ == "Ready" && condition.status == "True";
        Self {
            image: pod.spec.containers.first().map(|container| container.image.clone()).unwrap_or_default(),
            ready: pod.metadata.deletion_timestamp.is_none() && pod.status.conditions.iter().any(is_ready),
        }
    }
}
