//! Labels, annotations, finalizers and field managers: every one is declared here, and nowhere else.

/// Prefix of everything we put on an object.
macro_rules! key {
    ($name:literal) => {
        concat!("ecs.longshore.dev/", $name)
    };
}

/// What every label and annotation of ours begins with.
pub const PREFIX: &str = key!("");

/// On every task pod: the cluster the task runs in.
pub const CLUSTER: &str = key!("cluster");
/// On every task pod of a service: the service's name.
pub const SERVICE: &str = key!("service");
/// On every task pod: the family of its task definition.
pub const FAMILY: &str = key!("family");
/// On every task pod: the revision number of its task definition.
pub const REVISION: &str = key!("revision");
/// On every task pod of a service: the number of its deployment (`ecs-svc/` left out, a label holds no slash).
pub const DEPLOYMENT: &str = key!("deployment");
/// The well-known label that says who manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] on everything we create.
pub const MANAGED_BY_LONGSHORE: &str = "longshore";

/// Annotation on a task pod: the revision it runs, as `family:revision`.
pub const TASK_DEFINITION: &str = key!("task-definition");
/// Annotation on a task pod: the slot of its deployment that the task fills (see `domain::service::slots`).
pub const SLOT: &str = key!("slot");
/// Annotation on a task pod: how many tasks have filled that slot, this one included.
pub const ATTEMPT: &str = key!("attempt");
/// Annotation on a task pod: the Kubernetes names of its essential containers, separated by commas.
pub const ESSENTIAL: &str = key!("essential-containers");
/// Annotation on a task pod: a JSON object from Kubernetes container names to ECS ones, where the two differ.
pub const CONTAINER_NAMES: &str = key!("container-names");

/// Annotation on a task pod: a JSON object from the Kubernetes names of containers with a restart policy to what it says.
pub const RESTART_POLICIES: &str = key!("restart-policies");
/// Annotation on a task pod: a JSON object from the Kubernetes names of containers that others wait for, until they have ended or
/// are HEALTHY, to which of both and how long it may take (`startTimeout`).
pub const AWAITED: &str = key!("awaited-containers");
/// Annotation on a task pod: a JSON object from ECS container names to those names of their ports that Kubernetes does not take, and
/// what these ports are called in the pod (`{"api": {"http_api": "p8080-tcp"}}`).
pub const PORT_NAMES: &str = key!("port-names");
/// Annotation on a task pod: a JSON object from ECS container names to their `dockerLabels`.
pub const DOCKER_LABELS: &str = key!("docker-labels");
/// Annotation on a Secret or `ExternalSecret` that we make for tasks: what it is made from.
pub const MADE_FROM: &str = key!("made-from");

/// Annotation that a person puts on a `TaskDefinitionRevision` to deregister it (ECS's `DeregisterTaskDefinition`).
pub const DEREGISTER: &str = key!("deregister");

/// Annotation on a task pod of a DAEMON service: the node that it is for.
pub const NODE: &str = key!("node");
/// Annotation on a task pod that was started to balance the Availability Zones: the zone that it is for.
pub const ZONE: &str = key!("zone");
/// Annotation on a task pod: how many seconds after its containers have started a health check that has never passed has failed, be
/// it the slowest. It is there exactly when an essential container has a health check.
pub const HEALTH_CHECK_DEADLINE: &str = key!("health-check-deadline");
/// Annotation on a task pod: a JSON object from the ECS names of its essential containers that have a health check to the same time of
/// each, where these differ.
pub const HEALTH_CHECK_DEADLINES: &str = key!("health-check-deadlines");
/// Annotation on a task pod, put there by the task itself or a person: until when (RFC 3339) neither scale-in nor a deployment
/// stops the task (ECS's task scale-in protection).
pub const PROTECTED_UNTIL: &str = key!("protected-until");

/// Annotation on a `Service`: a token. Another token than before starts a deployment although nothing else has changed (ECS's
/// `forceNewDeployment`); taking it away does not.
pub const FORCE_NEW_DEPLOYMENT: &str = key!("force-new-deployment");
/// Annotation on a `Service`: the id of the deployment that is to be given up for the last one that completed (ECS's
/// `StopServiceDeployment` with `ROLLBACK`). Of no effect on any other deployment, so it may stay.
pub const ROLLBACK_DEPLOYMENT: &str = key!("rollback-deployment");
/// Annotation on a `Service`: the id of the deployment that is to stop where it is (`StopServiceDeployment` with `ABORT`).
pub const STOP_DEPLOYMENT: &str = key!("stop-deployment");
/// Annotation on a `Service`: the id of the deployment that is to pause, or `true` for whichever there is. It continues when the
/// annotation goes (ECS's `ContinueServiceDeployment`).
pub const PAUSE_DEPLOYMENT: &str = key!("pause-deployment");

/// Finalizer on a `Service`: its tasks are stopped before the object goes.
pub const DRAIN_FINALIZER: &str = key!("drain");
/// Finalizer on what others may refer to (`TaskDefinition`, `Cluster`): it stays while it is in use.
pub const IN_USE_FINALIZER: &str = key!("in-use");

/// Who we say we are in `managedFields`, one manager per controller.
pub mod field_manager {
    /// Writes the status of `Service` objects.
    pub const SERVICE: &str = "longshore-service";
    /// Writes the status of `TaskDefinition` objects and their revisions.
    pub const TASK_DEFINITION: &str = "longshore-task-definition";
    /// Writes the status of `Cluster` objects.
    pub const CLUSTER: &str = "longshore-cluster";
    /// Writes the status of `CapacityProvider` objects.
    pub const CAPACITY_PROVIDER: &str = "longshore-capacity-provider";
}
