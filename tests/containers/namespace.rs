//! A namespace that one test has for itself.

use std::fmt::Debug;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use longshore::api::{Service, ServiceStatus, StoppedTask, TaskDefinitionRevision};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::{Cluster, succeed};

/// How long anything may take, on a machine that runs several tests at once.
const LIMIT: Duration = Duration::from_mins(3);

/// A namespace with a cluster `default`.
pub(crate) struct Namespace {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
    client: Client,
}

impl Namespace {
    pub(crate) async fn new(cluster: &'static Cluster, name: &str) -> Self {
        cluster.control_plane.create_namespace(name).await.unwrap();
        let client = cluster.control_plane.client().unwrap();
        let namespace = Self { cluster, name: name.to_owned(), client };
        namespace.import(&json!({ "clusterName": "default" }), &json!({}));
        namespace
    }

    /// A namespace with one task of these containers, as a service named `app` keeps it. They run the image `task:1` unless
    /// they say otherwise.
    pub(crate) async fn with_task(cluster: &'static Cluster, name: &str, containers: Value) -> Self {
        let namespace = Self::new(cluster, name).await;
        namespace.register(&json!({}), containers);
        namespace.create_service(&json!({}));
        namespace
    }

    /// RegisterTaskDefinition, for the family `app`.
    pub(crate) fn register(&self, task: &Value, mut containers: Value) {
        for container in containers.as_array_mut().unwrap() {
            let members = container.as_object_mut().unwrap();
            members.entry("image").or_insert_with(|| self.cluster.image("task:1").into());
        }
        let mut definition = json!({ "family": "app", "containerDefinitions": containers });
        merge(&mut definition, task);
        self.import(&definition, &json!({}));
    }

    /// CreateService, or UpdateService of everything. What has no checks is healthy one second after its start.
    pub(crate) fn create_service(&self, members: &Value) {
        self.create_service_on_kubernetes(members, &json!({ "healthyAfterSeconds": 1 }));
    }

    /// The same with other members of `spec.kubernetes`.
    pub(crate) fn create_service_on_kubernetes(&self, members: &Value, kubernetes: &Value) {
        let mut service = json!({ "serviceName": "app", "taskDefinition": "app", "desiredCount": 1 });
        merge(&mut service, members);
        self.import(&service, &json!({ "spec": { "kubernetes": kubernetes } }));
    }

    /// `longshore import | kubectl apply`, with what ECS has no member for put in between.
    fn import(&self, request: &Value, more: &Value) {
        let imported = pipe(Command::new(env!("CARGO_BIN_EXE_longshore")).args(["import", "-"]), &request.to_string());
        let mut object: Value = serde_saphyr::from_str(&imported).unwrap();
        merge(&mut object, more);
        pipe(self.kubectl().args(["apply", "--filename", "-"]), &object.to_string());
    }

    pub(crate) fn kubectl(&self) -> Command {
        let mut kubectl = self.cluster.control_plane.kubectl();
        kubectl.args(["--namespace", &self.name]);
        kubectl
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Asks until there is an answer.
    pub(crate) async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let started = tokio::time::Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            if started.elapsed() > LIMIT {
                let pods = succeed(self.kubectl().args(["describe", "esvc,pods"]));
                panic!("{what}: not within {LIMIT:?}\n{pods}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_object<K, T>(&self, name: &str, what: &str, wanted: impl Fn(&K) -> Option<T>) -> T
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        self.until(what, async || api.get_opt(name).await.unwrap().as_ref().and_then(&wanted)).await
    }

    /// Waits until the status of the service is as wanted, and returns it.
    pub(crate) async fn until_service(&self, what: &str, wanted: impl Fn(&ServiceStatus) -> bool) -> ServiceStatus {
        let observed = |service: &Service| {
            let seen = |status: &&ServiceStatus| status.observed_generation == service.metadata.generation;
            service.status.as_ref().filter(seen).filter(|status| wanted(status)).cloned()
        };
        self.until_object("app", what, observed).await
    }

    /// Waits until the service is in its steady state with a revision of the family.
    pub(crate) async fn until_steady(&self, revision: u32) -> ServiceStatus {
        let revision = format!("app:{revision}");
        let is_steady = |status: &ServiceStatus| {
            status.task_definition.as_deref() == Some(&revision) && reason(status) == "SteadyState"
        };
        self.until_service(&format!("the service runs {revision}"), is_steady).await
    }

    /// Waits for the record of a stopped task, and returns the first one.
    pub(crate) async fn until_stopped(&self) -> StoppedTask {
        let status = self.until_service("a task is on record", |status| !status.stopped_tasks.is_empty()).await;
        status.stopped_tasks.last().unwrap().clone()
    }

    /// In what the tasks of a revision of the family are not as on ECS.
    pub(crate) async fn verdict(&self, revision: u32) -> String {
        let exact = |revision: &TaskDefinitionRevision| {
            let conditions = revision.status.iter().flat_map(|status| &status.conditions);
            conditions.filter(|condition| condition.type_ == "Exact").map(|exact| exact.message.clone()).next()
        };
        self.until_object(&format!("app-{revision}"), "a verdict on the revision", exact).await
    }

    /// The pods of the service's tasks, the oldest first.
    pub(crate) async fn tasks(&self) -> Vec<Pod> {
        let of_service = ListParams::default().labels("ecs.longshore.dev/service=app");
        let mut pods = self.api::<Pod>().list(&of_service).await.unwrap().items;
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        pods
    }

    /// Waits until a container of the oldest task has printed a line that begins so, and returns the rest of the line.
    pub(crate) async fn until_printed(&self, container: &str, begins: &str) -> String {
        self.until(&format!("{container} prints {begins}"), async || {
            let task = self.tasks().await.first()?.name_any();
            let printed = self.kubectl().args(["logs", &task, "--container", container]).output().unwrap();
            let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
            printed.lines().find_map(|line| line.strip_prefix(begins).map(str::to_owned))
        })
        .await
    }

    /// What a command in a container prints.
    pub(crate) fn execute(&self, task: &Pod, container: &str, command: &[&str]) -> String {
        let name = task.name_any();
        succeed(self.kubectl().args(["exec", &name, "--container", container, "--"]).args(command))
    }
}

/// The reason of the `Ready` condition.
pub(crate) fn reason(status: &ServiceStatus) -> &str {
    status.conditions.iter().find(|condition| condition.type_ == "Ready").map_or("", |ready| ready.reason.as_str())
}

/// What the kubelet says of a container, in whichever part of the pod it stands.
pub(crate) fn container<'p>(pod: &'p Pod, name: &str) -> Option<&'p ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.into_iter().find(|container| container.name == name)
}

/// Why the kubelet says that a container waits.
pub(crate) fn waiting<'p>(pod: &'p Pod, name: &str) -> Option<&'p str> {
    container(pod, name)?.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

/// A container that runs a line of shell, with what else it has.
pub(crate) fn shell(name: &str, line: &str, members: &Value) -> Value {
    let mut container = json!({ "name": name, "entryPoint": ["sh", "-c"], "command": [line] });
    merge(&mut container, members);
    container
}

/// Puts members into an object, and into the objects in it.
fn merge(object: &mut Value, members: &Value) {
    match (object, members) {
        (Value::Object(object), Value::Object(members)) => {
            for (name, value) in members {
                merge(object.entry(name).or_insert(Value::Null), value);
            }
        }
        (object, members) => *object = members.clone(),
    }
}

/// What a command prints that reads this.
fn pipe(command: &mut Command, input: &str) -> String {
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} of {input}:\n{said}");
    String::from_utf8(output.stdout).unwrap()
}
