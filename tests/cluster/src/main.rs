//! The test cluster for people: start it, stop it, build or find its programs.

mod demo;
mod requests;
mod standing;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use longshore_test_cluster::{Entered, Namespaces, Program, Programs, cache_folder};

use crate::requests::{Account, Request};
use crate::standing::Standing;

/// A real Kubernetes control plane on loopback, with nodes played by kwok.
#[derive(Parser)]
#[command(name = "test-cluster")]
struct Arguments {
    /// The folder that says which cluster is up [default: `cluster` in the cache folder].
    #[arg(long, global = true, hide = true)]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster in the background and print how to reach it: eval "$(test-cluster up)".
    Up(Size),
    /// Stop the cluster that `up` started.
    Down,
    /// Run a program beside the cluster that is up, with the rights of a ServiceAccount, until the cluster stops.
    Run {
        /// The ServiceAccount, as namespace/name.
        #[arg(long = "as", value_parser = account)]
        account: Account,
        /// The program; one of its file name that runs already is ended first.
        program: PathBuf,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Show Longshore at work on a cluster, which is left up.
    Demo,
    /// Build the programs of the cluster, which takes minutes the first time.
    Build,
    /// Print where a program lies, such as kubectl or helm.
    Program {
        /// Its name.
        #[arg(value_parser = named)]
        program: Program,
    },
    /// Run a command in namespaces such as a real node gets.
    #[command(hide = true)]
    Inside {
        /// The command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Be the cluster that `up` starts.
    #[command(hide = true)]
    Stand(Size),
}

/// What the cluster is to be like.
#[derive(clap::Args)]
struct Size {
    /// How many nodes it has, over three zones.
    #[arg(long, default_value_t = 6)]
    nodes: usize,
    /// An empty or new folder for its files, which stay there [default: a temporary one].
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn named(name: &str) -> Result<Program, String> {
    Program::named(name).ok_or_else(|| {
        let names: Vec<_> = Program::all().map(Program::name).collect();
        format!("it is one of {}", names.join(", "))
    })
}

fn account(text: &str) -> Result<Account, String> {
    let (namespace, name) = text.split_once('/').ok_or("it has the form namespace/name")?;
    Ok(Account { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("test-cluster: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let standing = || -> Result<Standing, Box<dyn std::error::Error>> {
        Ok(match &arguments.state {
            Some(folder) => Standing::at(folder)?,
            None => Standing::at(&cache_folder()?.join("cluster"))?,
        })
    };
    match arguments.command {
        Command::Up(size) => {
            Programs::build(&Program::CLUSTER)?;
            let kubeconfig = standing()?.up(size.nodes, size.dir.as_deref())?;
            println!("export KUBECONFIG={}", quoted(&kubeconfig.to_string_lossy()));
        }
        Command::Down => standing()?.down()?,
        Command::Run { account, program, arguments } => {
            let program = std::path::absolute(program)?;
            let log = standing()?.run(&Request { program, arguments, account })?;
            eprintln!("test-cluster: it runs until the cluster stops, and logs to {}", log.display());
        }
        Command::Demo => demo::run(&standing()?, arguments.state.as_deref())?,
        Command::Build => drop(Programs::build(&Program::CLUSTER)?),
        Command::Program { program } => println!("{}", Programs::build(&[program])?.path(program).display()),
        Command::Inside { command } => match Namespaces::enter()? {
            Entered::Inside(_) => run_to_the_end(&command)?,
            Entered::Over(status) => status.success().then_some(()).ok_or("the command failed")?,
            Entered::Unavailable(reason) => return Err(reason.into()),
        },
        Command::Stand(size) => standing()?.stand(size.nodes, size.dir)?,
    }
    Ok(())
}

fn run_to_the_end(command: &[OsString]) -> Result<(), Box<dyn std::error::Error>> {
    let (program, arguments) = command.split_first().ok_or("there is no command")?;
    let status = std::process::Command::new(program).args(arguments).status()?;
    status.success().then_some(()).ok_or_else(|| status.to_string().into())
}

/// The word as a shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
