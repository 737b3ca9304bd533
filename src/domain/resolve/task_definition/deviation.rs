//! Where a task's pod does not do what ECS does: the verdict on a task definition.

use std::fmt;

/// Everything in which the pod of a task definition deviates from ECS, in the order in which it was found. Empty: the pod is exact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict(Vec<Deviation>);

/// One deviation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Which.
    pub code: DeviationCode,
    /// The member that asks for what Kubernetes does not do: the JSON path below `spec`.
    pub member: String,
    /// What the sentence is about in this case, such as the names of other containers; empty where there is nothing to add.
    pub detail: String,
}

impl Verdict {
    pub(super) fn note(&mut self, code: DeviationCode, member: impl Into<String>) {
        self.note_with(code, member, String::new());
    }

    pub(super) fn note_with(&mut self, code: DeviationCode, member: impl Into<String>, detail: impl Into<String>) {
        let deviation = Deviation { code, member: member.into(), detail: detail.into() };
        // One place may lead to the same deviation by two ways.
        if !self.0.contains(&deviation) {
            self.0.push(deviation);
        }
    }

    /// The deviations.
    pub fn deviations(&self) -> &[Deviation] {
        &self.0
    }

    /// Whether the pod does what ECS does.
    pub fn is_exact(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it in one text, for a condition.
    pub fn message(&self) -> String {
        if self.is_exact() {
            return "tasks do what they do on ECS".to_owned();
        }
        self.0.iter().map(Deviation::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.{}: {} ({}", self.member, self.code.sentence(), self.code.name())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        f.write_str(")")
    }
}

/// Declares the codes, so that name, sentence and list cannot disagree.
macro_rules! codes {
    ($($code:ident: $sentence:literal,)*) => {
        /// Ways in which a pod may deviate from ECS.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum DeviationCode {
            $(
                #[doc = $sentence]
                $code,
            )*
        }

        impl DeviationCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The name, as conditions and the documentation have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)*
                }
            }

            /// What is different, for people.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$code => $sentence,)*
                }
            }
        }
    };
}

