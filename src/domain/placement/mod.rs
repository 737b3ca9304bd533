//! Where tasks may run, and which of them goes first when some have to stop.
//!
//! ECS's container instance is a node here. An operator that pins nothing leaves the choice of a node to Kubernetes'
//! scheduler; what ECS has and Kubernetes has not is decided in this module: the cluster query language, the constraints
//! written in it, and the order in which a service gives up its tasks.

pub mod constraint;
pub mod node;
pub mod node_terms;
pub mod query;
pub mod resources;
pub mod scale_in;
pub mod strategy;
