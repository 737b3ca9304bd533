//! The kind `CapacityProvider`: what `CreateCapacityProvider` takes, and the nodes it stands for.

mod auto_scaling_group;
mod instance_requirements;
mod managed_instances;
mod range;
mod status;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::{CapacityProviderKubernetes, Tag};

pub use auto_scaling_group::{
    AutoScalingGroupProvider, ManagedDraining, ManagedScaling, ManagedScalingStatus, ManagedTerminationProtection,
};
pub use instance_requirements::{
    AcceleratorManufacturer, AcceleratorName, AcceleratorType, BareMetal, BurstablePerformance, CpuManufacturer,
    InstanceGeneration, InstanceRequirementsRequest, LocalStorage, LocalStorageType,
};
pub use managed_instances::{
    AutoRepairActionsStatus, AutoRepairConfiguration, CapacityOptionType, CapacityReservationPreference,
    CapacityReservationRequest, CreateManagedInstancesProviderConfiguration, InfrastructureOptimization,
    InstanceLaunchTemplate, ManagedInstancesLocalStorageConfiguration, ManagedInstancesMonitoringOptions,
    ManagedInstancesNetworkConfiguration, ManagedInstancesStorageConfiguration, PropagateMiTags,
};
pub use range::{
    AcceleratorCountRequest, AcceleratorTotalMemoryMibRequest, BaselineEbsBandwidthMbpsRequest,
    MemoryGibPerVcpuRequest, MemoryMibRequest, NetworkBandwidthGbpsRequest, NetworkInterfaceCountRequest,
    TotalLocalStorageGbRequest, VcpuCountRangeRequest,
};
pub use status::{CapacityProviderState, CapacityProviderStatus};

/// Input of CreateCapacityProvider, member for member, and in `kubernetes` the nodes it stands for.
#[derive(CustomResource, Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ecs.longshore.dev",
    version = "v1alpha1",
    kind = "CapacityProvider",
    doc = "A set of nodes under a name clusters and services refer to. Its spec is CreateCapacityProvider input.",
    plural = "capacityproviders",
    shortname = "ecp",
    category = "ecs",
    status = "CapacityProviderStatus",
    derive = "PartialEq",
    derive = "Default",
    cel,
    printcolumn(name = "Status", type_ = "string", json_path = ".status.status"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.registeredContainerInstancesCount"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.name) || self.metadata.name.matches('^[A-Za-z0-9_-]{1,255}$')")
        .message("spec.name: the object's name has a dot, which a capacity provider's name may not have; set \
            spec.name"),
    validation = Rule::new("(has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) \
        ? oldSelf.spec.name : oldSelf.metadata.name)")
        .message("spec.name: a capacity provider cannot be renamed; create another CapacityProvider")
)]
#[x_kube(
    validation = Rule::new("!(has(self.autoScalingGroupProvider) && has(self.managedInstancesProvider))")
        .message("managedInstancesProvider: cannot be combined with autoScalingGroupProvider; remove one of them")
)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProviderSpec {
    /// Name: 1 to 255 letters, digits, `-` and `_`. Defaults to the object's name; cannot change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"), length(max = 255))]
    pub name: Option<String>,
    /// Name of the cluster a managed instances provider belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Auto Scaling group behind the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scaling_group_provider: Option<AutoScalingGroupProvider>,
    /// Managed instances behind the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_instances_provider: Option<CreateManagedInstancesProviderConfiguration>,
    /// Tags, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tags: Vec<Tag>,
    /// The nodes the provider stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<CapacityProviderKubernetes>,
}
