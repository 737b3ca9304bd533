//! A capacity provider made of managed instances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::InstanceRequirementsRequest;
use crate::api::nulls::empty_if_null;

/// Managed instances behind a capacity provider.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateManagedInstancesProviderConfiguration {
    /// IAM role that may manage instances.
    pub infrastructure_role_arn: String,
    /// How instances are launched.
    pub instance_launch_template: InstanceLaunchTemplate,
    /// Whether instances receive the provider's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<PropagateMiTags>,
    /// When idle instances go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infrastructure_optimization: Option<InfrastructureOptimization>,
    /// Whether unhealthy instances are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_repair_configuration: Option<AutoRepairConfiguration>,
}

/// Whether instances receive the provider's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PropagateMiTags {
    /// They do.
    CapacityProvider,
    /// They do not.
    None,
}

/// When idle instances go.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfrastructureOptimization {
    /// Seconds an instance may be idle, 0 to 3600; -1 means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1, max = 3600))]
    pub scale_in_after: Option<i32>,
}

/// Whether unhealthy instances are replaced.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoRepairConfiguration {
    /// Whether repair is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions_status: Option<AutoRepairActionsStatus>,
}

/// Whether unhealthy instances are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AutoRepairActionsStatus {
    /// They are.
    Enabled,
    /// They are not.
    Disabled,
}

/// How managed instances are launched.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceLaunchTemplate {
    /// ARN of the instance profile.
    pub ec2_instance_profile_arn: String,
    /// Subnets and security groups.
    pub network_configuration: ManagedInstancesNetworkConfiguration,
    /// Disk of an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_configuration: Option<ManagedInstancesStorageConfiguration>,
    /// Use of instance store disks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_storage_configuration: Option<ManagedInstancesLocalStorageConfiguration>,
    /// Detail of the instances' metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<ManagedInstancesMonitoringOptions>,
    /// How instances are bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_option_type: Option<CapacityOptionType>,
    /// Whether tags can be read from inside the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_metadata_tags_propagation: Option<bool>,
    /// Which instance types may be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_requirements: Option<InstanceRequirementsRequest>,
    /// Whether FIPS modules are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fips_enabled: Option<bool>,
    /// Use of capacity reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_reservations: Option<CapacityReservationRequest>,
    /// Whether isolated tasks can run; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nitro_enclaves_enabled: Option<bool>,
}

/// Subnets and security groups of managed instances.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedInstancesNetworkConfiguration {
    /// Ids of the subnets.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// Ids of the security groups.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
}

/// Disk of a managed instance.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedInstancesStorageConfiguration {
    /// Size in GiB, at least 1.
    #[serde(rename = "storageSizeGiB", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub storage_size_gib: Option<i32>,
}

/// Use of instance store disks.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedInstancesLocalStorageConfiguration {
    /// Whether they are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_local_storage: Option<bool>,
}

/// Detail of the instances' metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ManagedInstancesMonitoringOptions {
    /// Every five minutes.
    Basic,
    /// Every minute.
    Detailed,
}

/// How instances are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CapacityOptionType {
    /// On demand.
    OnDemand,
    /// As spot instances.
    Spot,
    /// From reservations.
    Reserved,
}

/// Use of capacity reservations.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityReservationRequest {
    /// ARN of the group of reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_group_arn: Option<String>,
    /// Order in which reservations are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_preference: Option<CapacityReservationPreference>,
}

/// Order in which reservations are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CapacityReservationPreference {
    /// Nothing else.
    ReservationsOnly,
    /// First, then on demand.
    ReservationsFirst,
    /// Never.
    ReservationsExcluded,
}
