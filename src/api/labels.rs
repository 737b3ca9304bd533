//! Labels, annotations, finalizers and field managers: every one is declared here, and nowhere else.

/// Prefix of everything we put on an object.
macro_rules! key {
    ($name:literal) => {
        concat!("ecs.longshore.dev/", $name)
    };
}

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

/// Annotation that a person puts on a `TaskDefinitionRevision` to deregister it (ECS's `DeregisterTaskDefinition`).
pub const DEREGISTER: &str = key!("deregister");

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
