//! The nodes of a cluster, which kwok plays.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeSpec, NodeStatus, Pod, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{Error, TestCluster, wait};

/// The annotation by which kwok knows its nodes.
const PLAYED: &str = "kwok.x-k8s.io/node";

const LIMIT: Duration = Duration::from_mins(1);

/// Nodes to be created, all alike but for zone and instance type.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// How many.
    pub count: usize,
    /// What the names start with; a number from 0 follows.
    pub prefix: String,
    /// The region.
    pub region: String,
    /// The zones, taken in turn.
    pub zones: Vec<String>,
    /// The instance types, taken in turn once per round of the zones, so that every zone
    /// gets every type.
    pub instance_types: Vec<String>,
    /// The architecture.
    pub architecture: String,
    /// The CPUs of each node.
    pub cpu: String,
    /// The memory of each node.
    pub memory: String,
    /// The disk space of each node.
    pub ephemeral_storage: String,
    /// How many pods fit on each node.
    pub pods: u32,
    /// Other allocatable resources, such as `nvidia.com/gpu`.
    pub resources: BTreeMap<String, String>,
    /// Labels beside the well-known ones, which they replace where keys are the same.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            count: 6,
            prefix: "node".to_owned(),
            region: "eu-central-1".to_owned(),
            zones: ["a", "b", "c"].map(|zone| format!("eu-central-1{zone}")).to_vec(),
            instance_types: vec!["m7i.4xlarge".to_owned()],
            architecture: "amd64".to_owned(),
            cpu: "16".to_owned(),
            memory: "64Gi".to_owned(),
            ephemeral_storage: "100Gi".to_owned(),
            pods: 250,
            resources: BTreeMap::new(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
        }
    }
}

impl Nodes {
    /// This many nodes, otherwise as by default.
    pub fn count(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// The names of the nodes, in the order of their creation.
    pub fn names(&self) -> Vec<String> {
        (0..self.count).map(|number| format!("{}-{number}", self.prefix)).collect()
    }

    fn nodes(&self) -> Vec<Node> {
        self.names().into_iter().enumerate().map(|(number, name)| self.node(number, name)).collect()
    }

    fn node(&self, number: usize, name: String) -> Node {
        let zone = turn(&self.zones, number);
        let round = number.checked_div(self.zones.len()).unwrap_or(number);
        let instance_type = turn(&self.instance_types, round);
        let well_known = [
            ("kubernetes.io/hostname", Some(name.as_str())),
            ("kubernetes.io/os", Some("linux")),
            ("kubernetes.io/arch", Some(self.architecture.as_str())),
            ("topology.kubernetes.io/region", Some(self.region.as_str())),
            ("topology.kubernetes.io/zone", zone),
            ("node.kubernetes.io/instance-type", instance_type),
        ];
        let labels = well_known
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .chain(self.labels.clone())
            .collect();
        let pods = self.pods.to_string();
        let resources: BTreeMap<String, Quantity> = [
            ("cpu", &self.cpu),
            ("memory", &self.memory),
            ("ephemeral-storage", &self.ephemeral_storage),
            ("pods", &pods),
        ]
        .into_iter()
        .chain(self.resources.iter().map(|(name, amount)| (name.as_str(), amount)))
        .map(|(name, amount)| (name.to_owned(), Quantity(amount.clone())))
        .collect();
        Node {
            metadata: ObjectMeta {
                name: Some(name),
                labels: Some(labels),
                annotations: Some(BTreeMap::from([(PLAYED.to_owned(), "fake".to_owned())])),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                taints: Some(self.taints.clone()).filter(|taints| !taints.is_empty()),
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus {
                allocatable: Some(resources.clone()),
                capacity: Some(resources),
                ..NodeStatus::default()
            }),
        }
    }
}

impl TestCluster {
    /// Creates nodes; returns their names once pods can be scheduled to them.
    pub async fn create_nodes(&self, nodes: &Nodes) -> Result<Vec<String>, Error> {
        let api: Api<Node> = Api::all(self.client()?);
        let create =
            nodes.nodes().into_iter().map(|node| {
                let api = &api;
                async move {
                    api.create(&PostParams::default(), &node).await.map(drop).map_err(Error::request("create a node"))
                }
            });
        futures::future::try_join_all(create).await?;
        let names = nodes.names();
        wait::until("the readiness of the nodes", LIMIT, async || {
            let list = api.list(&ListParams::default()).await.map_err(Error::request("list the nodes"))?;
            let ready: Vec<_> = list.items.iter().filter(|node| schedulable(node)).collect();
            Ok(names.iter().all(|name| ready.iter().any(|node| node.metadata.name.as_ref() == Some(name))))
        })
        .await?;
        Ok(names)
    }

