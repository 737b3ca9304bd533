//! A namespace that one test has for itself, with an operator that looks after nothing else. All share one cluster.

use std::fmt::Debug;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::wait::await_condition;
use kube::{Client, Resource};
use longshore::api::{Service, ServiceStatus};
use longshore_test_cluster::{Nodes, PodRecorder, ServiceAccountAccess, TestCluster};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(90);

/// A cluster with everything installed that the operator needs.
struct Prepared {
    cluster: TestCluster,
    /// The operator's user, and a kubeconfig with its rights.
    user: String,
    kubeconfig: PathBuf,
}

impl Prepared {
    async fn start() -> Self {
        let cluster = TestCluster::start().await.unwrap();
        cluster.create_nodes(&Nodes::count(6)).await.unwrap();
        cluster.create_namespace("longshore-system").await.unwrap();
        for folder in ["config/crd", "config/rbac"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let applied = cluster.kubectl().args(["apply", "--server-side", "-k"]).arg(folder).output().unwrap();
            assert!(applied.status.success(), "{}", stderr(&applied));
        }
        let established =
            cluster.kubectl().args(["wait", "--for=condition=Established", "crd", "--all"]).output().unwrap();
        assert!(established.status.success(), "{}", stderr(&established));
        let ServiceAccountAccess { user, kubeconfig, client: _ } =
            cluster.service_account("longshore-system", "longshore").await.unwrap();
        Self { cluster, user, kubeconfig }
    }

    /// The one that the tests share. It ends with the process.
    async fn shared() -> &'static Self {
        static SHARED: OnceCell<Prepared> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }
}

/// One namespace and its operator.
pub(crate) struct Namespace {
    pub(crate) cluster: &'static TestCluster,
    pub(crate) name: String,
    pub(crate) client: Client,
    prepared: &'static Prepared,
    pub(crate) operator: Option<Child>,
    /// How much the operator logs.
    log_filter: &'static str,
    started: Timestamp,
}

impl Namespace {
    /// A namespace with an operator.
    pub(crate) async fn new(name: &str) -> Self {
        let mut namespace = Self::without_operator(name).await;
        namespace.start_operator();
        namespace
    }

    /// A namespace that nobody looks after yet.
    pub(crate) async fn without_operator(name: &str) -> Self {
        Self::in_cluster(Prepared::shared().await, name).await
    }

    /// A namespace with an operator that logs all that it and its libraries have to say.
    pub(crate) async fn traced(name: &str) -> Self {
        let mut namespace = Self::without_operator(name).await;
        namespace.log_filter = "trace";
        namespace.start_operator();
        namespace
    }

    /// A namespace with an operator, in a cluster that no other test changes.
    pub(crate) async fn alone(name: &str) -> Self {
        let prepared = Box::leak(Box::new(Prepared::start().await));
        let mut namespace = Self::in_cluster(prepared, name).await;
        namespace.start_operator();
        namespace
    }

    async fn in_cluster(prepared: &'static Prepared, name: &str) -> Self {
        let cluster = &prepared.cluster;
        cluster.create_namespace(name).await.unwrap();
        let client = cluster.client().unwrap();
        let (name, started) = (name.to_owned(), Timestamp::now());
        Self { cluster, name, client, prepared, operator: None, log_filter: "info", started }
    }

    /// Starts the operator under its ServiceAccount.
    pub(crate) fn start_operator(&mut self) {
        self.operator = Some(self.run_operator(&self.prepared.kubeconfig, &[]));
    }

    /// The operator as a process.
    pub(crate) fn run_operator(&self, kubeconfig: &Path, arguments: &[&str]) -> Child {
        let log = self.cluster.folder().join(format!("operator-{}.log", self.name));
        let log = File::options().create(true).append(true).open(log).unwrap();
        Command::new(env!("CARGO_BIN_EXE_longshore"))
            .args(["run", "--namespaces", &self.name, "--log-filter", self.log_filter])
            .args(arguments)
            .env("LONGSHORE_ADMIN_ADDRESS", "127.0.0.1:0")
            .env("KUBECONFIG", kubeconfig)
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill_operator(&mut self) {
        let mut operator = self.operator.take().unwrap();
        operator.kill().unwrap();
        operator.wait().unwrap();
    }

    /// The pid of the operator.
    pub(crate) fn operator(&mut self) -> &mut Child {
        self.operator.as_mut().unwrap()
    }

    /// What the operator has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.cluster.folder().join(format!("operator-{}.log", self.name))).unwrap_or_default()
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// `kubectl` in the namespace.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Output {
        self.cluster.kubectl().args(["--namespace", &self.name]).args(args).output().unwrap()
    }

