//! The command line.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use futures::FutureExt;
use futures::future::join_all;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::api::names::dns_label;
use crate::controllers;
use crate::controllers::run::{Ended, Inputs};
use crate::domain::leader_election::Loss;
use crate::domain::pod;
use crate::import::{self, RenderError, Source};
use crate::shell::admin::{self, AdminError};
use crate::shell::cache::Scope;
use crate::shell::clock::Clock;
use crate::shell::events::Events;
use crate::shell::features;
use crate::shell::leader_election::Candidate;
use crate::shell::telemetry::{self, FilterError, LogFormat};

/// Amazon ECS semantics on any Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(Run),
    /// Print the custom resource definitions, or write each to a file of its own.
    Crds {
        /// The folder to write them to; standard output if left out.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Turn ECS JSON into custom resources, printed as YAML for kubectl to apply.
    ///
    /// Takes what RegisterTaskDefinition, CreateService and CreateCluster take, what `aws ecs describe-task-definition`,
    /// `describe-services` and `describe-clusters` print, JSON lists of either, and bare lists of container definitions.
    /// What was dropped or changed is told on standard error. A file that cannot be taken is not printed, and the exit
    /// code is 1.
    Import {
        /// Files of ECS JSON; `-` is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Namespace of the resources; left to kubectl if left out.
        #[arg(long, short)]
        namespace: Option<String>,
    },
}

/// How the operator runs.
#[derive(Debug, Args)]
struct Run {
    /// Namespaces to look after, separated by commas; all if left out.
    #[arg(long, env = "LONGSHORE_NAMESPACES", default_value = "", hide_default_value = true)]
    namespaces: Namespaces,
    /// Address that /livez and /readyz are served on.
    #[arg(long, env = "LONGSHORE_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    admin_address: SocketAddr,
    /// How log lines are written.
    #[arg(long, env = "LONGSHORE_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Which log lines are written, as a filter of tracing-subscriber.
    #[arg(long, env = "LONGSHORE_LOG_FILTER", default_value = "info")]
    log_filter: String,
    /// Name of this process, in the Events that it publishes and in the lease that it holds.
    #[arg(long, env = "LONGSHORE_POD_NAME")]
    pod_name: Option<String>,
    #[command(flatten)]
    leader_election: LeaderElection,
}

/// Which of several operators works.
#[derive(Debug, Args)]
struct LeaderElection {
    /// Work only while holding a lease: of several operators one leads, and the others stand by. Without this, run one.
    #[arg(long, env = "LONGSHORE_LEADER_ELECT")]
    leader_elect: bool,
    /// Namespace of the lease; the pod's own, or else the kubeconfig's, if left out.
    #[arg(long, env = "LONGSHORE_POD_NAMESPACE", value_parser = label)]
    leader_elect_namespace: Option<String>,
    /// Name of the lease. Operators that look after the same namespaces share one, and no others do.
    #[arg(long, env = "LONGSHORE_LEASE_NAME", default_value = "longshore", value_parser = label)]
    lease_name: String,
}

/// The name of a namespace or a lease.
fn label(name: &str) -> Result<String, String> {
    let problem = || format!("{name:?} is no name that Kubernetes takes: use lower-case letters, digits and hyphens");
    (dns_label(name, 63) == name).then(|| name.to_owned()).ok_or_else(problem)
}

/// The namespaces to look after; none stands for all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Namespaces(BTreeSet<String>);

impl FromStr for Namespaces {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(label).collect::<Result<_, _>>().map(Self)
    }
}

