//! How the programs of a node are configured.

use std::path::Path;

use serde_json::{Value, json};

use super::images::PAUSE;
use super::registry::Registry;
use crate::program::Program;
use crate::programs::Programs;

/// The node's address, which `inside.sh` gives to the bridge of its pods.
pub(super) const ADDRESS: &str = "10.88.0.1";

/// Where the pods' addresses come from.
const PODS: &str = "10.88.0.0/16";

/// containerd's socket. Not in the cluster's folder: the path of a socket may have no more than about 100 bytes.
pub(super) const CONTAINERD: &str = "/run/containerd/containerd.sock";

/// The configuration of containerd, and of the plugins that connect its pods.
pub(super) fn containerd(folder: &Path, programs: &Programs, registry: &Registry) -> String {
    let text = |path: &Path| Value::from(path.to_string_lossy()).to_string();
    let root = text(&folder.join("containerd"));
    let runc = programs.path(Program::Runc);
    let bin = text(runc.parent().unwrap_or(folder));
    let networks = text(&folder.join("networks"));
    let (runc, pause) = (text(&runc), registry.image(PAUSE));
    // Without the right to lower it, no sandbox comes to be unless `oom_score_adj` is left as it is.
    format!(
        r#"version = 3
root = {root}

[grpc]
address = "{CONTAINERD}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
pinned_images = {{ sandbox = "{pause}" }}

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{bin}]
conf_dir = {networks}

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
options = {{ BinaryName = {runc}, SystemdCgroup = false }}
"#
    )
}

/// The network of the pods: all on one bridge, and each may reach itself by way of a Service.
pub(super) fn network(folder: &Path) -> String {
    let network = json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "node0",
            "isGateway": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": folder.join("addresses"),
                "ranges": [[{ "subnet": PODS, "gateway": ADDRESS }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    });
    network.to_string()
}

pub(super) fn kubelet(folder: &Path, authority: &Path, cgroup: &str) -> String {
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": false },
            "x509": { "clientCAFile": authority },
        },
        "authorization": { "mode": "AlwaysAllow" },
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "failCgroupV1": false,
        // The machine is not the node's alone: it sets nothing aside, evicts nobody and looks at no swap.
        "enforceNodeAllocatable": [],
        "evictionHard": {},
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": false,
        "resolvConf": "",
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "volumePluginDir": folder.join("volume-plugins"),
    });
    configuration.to_string()
}

pub(super) fn kube_proxy(kubeconfig: &Path, node: &str) -> String {
    let configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": { "kubeconfig": kubeconfig },
        "hostnameOverride": node,
        // These are set for the whole machine.
        "conntrack": { "maxPerCore": 0, "min": 0 },
    });
    configuration.to_string()
}
