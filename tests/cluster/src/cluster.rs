//! A running cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Config};
use serde_json::Value;

use crate::builder::ClusterBuilder;
use crate::certificates::{Authority, TokenKeys};
use crate::control_plane::{self, AUDIT_POLICY, ETCD_SERVES, Files, Ports};
use crate::folder::Folder;
use crate::guarded::Guarded;
use crate::kubeconfig::{Access, Credentials};
use crate::program::Program;
use crate::programs::Programs;
use crate::stages::Stages;
use crate::{Behaviour, Error, Pods, Stage, wait};

/// The file of the authority's certificate.
const AUTHORITY: &str = "ca.crt";

/// How long a program may take to become ready, on a machine that is busy with a build.
const LIMIT: Duration = Duration::from_mins(2);

/// A running cluster: etcd, the API server, the controller manager, the scheduler, and kwok
/// in place of nodes.
///
/// Everything stops, and the cluster's files go, when this value is dropped or its process
/// ends, however it ends.
#[derive(Debug)]
pub struct TestCluster {
    // Dropped in this order: clients before servers, and the folder when nothing writes to it.
    running: Vec<Guarded>,
    folder: Folder,
    programs: Programs,
    authority: Authority,
    url: String,
    admin: Access,
    config: Config,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
    pub(crate) stages: Stages,
}

impl TestCluster {
    /// Starts a cluster with every default; returns once each of its programs is ready.
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// A cluster to be started otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// A client with every right, and without a limit of requests.
    ///
    /// Each call makes a new one, because a client works only in the runtime that made it
    /// and every `#[tokio::test]` has its own.
    pub fn client(&self) -> Result<Client, Error> {
        self.admin.client_of(self.config.clone())
    }

    /// A kubeconfig file with every right. It needs no other file, so copies of it work.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The address of the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of the cluster's files; its `logs` has a log for each program.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a program lies.
    pub fn program(&self, program: Program) -> PathBuf {
        self.programs.path(program)
    }

    /// `kubectl` with every right on this cluster.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.program(Program::Kubectl));
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Creates a namespace; returns once pods can be created in it.
    pub async fn create_namespace(&self, name: &str) -> Result<(), Error> {
        let client = self.client()?;
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .map_err(Error::request(format!("create the namespace {name}")))?;
        default_service_account(&client, name).await
    }

    /// Installs a stage, in place of one of the same name; returns once it is in force.
    pub async fn install_stage(&self, stage: &Stage) -> Result<(), Error> {
        self.stages.install(&self.client()?, stage).await
    }

    /// Removes a stage, if it is there; returns once it is out of force.
    pub async fn remove_stage(&self, name: &str) -> Result<(), Error> {
        self.stages.remove(&self.client()?, name).await
    }

    /// Lets pods behave so from now on, in place of how the same selector let them behave.
    ///
    /// Returns once it is in force: pods created from then on behave so.
    pub async fn behave(&self, pods: &Pods, behaviour: Behaviour) -> Result<(), Error> {
        self.stages.behave(&self.client()?, pods, Some(behaviour)).await
    }

    /// Lets pods behave as usual again: pods created once this returns start and are ready.
    pub async fn behave_as_usual(&self, pods: &Pods) -> Result<(), Error> {
        self.stages.behave(&self.client()?, pods, None).await
    }

    /// A way to this cluster for a user with a token.
    pub(crate) fn access(&self, user: &str, token: &str) -> Access {
        Access::new(&self.url, self.authority.certificate(), user, Credentials::Token(token))
    }

    /// The kubeconfig file of a program of the cluster's own, which shows who it is by a certificate.
    pub(crate) fn component(&self, user: &str, name: &str, group: Option<&str>) -> Result<PathBuf, Error> {
        let identity = self.authority.client(user, group)?;
        let credentials = Credentials::Certificate(&identity);
        let access = Access::new(&self.url, self.authority.certificate(), user, credentials);
        self.write(&format!("kubeconfigs/{name}"), &access.text())
    }

    /// The certificate of the cluster's authority.
    pub(crate) fn authority_file(&self) -> PathBuf {
        self.folder.path().join(AUTHORITY)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        self.folder.write(name, text)
    }