impl Namespaces {
    fn scopes(&self) -> Vec<Scope> {
        if self.0.is_empty() {
            return vec![Scope::All];
        }
        self.0.iter().cloned().map(Scope::Namespace).collect()
    }
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter is not one.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The admin server could not start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// There is no way to a cluster.
    #[error("no Kubernetes cluster to talk to: {0}; set KUBECONFIG, or run in a pod with a service account")]
    Config(#[source] Box<kube::config::InferConfigError>),
    /// The client could not be built.
    #[error("the Kubernetes client cannot be set up: {0}")]
    Client(#[source] Box<kube::Error>),
    /// Another operator leads, or may lead soon.
    #[error("the leadership is lost: {0}")]
    Leadership(#[from] Loss),
    /// The process cannot be told to stop.
    #[error("SIGTERM cannot be listened for: {0}")]
    Signal(#[source] std::io::Error),
    /// The definitions cannot be written as YAML.
    #[error("the custom resource definitions cannot be written as YAML: {0}")]
    Crds(#[source] Box<serde_saphyr::ser::Error>),
    /// A file could not be written.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The resources cannot be written as YAML.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Files were not imported; each has been told about.
    #[error("{refused} of {files} files not imported; mend what is told above and import again")]
    Import {
        /// How many were not.
        refused: usize,
        /// How many were to be.
        files: usize,
    },
}

impl Cli {
    /// Carries out the command.
    pub async fn execute(self) -> Result<(), Error> {
        match self.command {
            Command::Run(settings) => settings.run().await,
            Command::Crds { dir } => crds(dir.as_deref()),
            Command::Import { files, namespace } => import_files(&files, namespace.as_deref()),
        }
    }
}

impl Run {
    async fn run(self) -> Result<(), Error> {
        telemetry::init(self.log_format, &self.log_filter)?;
        tracing::info!(settings = ?self, version = env!("CARGO_PKG_VERSION"), "starting");
        let mut config = Config::infer().await.map_err(|source| Error::Config(Box::new(source)))?;
        // The default repeats any request, POST included, for minutes; what has to be tried again is decided by a new pass.
        config.default_retry = false;

        let stop = CancellationToken::new();
        stop_on_signals(stop.clone())?;
        // A standby is ready: otherwise a new version's would keep the old one from being taken away.
        let standby = self.leader_election.leader_elect;
        let scopes = self.namespaces.scopes();
        let (told, ready): (Vec<_>, Vec<_>) = scopes.iter().map(|_| watch::channel(standby)).unzip();
        let admin = admin::serve(self.admin_address, ready, stop.clone()).await?;
        tokio::try_join!(self.operate(config, scopes.into_iter().zip(told).collect(), stop), admin.map(Ok))?;
        tracing::info!("stopped");
        Ok(())
    }

    /// Runs the controllers; with an election, once this operator leads and for as long as it does.
    async fn operate(
        &self,
        config: Config,
        scopes: Vec<(Scope, watch::Sender<bool>)>,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let builder = |config| ClientBuilder::try_from(config).map_err(|source| Error::Client(Box::new(source)));
        let LeaderElection { leader_elect, leader_elect_namespace, lease_name } = &self.leader_election;
        if !leader_elect {
            self.control(builder(config)?.build(), scopes, stop).await;
            return Ok(());
        }
        let namespace = leader_elect_namespace.as_ref().unwrap_or(&config.default_namespace).clone();
        let client = builder(config.clone())?.build();
        let candidate = Candidate::new(client, &namespace, lease_name, self.pod_name.as_deref(), Clock::system());
        let Some(leader) = candidate.lead(&stop).await? else { return Ok(()) };
        for (_, ready) in &scopes {
            ready.send_replace(false);
        }
        let client = builder(config)?.with_layer(&leader.fence()).build();
        let (ended, leader) = leader.while_leading(Box::pin(self.control(client, scopes, stop))).await?;
        // What may still arrive has to arrive before another operator begins: then the lease is left to expire.
        if ended == Ended::Finished {
            leader.release().await;
        }
        Ok(())
    }

    async fn control(
        &self,
        client: Client,
        scopes: Vec<(Scope, watch::Sender<bool>)>,
        stop: CancellationToken,
    ) -> Ended {
        let events = Events::new(client.clone(), self.pod_name.clone());
        let probed = Box::pin(features::probe(&client, scopes.first().map(|(scope, _)| scope)));
        let Some(features) = stop.run_until_cancelled(probed).await else { return Ended::Finished };
        let runs = scopes.into_iter().enumerate().map(|(n, (scope, ready))| {
            controllers::run::run(
                client.clone(),
                scope,
                n == 0,
                events.clone(),
                ready,
                stop.clone(),
                Inputs { clock: Clock::system(), build_pod: pod::build, features },
            )
        });
        let all = join_all(runs).await;
        if all.iter().all(|ended| *ended == Ended::Finished) { Ended::Finished } else { Ended::Interrupted }
    }
}

fn stop_on_signals(stop: CancellationToken) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: passes that have begun are finished first");
        stop.cancel();
    });
    Ok(())
}

fn crds(dir: Option<&Path>) -> Result<(), Error> {
    for manifest in api::manifests().map_err(|source| Error::Crds(Box::new(source)))? {
        match dir {
            None => println!("---\n{}", manifest.yaml),
            Some(dir) => {
                let path = dir.join(&manifest.file_name);
                std::fs::write(&path, &manifest.yaml).map_err(|source| Error::Write { path, source })?;
            }
        }
    }
    Ok(())
}

fn import_files(files: &[PathBuf], namespace: Option<&str>) -> Result<(), Error> {
    let mut sources = Vec::new();
    let mut unread = 0_usize;
    for file in files {
        match read(file) {
            Ok(source) => sources.push(source),
            Err(error) => {
                unread = unread.saturating_add(1);
                let encoding = if error.kind() == ErrorKind::InvalidData { "; save it as UTF-8" } else { "" };
                eprintln!("{}: cannot be read: {error}{encoding}", file.display());
            }
        }
    }
    let import = import::import(&sources, namespace);
    import.notes.iter().for_each(|note| eprintln!("{note}"));
    import.problems.iter().for_each(|problem| eprintln!("{problem}"));
    print!("{}", import::yaml(&import.resources)?);
    match unread.saturating_add(import.refused) {
        0 => Ok(()),
        refused => Err(Error::Import { refused, files: files.len() }),
    }
}

fn read(file: &Path) -> std::io::Result<Source> {
    if file == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin())?;
        return Ok(Source { file: "standard input".to_owned(), stem: None, text });
    }
    // Up to the first dot: `web.json.template` is web as well.
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = name.and_then(|name| name.split('.').find(|part| !part.is_empty()).map(str::to_owned));
    Ok(Source { file: file.display().to_string(), stem, text: std::fs::read_to_string(file)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_a_list_without_repetition_and_none_stands_for_all() {
        let scopes = |list: &str| list.parse::<Namespaces>().map(|namespaces| namespaces.scopes());
        let named = |name: &str| Scope::Namespace(name.to_owned());
        assert_eq!(scopes(""), Ok(vec![Scope::All]));
        assert_eq!(scopes("b, a,b,"), Ok(vec![named("a"), named("b")]));
        assert!(scopes("a,B").is_err_and(|problem| problem.contains("\"B\"")));
    }
}
