//! The operator in a simulated world: a server, kubelets, a scheduler and people of our own, simulated time, and everything
//! that can go wrong. The same seed always does the same.
//!
//! `make sim SEEDS=1000` runs as many seeds, and the rollout with an interruption at every single write; `cargo test` runs some
//! of each. A simulation that fails prints the line that repeats it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what goes wrong in the world of a test fails the test"
)]

mod admission;
mod breaker;
mod budgets;
mod controls;
mod convergence;
mod daemons;
mod deletions;
mod failures;
mod faults;
mod invariants;
mod isolation;
mod kubelet;
mod limits;
mod many;
mod monkey;
mod nodes;
mod operator;
mod people;
mod process;
mod promises;
mod scenario;
mod scheduler;
mod seeds;
mod sweep;
mod targets;
mod task;
mod twin;
mod upgrade;
mod view;
mod world;
mod zones;

use process::Simulation;

#[test]
fn the_same_seed_does_the_same() {
    for seed in [1, 2, 3] {
        let (one, other) = (Simulation::Seed(seed).run(), Simulation::Seed(seed).run());
        assert_eq!(one.fingerprint, other.fingerprint, "seed {seed}");
    }
}

#[test]
fn every_seed_that_once_failed_holds() {
    seeds::check(&seeds::regressions());
}

#[test]
fn any_seed_holds() {
    seeds::check(&seeds::asked_for());
}

/// A simulation of each sort, interrupted at any write.
fn check_interrupted(simulation: fn(Option<(u64, faults::Moment)>) -> Simulation) {
    let undisturbed = simulation(None).run();
    assert_eq!(undisturbed.broken, None);
    seeds::check(&sweep::at_each(undisturbed.writes, simulation));
}

#[test]
fn a_rollout_survives_an_operator_that_is_interrupted_at_any_write() {
    check_interrupted(Simulation::Rollout);
}

#[test]
fn a_rollout_survives_an_operator_that_comes_back_to_a_server_that_lags() {
    check_interrupted(Simulation::Lagging);
}

#[test]
fn the_zones_become_even_though_the_operator_is_interrupted_at_any_write() {
    check_interrupted(Simulation::Rebalancing);
}

#[test]
fn a_restart_neither_loses_a_failure_nor_counts_one_twice() {
    check_interrupted(Simulation::Breaker);
}
