//! Linux settings of a container: capabilities, devices, limits and kernel parameters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;

/// Linux settings of a container.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinuxParameters {
    /// Capabilities added to and dropped from the default set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<KernelCapabilities>,
    /// Devices of the node to expose.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// Runs an init process that forwards signals and reaps children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_process_enabled: Option<bool>,
    /// Size of `/dev/shm` in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub shared_memory_size: Option<i32>,
    /// Memory-backed file systems to mount.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Tmpfs>,
    /// Swap in MiB the container may use; 0 means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_swap: Option<i32>,
    /// How readily pages are swapped out, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub swappiness: Option<i32>,
}

/// Linux capabilities added to and dropped from the default set.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KernelCapabilities {
    /// Capabilities to add, such as `SYS_PTRACE`, or `ALL`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Capabilities to drop, such as `NET_RAW`, or `ALL`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
}

/// A device of the node exposed to the container.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Path of the device on the node.
    pub host_path: String,
    /// Path in the container; absent means the same path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_path: Option<String>,
    /// What the container may do with it; absent means everything.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<DeviceCgroupPermission>,
}

/// Rights on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceCgroupPermission {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Create device files.
    Mknod,
}

/// A memory-backed file system.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tmpfs {
    /// Absolute path of the mount.
    pub container_path: String,
    /// Largest size in MiB.
    #[schemars(range(min = 1))]
    pub size: i32,
    /// Mount options, such as `noexec`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub mount_options: Vec<String>,
}

/// A resource limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ulimit {
    /// Name of the limit.
    pub name: UlimitName,
    /// Soft limit; -1 means unlimited.
    pub soft_limit: i32,
    /// Hard limit; -1 means unlimited.
    pub hard_limit: i32,
}

/// Resource limits by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UlimitName {
    /// Size of a core dump.
    Core,
    /// CPU time.
    Cpu,
    /// Size of the data segment.
    Data,
    /// Size of a file.
    Fsize,
    /// Number of file locks.
    Locks,
    /// Locked memory.
    Memlock,
    /// Size of message queues.
    Msgqueue,
    /// Highest nice priority.
    Nice,
    /// Number of open files.
    Nofile,
    /// Number of processes.
    Nproc,
    /// Resident memory.
    Rss,
    /// Real-time priority.
    Rtprio,
    /// Real-time CPU time.
    Rttime,
    /// Number of pending signals.
    Sigpending,
    /// Size of the stack.
    Stack,
}

/// A kernel parameter.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemControl {
    /// Name of the parameter, such as `net.core.somaxconn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
