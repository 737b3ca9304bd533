//! The Go toolchain, which builds the programs from `programs/go.mod`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Why a Go command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// There is no Go toolchain, or it is too old.
    #[error(
        "the programs of the test cluster are built with Go {wanted} or newer, and {found}: install Go from https://go.dev/dl or your distribution and put `go` on the PATH"
    )]
    Toolchain {
        /// The oldest version that will do.
        wanted: String,
        /// What is there instead.
        found: String,
    },
    /// `go` could not be run.
    #[error("could not run `{command}`; check that `go` on the PATH is executable")]
    Run {
        /// The command line.
        command: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// `go` ran and failed.
    #[error("`{command}` failed; it said:\n{output}")]
    Failed {
        /// The command line.
        command: String,
        /// What it printed on standard error.
        output: String,
    },
    /// go.mod lacks a line this crate reads.
    #[error("{} has no line `{line} …`; restore it from the repository", file.display())]
    Module {
        /// The go.mod file.
        file: PathBuf,
        /// How the line starts.
        line: &'static str,
    },
    /// A file of the module could not be read.
    #[error("could not read {}; restore it from the repository", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A Go toolchain at work in one module.
#[derive(Debug)]
pub(crate) struct Go {
    program: PathBuf,
    module: PathBuf,
    requirements: String,
    checksums: String,
}

impl Go {
    pub(crate) fn new(program: PathBuf, module: PathBuf) -> Result<Self, GoError> {
        let read = |name: &str| {
            let file = module.join(name);
            std::fs::read_to_string(&file).map_err(|source| GoError::Read { file, source })
        };
        Ok(Self { requirements: read("go.mod")?, checksums: read("go.sum")?, program, module })
    }

    /// What makes two builds equal, beside the machine.
    pub(crate) fn inputs(&self) -> Result<String, GoError> {
        Ok(format!("{}\n{}\n{}", self.requirements, self.checksums, self.flags()?.join(" ")))
    }

    /// Says what to install when the toolchain is missing or too old.
    pub(crate) fn check(&self) -> Result<(), GoError> {
        let wanted = self.line("go ")?;
        let too_old = |found: String| GoError::Toolchain { wanted: wanted.to_owned(), found };
        let output = match self.command(&["env", "GOVERSION"]).output() {
            Ok(output) if output.status.success() => output,
            Ok(output) => {
                return Err(too_old(format!("`go env` fails ({})", said(&output))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(too_old("there is none".to_owned()));
            }
            Err(source) => {
                return Err(GoError::Run { command: "go env GOVERSION".to_owned(), source });
            }
        };
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if minor(version.trim_start_matches("go")) < minor(wanted) {
            return Err(too_old(format!("the one on the PATH is {version}")));
        }
        Ok(())
    }

    /// Builds `package` into the file `output`.
    pub(crate) fn build(&self, package: &str, output: &Path) -> Result<(), GoError> {
        let flags = self.flags()?;
        let output = output.to_string_lossy();
        let mut arguments = vec!["build"];
        arguments.extend(flags.iter().map(String::as_str));
        arguments.extend(["-o", output.as_ref(), package]);
        self.run(&arguments).map(drop)
    }

    /// The folder that holds the source of `module`.
    pub(crate) fn folder_of(&self, module: &str) -> Result<PathBuf, GoError> {
        // `go list -m` names a folder only once the module is in the cache.
        self.run(&["mod", "download", module])?;
        let output = self.run(&["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module])?;
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }

    fn flags(&self) -> Result<Vec<String>, GoError> {
        // Without a stamped version every client sees v0.0.0.
        let version = self.line("require k8s.io/kubernetes ")?;
        let (major, minor) = minor(version.trim_start_matches('v'));
        let stamp = "k8s.io/component-base/version";
        Ok(vec![
            "-mod=readonly".to_owned(),
            "-trimpath".to_owned(),
            format!(
                "-ldflags=-s -w -X {stamp}.gitVersion={version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
            ),
        ])
    }

    /// The word that follows `start` in go.mod.
    fn line(&self, start: &'static str) -> Result<&str, GoError> {
        self.requirements
            .lines()
            .find_map(|line| line.strip_prefix(start))
            .and_then(|rest| rest.split_whitespace().next())
            .ok_or_else(|| GoError::Module { file: self.module.join("go.mod"), line: start.trim_end() })
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, GoError> {
        let command = || format!("go {}", arguments.join(" "));
        let output = self.command(arguments).output().map_err(|source| GoError::Run { command: command(), source })?;
        if output.status.success() {
            Ok(output)
        } else {
            Err(GoError::Failed { command: command(), output: said(&output) })
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.module)
            // A toolchain fetched on the side would be a surprise, and fails without a network.
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env("CGO_ENABLED", "0");
        command
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Major and minor of a version such as `1.26.8`.
fn minor(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}
