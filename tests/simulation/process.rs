//! Each simulation has a process of its own, with its memory at the same addresses every time: tokio counts the runtimes of a
//! process and draws its chance from the count too, and kube's hash maps draw theirs from addresses. Another build has other
//! addresses, and may poll in another order what could be polled at once.

use std::process::{Command, Stdio};

use longshore_test_chance::{fix_addresses_of_children, seed_thread};
use serde_json::{Value, json};

use crate::faults::{Classes, Moment};
use crate::{breaker, scenario, sweep};

/// Says to the process which simulation it is.
const VARIABLE: &str = "LONGSHORE_SIMULATION";
/// Says to the process that it is the one.
const IN_CHILD: &str = "LONGSHORE_SIMULATION_CHILD";
/// Stands before the outcome in what the process prints.
const MARK: &str = "outcome: ";

/// A simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simulation {
    /// That of a seed.
    Seed(u64),
    /// That of a seed, with two operators of which one leads.
    Elected(u64),
    /// A rollout, and where it is interrupted.
    Rollout(Option<(u64, Moment)>),
    /// The same, and whenever a watch begins anew the server lags.
    Lagging(Option<(u64, Moment)>),
    /// Tasks that move to zones which come back, and where that is interrupted.
    Rebalancing(Option<(u64, Moment)>),
    /// A deployment that fails, and where it is interrupted.
    Breaker(Option<(u64, Moment)>),
}

/// What came of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// A number that two runs share exactly if they did the same.
    pub(crate) fingerprint: u64,
    /// Writes of operators.
    pub(crate) writes: u64,
    /// What broke, and what happened last.
    pub(crate) broken: Option<String>,
}

impl Simulation {
    fn to_text(self) -> String {
        let at = |interrupt: Option<(u64, Moment)>| {
            interrupt.map_or_else(String::new, |(write, moment)| format!(" {write} {moment:?}"))
        };
        match self {
            Self::Seed(seed) => format!("seed {seed}"),
            Self::Elected(seed) => format!("elected {seed}"),
            Self::Rollout(interrupt) => format!("rollout{}", at(interrupt)),
            Self::Lagging(interrupt) => format!("lagging{}", at(interrupt)),
            Self::Rebalancing(interrupt) => format!("rebalancing{}", at(interrupt)),
            Self::Breaker(interrupt) => format!("breaker{}", at(interrupt)),
        }
    }

    /// The simulation that a text stands for.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (kind, number, moment) = (words.next()?, words.next().and_then(|word| word.parse().ok()), words.next());
        let moments = [Moment::Before, Moment::After, Moment::Stop, Moment::Unclear];
        let moment = moments.into_iter().find(|one| moment == Some(format!("{one:?}").as_str()));
        match kind {
            "seed" => Some(Self::Seed(number?)),
            "elected" => Some(Self::Elected(number?)),
            "lagging" => Some(Self::Lagging(number.zip(moment))),
            "rebalancing" => Some(Self::Rebalancing(number.zip(moment))),
            "breaker" => Some(Self::Breaker(number.zip(moment))),
            "rollout" => Some(Self::Rollout(number.zip(moment))),
            _ => None,
        }
    }

    /// The line that repeats it.
    pub(crate) fn command(self) -> String {
        format!("{VARIABLE}='{}' cargo test --test simulation process::", self.to_text())
    }

    /// Runs it in a process of its own.
    pub(crate) fn run(self) -> Outcome {
        fix_addresses_of_children();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::the_simulation_asked_for", "--nocapture"])
            .env(VARIABLE, self.to_text())
            .env(IN_CHILD, "yes")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let Some(outcome) = said.lines().find_map(|line| line.split_once(MARK)) else {
            let broken = format!("no outcome: {said}\n{}", String::from_utf8_lossy(&output.stderr));
            return Outcome { fingerprint: 0, writes: 0, broken: Some(broken) };
        };
        let outcome: Value = serde_json::from_str(outcome.1).unwrap();
        let number = |name: &str| outcome[name].as_u64().unwrap();
        let broken = outcome["broken"].as_str().map(str::to_owned);
        Outcome { fingerprint: number("fingerprint"), writes: number("writes"), broken }
    }

    fn run_here(self) -> Outcome {
        // The order in which those are polled who could be polled at once is part of the seed.
        let order = match self {
            Self::Seed(seed) | Self::Elected(seed) => seed,
            Self::Rollout(_) | Self::Lagging(_) | Self::Rebalancing(_) | Self::Breaker(_) => 1,
        };
        seed_thread(order);
        fastrand::seed(order);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            match self {
                Self::Seed(seed) => scenario::of_seed(seed, false).await,
                Self::Elected(seed) => scenario::of_seed(seed, true).await,
                Self::Rollout(interrupt) => sweep::rollout(interrupt, Classes::default()).await,
                Self::Lagging(interrupt) => {
                    sweep::rollout(interrupt, Classes { stale_reads: true, watches: true, ..Classes::default() }).await
                }
                Self::Rebalancing(interrupt) => sweep::rebalancing(interrupt).await,
                Self::Breaker(interrupt) => breaker::trip(interrupt).await,
            }
        })
    }
}

/// What the process is for. A person who asks for a simulation gets it told; in the process of all tests this is nothing.
#[test]
fn the_simulation_asked_for() {
    let Some(simulation) = std::env::var(VARIABLE).ok().and_then(|text| Simulation::from_text(&text)) else { return };
    if std::env::var_os(IN_CHILD).is_none() {
        let broken = simulation.run().broken.unwrap_or_default();
        assert!(broken.is_empty(), "{broken}");
        return;
    }
    let Outcome { fingerprint, writes, broken } = simulation.run_here();
    println!("{MARK}{}", json!({ "fingerprint": fingerprint, "writes": writes, "broken": broken }));
}
