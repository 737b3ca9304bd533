//! The custom resources of `ecs.longshore.dev/v1alpha1`: types only, no client, no decisions.
//!
//! Specs are the inputs of the ECS API, member for member. What a kind needs beyond that stands in `spec.kubernetes`.

#![expect(unreachable_pub, reason = "`KubeSchema` copies the struct, `pub` and all, into a function")]

mod capacity_provider;
mod capacity_provider_strategy;
mod cluster;
pub mod conditions;
mod environment;
mod kubernetes;
pub mod labels;
mod logging;
mod manifest;
pub mod names;
mod nulls;
mod other_versions;
mod placement;
mod service;
mod tags;
mod task_definition;
mod task_definition_revision;

pub use capacity_provider::{
    AcceleratorCountRequest, AcceleratorManufacturer, AcceleratorName, AcceleratorTotalMemoryMibRequest,
    AcceleratorType, AutoRepairActionsStatus, AutoRepairConfiguration, AutoScalingGroupProvider, BareMetal,
    BaselineEbsBandwidthMbpsRequest, BurstablePerformance, CapacityOptionType, CapacityProvider, CapacityProviderSpec,
    CapacityProviderState, CapacityProviderStatus, CapacityReservationPreference, CapacityReservationRequest,
    CpuManufacturer, CreateManagedInstancesProviderConfiguration, InfrastructureOptimization, InstanceGeneration,
    InstanceLaunchTemplate, InstanceRequirementsRequest, LocalStorage, LocalStorageType, ManagedDraining,
    ManagedInstancesLocalStorageConfiguration, ManagedInstancesMonitoringOptions, ManagedInstancesNetworkConfiguration,
    ManagedInstancesStorageConfiguration, ManagedScaling, ManagedScalingStatus, ManagedTerminationProtection,
    MemoryGibPerVcpuRequest, MemoryMibRequest, NetworkBandwidthGbpsRequest, NetworkInterfaceCountRequest,
    PropagateMiTags, TotalLocalStorageGbRequest, VcpuCountRangeRequest,
};
pub use capacity_provider_strategy::CapacityProviderStrategyItem;
pub use cluster::{
    Cluster, ClusterConfiguration, ClusterServiceConnectDefaultsRequest, ClusterSetting, ClusterSettingName,
    ClusterSpec, ClusterState, ClusterStatus, ExecuteCommandConfiguration, ExecuteCommandLogConfiguration,
    ExecuteCommandLogging, ManagedStorageConfiguration, SecretMapping, SecretMappingKind, SecretStore, SecretStoreKind,
    SecretStoreRef, SecretStoreService,
};
pub use environment::{EnvironmentFile, EnvironmentFileType, KeyValuePair, RepositoryCredentials, Secret};
pub use kubernetes::{
    CapacityProviderKubernetes, ClusterKubernetes, ContainerVolumeMount, ImagePullPolicy, RoleMapping,
    ServiceKubernetes, TaskDefinitionKubernetes,
};
pub use logging::{FirelensConfiguration, FirelensConfigurationType, LogConfiguration, LogDriver};
pub use manifest::{Manifest, crds, manifests};
pub use placement::{
    PlacementConstraint, PlacementConstraintType, PlacementStrategy, PlacementStrategyType,
    TaskDefinitionPlacementConstraint, TaskDefinitionPlacementConstraintType,
};
pub use service::{
    AccessType, AdvancedConfiguration, AssignPublicIp, AvailabilityZoneRebalancing, AvoidedZone, AwsVpcConfiguration,
    CanaryConfiguration, ContainerImage, Deployment, DeploymentAlarms, DeploymentCircuitBreaker,
    DeploymentCircuitBreakerStatus, DeploymentConfiguration, DeploymentController, DeploymentControllerType,
    DeploymentEarlySuccessCriteria, DeploymentLifecycleHook, DeploymentLifecycleHookAction,
    DeploymentLifecycleHookStage, DeploymentLifecycleHookTargetType, DeploymentLifecycleHookTimeoutConfiguration,
    DeploymentState, DeploymentStrategy, DerivedSecret, DerivedSecretKind, EbsResourceType, EbsTagSpecification,
    GatewayConnector, GatewayConnectorDeregistrationDelay, GatewayConnectorFilters, GatewayConnectorHealthCheck,
    GatewayConnectorHealthCheckMatcher, GatewayConnectorHealthCheckProtocol, LaunchType, Launches, LinearConfiguration,
    LoadBalancer, MetricConfiguration, MonitoringConfiguration, MonitoringStatus, NetworkConfiguration, Rollback,
    RolloutState, SchedulingStrategy, Service, ServiceConnectAccessLogConfiguration, ServiceConnectAccessLoggingFormat,
    ServiceConnectClientAlias, ServiceConnectConfiguration, ServiceConnectContainerConfiguration,
    ServiceConnectContainerLogLevel, ServiceConnectIncludeQueryParameters, ServiceConnectService,
    ServiceConnectTestTrafficHeaderMatchRules, ServiceConnectTestTrafficHeaderRules, ServiceConnectTestTrafficRules,
    ServiceConnectTlsCertificateAuthority, ServiceConnectTlsConfiguration, ServiceDeployment, ServiceDeploymentStatus,
    ServiceEvent, ServiceManagedEbsVolumeConfiguration, ServiceRegistry, ServiceRevisionCleanup, ServiceSpec,
    ServiceState, ServiceStatus, ServiceVolumeConfiguration, StopCode, StoppedContainer, StoppedTask,
    TaskFilesystemType, ThresholdConfiguration, ThresholdType, TimeoutConfiguration, VpcLatticeAdvancedConfiguration,
    VpcLatticeConfiguration, ZoneRebalancing,
};
pub use tags::{PropagateTags, Tag};
pub use task_definition::{
    ApplicationProtocol, Compatibility, ContainerCondition, ContainerDefinition, ContainerDependency,
    ContainerRestartPolicy, CpuArchitecture, Device, DeviceCgroupPermission, DockerVolumeConfiguration,
    EfsAuthorizationConfig, EfsAuthorizationConfigIam, EfsTransitEncryption, EfsVolumeConfiguration, EphemeralStorage,
    FsxWindowsFileServerAuthorizationConfig, FsxWindowsFileServerVolumeConfiguration, HealthCheck, HostEntry,
    HostVolumeProperties, InferenceAccelerator, IpcMode, IsolationMode, KernelCapabilities, LinuxParameters,
    MountPoint, NetworkMode, NvidiaMpsAllocation, OsFamily, PidMode, PortMapping, ProxyConfiguration,
    ProxyConfigurationType, ResourceRequirement, ResourceType, RuntimePlatform, S3FilesVolumeConfiguration, Scope,
    SharingStrategy, SystemControl, TaskDefinition, TaskDefinitionSpec, TaskDefinitionStatus, Tmpfs, TransportProtocol,
    TrustedExecutionConfiguration, Ulimit, UlimitName, VersionConsistency, Volume, VolumeFrom,
};
pub use task_definition_revision::{RevisionState, RevisionStatus, TaskDefinitionRevision, TaskDefinitionRevisionSpec};

/// API group of every kind.
pub const GROUP: &str = "ecs.longshore.dev";

/// API version of every kind.
pub const VERSION: &str = "v1alpha1";

/// Group and version, as they stand in `apiVersion`.
pub const API_VERSION: &str = "ecs.longshore.dev/v1alpha1";
