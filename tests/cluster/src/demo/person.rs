//! A person at a terminal, who types commands into a shell.

use std::env::JoinPathsError;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use super::DemoError;
use crate::quoted;

pub(super) struct Person {
    /// Where the person is: the checkout.
    folder: PathBuf,
    /// Folders of programs that are not on the PATH of everyone.
    tools: Vec<PathBuf>,
    path: OsString,
    kubeconfig: PathBuf,
}

impl Person {
    pub(super) fn new(folder: PathBuf, tools: &[PathBuf], kubeconfig: PathBuf) -> Result<Self, JoinPathsError> {
        let before = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(tools.iter().cloned().chain(std::env::split_paths(&before)))?;
        Ok(Self { folder, tools: tools.to_vec(), path, kubeconfig })
    }

    /// Shows a command and its output.
    pub(super) fn types(&self, line: &str) -> Result<(), DemoError> {
        println!("\n$ {line}");
        let status = self.shell(line).status();
        let status = status.map_err(|source| DemoError::Run { command: line.to_owned(), source })?;
        status.success().then_some(()).ok_or_else(|| DemoError::Command(line.to_owned()))
    }

    /// Whether a command succeeds. Shows nothing.
    pub(super) fn succeeds(&self, line: &str) -> bool {
        self.shell(line).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// The JSON that a command prints. Shows nothing.
    pub(super) fn reads(&self, line: &str) -> Result<Value, DemoError> {
        let command = line.to_owned();
        match self.shell(line).stderr(Stdio::inherit()).output() {
            Ok(output) => {
                serde_json::from_slice(&output.stdout).map_err(|source| DemoError::Output { command, source })
            }
            Err(source) => Err(DemoError::Run { command, source }),
        }
    }

    /// A client with the rights that kubectl has here.
    pub(super) async fn client(&self) -> Result<Client, DemoError> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).map_err(|error| DemoError::Watch(error.into()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|error| DemoError::Watch(error.into()))?;
        // A proxy of the environment cannot reach the loopback of this machine.
        config.proxy_url = None;
        Client::try_from(config).map_err(|error| DemoError::Watch(error.into()))
    }

    /// What another shell needs to run the same commands.
    pub(super) fn hints(&self) -> String {
        let tools: Vec<_> = self.tools.iter().map(|tools| quoted(&tools.to_string_lossy())).collect();
        let kubeconfig = quoted(&self.kubeconfig.to_string_lossy());
        format!("  export KUBECONFIG={kubeconfig}\n  export PATH=\"$PATH\":{}\n", tools.join(":"))
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        command
    }
}
