//! Volumes of a task and how containers mount them.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::{empty_if_null, none_if_empty};

/// A volume containers of the task may mount. At most one configuration may be given.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("(has(self.host) ? 1 : 0) + (has(self.dockerVolumeConfiguration) ? 1 : 0) + \
        (has(self.efsVolumeConfiguration) ? 1 : 0) + (has(self.s3filesVolumeConfiguration) ? 1 : 0) + \
        (has(self.fsxWindowsFileServerVolumeConfiguration) ? 1 : 0) <= 1")
        .message("volumes: a volume has at most one of host, dockerVolumeConfiguration, efsVolumeConfiguration, \
            s3filesVolumeConfiguration and fsxWindowsFileServerVolumeConfiguration")
)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Name, unique in the task: 1 to 255 letters, digits, hyphens and underscores.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"), length(max = 255))]
    pub name: String,
    /// A directory of the node, or an empty directory that lives as long as the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostVolumeProperties>,
    /// A volume made by a volume driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_volume_configuration: Option<DockerVolumeConfiguration>,
    /// A directory of an EFS file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efs_volume_configuration: Option<EfsVolumeConfiguration>,
    /// A directory of an S3 Files file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3files_volume_configuration: Option<S3FilesVolumeConfiguration>,
    /// A share of an FSx for Windows file server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsx_windows_file_server_volume_configuration: Option<FsxWindowsFileServerVolumeConfiguration>,
    /// The service or task that runs this definition supplies the volume's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured_at_launch: Option<bool>,
}

/// A directory of the node.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostVolumeProperties {
    /// Path on the node; absent means an empty directory that lives as long as the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_path: Option<String>,
}

/// A volume made by a volume driver.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerVolumeConfiguration {
    /// How long the volume lives; default `task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Whether a shared volume is created when it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoprovision: Option<bool>,
    /// Name of the volume driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Options of the volume driver.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    /// Labels of the volume.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How long a volume lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// As long as the task.
    Task,
    /// Beyond the task.
    Shared,
}

/// A directory of an EFS file system.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EfsVolumeConfiguration {
    /// Id of the file system.
    pub file_system_id: String,
    /// Directory to mount, default `/`.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub root_directory: Option<String>,
    /// Whether data is encrypted on its way, default `DISABLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transit_encryption: Option<EfsTransitEncryption>,
    /// Port for encrypted traffic, 0 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub transit_encryption_port: Option<i32>,
    /// Access point and IAM authorisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_config: Option<EfsAuthorizationConfig>,
}

/// Whether data is encrypted on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EfsTransitEncryption {
    /// Encrypted.
    Enabled,
    /// Not encrypted.
    Disabled,
}

/// Authorisation for an EFS file system.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EfsAuthorizationConfig {
    /// Id of the access point.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub access_point_id: Option<String>,
    /// Whether the task role is used to mount, default `DISABLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam: Option<EfsAuthorizationConfigIam>,
}

/// Whether the task role is used to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EfsAuthorizationConfigIam {
    /// Used.
    Enabled,
    /// Not used.
    Disabled,
}

/// A directory of an S3 Files file system.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3FilesVolumeConfiguration {
    /// ARN of the file system.
    pub file_system_arn: String,
    /// Directory to mount, default `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_directory: Option<String>,
    /// Port for encrypted traffic, 0 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub transit_encryption_port: Option<i32>,
    /// ARN of the access point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_point_arn: Option<String>,
}

/// A share of an FSx for Windows file server.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FsxWindowsFileServerVolumeConfiguration {
    /// Id of the file system.
    pub file_system_id: String,
    /// Directory to mount.
    pub root_directory: String,
    /// Credentials for the share.
    pub authorization_config: FsxWindowsFileServerAuthorizationConfig,
}

/// Credentials for an FSx for Windows file server.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FsxWindowsFileServerAuthorizationConfig {
    /// ARN of the secret or parameter that holds the credentials.
    pub credentials_parameter: String,
    /// Fully qualified Active Directory domain.
    pub domain: String,
}

/// Where a container mounts a volume of the task.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MountPoint {
    /// Name of the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_volume: Option<String>,
    /// Path of the mount in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_path: Option<String>,
    /// Mounts it read-only; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// Shares the mounts of another container.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeFrom {
    /// Name of the other container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_container: Option<String>,
    /// Mounts them read-only; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}
