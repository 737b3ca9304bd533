//! What the API server can express that older ones cannot.

/// The features of Kubernetes that a task's pod uses where they are there. What is not there degrades with a deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `PodLevelResources`: `spec.resources` of a pod, on from 1.34.
    pub pod_level_resources: bool,
    /// `ContainerRestartRules`: `restartPolicy` and `restartPolicyRules` of a container, on from 1.35.
    pub restart_rules: bool,
    /// `HostnameOverride`: a hostname that is not a DNS label, on from 1.35.
    pub hostname_override: bool,
}

impl Features {
    /// All of them: Kubernetes 1.35 and newer.
    pub const ALL: Self = Self { pod_level_resources: true, restart_rules: true, hostname_override: true };

    /// Those that are on by default in Kubernetes 1.`minor`.
    pub fn of_version(minor: u32) -> Self {
        Self { pod_level_resources: minor >= 34, restart_rules: minor >= 35, hostname_override: minor >= 35 }
    }
}
