//! The nodes, and the facts they become. A kubelet writes to its node every few seconds; what we read of it hardly ever changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Deserialize, Serialize};

use crate::domain::placement::node::{NodeFact, Taint, TaintEffect};
use crate::domain::placement::resources::{Resources, bytes, millicores};
use crate::domain::service::Nodes;
use crate::shell::cache::ready::Listed;

/// A node, without what we do not read.
#[derive(Debug, Clone, Resource, Serialize, Deserialize)]
#[resource(inherit = v1::Node)]
struct SlimNode {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    node_info: NodeInfo,
    allocatable: Option<Allocatable>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Allocatable {
    cpu: String,
    memory: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: bool,
    taints: Vec<v1::Taint>,
}

impl SlimNode {
    fn fact(&self) -> NodeFact {
        NodeFact {
            name: self.name_any(),
            labels: self.labels().clone(),
            unschedulable: self.spec.unschedulable,
            taints: self.spec.taints.iter().filter_map(taint).collect(),
            created_at: self.metadata.creation_timestamp.as_ref().map(|time| time.0),
            kubelet_version: self.status.node_info.kubelet_version.clone(),
            allocatable: self.status.allocatable.as_ref().and_then(|allocatable| {
                Some(Resources { cpu: millicores(&allocatable.cpu)?, memory: bytes(&allocatable.memory)? })
            }),
        }
    }
}

fn taint(taint: &v1::Taint) -> Option<Taint> {
    let effect = match taint.effect.as_str() {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        _ => return None,
    };
    Some(Taint { key: taint.key.clone(), value: taint.value.clone(), effect })
}

/// All nodes, as they are now.
#[derive(Debug, Default)]
pub struct NodeIndex {
    nodes: Mutex<Arc<Nodes>>,
}

impl NodeIndex {
    /// The nodes.
    pub fn nodes(&self) -> Arc<Nodes> {
        self.lock().clone()
    }

    /// Whether a node takes no more tasks.
    pub fn is_draining(&self, node: &str) -> bool {
        self.lock().get(node).is_some_and(NodeFact::is_draining)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Nodes>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the index of nodes. `changed` is told the name of each node that is not as it was.
pub async fn watch_nodes(client: Client, index: Arc<NodeIndex>, listed: Listed, changed: impl Fn(&str)) {
    let nodes: Api<SlimNode> = Api::all(client);
    let mut events = std::pin::pin!(watcher(nodes, watcher::Config::default()).default_backoff());
    let mut listing = Nodes::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(node)) => {
                let (name, fact) = (node.name_any(), node.fact());
                let known = index.lock().get(&name) == Some(&fact);
                if !known {
                    Arc::make_mut(&mut index.lock()).insert(name.clone(), fact);
                    changed(&name);
                }
            }
            Ok(Event::Delete(node)) => {
                let name = node.name_any();
                Arc::make_mut(&mut index.lock()).remove(&name);
                changed(&name);
            }
            Ok(Event::Init) => listing.clear(),
            Ok(Event::InitApply(node)) => {
                listing.insert(node.name_any(), node.fact());
            }
            Ok(Event::InitDone) => {
                let listing = std::mem::take(&mut listing);
                let before = std::mem::replace(&mut *index.lock(), Arc::new(listing.clone()));
                let differs = |name: &&String| before.get(*name) != listing.get(*name);
                before.keys().chain(listing.keys()).filter(differs).for_each(|name| changed(name));
                listed.complete();
            }
            Err(error) => tracing::warn!(%error, "the watch of nodes failed and will be tried again"),
        }
    }
}
