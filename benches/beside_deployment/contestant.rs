//! The two that are measured: what they are asked for, and the process that does it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, ListParams};
use longshore::api::Service;
use longshore_test_cluster::{AuditRecord, Companion, Program, ServiceAccountAccess};
use serde_json::{Value, json};

use crate::Failure;
use crate::arena::{Arena, longshore_object};
use crate::cost::Cost;
use crate::pods::Tasks;

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(15);

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    Longshore,
    Deployment,
}

/// How many tasks may be missing and how many there may be during a rollout, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    minimum: u32,
    maximum: u32,
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = |text: &str| text.parse::<u32>().ok();
        let parts = text.split_once('/').and_then(|(minimum, maximum)| Some((percent(minimum)?, percent(maximum)?)));
        let (minimum, maximum) = parts.ok_or("write minimumHealthyPercent/maximumPercent, such as 100/200")?;
        Ok(Self { minimum, maximum })
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.minimum, self.maximum)
    }
}

/// A process, from its start on.
pub(crate) struct Process {
    companion: Companion,
    pid: u32,
    pub(crate) started: Timestamp,
}

impl Process {
    /// What it has cost so far.
    pub(crate) fn cost(&self) -> Result<Cost, Failure> {
        Cost::of(self.pid)
    }

    /// Where it logs.
    pub(crate) fn log(&self) -> &Path {
        self.companion.log()
    }
}

impl Contestant {
    pub(crate) const fn namespace(self) -> &'static str {
        match self {
            Self::Longshore => "longshore",
            Self::Deployment => "deployments",
        }
    }

    pub(crate) const fn access(self, arena: &Arena) -> &ServiceAccountAccess {
        match self {
            Self::Longshore => &arena.longshore,
            Self::Deployment => &arena.deployments,
        }
    }

    /// Whether a request is one by which this process changed something.
    pub(crate) fn wrote(self, arena: &Arena, record: &AuditRecord) -> bool {
        record.is_mutating() && record.user == self.access(arena).user
    }

    /// Starts the process.
    pub(crate) async fn start(self, arena: &Arena) -> Result<Process, Failure> {
        let access = self.access(arena);
        let kubeconfig = access.kubeconfig.display();
        let (program, arguments): (PathBuf, Vec<String>) = match self {
            Self::Longshore => {
                let arguments = ["run", "--admin-address=127.0.0.1:0"].map(str::to_owned);
                (env!("CARGO_BIN_EXE_longshore").into(), arguments.to_vec())
            }
            Self::Deployment => {
                let mut arguments = [
                    "--controllers=deployment-controller,replicaset-controller",
                    "--leader-elect=false",
                    "--secure-port=0",
                    "--kube-api-qps=2000",
                    "--kube-api-burst=4000",
                    "--concurrent-deployment-syncs=20",
                    "--concurrent-replicaset-syncs=20",
                ]
                .map(str::to_owned)
                .to_vec();
                arguments.push(format!("--kubeconfig={kubeconfig}"));
                (arena.cluster.program(Program::KubeControllerManager), arguments)
            }
        };
        let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
        let name = format!("{self:?}").to_lowercase();
        let started = Timestamp::now();
        let companion = arena.cluster.accompany(&name, &program, &arguments, access)?;
        Ok(Process { pid: companion.pid().await?, companion, started })
    }

    /// Makes an application of `tasks` tasks, or changes its image.
    pub(crate) async fn apply(
        self,
        arena: &Arena,
        name: &str,
        image: &str,
        tasks: usize,
        window: Window,
    ) -> Result<(), Failure> {
        match self {
            Self::Longshore => {
                // With a health check, so that a task is healthy when its pod is Ready, as with a Deployment.
                let definition = json!({
                    "cpu": "64",
                    "memory": "64",
                    "containerDefinitions": [{
                        "name": "app",
                        "image": image,
                        "healthCheck": { "command": ["CMD-SHELL", "true"] },
                    }],
                });
                arena.apply(self.namespace(), &longshore_object("TaskDefinition", name, &definition)).await?;
                let service = json!({
                    "taskDefinition": name,
                    "desiredCount": tasks,
                    "deploymentConfiguration": {
                        "minimumHealthyPercent": window.minimum,
                        "maximumPercent": window.maximum,
                    },
                });
                arena.apply(self.namespace(), &longshore_object("Service", name, &service)).await
            }
            Self::Deployment => arena.apply(self.namespace(), &deployment(name, image, tasks, window)).await,
        }
    }

    /// Waits until the object says that all is as it should be: this is when a person knows.
    pub(crate) async fn until_told(self, arena: &Arena, name: &str) -> Result<(), Failure> {
        let told = async {
            while !self.tells(arena, name).await? {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        };
        tokio::time::timeout(LIMIT, told).await?
    }

    async fn tells(self, arena: &Arena, name: &str) -> Result<bool, Failure> {
        match self {
            Self::Longshore => {
                let service = Api::<Service>::namespaced(arena.client.clone(), self.namespace()).get(name).await?;
                let observed = service.metadata.generation;
                Ok(service.status.is_some_and(|status| {
                    let steady = status.conditions.iter().any(|condition| condition.reason == "SteadyState");
                    steady && status.observed_generation == observed && status.deployments.len() == 1
                }))
            }
            Self::Deployment => {
                let found = Api::<Deployment>::namespaced(arena.client.clone(), self.namespace()).get(name).await?;
                let wanted = found.spec.and_then(|spec| spec.replicas);
                Ok(found.status.is_some_and(|status| {
                    let counts = [status.replicas, status.updated_replicas, status.available_replicas];
                    counts == [wanted; 3] && status.observed_generation == found.metadata.generation
                }))
            }
        }
    }

    /// Removes an application and waits until its pods have gone.
    pub(crate) async fn remove(self, arena: &Arena, names: &[String]) -> Result<(), Failure> {
        let mut tasks = Tasks::watch(arena, self.namespace());
        for name in names {
            match self {
                Self::Longshore => {
                    let services: Api<Service> = Api::namespaced(arena.client.clone(), self.namespace());
                    services.delete(name, &DeleteParams::default()).await?;
                }
                Self::Deployment => {
                    let deployments: Api<Deployment> = Api::namespaced(arena.client.clone(), self.namespace());
                    deployments.delete(name, &DeleteParams::background()).await?;
                }
            }
        }
        tasks.until(HashMap::is_empty).await?;
        // A service goes after its last task: one that is applied while it is going would go with it.
        let services: Api<Service> = Api::namespaced(arena.client.clone(), self.namespace());
        while !services.list_metadata(&ListParams::default()).await?.items.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// A Deployment whose pods are as much like those of Longshore as it can make them.
fn deployment(name: &str, image: &str, tasks: usize, window: Window) -> Value {
    let labels = json!({ "app": name });
    let resources = json!({ "cpu": "62m", "memory": "64Mi" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": tasks,
            "selector": { "matchLabels": labels },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": {
                "maxSurge": format!("{}%", window.maximum.saturating_sub(100)),
                "maxUnavailable": format!("{}%", 100_u32.saturating_sub(window.minimum)),
            }},
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{
                    "name": "app",
                    "image": image,
                    "resources": { "requests": resources, "limits": resources },
                    "readinessProbe": { "exec": { "command": ["/bin/sh", "-c", "true"] } },
                }]},
            },
        },
    })
}