    /// `kubectl apply` of an object of the product's kinds; `spec` as a person has it.
    pub(crate) fn try_apply(&self, kind: &str, name: &str, spec: &Value) -> Output {
        let object = json!({
            "apiVersion": "ecs.longshore.dev/v1alpha1",
            "kind": kind,
            "metadata": { "name": name },
            "spec": spec,
        });
        let mut kubectl = self
            .cluster
            .kubectl()
            .args(["--namespace", &self.name, "apply", "--filename", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        kubectl.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
        kubectl.wait_with_output().unwrap()
    }

    /// The same, and it must be taken.
    pub(crate) fn apply(&self, kind: &str, name: &str, spec: &Value) {
        let output = self.try_apply(kind, name, spec);
        assert!(output.status.success(), "{kind} {name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The cluster `default`, which a service that names none runs in.
    pub(crate) fn apply_default_cluster(&self) {
        self.apply("Cluster", "default", &json!({}));
    }

    /// A task definition with one container of `image`.
    pub(crate) fn apply_task_definition(&self, name: &str, image: &str) {
        self.apply("TaskDefinition", name, &task_definition(image));
    }

    /// A service of `desired` tasks of the family of its own name.
    pub(crate) fn apply_service(&self, name: &str, desired: u32, minimum: u32, maximum: u32) {
        self.apply("Service", name, &service(name, desired, minimum, maximum));
    }

    /// Waits until an object is as wanted, and returns it.
    pub(crate) async fn until<K>(&self, name: &str, what: &str, wanted: impl Fn(&K) -> bool + Send + Sync) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let object = async {
            loop {
                let wanted = |object: Option<&K>| object.is_some_and(&wanted);
                // A watch may break off at any time; then it begins anew.
                if let Ok(Some(object)) = await_condition(self.api::<K>(), name, wanted).await {
                    return object;
                }
            }
        };
        if let Ok(object) = tokio::time::timeout(LIMIT, object).await {
            return object;
        }
        let now = self.api::<K>().get_opt(name).await.unwrap();
        panic!("{what}: not within {LIMIT:?}; {name} is {now:#?}\n{}", self.log())
    }

    /// Waits until the status of a service is as wanted, and returns it.
    pub(crate) async fn until_service(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&ServiceStatus) -> bool + Send + Sync,
    ) -> ServiceStatus {
        let observed = |service: &Service| {
            service
                .status
                .as_ref()
                .is_some_and(|status| status.observed_generation == service.metadata.generation && wanted(status))
        };
        self.until::<Service>(name, what, observed).await.status.unwrap()
    }

    /// Waits until a service is Ready with a revision.
    pub(crate) async fn until_steady(&self, name: &str, revision: &str) -> ServiceStatus {
        let steady = |status: &ServiceStatus| {
            status.task_definition.as_deref() == Some(revision) && reason(&status.conditions) == "SteadyState"
        };
        self.until_service(name, &format!("{name} runs {revision}"), steady).await
    }

    /// Waits until `Ready` of a service has a reason, and returns its message.
    pub(crate) async fn until_reason(&self, name: &str, wanted: &str) -> String {
        let status = self.until_service(name, wanted, |status| reason(&status.conditions) == wanted).await;
        status.conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap().message
    }

    /// Waits for a Kubernetes Event about a service.
    pub(crate) async fn until_event(&self, name: &str, (type_, reason): (&str, &str), message: &str) {
        let selector = format!("involvedObject.name={name},type={type_},reason={reason}");
        let started = std::time::Instant::now();
        loop {
            let listed = self.kubectl(&["get", "events", "--field-selector", &selector, "--output=json"]);
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            if listed.contains(message) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "no {type_} event {reason} of {name} says {message:?}:\n{listed}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// `kubectl annotate` of a service. `name-` takes an annotation away.
    pub(crate) fn annotate(&self, service: &str, annotation: &str) {
        self.must(&["annotate", "--overwrite", "esvc", service, annotation]);
    }

    /// `kubectl scale` of a service.
    pub(crate) fn scale(&self, service: &str, replicas: u32) {
        self.must(&["scale", "services.ecs.longshore.dev", service, &format!("--replicas={replicas}")]);
    }

    /// `kubectl`, and it must succeed.
    pub(crate) fn must(&self, args: &[&str]) {
        let output = self.kubectl(args);
        assert!(output.status.success(), "kubectl {args:?}: {}", stderr(&output));
    }

    /// Records the pods of the namespace.
    pub(crate) async fn record(&self) -> PodRecorder {
        PodRecorder::start(self.api::<Pod>(), ListParams::default()).await.unwrap()
    }

    pub(crate) async fn pods(&self) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default()).await.unwrap().items
    }

    /// The requests of the operator about this namespace that change something.
    pub(crate) async fn writes(&self) -> Vec<longshore_test_cluster::AuditRecord> {
        self.writes_of(&self.prepared.user).await
    }

    /// The same of another user.
    pub(crate) async fn writes_of(&self, user: &str) -> Vec<longshore_test_cluster::AuditRecord> {
        let records = self.cluster.audit().await.unwrap();
        let ours = |record: &longshore_test_cluster::AuditRecord| {
            record.user == user
                && record.is_mutating()
                && record.namespace == self.name
                && record.received >= self.started
        };
        records.into_iter().filter(ours).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(mut operator) = self.operator.take() {
            operator.kill().unwrap();
            operator.wait().unwrap();
        }
    }
}

/// The reason of the `Ready` condition.
pub(crate) fn reason(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]) -> &str {
    conditions.iter().find(|condition| condition.type_ == "Ready").map_or("", |condition| condition.reason.as_str())
}

/// A task definition with one container of `image`, and a health check.
pub(crate) fn task_definition(image: &str) -> Value {
    json!({
        "cpu": "64",
        "memory": "64",
        "containerDefinitions": [{
            "name": "app",
            "image": image,
            "healthCheck": { "command": ["CMD-SHELL", "true"] },
        }],
    })
}

/// A service of `desired` tasks of a family.
pub(crate) fn service(family: &str, desired: u32, minimum: u32, maximum: u32) -> Value {
    json!({
        "taskDefinition": family,
        "desiredCount": desired,
        "deploymentConfiguration": { "minimumHealthyPercent": minimum, "maximumPercent": maximum },
    })
}

/// What kubectl wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
