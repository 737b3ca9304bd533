//! Longshore beside a Deployment: the same work on the same control plane, in one run.
//!
//! Each of the two is a process of its own with nothing else to do: `longshore run` as released, and a
//! kube-controller-manager that runs only its deployment and replicaset controllers, with no limit to its requests. Scheduler
//! and kwok are not limited either, so that what is measured is the controller. Numbers depend on the machine, and on what else
//! it does; ratios within one run are what counts.
#![expect(clippy::disallowed_methods, reason = "a benchmark acts on its cluster as a person does, and reads the clock")]

mod arena;
mod contestant;
mod cost;
mod pods;
mod reaction;
mod rest;
mod rollout;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::arena::Arena;
use crate::contestant::Window;

/// Whatever ends the benchmark.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures Longshore beside a Deployment on a real control plane.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure.
    #[arg(value_enum, default_values_t = [Section::Rollout, Section::Rest, Section::Reaction])]
    sections: Vec<Section>,
    /// Tasks of the service that is rolled out, and that loses tasks.
    #[arg(long, default_value_t = 500)]
    tasks: usize,
    /// Nodes.
    #[arg(long, default_value_t = 50)]
    nodes: usize,
    /// How often each rollout is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// minimumHealthyPercent/maximumPercent of the rollouts.
    #[arg(long, value_delimiter = ',', default_value = "100/200,75/125,100/110")]
    windows: Vec<Window>,
    /// Services at rest.
    #[arg(long, default_value_t = 20)]
    services: usize,
    /// Tasks of each service at rest.
    #[arg(long, default_value_t = 500)]
    tasks_at_rest: usize,
    /// How many tasks are lost.
    #[arg(long, default_value_t = 200)]
    losses: usize,
    /// Leave the Deployment out.
    #[arg(long)]
    alone: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Section {
    /// The change of an image.
    Rollout,
    /// What it costs to look after many tasks to which nothing happens.
    Rest,
    /// How fast a lost task is replaced.
    Reaction,
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rollout => "rollout",
            Self::Rest => "rest",
            Self::Reaction => "reaction",
        })
    }
}

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(measure(&Arguments::parse())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("the benchmark ended early: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let arena = Arena::start(arguments.nodes).await?;
    for section in &arguments.sections {
        match section {
            Section::Rollout => rollout::measure(&arena, arguments).await?,
            Section::Rest => rest::measure(&arena, arguments).await?,
            Section::Reaction => reaction::measure(&arena, arguments).await?,
        }
    }
    Ok(())
}
