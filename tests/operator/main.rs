//! The operator as a process of its own, with its own rights, on a real control plane.
#![expect(clippy::disallowed_methods, reason = "a test acts on its cluster as an administrator does")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of tests fails its test by a panic"
)]

mod bad_input;
mod concurrent;
mod control;
mod crash;
mod daemon;
mod deletion;
mod draining;
mod failure;
mod feasibility;
mod golden_pods;
mod judge;
mod leader_election;
mod namespace;
mod rebalancing;
mod references;
mod registries;
mod replacement;
mod revisions;
mod rollout;
mod samples;
mod secret_trouble;
mod secrets;
mod secrets_page;
mod steady_state;
#[path = "../taskdefs/mod.rs"]
mod taskdefs;
mod tasks;
mod upgrade;
