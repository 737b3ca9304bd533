//! Longshore: Amazon ECS semantics on any Kubernetes cluster.
//!
//! A functional core in an imperative shell:
//!
//! - [`api`]: the custom resources; what a person writes and what we report.
//! - [`domain`]: where ECS lives; pure functions from what was observed to what to do.
//! - [`shell`]: everything that touches the world: watches, writes, clock, logs.
//! - [`controllers`]: short files that join the two, one a kind.
//! - [`import`]: from ECS JSON to custom resources; pure as well.
//! - [`cli`]: the command line.

pub mod api;
pub mod cli;
pub mod controllers;
pub mod domain;
pub mod import;
pub mod shell;
