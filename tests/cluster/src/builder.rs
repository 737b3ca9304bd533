//! How a cluster is to be started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::program::Program;
use crate::programs::Programs;
use crate::{Error, TestCluster};

/// How often a start is tried when another process takes a port in between.
const TRIES: u32 = 4;

/// How a cluster is to be started.
#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    pub(crate) folder: Option<PathBuf>,
    pub(crate) capped: bool,
    pub(crate) controllers: Option<String>,
    pub(crate) flags: BTreeMap<Program, Vec<OsString>>,
}

impl ClusterBuilder {
    /// Keeps the cluster's files in this folder, which must be empty or new, and leaves them
    /// there. Without it they go with the cluster.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Leaves the scheduler, the controller manager and kwok at their default request rates.
    ///
    /// Without it none holds back, so that what a test measures is the program under test.
    /// For other rates add flags such as `--kube-api-qps=20`: the last one counts.
    #[must_use]
    pub const fn capped(mut self) -> Self {
        self.capped = true;
        self
    }

    /// What kube-controller-manager runs, as in its flag `--controllers`; all by default.
    #[must_use]
    pub fn controllers(mut self, controllers: impl Into<String>) -> Self {
        self.controllers = Some(controllers.into());
        self
    }

    /// Adds a flag to a program's command line, behind the others.
    #[must_use]
    pub fn flag(mut self, program: Program, flag: impl Into<OsString>) -> Self {
        self.flags.entry(program).or_default().push(flag.into());
        self
    }

    /// Starts the cluster; returns once each of its programs is ready.
    pub async fn start(&self) -> Result<TestCluster, Error> {
        let programs = Programs::ready().await?;
        let mut tries = 1;
        loop {
            match TestCluster::start_once(self, programs.clone()).await {
                Err(Error::Exited { tail, .. }) if tries < TRIES && tail.contains("address already in use") => {
                    tries = tries.saturating_add(1);
                }
                outcome => return outcome,
            }
        }
    }
}
