//! The `longshore` command.

use std::process::ExitCode;

use clap::Parser;
use longshore::cli::Cli;

/// One thread: an operator waits most of the time, and handing its work between threads costs more than sharing it saves.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Cli::parse().execute().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("longshore: {error}");
            ExitCode::FAILURE
        }
    }
}
