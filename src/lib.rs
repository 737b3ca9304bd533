//! Longshore: Amazon ECS semantics on any Kubernetes cluster.
//!
//! - [`api`] holds the custom resources: what a person writes and what we report.

pub mod api;
pub mod domain;
