//! Which seeds are run, and what is told of them.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::process::Simulation;
use crate::world::lock;

/// How many seeds `cargo test` runs.
const SEEDS: u64 = 12;

/// Simulations that once failed, each with what it found.
pub(crate) fn regressions() -> Vec<Simulation> {
    let lines = include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#'));
    let simulation = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        let simulation = Simulation::from_text(&words.join(" "));
        assert!(simulation.is_some(), "{line:?} names no simulation");
        simulation.unwrap()
    };
    lines.map(simulation).collect()
}

/// `SEED=7` asks for one, `SEEDS=1000` for as many, `FROM=5000` for those from there on. Every third one is run again with two
/// operators of which one leads.
pub(crate) fn asked_for() -> Vec<Simulation> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let from = number("FROM").unwrap_or(1);
    let seeds = match number("SEED") {
        Some(seed) => seed..=seed,
        None => from..=from + number("SEEDS").unwrap_or(SEEDS) - 1,
    };
    let elected = seeds.clone().filter(|seed| seed % 3 == 0).map(Simulation::Elected);
    seeds.map(Simulation::Seed).chain(elected).collect()
}

/// Runs simulations, and tells of those that fail how to repeat them.
pub(crate) fn check(simulations: &[Simulation]) {
    let failed = in_parallel(simulations, |simulation| {
        let broken = simulation.run().broken?;
        // At once: whoever stops a long run has what it found so far.
        eprintln!("{broken}\n{}\n", simulation.command());
        Some(())
    });
    assert!(failed.is_empty(), "{} of {} simulations fail", failed.len(), simulations.len());
}

/// Runs one simulation for each, on all processors; what they return comes out in no particular order.
#[expect(clippy::disallowed_methods, reason = "the speed that a person is told is in real time")]
fn in_parallel<T: Sync, R: Send>(all: &[T], run: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (began, shows) = (Instant::now(), std::io::stderr().is_terminal());
    let work = || {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = run(one);
            let mut results = lock(&results);
            results.extend(result);
            if shows {
                progress(next.load(Ordering::Relaxed).min(all.len()), all.len(), results.len(), began);
            }
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(work);
        }
    });
    if shows {
        eprintln!();
    }
    lock(&results).drain(..).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a speed for a person to read")]
fn progress(done: usize, all: usize, failed: usize, began: Instant) {
    const WIDTH: usize = 30;
    let full = done * WIDTH / all.max(1);
    let speed = done as f64 / began.elapsed().as_secs_f64();
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full));
    // A bar that cannot be drawn is no reason to stop.
    let _ = write!(std::io::stderr(), "\r{bar} {done}/{all} simulations, {speed:.1}/s, {failed} failed ");
}
