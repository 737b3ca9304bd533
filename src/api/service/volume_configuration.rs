//! Volumes whose settings the service supplies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::{PropagateTags, Tag};

/// Settings of a volume the task definition leaves to the service.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceVolumeConfiguration {
    /// Name of the volume in the task definition.
    pub name: String,
    /// The EBS volume made for each task.
    #[serde(rename = "managedEBSVolume", skip_serializing_if = "Option::is_none")]
    pub managed_ebs_volume: Option<ServiceManagedEbsVolumeConfiguration>,
}

/// The EBS volume made for each task.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceManagedEbsVolumeConfiguration {
    /// Whether the volume is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Key that encrypts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Volume type, such as `gp3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    /// Size in GiB; needed unless there is a snapshot.
    #[serde(rename = "sizeInGiB", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub size_in_gib: Option<i32>,
    /// Snapshot the volume is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// MiB a second at which the snapshot is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub volume_initialization_rate: Option<i32>,
    /// I/O operations a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub iops: Option<i32>,
    /// Throughput in MiB a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub throughput: Option<i32>,
    /// Tags of the volume.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub tag_specifications: Vec<EbsTagSpecification>,
    /// IAM role that may manage the volume.
    pub role_arn: String,
    /// File system, default `xfs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem_type: Option<TaskFilesystemType>,
}

/// Tags of an EBS volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EbsTagSpecification {
    /// Kind of resource the tags are for.
    pub resource_type: EbsResourceType,
    /// Tags, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tags: Vec<Tag>,
    /// Which resource's tags the volume receives too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<PropagateTags>,
}

/// Kinds of resource with tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EbsResourceType {
    /// A volume.
    Volume,
}

/// File systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskFilesystemType {
    /// Ext3.
    Ext3,
    /// Ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// NTFS.
    Ntfs,
}