    /// Deletes a node, as when its machine is given back; its pods go by garbage collection.
    pub async fn delete_node(&self, name: &str) -> Result<(), Error> {
        let api: Api<Node> = Api::all(self.client()?);
        api.delete(name, &DeleteParams::default())
            .await
            .map(drop)
            .map_err(Error::request(format!("delete the node {name}")))
    }

    /// Loses a node, as when its machine is cut off: nothing happens on it any more, and neither it nor its pods are
    /// Ready. What the control plane does about that, it does by itself.
    pub async fn lose_node(&self, name: &str) -> Result<(), Error> {
        self.play(name, Value::Null).await?;
        let api: Api<Node> = Api::all(self.client()?);
        // The node lifecycle controller writes the same, but only when the node has been
        // silent for its grace period of 50 s.
        let status = json!({ "status": { "conditions": [{
            "type": "Ready",
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": jiff::Timestamp::now(),
        }]}});
        let parameters = PatchParams::default();
        api.patch_status(name, &parameters, &Patch::Strategic(status))
            .await
            .map(drop)
            .map_err(Error::request(format!("lose the node {name}")))?;
        self.lose_pods_of(name).await
    }

    /// The node lifecycle controller does this only where it has written the node's condition itself.
    async fn lose_pods_of(&self, node: &str) -> Result<(), Error> {
        let pods: Api<Pod> = Api::all(self.client()?);
        let of_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let found = pods.list(&of_node).await.map_err(Error::request("list the pods of the node"))?;
        let status = json!({ "status": { "conditions": [{
            "type": "Ready",
            "status": "False",
            "lastTransitionTime": jiff::Timestamp::now(),
        }]}});
        for pod in found {
            let pods: Api<Pod> = Api::namespaced(self.client()?, &pod.namespace().unwrap_or_default());
            let patch = Patch::Strategic(&status);
            pods.patch_status(&pod.name_any(), &PatchParams::default(), &patch)
                .await
                .map_err(Error::request("lose a pod of the node"))?;
        }
        Ok(())
    }

    /// Brings a lost node back; returns once it is Ready.
    pub async fn find_node(&self, name: &str) -> Result<(), Error> {
        self.play(name, json!("fake")).await?;
        let api: Api<Node> = Api::all(self.client()?);
        wait::until("the return of the node", LIMIT, async || {
            api.get(name).await.map(|node| schedulable(&node)).map_err(Error::request(format!("read the node {name}")))
        })
        .await
    }

    async fn play(&self, name: &str, value: Value) -> Result<(), Error> {
        let api: Api<Node> = Api::all(self.client()?);
        let patch = json!({ "metadata": { "annotations": { PLAYED: value } } });
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(drop)
            .map_err(Error::request(format!("change the node {name}")))
    }
}

fn turn(values: &[String], number: usize) -> Option<&str> {
    let index = number.checked_rem(values.len())?;
    values.get(index).map(String::as_str)
}

/// Ready, and free of the taints that the control plane puts on nodes that are not.
pub(crate) fn schedulable(node: &Node) -> bool {
    let ready = |condition: &NodeCondition| condition.type_ == "Ready" && condition.status == "True";
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    conditions.is_some_and(|conditions| conditions.iter().any(ready))
        && !taints.is_some_and(|taints| {
            taints.iter().any(|taint| {
                matches!(taint.key.as_str(), "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable")
            })
        })
}
