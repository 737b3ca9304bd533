//! A real node: a kubelet with containerd, and registries that it pulls images from.
//!
//! It runs in [`Namespaces`] only, beside the nodes that kwok plays.

mod configuration;
mod images;
mod namespaces;
mod packages;
mod registry;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::Api;

pub use namespaces::{Entered, Namespaces};
pub use registry::{Credentials, Registry};

use crate::control_plane::flag;
use crate::guarded::Guarded;
use crate::nodes::schedulable;
use crate::program::Program;
use crate::programs::Programs;
use crate::{Error, TestCluster};

/// The name of the node.
const NAME: &str = "real";

/// How long a program may take to become ready, on a machine that is busy with a build.
const LIMIT: Duration = Duration::from_mins(1);

/// A running node. It stops when this value is dropped.
#[derive(Debug)]
pub struct TestNode {
    // Dropped in this order: what uses another before that.
    _running: Vec<Guarded>,
    public: Registry,
    private: Registry,
}

impl TestNode {
    /// The registry that lets everybody pull. It has the images `task:1` and `task:2`, with a shell and the program `task`.
    pub const fn public(&self) -> &Registry {
        &self.public
    }

    /// The registry that asks for credentials. It has the same images.
    pub const fn private(&self) -> &Registry {
        &self.private
    }
}

impl TestCluster {
    /// Starts a real node; returns once pods can be scheduled to it.
    pub async fn start_node(&self, namespaces: &Namespaces) -> Result<TestNode, Error> {
        let programs = Programs::build(&Program::NODE)?;
        let spawn = |program: Program, arguments: &[OsString]| {
            Guarded::spawn(self.files(), program.name(), &programs.path(program), arguments, &[])
        };
        let public = Registry::start(self, &programs, "public", None).await?;
        let private = Registry::start(self, &programs, "private", Some(registry::CREDENTIALS)).await?;
        images::push(self, &programs, &[&public, &private])?;

        let networks = self.folder().join("networks");
        std::fs::create_dir(&networks).map_err(|source| Error::Write { path: networks, source })?;
        self.write("networks/pods.conflist", &configuration::network(self.folder()))?;
        let file = self.write("containerd.toml", &configuration::containerd(self.folder(), &programs, &public))?;
        let mut containerd = spawn(Program::Containerd, &[flag("config", file)])?;
        containerd.ready(LIMIT, async || Path::new(configuration::CONTAINERD).exists()).await?;

        let own = self.component(&format!("system:node:{NAME}"), "kubelet", Some("system:nodes"))?;
        let file = self.write(
            "kubelet.json",
            &configuration::kubelet(self.folder(), &self.authority_file(), namespaces.cgroup()),
        )?;
        let mut kubelet = spawn(
            Program::Kubelet,
            &[
                flag("config", file),
                flag("kubeconfig", own),
                flag("hostname-override", NAME),
                flag("node-ip", configuration::ADDRESS),
                flag("root-dir", self.folder().join("kubelet")),
                flag("cert-dir", self.folder().join("kubelet-certificates")),
            ],
        )?;
        let own = self.component("system:kube-proxy", "kube-proxy", None)?;
        let file = self.write("kube-proxy.json", &configuration::kube_proxy(&own, NAME))?;
        let kube_proxy = spawn(Program::KubeProxy, &[flag("config", file)])?;

        let nodes: Api<Node> = Api::all(self.client()?);
        kubelet.ready(LIMIT, async || nodes.get(NAME).await.is_ok_and(|node| schedulable(&node))).await?;
        Ok(TestNode { _running: vec![kube_proxy, kubelet, containerd], public, private })
    }
}

/// Runs a program to its end, which must be a success; returns what it printed.
fn run(command: &mut Command) -> Result<String, Error> {
    let output = command.output();
    let line = || format!("{command:?}");
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Error::Failed { command: line(), said })
        }
        Err(source) => Err(Error::Spawn { program: line(), source }),
    }
}
