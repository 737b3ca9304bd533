//! Why a test cluster could not do what was asked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::programs::ProgramsError;

/// Why a test cluster could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The programs are not there.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The cluster's folder is somebody else's.
    #[error("{} is not empty; choose an empty or a new folder for the cluster", .0.display())]
    FolderInUse(PathBuf),
    /// A file or folder of the cluster could not be written.
    #[error("could not write {}; check its permissions and the free space", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of the cluster could not be read.
    #[error("could not read {}; was the cluster's folder removed while it ran?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No free port was to be had.
    #[error("could not bind a port on 127.0.0.1; check that the loopback interface is up")]
    Port(#[source] io::Error),
    /// A certificate or key could not be made.
    #[error("could not make the certificate of {owner}")]
    Certificate {
        /// Whose certificate it is.
        owner: String,
        /// What the library said.
        source: rcgen::Error,
    },
    /// A program could not be started.
    #[error("could not start {program} under `sh`; remove its cached file to have it built again")]
    Spawn {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no node to be had, and there must be.
    #[error("{variable} is set, and no node can run here: {reason}; unset it to leave out what needs one")]
    NodeRequired {
        /// The environment variable.
        variable: &'static str,
        /// Why none can.
        reason: &'static str,
    },
    /// Packages of the distribution could not be installed.
    #[error("a test node needs the Debian packages {packages}; installing them failed:\n{said}")]
    Packages {
        /// Those that are missing.
        packages: String,
        /// What the installation said.
        said: String,
    },
    /// A program that runs to its end failed.
    #[error("{command} failed:\n{said}")]
    Failed {
        /// The command line.
        command: String,
        /// What it printed on standard error.
        said: String,
    },
    /// A program ended before it was ready.
    #[error("{program} ended before it was ready ({status}); the end of its log:\n{tail}")]
    Exited {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines it logged.
        tail: String,
    },
    /// A program did not become ready.
    #[error("{program} was not ready after {}; the end of its log:\n{tail}", limit.as_secs())]
    NotReady {
        /// The program.
        program: String,
        /// How long was waited.
        limit: Duration,
        /// The last lines it logged.
        tail: String,
    },
    /// No client could be made from a kubeconfig of the cluster.
    #[error("could not make a Kubernetes client for {user}")]
    Client {
        /// Whose client it is.
        user: String,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server refused a request, or could not be reached.
    #[error("could not {operation}; see logs/kube-apiserver.log in the cluster's folder")]
    Request {
        /// What was asked of it.
        operation: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// A manifest or record is not what it should be.
    #[error("could not understand {what}")]
    Malformed {
        /// What was read.
        what: String,
        /// What the parser said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server no longer has the events that a record lacks.
    #[error("the record of events has a gap ({0}); start the recorder anew")]
    Gap(String),
    /// Something that should come true did not.
    #[error(
        "{what} did not come true within {} s; see the logs in the cluster's folder",
        limit.as_secs()
    )]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
}

impl Error {
    /// For `map_err` on a request to the API server.
    pub(crate) fn request(operation: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        |source| Self::Request { operation: operation.into(), source: Box::new(source) }
    }
}