    pub(crate) const fn files(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn audit_log(&self) -> &Path {
        &self.audit_log
    }

    pub(crate) async fn start_once(builder: &ClusterBuilder, programs: Programs) -> Result<Self, Error> {
        let folder = match &builder.folder {
            Some(path) => Folder::kept(path)?,
            None => Folder::temporary()?,
        };
        let ports = Ports::free().map_err(Error::Port)?;
        let authority = Authority::new()?;
        let url = ports.url();
        let access = |user: &str, group: Option<&str>| {
            let identity = authority.client(user, group)?;
            let credentials = Credentials::Certificate(&identity);
            Ok::<_, Error>(Access::new(&url, authority.certificate(), user, credentials))
        };
        let admin = access("admin", Some("system:masters"))?;
        let kubeconfig = folder.write("kubeconfig", &admin.text())?;
        let component = |user: &str, name: &str, group: Option<&str>| {
            let text = access(user, group)?.text();
            folder.write(&format!("kubeconfigs/{name}"), &text)
        };
        let server = authority.server()?;
        let kubelet_client = authority.client("kube-apiserver-kubelet-client", Some("system:masters"))?;
        let tokens = TokenKeys::new()?;
        let files = Files {
            authority: folder.write(AUTHORITY, authority.certificate())?,
            server_certificate: folder.write("server.crt", &server.certificate)?,
            server_key: folder.write("server.key", &server.key)?,
            kubelet_client_certificate: folder.write("kubelet-client.crt", &kubelet_client.certificate)?,
            kubelet_client_key: folder.write("kubelet-client.key", &kubelet_client.key)?,
            token_private_key: folder.write("tokens.key", &tokens.private)?,
            token_public_key: folder.write("tokens.pub", &tokens.public)?,
            audit_policy: folder.write("audit-policy.json", AUDIT_POLICY)?,
            audit_log: folder.path().join("audit.log"),
            kwok_configuration: folder.write("kwok.json", &control_plane::kwok_configuration(builder.capped))?,
            controller_manager: component("system:kube-controller-manager", "kube-controller-manager", None)?,
            scheduler: component("system:kube-scheduler", "kube-scheduler", None)?,
            kwok: component("kwok", "kwok", Some("system:masters"))?,
        };
        let config = admin.config().await?;
        let mut cluster = Self {
            running: Vec::new(),
            audit_log: files.audit_log.clone(),
            authority,
            folder,
            programs,
            url,
            admin,
            config,
            kubeconfig,
            stages: Stages::default(),
        };
        cluster.run(builder, ports, &files).await?;
        Ok(cluster)
    }

    /// Starts the programs in the order in which they need each other.
    async fn run(&mut self, builder: &ClusterBuilder, ports: Ports, files: &Files) -> Result<(), Error> {
        let spawn = |program: Program, mut arguments: Vec<OsString>| {
            arguments.extend(builder.flags.get(&program).into_iter().flatten().cloned());
            Guarded::spawn(&self.folder, program.name(), &self.programs.path(program), &arguments, &[])
        };
        let data = self.folder.path().join("etcd");
        let mut etcd = spawn(Program::Etcd, control_plane::etcd(ports, &data))?;
        // Its port may answer although it is another's; the log is its own. The other programs
        // show by their certificate whose they are.
        let log = etcd.log().to_owned();
        etcd.ready(LIMIT, async || std::fs::read_to_string(&log).is_ok_and(|text| text.contains(ETCD_SERVES))).await?;

        let mut apiserver = spawn(Program::KubeApiserver, control_plane::apiserver(ports, files))?;
        let client = self.probe(ports.apiserver)?;
        apiserver.ready(LIMIT, healthy(&client, "/readyz")).await?;

        let mut controller_manager = spawn(
            Program::KubeControllerManager,
            control_plane::controller_manager(ports, files, builder.capped, builder.controllers.as_deref()),
        )?;
        let mut scheduler = spawn(Program::KubeScheduler, control_plane::scheduler(ports, files, builder.capped))?;
        let client = self.client()?;
        self.prepare_stages(&client).await?;
        let mut kwok = spawn(Program::Kwok, control_plane::kwok(files))?;

        let probe = self.probe(ports.controller_manager)?;
        controller_manager.ready(LIMIT, healthy(&probe, "/healthz")).await?;
        let probe = self.probe(ports.scheduler)?;
        scheduler.ready(LIMIT, healthy(&probe, "/readyz")).await?;
        kwok.ready(LIMIT, async || self.stages.in_force(&client).await.is_ok()).await?;
        if builder.controllers.is_none() {
            default_service_account(&client, "default").await?;
        }
        self.running = vec![kwok, scheduler, controller_manager, apiserver, etcd];
        Ok(())
    }

    /// kwok needs its CRD and finds its stages there when it starts.
    async fn prepare_stages(&self, client: &Client) -> Result<(), Error> {
        let read = |name: &str| {
            let path = self.programs.manifest(name);
            match std::fs::read_to_string(&path) {
                Ok(text) => serde_saphyr::from_str::<Value>(&text).map_err(|error| Error::Malformed {
                    what: format!("kwok's manifest {}", path.display()),
                    source: error.into(),
                }),
                Err(source) => Err(Error::Read { path, source }),
            }
        };
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        let name = "stages.kwok.x-k8s.io";
        crds.patch(name, &PatchParams::apply("longshore-test-cluster").force(), &Patch::Apply(read("stage-crd.yaml")?))
            .await
            .map_err(Error::request("create kwok's CRD of stages"))?;
        wait::until("the establishment of kwok's CRD", LIMIT, async || {
            let crd = crds.get(name).await.map_err(Error::request("read kwok's CRD of stages"))?;
            Ok(crd
                .status
                .and_then(|status| status.conditions)
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Established" && condition.status == "True"))
        })
        .await?;
        let nodes = [read("node-initialize.yaml")?, read("node-heartbeat.yaml")?];
        self.stages.install_base(client, &nodes).await
    }

    /// A client that gives up at once, for a server that may not be there yet.
    fn probe(&self, port: u16) -> Result<Client, Error> {
        let mut config = self.config.clone();
        config.default_retry = false;
        config.cluster_url = http::Uri::builder()
            .scheme("https")
            .authority(format!("127.0.0.1:{port}"))
            .path_and_query("/")
            .build()
            .map_err(|error| Error::Client { user: "a probe".to_owned(), source: error.into() })?;
        self.admin.client_of(config)
    }
}

fn healthy(client: &Client, path: &'static str) -> impl AsyncFnMut() -> bool {
    let client = client.clone();
    async move || {
        let request = http::Request::get(path).body(Vec::new());
        match request {
            Ok(request) => client.request_text(request).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// Without it the API server refuses every pod of the namespace.
async fn default_service_account(client: &Client, namespace: &str) -> Result<(), Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let what = format!("the default ServiceAccount of the namespace {namespace}");
    wait::until(&what, LIMIT, async || {
        accounts
            .get_opt("default")
            .await
            .map(|account| account.is_some())
            .map_err(Error::request(format!("read {what}")))
    })
    .await
}
