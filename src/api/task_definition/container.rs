//! One container of a task.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::{empty_if_null, none_if_empty};
use crate::api::{
    ContainerDependency, ContainerRestartPolicy, EnvironmentFile, FirelensConfiguration, HealthCheck, KeyValuePair,
    LinuxParameters, LogConfiguration, MountPoint, PortMapping, RepositoryCredentials, ResourceRequirement, Secret,
    SystemControl, Ulimit, VolumeFrom,
};

/// One container of a task.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.memory) || !has(self.memoryReservation) \
        || self.memory >= self.memoryReservation")
        .message("memory: the hard limit must not be below memoryReservation; raise memory or lower \
            memoryReservation")
)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDefinition {
    /// Name, unique in the task: 1 to 255 letters, digits, hyphens and underscores.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"), length(max = 255))]
    pub name: String,
    /// Image reference: repository with an optional tag or digest.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Credentials for pulling the image from a private registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_credentials: Option<RepositoryCredentials>,
    /// CPU units (1024 are one vCPU) the container is guaranteed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cpu: Option<i32>,
    /// Hard memory limit in MiB; the container is killed beyond it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub memory: Option<i32>,
    /// Memory in MiB set aside for the container; it may use more while the node has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub memory_reservation: Option<i32>,
    /// Names (`name` or `name:alias`) of containers this one reaches by name; bridge mode only.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Ports the container listens on.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub port_mappings: Vec<PortMapping>,
    /// Whether the task stops when this container stops; absent means true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub essential: Option<bool>,
    /// Restart the container in place when it exits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<ContainerRestartPolicy>,
    /// Replaces the image's entry point.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub entry_point: Vec<String>,
    /// Replaces the image's command.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Environment variables. Of two with one name the later wins.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<KeyValuePair>,
    /// Files of environment variables, at most 10; `environment` wins over them.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub environment_files: Vec<EnvironmentFile>,
    /// Volumes of the task mounted into this container.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub mount_points: Vec<MountPoint>,
    /// Containers whose mounts this one shares.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub volumes_from: Vec<VolumeFrom>,
    /// Linux capabilities, devices, shared memory and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux_parameters: Option<LinuxParameters>,
    /// Environment variables whose values come from a secret store.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Containers that must reach a condition before this one starts, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub depends_on: Vec<ContainerDependency>,
    /// Seconds this container may take to reach a condition others wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub start_timeout: Option<i32>,
    /// Seconds between the polite stop signal and the kill; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub stop_timeout: Option<i32>,
    /// Whether the image tag is resolved to a digest once per deployment; default `enabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_consistency: Option<VersionConsistency>,
    /// Host name inside the container.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// User, optionally with a group: `user`, `uid`, `user:group` or `uid:gid`.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Directory in which commands run.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// Turns off networking in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_networking: Option<bool>,
    /// Gives the container the rights of root on the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Makes the root file system read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readonly_root_filesystem: Option<bool>,
    /// Addresses of DNS servers for the container.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub dns_servers: Vec<String>,
    /// DNS search domains for the container.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub dns_search_domains: Vec<String>,
    /// Extra lines for `/etc/hosts`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<HostEntry>,
    /// Labels for SELinux and AppArmor, `no-new-privileges`, or a credential spec.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub docker_security_options: Vec<String>,
    /// Keeps standard input open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interactive: Option<bool>,
    /// Allocates a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pseudo_terminal: Option<bool>,
    /// Labels of the container.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub docker_labels: BTreeMap<String, String>,
    /// Resource limits (`ulimit`) of the container.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Where the container's output goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<LogConfiguration>,
    /// Command that tells whether the container is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Kernel parameters (`sysctl`) to set.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub system_controls: Vec<SystemControl>,
    /// GPUs and other devices the container needs.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub resource_requirements: Vec<ResourceRequirement>,
    /// Makes this container the log router of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firelens_configuration: Option<FirelensConfiguration>,
    /// Credential specs for Active Directory, at most 1.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    pub credential_specs: Vec<String>,
}

/// One extra line for `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostEntry {
    /// Host name.
    pub hostname: String,
    /// IP address.
    pub ip_address: String,
}

/// Whether an image tag is pinned to a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionConsistency {
    /// The tag is resolved to a digest once per deployment.
    Enabled,
    /// The tag is used as written.
    Disabled,
}
