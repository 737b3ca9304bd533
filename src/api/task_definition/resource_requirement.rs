//! Devices a container needs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device a container needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequirement {
    /// Number of GPUs or devices, or the name of an inference accelerator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Kind of device.
    pub type_: ResourceType,
    /// How a GPU is shared with other containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing_strategy: Option<SharingStrategy>,
}

/// Kinds of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ResourceType {
    /// GPUs.
    #[serde(rename = "GPU")]
    Gpu,
    /// An inference accelerator of the task.
    #[serde(rename = "InferenceAccelerator")]
    InferenceAccelerator,
    /// Neuron devices.
    #[serde(rename = "NeuronDevice")]
    NeuronDevice,
}

/// How a GPU is shared with other containers.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharingStrategy {
    /// Share it by NVIDIA Multi-Process Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvidia_mps: Option<NvidiaMpsAllocation>,
}

/// A share of a GPU under NVIDIA Multi-Process Service.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NvidiaMpsAllocation {
    /// GPU memory in MiB, at least 1.
    #[schemars(range(min = 1))]
    pub memory: i32,
    /// Upper bound on the share of the GPU's compute capacity, 1 to 100 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_compute_percent: Option<i32>,
}

/// An Elastic Inference accelerator (discontinued by AWS).
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InferenceAccelerator {
    /// Name by which containers refer to it.
    pub device_name: String,
    /// Type of the accelerator.
    pub device_type: String,
}
