//! The life of a task: what a pod's containers say about ECS's `lastStatus`, `healthStatus` and stop code.

mod lifecycle;
mod stop;

pub use lifecycle::{ContainerFact, ContainerRole, ContainerState, PodPhase, PodStatus, TaskState};
pub use stop::{ContainerExit, StopRecord};
