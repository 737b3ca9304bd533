//! A program that runs beside the cluster and ends with it, such as the operator.

use std::ffi::OsString;
use std::path::Path;

use crate::guarded::Guarded;
use crate::{Error, ServiceAccountAccess, TestCluster};

/// A running program. It ends when this value is dropped or its process ends, however it ends.
#[derive(Debug)]
pub struct Companion(Guarded);

impl Companion {
    /// The file of what the program prints.
    pub fn log(&self) -> &Path {
        self.0.log()
    }

    /// The process id, by which `/proc` tells what the program costs.
    pub async fn pid(&self) -> Result<u32, Error> {
        self.0.pid().await
    }
}

impl TestCluster {
    /// Runs a program with the rights of a ServiceAccount, which it finds in `KUBECONFIG`.
    ///
    /// Its log bears `name`, and of programs of one name only one can run at a time.
    pub fn accompany(
        &self,
        name: &str,
        program: &Path,
        arguments: &[OsString],
        access: &ServiceAccountAccess,
    ) -> Result<Companion, Error> {
        let environment = [("KUBECONFIG", access.kubeconfig.as_path())];
        Guarded::spawn(self.files(), name, program, arguments, &environment).map(Companion)
    }
}
