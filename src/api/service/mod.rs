//! The kind `Service`: what `CreateService` takes.

mod deployment;
mod deployment_configuration;
mod derived_secret;
mod ingress;
mod lifecycle_hook;
mod load_balancer;
mod monitoring;
mod network_configuration;
mod service_connect;
mod service_deployment;
mod status;
mod stopped_task;
mod volume_configuration;
mod zone_rebalancing;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::api::nulls::empty_if_null;
use crate::api::{
    CapacityProviderStrategyItem, PlacementConstraint, PlacementStrategy, PropagateTags, ServiceKubernetes, Tag,
};

pub use deployment::{
    ContainerImage, Deployment, DeploymentCircuitBreakerStatus, DeploymentState, Launches, MonitoringStatus,
    RolloutState,
};
pub use deployment_configuration::{
    CanaryConfiguration, DeploymentAlarms, DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentController,
    DeploymentControllerType, DeploymentEarlySuccessCriteria, DeploymentStrategy, LinearConfiguration,
    ServiceRevisionCleanup, ThresholdConfiguration, ThresholdType,
};
pub use derived_secret::{DerivedSecret, DerivedSecretKind};
pub use ingress::{
    AccessType, GatewayConnector, GatewayConnectorDeregistrationDelay, GatewayConnectorFilters,
    GatewayConnectorHealthCheck, GatewayConnectorHealthCheckMatcher, GatewayConnectorHealthCheckProtocol,
    VpcLatticeAdvancedConfiguration, VpcLatticeConfiguration,
};
pub use lifecycle_hook::{
    DeploymentLifecycleHook, DeploymentLifecycleHookAction, DeploymentLifecycleHookStage,
    DeploymentLifecycleHookTargetType, DeploymentLifecycleHookTimeoutConfiguration,
};
pub use load_balancer::{AdvancedConfiguration, LoadBalancer, ServiceRegistry};
pub use monitoring::{MetricConfiguration, MonitoringConfiguration};
pub use network_configuration::{AssignPublicIp, AwsVpcConfiguration, NetworkConfiguration};
pub use service_connect::{
    ServiceConnectAccessLogConfiguration, ServiceConnectAccessLoggingFormat, ServiceConnectClientAlias,
    ServiceConnectConfiguration, ServiceConnectContainerConfiguration, ServiceConnectContainerLogLevel,
    ServiceConnectIncludeQueryParameters, ServiceConnectService, ServiceConnectTestTrafficHeaderMatchRules,
    ServiceConnectTestTrafficHeaderRules, ServiceConnectTestTrafficRules, ServiceConnectTlsCertificateAuthority,
    ServiceConnectTlsConfiguration, TimeoutConfiguration,
};
pub use service_deployment::{Rollback, ServiceDeployment, ServiceDeploymentStatus};
pub use status::{ServiceEvent, ServiceState, ServiceStatus};
pub use stopped_task::{StopCode, StoppedContainer, StoppedTask};
pub use volume_configuration::{
    EbsResourceType, EbsTagSpecification, ServiceManagedEbsVolumeConfiguration, ServiceVolumeConfiguration,
    TaskFilesystemType,
};
pub use zone_rebalancing::{AvoidedZone, ZoneRebalancing};

