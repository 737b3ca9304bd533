//! The table of all members of `RegisterTaskDefinition` and what becomes of each. Nothing is silent: a test holds it against the
//! model of the API, and the documentation is made from it.

use crate::api::TaskDefinitionSpec;
use crate::domain::resolve::members::not_implemented;
use crate::domain::resolve::task_definition::deviation::DeviationCode::{
    self, ClaimNeeded, CompleteMasked, CompletedNotReady, CredentialsMixed, DockerLabelsAreAnnotations,
    EarlyExitRestarted, EndsWithoutEssential, EphemeralStorageEvicts, ExecutionRoleUnused, FaultInjectionIgnored,
    FirelensNotRouted, HostPortIgnored, HostnameIgnored, IamOfNode, ImageMissing, ImageNameInvalid,
    ImageVolumesNotShared, InitExtraBlock, InitProcessIgnored, IpcNamespaceShared, LinkNotResolved,
    LinksWithoutEnvironment, LogOptionsIgnored, LogsNotShipped, NoCopyUp, NonEssentialHealthNotProbed, PidOneIsPause,
    PodWide, PortRangeNotListed, PortUsedTwice, ProxyIgnored, RelativePath, RepeatedVariable, RestartBackOff,
    RestartPolicyIgnored, SharedNetwork, SidecarRestarts, StartImpliesComplete, StartSerialized, StopOrderLost,
    StopTimeoutShared, StorageClassNeeded, SwapIgnored, TaskRoleByServiceAccount, TaskSizeNotEnforced,
    TmpfsOptionsIgnored, UlimitsIgnored, UnsafeSysctl, VolumeLabelsIgnored, VolumeOptionsIgnored,
};

/// A member of a task definition that has none below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The path below `spec`; a list is followed by `[]`.
    pub path: &'static str,
    /// What becomes of it.
    pub treatment: Treatment,
    /// The same for people: what it is in the pod, or why it is refused.
    pub meaning: &'static str,
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It does what it does on ECS.
    Mapped,
    /// It does, but for these deviations, of which each case has some or none.
    Deviates(&'static [DeviationCode]),
    /// A task definition that has it, or some of its values, is refused.
    Refused,
    /// It is accepted, named in the condition `NotImplemented`, and has no effect yet.
    NotImplemented,
}

const fn mapped(path: &'static str, meaning: &'static str) -> Member {
    Member { path, treatment: Treatment::Mapped, meaning }
}

const fn deviates(path: &'static str, codes: &'static [DeviationCode], meaning: &'static str) -> Member {
    Member { path, treatment: Treatment::Deviates(codes), meaning }
}

const fn refused(path: &'static str, meaning: &'static str) -> Member {
    Member { path, treatment: Treatment::Refused, meaning }
}

const fn not_yet(path: &'static str, meaning: &'static str) -> Member {
    Member { path, treatment: Treatment::NotImplemented, meaning }
}

/// The members of a spec that are there and have no effect yet.
pub fn not_implemented_members(spec: &TaskDefinitionSpec) -> Vec<String> {
    let implemented: Vec<&str> = MEMBERS
        .iter()
        .filter(|member| member.treatment != Treatment::NotImplemented)
        .map(|member| member.path)
        .chain(["kubernetes"])
        .collect();
    not_implemented(spec, &implemented)
}

