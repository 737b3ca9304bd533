//! The cluster that stands in the background until it is told to stop.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use longshore_test_cluster::{Behaviour, Nodes, Pods, TestCluster};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::requests::{self, Answer, Request};

/// How long a cluster may take to start, on a machine that is busy with a build.
const START: Duration = Duration::from_mins(5);

/// How long it may take to stop.
const STOP: Duration = Duration::from_mins(1);

/// How long a task takes to be ready. At once, as pods are by default, would leave nothing to watch of a rollout.
const TASK_START: Duration = Duration::from_secs(2);

/// The label of the tasks that Longshore starts.
const TASKS: (&str, &str) = ("app.kubernetes.io/managed-by", "longshore");

/// Why a standing cluster could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandingError {
    /// The folder that says which cluster is up is not to be used.
    #[error("could not use {}; check its permissions", path.display())]
    State { path: PathBuf, source: io::Error },
    /// The background process could not be started.
    #[error("could not start the cluster's background process")]
    Spawn(#[source] io::Error),
    /// The background process ended.
    #[error("the cluster did not start; its log {} ends with:\n{tail}", log.display())]
    NotStarted { log: PathBuf, tail: String },
    /// The cluster started or stopped too slowly.
    #[error("the cluster took longer than {} s to {what}; see {}", limit.as_secs(), log.display())]
    Slow { what: &'static str, limit: Duration, log: PathBuf },
    /// There is no cluster to ask.
    #[error("no cluster is up; start one with `make cluster-up`")]
    NotUp,
    /// The background process did not answer.
    #[error("the cluster does not answer; stop it and start it anew")]
    Ask(#[source] io::Error),
    /// The background process refused.
    #[error("{0}")]
    Refused(String),
    /// The background process could not be told to stop.
    #[error("could not send SIGTERM to process {process}, which runs the cluster")]
    Signal { process: String },
}

/// The cluster that stands in the background, if it does.
///
/// Its process holds a lock on a file for as long as it lives, so nobody has to guess from a
/// process id whether it still does.
pub(crate) struct Standing {
    folder: PathBuf,
}

impl Standing {
    pub(crate) fn at(folder: &Path) -> Result<Self, StandingError> {
        let made = std::path::absolute(folder).and_then(|folder| {
            fs::create_dir_all(&folder)?;
            Ok(folder)
        });
        match made {
            Ok(folder) => Ok(Self { folder }),
            Err(source) => Err(StandingError::State { path: folder.to_owned(), source }),
        }
    }

    /// Starts the cluster unless it is up; returns its kubeconfig file.
    pub(crate) fn up(&self, nodes: usize, dir: Option<&Path>) -> Result<PathBuf, StandingError> {
        let kubeconfig = self.file("kubeconfig");
        let mut starting = None;
        if self.lock()?.is_none() {
            eprintln!("test-cluster: a cluster is up already, and is used as it is");
        } else {
            eprintln!("test-cluster: starting a cluster with {nodes} nodes");
            self.forget("kubeconfig")?;
            starting = Some(self.spawn(nodes, dir).map_err(StandingError::Spawn)?);
        }
        let started = Instant::now();
        while !kubeconfig.exists() {
            let ended = starting.as_mut().is_none_or(|process| matches!(process.try_wait(), Ok(Some(_))));
            // Ended with the lock in other hands: another `up` came first, and will do.
            if ended && self.lock()?.is_some() {
                let log = self.file("log");
                let text = fs::read_to_string(&log).unwrap_or_default();
                let lines = text.lines().count().saturating_sub(30);
                return Err(StandingError::NotStarted {
                    log,
                    tail: text.lines().skip(lines).collect::<Vec<_>>().join("\n"),
                });
            }
            self.not_longer_than(START, started, "start")?;
        }
        if starting.is_some() {
            eprintln!("test-cluster: up after {:.1} s", started.elapsed().as_secs_f32());
        }
        Ok(kubeconfig)
    }

    /// Stops the cluster if it is up, and says what it did.
    pub(crate) fn down(&self) -> Result<(), StandingError> {
        if self.lock()?.is_some() {
            eprintln!("test-cluster: no cluster is up");
            return self.forget("kubeconfig");
        }
        let path = self.file("process");
        let process =
            fs::read_to_string(&path).map_err(|source| StandingError::State { path, source })?.trim().to_owned();
        let told = Command::new("sh").args(["-c", "kill -TERM \"$1\"", "kill", &process]).status();
        if !told.is_ok_and(|status| status.success()) {
            return Err(StandingError::Signal { process });
        }
        let started = Instant::now();
        while self.lock()?.is_none() {
            self.not_longer_than(STOP, started, "stop")?;
        }
        eprintln!(
            "test-cluster: stopped the cluster, process {process}, after {:.1} s",
            started.elapsed().as_secs_f32()
        );
        Ok(())
    }

    /// Runs a program beside the cluster until that stops; returns its log.
    pub(crate) fn run(&self, request: &Request) -> Result<PathBuf, StandingError> {
        if self.lock()?.is_some() {
            return Err(StandingError::NotUp);
        }
        let answer: io::Result<Answer> = fs::read(self.file("socket"))
            .and_then(|socket| requests::ask(Path::new(OsStr::from_bytes(&socket)), request));
        answer.map_err(StandingError::Ask)?.map_err(StandingError::Refused)
    }

    /// Is the cluster, until SIGTERM or SIGINT.
    pub(crate) fn stand(&self, nodes: usize, dir: Option<PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
        let Some(_held) = self.lock_soon()? else {
            return Ok(());
        };
        fs::write(self.file("process"), std::process::id().to_string())?;
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            // The cluster outlives the terminal it was started from.
            let _ignored = signal(SignalKind::hangup())?;
            let stand = async {
                let mut builder = TestCluster::builder();
                if let Some(dir) = dir {
                    builder = builder.folder(dir);
                }
                let cluster = builder.start().await?;
                cluster.create_nodes(&Nodes::count(nodes)).await?;
                let (key, value) = TASKS;
                cluster.behave(&Pods::label(key, value), Behaviour::ReadyAfter(TASK_START)).await?;
                // Not in the state folder: a socket's path may have no more than about 100 bytes.
                let socket = cluster.folder().join("requests");
                let listener = UnixListener::bind(&socket)?;
                fs::write(self.file("socket"), socket.as_os_str().as_bytes())?;
                // Whoever sees the file may use it, so it appears whole.
                let unfinished = self.file("kubeconfig.unfinished");
                fs::copy(cluster.kubeconfig(), &unfinished)?;
                fs::rename(&unfinished, self.file("kubeconfig"))?;
                Ok::<(), Box<dyn std::error::Error>>(requests::serve(&cluster, &listener).await?)
            };
            tokio::select! {
                outcome = stand => outcome,
                _ = terminate.recv() => Ok(()),
                _ = interrupt.recv() => Ok(()),
            }
        })?;
        self.forget("kubeconfig")?;
        Ok(())
    }

    fn spawn(&self, nodes: usize, dir: Option<&Path>) -> io::Result<std::process::Child> {
        let log = File::create(self.file("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("stand").arg(format!("--nodes={nodes}")).arg("--state").arg(&self.folder);
        if let Some(dir) = dir {
            command.arg("--dir").arg(std::path::absolute(dir)?);
        }
        command
            // The caller of `up` waits for the end of its output, which must not be ours.
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the terminal is not meant for it.
            .process_group(0)
            .spawn()
    }

    /// The lock, unless a cluster is up.
    fn lock(&self) -> Result<Option<File>, StandingError> {
        let path = self.file("lock");
        let lock = || {
            let file = File::create(&path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(file)),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
            }
        };
        lock().map_err(|source| StandingError::State { path: path.clone(), source })
    }

    /// The lock, should the one who holds it be only looking whether a cluster is up.
    fn lock_soon(&self) -> Result<Option<File>, StandingError> {
        for _ in 0..20 {
            if let Some(lock) = self.lock()? {
                return Ok(Some(lock));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }

    fn not_longer_than(&self, limit: Duration, started: Instant, what: &'static str) -> Result<(), StandingError> {
        if started.elapsed() > limit {
            return Err(StandingError::Slow { what, limit, log: self.file("log") });
        }
        std::thread::sleep(Duration::from_millis(50));
        Ok(())
    }

    fn forget(&self, name: &str) -> Result<(), StandingError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StandingError::State { path, source }),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
