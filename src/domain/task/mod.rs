//! The life of a task: what a pod's containers say about ECS's `lastStatus`, `healthStatus` and stop code.

mod container;
mod health;
mod lifecycle;
mod restart;
mod start;
mod stop;

pub use container::{ContainerEnd, ContainerFact, ContainerRole, ContainerState};
pub use health::{Checks, Gate, Health, HealthPeriods, Target, TargetHealth};
pub use lifecycle::{PodPhase, PodStatus, ReadinessGates, TaskState};
pub use restart::{Awaited, AwaitedState, RestartPolicy};
pub use start::{StartFailure, StartFailureKind};
pub use stop::{ContainerExit, StopRecord, disruption};