codes! {
    ImageMissing: "there is no image, and so nothing to run: the API server refuses the task",
    ImageNameInvalid: "no container runtime takes this name of an image: tasks stop with CannotPullContainerError",
    CredentialsMixed: "another container has other credentials for the same repository, and a pod pulls with all that it has: whichever works is used",
    HostPortIgnored: "in the network modes awsvpc and host the task listens on the containerPort alone; ECS does not register another hostPort",
    PortUsedTwice: "another container listens on this port, and the containers of a pod share one network: one of them cannot start; on ECS in the mode bridge each has its own",
    ProxyIgnored: "App Mesh is not there: nothing leads traffic through the proxy; use a service mesh of the Kubernetes cluster",
    StartSerialized: "the container starts only after containers that it does not wait for have ended or are HEALTHY; ECS starts it at once",
    StartImpliesComplete: "others wait for the container's start, and start only after its end because some wait for that",
    CompleteMasked: "COMPLETE acts as SUCCESS: if the container that is waited for fails, the task fails; let its command end with exit code 0",
    InitExtraBlock: "if the container fails, or is not what is waited for in time, the whole task fails; on ECS only the containers that are not essential and wait for it do not start",
    SidecarRestarts: "the kubelet starts the container again when it exits, because others wait for it, and until it runs the pod is not Ready; ECS does so only with a restartPolicy",
    RestartBackOff: "the container is started again after a growing delay of 10 s to 5 min, in which the pod is not Ready, and with a fresh file system; ECS does so at once, and keeps the files",
    EarlyExitRestarted: "the container is started again also after a run that was shorter than restartAttemptPeriod",
    RestartPolicyIgnored: "the container is not started again: this Kubernetes has no restart policy for a single container (1.35 has)",
    StopTimeoutShared: "the containers of a task have one period to stop: one may take longer than its own stopTimeout, and leave less to those that are stopped after it",
    StopOrderLost: "the container is stopped at the same time as those that wait for it or use its volumes, which ECS stops first; nor do these wait for it if its image cannot be pulled at once",
    CompletedNotReady: "once the container, which is not essential, has ended, the pod is not Ready any more and leaves Kubernetes Services; the task stays RUNNING and healthy, but if the container cannot be pulled or created the task fails",
    EndsWithoutEssential: "no container that nothing waits for is essential: once the last of these has ended the task ends; ECS goes on with those that are essential",
    NonEssentialHealthNotProbed: "the health of the container, which is not essential and which nothing waits for, is not checked; it stays UNKNOWN",
    TaskSizeNotEnforced: "the size of the task is no limit on its containers together: this Kubernetes has no resources for a whole pod",
    EphemeralStorageEvicts: "a task that writes more than its ephemeralStorage is stopped; on ECS its writes fail",
    SharedNetwork: "the containers of a task share one network: localhost leads to all of them, and no two can listen on one port",
    PortRangeNotListed: "a range of more than 100 ports is not listed in the pod; its ports can be reached all the same",
    LinksWithoutEnvironment: "the name of the link leads to the container, but Docker's variables of the link are not set",
    LinkNotResolved: "the name is not one of DNS, and does not lead to the container",
    HostnameIgnored: "the containers keep the name of the pod, or of the node in the host network, as their hostname",
    PodWide: "the member acts on every container of the task",
    NoCopyUp: "the volume begins empty and writable for everybody; Docker copies what the image has at the place where it is first mounted",
    RelativePath: "the path does not begin at the root of the node, and is none that a kubelet mounts; Docker takes it for the name of a volume",
    VolumeLabelsIgnored: "the labels of the volume are kept nowhere",
    VolumeOptionsIgnored: "these options have no effect on the volume: it is mounted as the node mounts it",
    ClaimNeeded: "the volume is a PersistentVolumeClaim that somebody has to make; until then tasks stay PENDING",
    IamOfNode: "the file system is mounted with the identity of the node's driver, not with the task role",
    StorageClassNeeded: "the volume is made by the StorageClass that is named like the service's volumeType, or by the default one; one with a snapshotId, from the VolumeSnapshot that has that name",
    ImageVolumesNotShared: "volumes that only the image of the other container declares are not shared",
    TmpfsOptionsIgnored: "these mount options have no effect on the tmpfs",
    UlimitsIgnored: "Kubernetes sets no ulimits: the container has those of the node's container runtime",
    SwapIgnored: "the node decides on swap, not the container",
    InitProcessIgnored: "no init process runs in the container: signals go to the command itself, which has to reap its children",
    PidOneIsPause: "with pidMode task, process 1 is Kubernetes' pause process",
    IpcNamespaceShared: "the containers of a pod always share one IPC namespace",
    UnsafeSysctl: "the kubelet refuses the task unless its --allowed-unsafe-sysctls have the parameter",
    DockerLabelsAreAnnotations: "the labels stand in an annotation of the pod, not on the container",
    TaskRoleByServiceAccount: "tasks have what the task role allows only if their ServiceAccount is bound to it: name one in spec.kubernetes.serviceAccountName, or for the role in the Cluster",
    ExecutionRoleUnused: "the execution role is not assumed: images, secrets and logs are fetched and sent with identities of the Kubernetes cluster",
    LogsNotShipped: "the output can be read with kubectl logs and goes nowhere else; to ship it, run a log agent on the nodes",
    LogOptionsIgnored: "these options have no effect: the kubelet writes and rotates the log",
    FirelensNotRouted: "the log router gets what is sent to FLUENT_HOST and FLUENT_PORT, but not the output of the containers, which goes to kubectl logs; ECS's generated configuration is not there",
    FaultInjectionIgnored: "there is no endpoint for fault injection",
    RepeatedVariable: "of several values of one variable the last counts",
    RefusedToday: "a revision like this would not be registered any more",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_deviation_says_where_what_and_by_which_code() {
        let mut verdict = Verdict::default();
        assert_eq!(verdict.message(), "tasks do what they do on ECS");
        verdict.note(DeviationCode::SwapIgnored, "containerDefinitions[app].linuxParameters.maxSwap");
        verdict.note_with(DeviationCode::TmpfsOptionsIgnored, "a", "noexec");
        verdict.note_with(DeviationCode::TmpfsOptionsIgnored, "a", "noexec");
        assert_eq!(
            verdict.message(),
            "spec.containerDefinitions[app].linuxParameters.maxSwap: the node decides on swap, not the container (SwapIgnored); \
             spec.a: these mount options have no effect on the tmpfs (TmpfsOptionsIgnored: noexec)"
        );
    }

    #[test]
    fn sentences_are_different_and_have_no_full_stop() {
        let sentences: BTreeSet<_> = DeviationCode::ALL.iter().map(|code| code.sentence()).collect();
        assert_eq!(sentences.len(), DeviationCode::ALL.len());
        assert!(sentences.iter().all(|sentence| !sentence.ends_with('.')));
    }
}
