//! The cluster that the tests share: control plane, node, registries, and the operator with the rights of config/rbac.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use longshore_test_cluster::{Companion, Namespaces, TestCluster, TestNode};

/// Everything that a test needs, running.
pub(crate) struct Cluster {
    pub(crate) control_plane: TestCluster,
    pub(crate) node: TestNode,
    _operator: Companion,
}

impl Cluster {
    pub(crate) async fn start(namespaces: &Namespaces) -> Result<Self, Box<dyn Error>> {
        let control_plane = TestCluster::start().await?;
        let node = control_plane.start_node(namespaces).await?;
        control_plane.create_namespace("longshore-system").await?;
        for folder in ["config/crd", "config/rbac"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            succeed(control_plane.kubectl().args(["apply", "--server-side", "-k"]).arg(folder));
        }
        succeed(control_plane.kubectl().args(["wait", "--for=condition=Established", "crd", "--all"]));
        let rights = control_plane.service_account("longshore-system", "longshore").await?;
        let operator = Path::new(env!("CARGO_BIN_EXE_longshore"));
        let arguments = ["run", "--admin-address=127.0.0.1:0"].map(OsString::from);
        let operator = control_plane.accompany("operator", operator, &arguments, &rights)?;
        Ok(Self { control_plane, node, _operator: operator })
    }

    /// The name of an image that everybody may pull.
    pub(crate) fn image(&self, name: &str) -> String {
        self.node.public().image(name)
    }

    /// Copies the logs to where they outlive the cluster.
    pub(crate) fn keep_logs(&self) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("containers");
        // There are none of an earlier run, or they are of no use any more.
        let _unused = std::fs::remove_dir_all(&kept);
        succeed(Command::new("cp").arg("-r").arg(self.control_plane.folder().join("logs")).arg(&kept));
        println!("the logs of operator, kubelet and containerd are in {}", kept.display());
    }
}

/// What the command prints; it must succeed.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
