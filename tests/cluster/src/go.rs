//! The Go toolchain, which builds the programs from the modules in `programs`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::program::{Module, Program};

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
    module: Module,
    folder: PathBuf,
    requirements: String,
    checksums: String,
    /// The source of the programs of the module's own.
    source: String,
}

impl Go {
    /// `programs` is the folder that holds the modules.
    pub(crate) fn new(program: PathBuf, programs: &Path, module: Module) -> Result<Self, GoError> {
        let folder = programs.join(module.folder());
        let read = |name: &str| {
            let file = folder.join(name);
            std::fs::read_to_string(&file).map_err(|source| GoError::Read { file, source })
        };
        let own = module.own_source().iter().map(|name| read(name)).collect::<Result<_, _>>()?;
        Ok(Self { requirements: read("go.mod")?, checksums: read("go.sum")?, source: own, program, module, folder })
    }

    /// What makes two builds equal, beside the machine.
    pub(crate) fn inputs(&self) -> Result<String, GoError> {
        let flags = self.flags()?.join(" ");
        Ok([&self.requirements, &self.checksums, &flags, &self.source].map(String::as_str).join("\n"))
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

    /// Builds a program into the file `output`.
    pub(crate) fn build(&self, program: Program, output: &Path) -> Result<(), GoError> {
        let flags = self.flags()?;
        let output = output.to_string_lossy();
        let mut arguments = vec!["build"];
        arguments.extend(flags.iter().map(String::as_str));
        arguments.extend(["-o", output.as_ref(), program.package()]);
        let mut command = self.command(&arguments);
        command.env("CGO_ENABLED", if program.needs_cgo() { "1" } else { "0" });
        run(&mut command, &arguments).map(drop)
    }

    /// The folder that holds the source of `module`.
    pub(crate) fn folder_of(&self, module: &str) -> Result<PathBuf, GoError> {
        // `go list -m` names a folder only once the module is in the cache.
        self.run(&["mod", "download", module])?;
        let output = self.run(&["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module])?;
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }

    fn flags(&self) -> Result<Vec<String>, GoError> {
        let mut flags = vec!["-mod=readonly".to_owned(), "-trimpath".to_owned()];
        match self.module {
            Module::Kubernetes => {
                // Without a stamped version every client sees v0.0.0.
                let version = self.line("require k8s.io/kubernetes ")?;
                let (major, minor) = minor(version.trim_start_matches('v'));
                let stamp = "k8s.io/component-base/version";
                flags.push(format!(
                    "-ldflags=-s -w -X {stamp}.gitVersion={version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
                ));
            }
            Module::Containers => {
                flags.push("-ldflags=-s -w".to_owned());
                // Without the ways to store images that need libraries in C; with the filter of system calls that every
                // pod asks for.
                flags.push("-tags=no_btrfs,no_devmapper,no_zfs,seccomp".to_owned());
            }
        }
        Ok(flags)
    }

    /// The word that follows `start` in go.mod.
    fn line(&self, start: &'static str) -> Result<&str, GoError> {
        self.requirements
            .lines()
            .find_map(|line| line.strip_prefix(start))
            .and_then(|rest| rest.split_whitespace().next())
            .ok_or_else(|| GoError::Module { file: self.folder.join("go.mod"), line: start.trim_end() })
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, GoError> {
        run(&mut self.command(arguments), arguments)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            // A toolchain fetched on the side would be a surprise, and fails without a network.
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off");
        command
    }
}

fn run(command: &mut Command, arguments: &[&str]) -> Result<Output, GoError> {
    let line = || format!("go {}", arguments.join(" "));
    let output = command.output().map_err(|source| GoError::Run { command: line(), source })?;
    if output.status.success() { Ok(output) } else { Err(GoError::Failed { command: line(), output: said(&output) }) }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Major and minor of a version such as `1.26.8`.
fn minor(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}
