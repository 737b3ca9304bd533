//! Which instance types a managed instances provider may choose.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::{
    AcceleratorCountRequest, AcceleratorTotalMemoryMibRequest, BaselineEbsBandwidthMbpsRequest,
    MemoryGibPerVcpuRequest, MemoryMibRequest, NetworkBandwidthGbpsRequest, NetworkInterfaceCountRequest,
    TotalLocalStorageGbRequest, VcpuCountRangeRequest,
};

/// Which instance types may be chosen.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRequirementsRequest {
    /// Number of vCPUs.
    #[serde(rename = "vCpuCount")]
    pub vcpu_count: VcpuCountRangeRequest,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: MemoryMibRequest,
    /// Makers of the processor.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub cpu_manufacturers: Vec<CpuManufacturer>,
    /// GiB of memory for each vCPU.
    #[serde(rename = "memoryGiBPerVCpu", skip_serializing_if = "Option::is_none")]
    pub memory_gib_per_vcpu: Option<MemoryGibPerVcpuRequest>,
    /// Instance types never chosen, at most 400; `*` stands for anything.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 400), inner(length(min = 1, max = 30), regex(pattern = r"^[a-zA-Z0-9.*-]+$")))]
    pub excluded_instance_types: Vec<String>,
    /// Generations.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub instance_generations: Vec<InstanceGeneration>,
    /// Highest spot price, in percent above the cheapest type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub spot_max_price_percentage_over_lowest_price: Option<i32>,
    /// Highest on-demand price, in percent above the cheapest type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub on_demand_max_price_percentage_over_lowest_price: Option<i32>,
    /// Whether bare metal is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bare_metal: Option<BareMetal>,
    /// Whether burstable types are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burstable_performance: Option<BurstablePerformance>,
    /// Whether hibernation is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_hibernate_support: Option<bool>,
    /// Number of network interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_interface_count: Option<NetworkInterfaceCountRequest>,
    /// Whether instance store disks are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_storage: Option<LocalStorage>,
    /// Kinds of instance store disk.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub local_storage_types: Vec<LocalStorageType>,
    /// Instance store in GB.
    #[serde(rename = "totalLocalStorageGB", skip_serializing_if = "Option::is_none")]
    pub total_local_storage_gb: Option<TotalLocalStorageGbRequest>,
    /// EBS bandwidth in Mbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_ebs_bandwidth_mbps: Option<BaselineEbsBandwidthMbpsRequest>,
    /// Kinds of accelerator.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub accelerator_types: Vec<AcceleratorType>,
    /// Number of accelerators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator_count: Option<AcceleratorCountRequest>,
    /// Makers of the accelerator.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub accelerator_manufacturers: Vec<AcceleratorManufacturer>,
    /// Accelerators by name.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub accelerator_names: Vec<AcceleratorName>,
    /// Memory of all accelerators in MiB.
    #[serde(rename = "acceleratorTotalMemoryMiB", skip_serializing_if = "Option::is_none")]
    pub accelerator_total_memory_mib: Option<AcceleratorTotalMemoryMibRequest>,
    /// Network bandwidth in Gbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_bandwidth_gbps: Option<NetworkBandwidthGbpsRequest>,
    /// The only instance types chosen, at most 400; `*` stands for anything.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 400), inner(length(min = 1, max = 30), regex(pattern = r"^[a-zA-Z0-9.*-]+$")))]
    pub allowed_instance_types: Vec<String>,
    /// Highest spot price, in percent of the best on-demand price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_spot_price_as_percentage_of_optimal_on_demand_price: Option<i32>,
}

/// Makers of processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CpuManufacturer {
    /// Intel.
    Intel,
    /// AMD.
    Amd,
    /// AWS.
    AmazonWebServices,
}

/// Generations of instance types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceGeneration {
    /// Current.
    Current,
    /// Previous.
    Previous,
}

/// Whether bare metal is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BareMetal {
    /// Allowed.
    Included,
    /// Nothing else.
    Required,
    /// Never.
    Excluded,
}

/// Whether burstable types are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BurstablePerformance {
    /// Allowed.
    Included,
    /// Nothing else.
    Required,
    /// Never.
    Excluded,
}

/// Whether instance store disks are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalStorage {
    /// Allowed.
    Included,
    /// Nothing else.
    Required,
    /// Never.
    Excluded,
}

/// Kinds of instance store disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalStorageType {
    /// Hard disks.
    Hdd,
    /// Solid state disks.
    Ssd,
}

/// Kinds of accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AcceleratorType {
    /// GPUs.
    Gpu,
    /// FPGAs.
    Fpga,
    /// Inference chips.
    Inference,
}

/// Makers of accelerators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AcceleratorManufacturer {
    /// AWS.
    AmazonWebServices,
    /// AMD.
    Amd,
    /// NVIDIA.
    Nvidia,
    /// Xilinx.
    Xilinx,
    /// Habana.
    Habana,
}

/// Accelerators by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AcceleratorName {
    /// NVIDIA A100.
    A100,
    /// AWS Inferentia.
    Inferentia,
    /// NVIDIA GRID K520.
    K520,
    /// NVIDIA K80.
    K80,
    /// NVIDIA M60.
    M60,
    /// AMD Radeon Pro V520.
    RadeonProV520,
    /// NVIDIA T4.
    T4,
    /// Xilinx VU9P.
    Vu9p,
    /// NVIDIA V100.
    V100,
    /// NVIDIA A10G.
    A10g,
    /// NVIDIA H100.
    H100,
    /// NVIDIA T4G.
    T4g,
    /// NVIDIA L40S.
    L40s,
    /// NVIDIA L4.
    L4,
}
