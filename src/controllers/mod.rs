//! One file a kind: what it looks at, and how its plan is carried out.

pub mod capacity_provider;
pub mod cluster;
pub mod run;
pub mod service;
pub mod task_definition;
