//! The machine a task runs on: operating system, processor, isolation and disk.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Operating system and processor a task needs.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimePlatform {
    /// Processor architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_architecture: Option<CpuArchitecture>,
    /// Operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operating_system_family: Option<OsFamily>,
}

/// Processor architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CpuArchitecture {
    /// 64-bit x86.
    #[serde(rename = "X86_64")]
    X8664,
    /// 64-bit Arm.
    #[serde(rename = "ARM64")]
    Arm64,
}

/// Operating systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OsFamily {
    /// Windows Server 2019 Full.
    #[serde(rename = "WINDOWS_SERVER_2019_FULL")]
    WindowsServer2019Full,
    /// Windows Server 2019 Core.
    #[serde(rename = "WINDOWS_SERVER_2019_CORE")]
    WindowsServer2019Core,
    /// Windows Server 2016 Full.
    #[serde(rename = "WINDOWS_SERVER_2016_FULL")]
    WindowsServer2016Full,
    /// Windows Server, version 2004, Core.
    #[serde(rename = "WINDOWS_SERVER_2004_CORE")]
    WindowsServer2004Core,
    /// Windows Server 2022 Core.
    #[serde(rename = "WINDOWS_SERVER_2022_CORE")]
    WindowsServer2022Core,
    /// Windows Server 2022 Full.
    #[serde(rename = "WINDOWS_SERVER_2022_FULL")]
    WindowsServer2022Full,
    /// Windows Server 2025 Core.
    #[serde(rename = "WINDOWS_SERVER_2025_CORE")]
    WindowsServer2025Core,
    /// Windows Server 2025 Full.
    #[serde(rename = "WINDOWS_SERVER_2025_FULL")]
    WindowsServer2025Full,
    /// Windows Server, version 20H2, Core.
    #[serde(rename = "WINDOWS_SERVER_20H2_CORE")]
    WindowsServer20h2Core,
    /// Linux.
    #[serde(rename = "LINUX")]
    Linux,
}

/// How far a task is isolated from its neighbours on the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.isolationMode != 'CONFIDENTIAL_SANDBOX' || has(self.attestationPolicy)")
        .message("trustedExecutionConfiguration.attestationPolicy: required when isolationMode is \
            CONFIDENTIAL_SANDBOX; add it")
)]
#[serde(rename_all = "camelCase")]
pub struct TrustedExecutionConfiguration {
    /// Kind of isolation.
    pub isolation_mode: IsolationMode,
    /// Attestation policy in base64; required for `CONFIDENTIAL_SANDBOX`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_policy: Option<String>,
}

/// Kinds of isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IsolationMode {
    /// The machine's kernel is shared with other tasks.
    Shared,
    /// A light virtual machine of its own.
    IsolatedSandbox,
    /// A virtual machine of its own whose contents are attested.
    ConfidentialSandbox,
}

/// Scratch disk of a task.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EphemeralStorage {
    /// Size in GiB, 21 to 200.
    #[serde(rename = "sizeInGiB")]
    #[schemars(range(min = 21, max = 200))]
    pub size_in_gib: i32,
}
