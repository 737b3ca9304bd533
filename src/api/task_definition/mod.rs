//! The kind `TaskDefinition`: what `RegisterTaskDefinition` takes.

mod container;
mod container_order;
mod health_check;
mod linux_parameters;
mod platform;
mod port_mapping;
mod proxy;
mod resource_requirement;
mod status;
mod volume;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::{empty_if_null, none_if_empty};
use crate::api::{Tag, TaskDefinitionKubernetes, TaskDefinitionPlacementConstraint};

pub use container::{ContainerDefinition, HostEntry, VersionConsistency};
pub use container_order::{ContainerCondition, ContainerDependency, ContainerRestartPolicy};
pub use health_check::HealthCheck;
pub use linux_parameters::{
    Device, DeviceCgroupPermission, KernelCapabilities, LinuxParameters, SystemControl, Tmpfs, Ulimit, UlimitName,
};
pub use platform::{
    CpuArchitecture, EphemeralStorage, IsolationMode, OsFamily, RuntimePlatform, TrustedExecutionConfiguration,
};
pub use port_mapping::{ApplicationProtocol, PortMapping, TransportProtocol};
pub use proxy::{ProxyConfiguration, ProxyConfigurationType};
pub use resource_requirement::{
    InferenceAccelerator, NvidiaMpsAllocation, ResourceRequirement, ResourceType, SharingStrategy,
};
pub use status::TaskDefinitionStatus;
pub use volume::{
    DockerVolumeConfiguration, EfsAuthorizationConfig, EfsAuthorizationConfigIam, EfsTransitEncryption,
    EfsVolumeConfiguration, FsxWindowsFileServerAuthorizationConfig, FsxWindowsFileServerVolumeConfiguration,
    HostVolumeProperties, MountPoint, S3FilesVolumeConfiguration, Scope, Volume, VolumeFrom,
};

/// Input of RegisterTaskDefinition, member for member. A change makes a new revision.
#[derive(CustomResource, Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ecs.longshore.dev",
    version = "v1alpha1",
    kind = "TaskDefinition",
    doc = "A family of task definitions. Its spec is RegisterTaskDefinition input; every change makes a \
        TaskDefinitionRevision.",
    namespaced,
    plural = "taskdefinitions",
    shortname = "td",
    category = "ecs",
    status = "TaskDefinitionStatus",
    derive = "PartialEq",
    cel,
    selectable = ".spec.family",
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.latestActiveRevision"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Exact", type_ = "string", json_path = ".status.conditions[?(@.type=='Exact')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.family) || self.metadata.name.matches('^[A-Za-z0-9_-]{1,255}$')")
        .message("spec.family: the object's name has a dot, which a family may not have; set spec.family"),
    validation = Rule::new("(has(self.spec.family) ? self.spec.family : self.metadata.name) == \
        (has(oldSelf.spec.family) ? oldSelf.spec.family : oldSelf.metadata.name)")
        .message("spec.family: a family cannot be renamed; create another TaskDefinition")
)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinitionSpec {
    /// Family: 1 to 255 letters, digits, `-` and `_`. Defaults to the object's name; cannot change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"), length(max = 255))]
    pub family: Option<String>,
    /// IAM role of the task's own code, by name or ARN.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
    /// IAM role with which images, secrets and logs are reached, by name or ARN.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
    /// Network mode of the containers; default `bridge`. Fargate needs `awsvpc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// The containers, 1 to 10, with names of their own.
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[x_kube(
        validation = Rule::new("self.exists(container, !has(container.essential) || container.essential)")
            .message("containerDefinitions: at least one container must be essential; set essential to true on one, \
                or leave it out")
    )]
    #[x_kube(
        validation = Rule::new("self.all(container, !has(container.dependsOn) \
            || container.dependsOn.all(dependency, dependency.containerName != container.name \
            && self.exists(other, other.name == dependency.containerName)))")
            .message("containerDefinitions: dependsOn must name another container of the task; mend containerName")
    )]
    pub container_definitions: Vec<ContainerDefinition>,
    /// Volumes containers may mount.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[x_kube(
        validation = Rule::new("self.filter(volume, has(volume.configuredAtLaunch) \
            && volume.configuredAtLaunch).size() <= 1")
            .message("volumes: only one volume may be configuredAtLaunch; remove it from the others")
    )]
    pub volumes: Vec<Volume>,
    /// Rules every node of a task must satisfy, at most 10.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub placement_constraints: Vec<TaskDefinitionPlacementConstraint>,
    /// Launch types the definition is checked against.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub requires_compatibilities: Vec<Compatibility>,
    /// CPU units of the whole task (1024 are one vCPU), or vCPUs such as `1 vCPU`. Required for Fargate.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub cpu: Option<IntOrString>,
    /// Memory of the whole task in MiB, or such as `2 GB`. Required for Fargate.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub memory: Option<IntOrString>,
    /// Tags, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tags: Vec<Tag>,
    /// Process namespace the containers use; by default each has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_mode: Option<PidMode>,
    /// IPC namespace the containers use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc_mode: Option<IpcMode>,
    /// App Mesh proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_configuration: Option<ProxyConfiguration>,
    /// Elastic Inference accelerators (discontinued by AWS).
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub inference_accelerators: Vec<InferenceAccelerator>,
    /// Scratch disk of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    /// Operating system and processor the task needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_platform: Option<RuntimePlatform>,
    /// Whether fault injection requests from the containers are accepted; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_fault_injection: Option<bool>,
    /// Isolation of the task from its neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_execution_configuration: Option<TrustedExecutionConfiguration>,
    /// What ECS has no member for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<TaskDefinitionKubernetes>,
}

/// Network modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A virtual network inside each node.
    Bridge,
    /// The node's own network.
    Host,
    /// A network interface for each task.
    Awsvpc,
    /// No network.
    None,
}

/// Launch types a definition can be checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compatibility {
    /// EC2 instances.
    Ec2,
    /// Fargate.
    Fargate,
    /// Machines outside AWS.
    External,
    /// Managed instances.
    ManagedInstances,
}

/// Process namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PidMode {
    /// The node's.
    Host,
    /// One for the whole task.
    Task,
}

/// IPC namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpcMode {
    /// The node's.
    Host,
    /// One for the whole task.
    Task,
    /// One for each container, not shared.
    None,
}