/// Every member, in the order of the documentation.
pub const MEMBERS: &[Member] = &[
    mapped("family", "the names of its revisions, the label `ecs.longshore.dev/family`"),
    mapped("tags[].key", "kept in the revision"),
    mapped("tags[].value", "kept in the revision"),
    mapped("requiresCompatibilities", "the rules of FARGATE hold where it is named; no other effect"),
    deviates("cpu", &[TaskSizeNotEnforced], "the pod's `resources`, request and limit; with FARGATE its sizes only"),
    deviates("memory", &[TaskSizeNotEnforced], "the pod's `resources`, request and limit"),
    deviates(
        "ephemeralStorage.sizeInGiB",
        &[EphemeralStorageEvicts],
        "`ephemeral-storage` of the first essential container",
    ),
    deviates(
        "taskRoleArn",
        &[TaskRoleByServiceAccount],
        "the ServiceAccount that `spec.kubernetes.serviceAccountName` names, or else the one that `roleMappings` of the Cluster have for \
         the role",
    ),
    deviates("executionRoleArn", &[ExecutionRoleUnused], "nothing"),
    deviates(
        "networkMode",
        &[SharedNetwork],
        "awsvpc: the pod's network; host: `hostNetwork`; bridge: the pod's network, with `hostPort`; none is refused",
    ),
    deviates("pidMode", &[PidOneIsPause], "task: `shareProcessNamespace`; host: `hostPID`"),
    deviates("ipcMode", &[IpcNamespaceShared], "task: as it is; host: `hostIPC`; none: as task"),
    mapped(
        "runtimePlatform.cpuArchitecture",
        "`nodeSelector` `kubernetes.io/arch`; FARGATE: X86_64 where it is left out",
    ),
    mapped("runtimePlatform.operatingSystemFamily", "`nodeSelector` `kubernetes.io/os`; Windows is refused"),
    mapped("placementConstraints[].type", "memberOf"),
    mapped("placementConstraints[].expression", "node affinity; what is no label of a node is refused"),
    deviates("enableFaultInjection", &[FaultInjectionIgnored], "nothing"),
    mapped(
        "trustedExecutionConfiguration.isolationMode",
        "SHARED: nothing; ISOLATED_SANDBOX: needs `spec.kubernetes.runtimeClassName`; CONFIDENTIAL_SANDBOX is refused",
    ),
    refused("trustedExecutionConfiguration.attestationPolicy", "nobody would check it"),
    deviates("proxyConfiguration.type", &[ProxyIgnored], "nothing"),
    deviates("proxyConfiguration.containerName", &[ProxyIgnored], "nothing"),
    deviates("proxyConfiguration.properties[].name", &[ProxyIgnored], "nothing"),
    deviates("proxyConfiguration.properties[].value", &[ProxyIgnored], "nothing"),
    refused("inferenceAccelerators[].deviceName", "Elastic Inference is discontinued"),
    refused("inferenceAccelerators[].deviceType", "Elastic Inference is discontinued"),
    mapped("volumes[].name", "the volume's name, as a DNS label"),
    deviates(
        "volumes[].host.sourcePath",
        &[RelativePath],
        "`hostPath`; without it see the deviation NoCopyUp of the volume",
    ),
    deviates(
        "volumes[].dockerVolumeConfiguration.scope",
        &[NoCopyUp, ClaimNeeded],
        "task: `emptyDir`; shared: a PersistentVolumeClaim with the volume's name",
    ),
    deviates(
        "volumes[].dockerVolumeConfiguration.autoprovision",
        &[ClaimNeeded],
        "nothing: the claim has to be made either way",
    ),
    deviates(
        "volumes[].dockerVolumeConfiguration.driver",
        &[ClaimNeeded],
        "local; others are refused unless the scope is shared, where the claim stands for it, or `spec.kubernetes.volumes` has the \
         volume",
    ),
    deviates(
        "volumes[].dockerVolumeConfiguration.driverOpts",
        &[VolumeOptionsIgnored, ClaimNeeded],
        "type tmpfs: `emptyDir` in memory, with size as `sizeLimit`; type nfs: `nfs`, with addr; type none with the option bind: \
         `hostPath`; others are refused, and so is the option ro (say `readOnly` where the volume is mounted); scope shared: the \
         claim stands for all",
    ),
    deviates("volumes[].dockerVolumeConfiguration.labels", &[VolumeLabelsIgnored], "nothing"),
    deviates("volumes[].efsVolumeConfiguration.fileSystemId", &[ClaimNeeded], "a PersistentVolumeClaim named after it"),
    deviates("volumes[].efsVolumeConfiguration.rootDirectory", &[ClaimNeeded], "part of the claim's name"),
    deviates("volumes[].efsVolumeConfiguration.transitEncryption", &[ClaimNeeded], "part of the claim's name"),
    deviates("volumes[].efsVolumeConfiguration.transitEncryptionPort", &[ClaimNeeded], "part of the claim's name"),
    deviates(
        "volumes[].efsVolumeConfiguration.authorizationConfig.accessPointId",
        &[ClaimNeeded],
        "part of the claim's name",
    ),
    deviates(
        "volumes[].efsVolumeConfiguration.authorizationConfig.iam",
        &[ClaimNeeded, IamOfNode],
        "part of the claim's name",
    ),
    refused("volumes[].s3filesVolumeConfiguration.fileSystemArn", "unless `spec.kubernetes.volumes` has the volume"),
    refused("volumes[].s3filesVolumeConfiguration.rootDirectory", "unless `spec.kubernetes.volumes` has the volume"),
    refused(
        "volumes[].s3filesVolumeConfiguration.transitEncryptionPort",
        "unless `spec.kubernetes.volumes` has the volume",
    ),
    refused("volumes[].s3filesVolumeConfiguration.accessPointArn", "unless `spec.kubernetes.volumes` has the volume"),
    refused(
        "volumes[].fsxWindowsFileServerVolumeConfiguration.fileSystemId",
        "unless `spec.kubernetes.volumes` has the volume",
    ),
    refused(
        "volumes[].fsxWindowsFileServerVolumeConfiguration.rootDirectory",
        "unless `spec.kubernetes.volumes` has the volume",
    ),
    refused(
        "volumes[].fsxWindowsFileServerVolumeConfiguration.authorizationConfig.credentialsParameter",
        "unless `spec.kubernetes.volumes` has the volume",
    ),
    refused(
        "volumes[].fsxWindowsFileServerVolumeConfiguration.authorizationConfig.domain",
        "unless `spec.kubernetes.volumes` has the volume",
    ),
    deviates(
        "volumes[].configuredAtLaunch",
        &[StorageClassNeeded],
        "an ephemeral volume with a claim of its own, from the service's `volumeConfigurations`",
    ),
    mapped("containerDefinitions[].name", "the container's name, as a DNS label"),
    deviates(
        "containerDefinitions[].image",
        &[ImageMissing, ImageNameInvalid],
        "`image`, unchanged; `imagePullPolicy` Always for a tag, IfNotPresent for a digest",
    ),
    mapped("containerDefinitions[].versionConsistency", "the digest that the first task of a deployment ran"),
    deviates(
        "containerDefinitions[].repositoryCredentials.credentialsParameter",
        &[CredentialsMixed],
        "`imagePullSecrets`, by a Secret made from what it names",
    ),
    mapped("containerDefinitions[].entryPoint", "`command`; `$` is literal"),
    mapped("containerDefinitions[].command", "`args`; `$` is literal"),
    mapped("containerDefinitions[].workingDirectory", "`workingDir`"),
    mapped("containerDefinitions[].environment[].name", "`env`"),
    deviates("containerDefinitions[].environment[].value", &[RepeatedVariable], "`env`; `$` is literal"),
    mapped(
        "containerDefinitions[].environmentFiles[].value",
        "`envFrom`, by a Secret made from the file that it names",
    ),
    mapped("containerDefinitions[].environmentFiles[].type", "s3"),
    mapped("containerDefinitions[].secrets[].name", "`env`"),
    mapped("containerDefinitions[].secrets[].valueFrom", "`env` with `secretKeyRef` or `configMapKeyRef`"),
    mapped("containerDefinitions[].cpu", "`resources.requests.cpu`, never a limit"),
    mapped("containerDefinitions[].memory", "`resources.limits.memory`"),
    mapped("containerDefinitions[].memoryReservation", "`resources.requests.memory`"),
    mapped(
        "containerDefinitions[].resourceRequirements[].type",
        "GPU: `nvidia.com/gpu`; NeuronDevice and InferenceAccelerator are refused",
    ),
    mapped("containerDefinitions[].resourceRequirements[].value", "the number of GPUs; ALL is refused"),
    refused(
        "containerDefinitions[].resourceRequirements[].sharingStrategy.nvidiaMps.memory",
        "a part of a GPU cannot be asked for",
    ),
    refused(
        "containerDefinitions[].resourceRequirements[].sharingStrategy.nvidiaMps.maxComputePercent",
        "a part of a GPU cannot be asked for",
    ),
    deviates(
        "containerDefinitions[].essential",
        &[CompletedNotReady, EndsWithoutEssential],
        "the operator stops the task when the container ends",
    ),
    mapped("containerDefinitions[].dependsOn[].containerName", "an init container or a sidecar"),
    deviates(
        "containerDefinitions[].dependsOn[].condition",
        &[CompleteMasked, StartSerialized, StartImpliesComplete, InitExtraBlock, SidecarRestarts, StopOrderLost],
        "COMPLETE and SUCCESS: an init container; START and HEALTHY: a sidecar, HEALTHY with a startup probe",
    ),
    deviates(
        "containerDefinitions[].links",
        &[LinksWithoutEnvironment, LinkNotResolved],
        "`hostAliases`, and a sidecar as with START",
    ),
    deviates(
        "containerDefinitions[].restartPolicy.enabled",
        &[RestartBackOff, RestartPolicyIgnored],
        "`restartPolicy` of the container",
    ),
    deviates("containerDefinitions[].restartPolicy.ignoredExitCodes", &[SidecarRestarts], "`restartPolicyRules`"),
    deviates(
        "containerDefinitions[].restartPolicy.restartAttemptPeriod",
        &[EarlyExitRestarted],
        "after a shorter run the operator holds the exit of an essential container to be final",
    ),
    mapped("containerDefinitions[].startTimeout", "the operator stops a task whose container takes longer"),
    deviates(
        "containerDefinitions[].stopTimeout",
        &[StopTimeoutShared],
        "`terminationGracePeriodSeconds`: the longest, and the sum of those of sidecars",
    ),
    deviates(
        "containerDefinitions[].healthCheck.command",
        &[NonEssentialHealthNotProbed],
        "a readiness probe, never a liveness probe; `$` is literal",
    ),
    mapped("containerDefinitions[].healthCheck.interval", "`periodSeconds`"),
    mapped("containerDefinitions[].healthCheck.timeout", "`timeoutSeconds`"),
    mapped("containerDefinitions[].healthCheck.retries", "`failureThreshold`"),
    mapped(
        "containerDefinitions[].healthCheck.startPeriod",
        "the operator waits that much longer for the first success",
    ),
    deviates("containerDefinitions[].portMappings[].containerPort", &[PortUsedTwice], "`containerPort`"),
    deviates(
        "containerDefinitions[].portMappings[].hostPort",
        &[HostPortIgnored],
        "bridge: `hostPort`; awsvpc and host: the containerPort",
    ),
    mapped("containerDefinitions[].portMappings[].protocol", "`protocol`"),
    mapped(
        "containerDefinitions[].portMappings[].name",
        "the port's `name`; one that Kubernetes cannot have is `p8080-tcp` there, and in the annotation \
         `ecs.longshore.dev/port-names`; that of a containerPortRange: nothing",
    ),
    not_yet("containerDefinitions[].portMappings[].appProtocol", "nothing: only Service Connect goes by it"),
    deviates(
        "containerDefinitions[].portMappings[].containerPortRange",
        &[PortRangeNotListed],
        "one `containerPort` for each, up to 100",
    ),
    deviates(
        "containerDefinitions[].hostname",
        &[HostnameIgnored, PodWide],
        "`hostname` or `hostnameOverride`; refused with awsvpc",
    ),
    deviates("containerDefinitions[].extraHosts[].hostname", &[PodWide], "`hostAliases`; refused with awsvpc"),
    deviates("containerDefinitions[].extraHosts[].ipAddress", &[PodWide], "`hostAliases`"),
    deviates(
        "containerDefinitions[].dnsServers",
        &[PodWide],
        "`dnsConfig` with the policy None: names of the cluster are not found",
    ),
    deviates("containerDefinitions[].dnsSearchDomains", &[PodWide], "`dnsConfig`"),
    refused("containerDefinitions[].disableNetworking", "the containers of a pod share one network"),
    mapped("containerDefinitions[].mountPoints[].sourceVolume", "`volumeMounts`"),
    mapped("containerDefinitions[].mountPoints[].containerPath", "`volumeMounts`"),
    mapped("containerDefinitions[].mountPoints[].readOnly", "`volumeMounts`"),
    deviates(
        "containerDefinitions[].volumesFrom[].sourceContainer",
        &[ImageVolumesNotShared, StopOrderLost],
        "the other container's `volumeMounts`",
    ),
    mapped("containerDefinitions[].volumesFrom[].readOnly", "`readOnly` of these"),
    mapped("containerDefinitions[].user", "`runAsUser`, `runAsGroup`; names other than root are refused"),
    mapped("containerDefinitions[].privileged", "`privileged`; the namespace's Pod Security Standard decides"),
    mapped("containerDefinitions[].readonlyRootFilesystem", "`readOnlyRootFilesystem`"),
    mapped(
        "containerDefinitions[].dockerSecurityOptions",
        "`allowPrivilegeEscalation`, `appArmorProfile`, `seLinuxOptions`; others are refused",
    ),
    refused("containerDefinitions[].credentialSpecs", "Active Directory on Windows"),
    mapped("containerDefinitions[].interactive", "`stdin`"),
    mapped("containerDefinitions[].pseudoTerminal", "`tty`"),
    deviates(
        "containerDefinitions[].dockerLabels",
        &[DockerLabelsAreAnnotations],
        "the annotation `ecs.longshore.dev/docker-labels`",
    ),
    deviates("containerDefinitions[].ulimits[].name", &[UlimitsIgnored], "nothing"),
    deviates("containerDefinitions[].ulimits[].softLimit", &[UlimitsIgnored], "nothing"),
    deviates("containerDefinitions[].ulimits[].hardLimit", &[UlimitsIgnored], "nothing"),
    deviates("containerDefinitions[].systemControls[].namespace", &[UnsafeSysctl, PodWide], "`sysctls` of the pod"),
    deviates("containerDefinitions[].systemControls[].value", &[UnsafeSysctl, PodWide], "`sysctls` of the pod"),
    mapped("containerDefinitions[].linuxParameters.capabilities.add", "`capabilities`"),
    mapped("containerDefinitions[].linuxParameters.capabilities.drop", "`capabilities`"),
    mapped(
        "containerDefinitions[].linuxParameters.devices[].hostPath",
        "there in a privileged container; refused in others",
    ),
    mapped("containerDefinitions[].linuxParameters.devices[].containerPath", "as hostPath; another is refused"),
    mapped("containerDefinitions[].linuxParameters.devices[].permissions", "all, as in a privileged container on ECS"),
    deviates(
        "containerDefinitions[].linuxParameters.initProcessEnabled",
        &[InitProcessIgnored],
        "with pidMode task the pause process reaps",
    ),
    mapped(
        "containerDefinitions[].linuxParameters.sharedMemorySize",
        "an `emptyDir` in memory at /dev/shm; with ipcMode task one of the largest size for all containers, with host none, as on ECS",
    ),
    mapped("containerDefinitions[].linuxParameters.tmpfs[].containerPath", "an `emptyDir` in memory"),
    mapped("containerDefinitions[].linuxParameters.tmpfs[].size", "its `sizeLimit`"),
    deviates("containerDefinitions[].linuxParameters.tmpfs[].mountOptions", &[TmpfsOptionsIgnored], "ro: `readOnly`"),
    deviates("containerDefinitions[].linuxParameters.maxSwap", &[SwapIgnored], "nothing"),
    deviates("containerDefinitions[].linuxParameters.swappiness", &[SwapIgnored], "nothing"),
    deviates(
        "containerDefinitions[].logConfiguration.logDriver",
        &[LogsNotShipped, FirelensNotRouted],
        "json-file: as it is; the others: `kubectl logs`; awsfirelens: FLUENT_HOST and FLUENT_PORT besides",
    ),
    deviates(
        "containerDefinitions[].logConfiguration.options",
        &[LogsNotShipped, FirelensNotRouted, LogOptionsIgnored],
        "nothing",
    ),
    deviates(
        "containerDefinitions[].logConfiguration.secretOptions[].name",
        &[LogsNotShipped, FirelensNotRouted, LogOptionsIgnored],
        "nothing",
    ),
    deviates(
        "containerDefinitions[].logConfiguration.secretOptions[].valueFrom",
        &[LogsNotShipped, FirelensNotRouted, LogOptionsIgnored],
        "nothing",
    ),
    deviates(
        "containerDefinitions[].firelensConfiguration.type",
        &[FirelensNotRouted],
        "a sidecar that starts before those that log to it",
    ),
    deviates("containerDefinitions[].firelensConfiguration.options", &[FirelensNotRouted], "nothing"),
];