/// Input of CreateService, member for member.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ecs.longshore.dev",
    version = "v1alpha1",
    kind = "Service",
    doc = "Keeps tasks of a task definition running. Its spec is CreateService input.",
    namespaced,
    plural = "services",
    shortname = "esvc",
    category = "ecs",
    status = "ServiceStatus",
    derive = "PartialEq",
    cel,
    scale(
        spec_replicas_path = ".spec.desiredCount",
        status_replicas_path = ".status.runningCount",
        label_selector_path = ".status.selector"
    ),
    selectable = ".spec.cluster",
    selectable = ".spec.taskDefinition",
    selectable = ".spec.launchType",
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desiredCount"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.runningCount"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.pendingCount"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Rollout", type_ = "string", json_path = ".status.deployments[0].rolloutState"),
    printcolumn(name = "TaskDef", type_ = "string", json_path = ".status.taskDefinition"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.serviceName) || self.metadata.name.matches('^[A-Za-z0-9_-]{1,255}$')")
        .message("spec.serviceName: the object's name has a dot, which a service name may not have; set \
            spec.serviceName"),
    validation = Rule::new("(has(self.spec.serviceName) ? self.spec.serviceName : self.metadata.name) == \
        (has(oldSelf.spec.serviceName) ? oldSelf.spec.serviceName : oldSelf.metadata.name)")
        .message("spec.serviceName: a service cannot be renamed; create another Service")
)]
#[x_kube(
    validation = Rule::new("has(self.taskDefinition) || (has(self.deploymentController) \
        && self.deploymentController.type == 'EXTERNAL')")
        .message("taskDefinition: required unless deploymentController.type is EXTERNAL; name a family or \
            family:revision"),
    validation = Rule::new("!has(self.launchType) || !has(self.capacityProviderStrategy) \
        || self.capacityProviderStrategy.size() == 0")
        .message("launchType: cannot be combined with capacityProviderStrategy; remove one of them"),
    validation = Rule::new("(has(self.schedulingStrategy) && self.schedulingStrategy == 'DAEMON') \
        || (has(self.deploymentController) && self.deploymentController.type != 'ECS') \
        || !has(self.deploymentConfiguration) || (has(self.deploymentConfiguration.strategy) \
        && self.deploymentConfiguration.strategy != 'ROLLING') \
        || !has(self.deploymentConfiguration.maximumPercent) \
        || self.deploymentConfiguration.maximumPercent != 100 \
        || (has(self.deploymentConfiguration.minimumHealthyPercent) \
        && self.deploymentConfiguration.minimumHealthyPercent != 100)")
        .message("deploymentConfiguration: Both maximumPercent and minimumHealthyPercent cannot be 100 as this will \
            block deployments; raise maximumPercent or lower minimumHealthyPercent (default 100)"),
    validation = Rule::new("!has(self.schedulingStrategy) || self.schedulingStrategy != 'DAEMON' \
        || !has(self.deploymentConfiguration) || !has(self.deploymentConfiguration.maximumPercent) \
        || self.deploymentConfiguration.maximumPercent == 100")
        .message("deploymentConfiguration.maximumPercent: must be 100 for schedulingStrategy DAEMON; set 100 or \
            leave it out"),
    validation = Rule::new("!has(self.schedulingStrategy) || self.schedulingStrategy != 'DAEMON' \
        || !has(self.deploymentConfiguration) || !has(self.deploymentConfiguration.minimumHealthyPercent) \
        || self.deploymentConfiguration.minimumHealthyPercent < 100")
        .message("deploymentConfiguration.minimumHealthyPercent: must be below 100 for schedulingStrategy DAEMON, \
            or no task could be replaced; lower it"),
    validation = Rule::new("!has(self.schedulingStrategy) || self.schedulingStrategy != 'DAEMON' \
        || !has(self.deploymentController) || self.deploymentController.type == 'ECS'")
        .message("schedulingStrategy: DAEMON works only with deploymentController.type ECS; use REPLICA or remove \
            deploymentController"),
    validation = Rule::new("!has(self.schedulingStrategy) || self.schedulingStrategy != 'DAEMON' \
        || !has(self.launchType) || self.launchType != 'FARGATE'")
        .message("schedulingStrategy: Fargate tasks cannot be scheduled as DAEMON; use REPLICA or another launchType"),
    validation = Rule::new("(has(self.cluster) ? self.cluster : 'default') == (has(oldSelf.cluster) ? \
        oldSelf.cluster : 'default')")
        .message("cluster: a service cannot move to another cluster; create another Service"),
    validation = Rule::new("(has(self.schedulingStrategy) ? self.schedulingStrategy : 'REPLICA') == \
        (has(oldSelf.schedulingStrategy) ? oldSelf.schedulingStrategy : 'REPLICA')")
        .message("schedulingStrategy: cannot change; create another Service")
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Name or ARN of the cluster; absent means `default`. Cannot change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Name of the service: 1 to 255 letters, digits, `-` and `_`. Defaults to the object's name; cannot change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"), length(max = 255))]
    pub service_name: Option<String>,
    /// Task definition: `family` follows its newest active revision, `family:revision` or an ARN pins one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub task_definition: Option<String>,
    /// Whether tasks are moved when zones have become uneven; default `DISABLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone_rebalancing: Option<AvailabilityZoneRebalancing>,
    /// Load balancers in front of the service.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub load_balancers: Vec<LoadBalancer>,
    /// Service discovery registries.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub service_registries: Vec<ServiceRegistry>,
    /// Number of tasks to keep running, default 1. Not used with DAEMON.
    #[serde(default = "one", deserialize_with = "one_if_null")]
    #[schemars(range(min = 0))]
    pub desired_count: i32,
    /// Makes a repeated request recognisable to AWS; accepted and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    /// Kind of infrastructure. Cannot be combined with capacityProviderStrategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    /// How tasks are divided among capacity providers, at most 20. Cannot be combined with launchType.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(
        validation = Rule::new("self.filter(item, has(item.base) && item.base > 0).size() <= 1")
            .message("capacityProviderStrategy: only one capacity provider may have a base above 0; set the others \
                to 0")
    )]
    #[x_kube(
        validation = Rule::new("self.size() <= 1 || self.exists(item, has(item.weight) && item.weight > 0)")
            .message("capacityProviderStrategy: of several capacity providers at least one needs a weight above 0; \
                set a weight")
    )]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    /// Fargate platform version; accepted for Fargate tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// IAM role that may change the load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How a deployment proceeds and when it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_configuration: Option<DeploymentConfiguration>,
    /// Rules every node of a task must satisfy, at most 10.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub placement_constraints: Vec<PlacementConstraint>,
    /// How nodes are ranked, at most 5; the first counts most.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub placement_strategy: Vec<PlacementStrategy>,
    /// Network of the tasks in `awsvpc` mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    /// Seconds after a task has started in which its failing health checks are ignored; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub health_check_grace_period_seconds: Option<i32>,
    /// How many tasks run and where; default `REPLICA`. Cannot change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_strategy: Option<SchedulingStrategy>,
    /// Who carries out deployments; default ECS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_controller: Option<DeploymentController>,
    /// Tags, at most 50.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tags: Vec<Tag>,
    /// Whether tasks are tagged with their cluster and service.
    #[serde(rename = "enableECSManagedTags", skip_serializing_if = "Option::is_none")]
    pub enable_ecs_managed_tags: Option<bool>,
    /// Which resource's tags new tasks receive; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<PropagateTags>,
    /// Whether commands may be run in the containers by ECS Exec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_execute_command: Option<bool>,
    /// How the service finds others in a namespace and is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_connect_configuration: Option<ServiceConnectConfiguration>,
    /// Settings of volumes the task definition leaves to the service.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub volume_configurations: Vec<ServiceVolumeConfiguration>,
    /// VPC Lattice target groups in front of the service.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub vpc_lattice_configurations: Vec<VpcLatticeConfiguration>,
    /// Gateway the service is attached to, at most 1.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    pub gateway_connectors: Vec<GatewayConnector>,
    /// Resolution of the service's metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<MonitoringConfiguration>,
    /// What ECS has no member for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<ServiceKubernetes>,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            cluster: None,
            service_name: None,
            task_definition: None,
            availability_zone_rebalancing: None,
            load_balancers: Vec::new(),
            service_registries: Vec::new(),
            desired_count: one(),
            client_token: None,
            launch_type: None,
            capacity_provider_strategy: Vec::new(),
            platform_version: None,
            role: None,
            deployment_configuration: None,
            placement_constraints: Vec::new(),
            placement_strategy: Vec::new(),
            network_configuration: None,
            health_check_grace_period_seconds: None,
            scheduling_strategy: None,
            deployment_controller: None,
            tags: Vec::new(),
            enable_ecs_managed_tags: None,
            propagate_tags: None,
            enable_execute_command: None,
            service_connect_configuration: None,
            volume_configurations: Vec::new(),
            vpc_lattice_configurations: Vec::new(),
            gateway_connectors: Vec::new(),
            monitoring: None,
            kubernetes: None,
        }
    }
}

/// One task, what the schema says for an absent `desiredCount`: `/scale` needs a number to answer with.
fn one() -> i32 {
    1
}

/// Reads `null` as an absent `desiredCount`.
fn one_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(one))
}

/// Whether tasks are moved when zones have become uneven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AvailabilityZoneRebalancing {
    /// They are.
    Enabled,
    /// They are not.
    Disabled,
}

/// Kinds of infrastructure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LaunchType {
    /// EC2 instances.
    Ec2,
    /// Fargate.
    Fargate,
    /// Machines outside AWS.
    External,
    /// Managed instances.
    ManagedInstances,
}

/// How many tasks run and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SchedulingStrategy {
    /// As many as desiredCount says.
    Replica,
    /// One on every node that satisfies the constraints.
    Daemon,
}
