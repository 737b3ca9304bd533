//! Namespaces of their own for a node and the tests on it.
//!
//! A node has mounts, network interfaces, firewall rules and processes that nobody owns. In its own namespaces it meets none
//! of the machine's, and all of them go with the first process. What a namespace does not hold are cgroups and one empty
//! folder; a guard outside removes them.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

use super::packages;
use crate::Error;
use crate::program::Program;
use crate::programs::Programs;

const GUARD: &str = include_str!("guard.sh");
const INSIDE: &str = include_str!("inside.sh");

/// Names the node's cgroup, for the process inside.
const VARIABLE: &str = "LONGSHORE_NODE";

/// Makes it an error that there are no namespaces to be had.
const REQUIRED: &str = "LONGSHORE_NODE_REQUIRED";

/// What became of the wish to be in namespaces of one's own.
#[derive(Debug)]
pub enum Entered {
    /// This process is in them.
    Inside(Namespaces),
    /// This process is not, but another one of the same program and arguments was, and has ended.
    Over(ExitStatus),
    /// There are none on this machine or for this user: why.
    Unavailable(&'static str),
}

/// Proof that this process is in namespaces made for a node.
#[derive(Debug)]
pub struct Namespaces {
    cgroup: String,
}

impl Namespaces {
    /// Runs this program again in namespaces of its own, or finds itself in them.
    ///
    /// Outside, it first builds and installs what a node needs: inside there is no network.
    pub fn enter() -> Result<Entered, Error> {
        if let Ok(cgroup) = env::var(VARIABLE) {
            return Ok(Entered::Inside(Self { cgroup }));
        }
        if let Some(reason) = Self::unavailable()? {
            return Ok(Entered::Unavailable(reason));
        }
        packages::install()?;
        Programs::build(&Program::CLUSTER)?;
        Programs::build(&Program::NODE)?;
        run_inside().map(Entered::Over).map_err(|source| Error::Spawn { program: "the namespaces".to_owned(), source })
    }

    /// Why there are none on this machine or for this user, unless there are. Where `LONGSHORE_NODE_REQUIRED` is set, as `.ci/run` does on
    /// a machine that it finds able to, that is an error: what is left out there would pass.
    pub fn unavailable() -> Result<Option<&'static str>, Error> {
        match Self::obstacle() {
            Some(reason) if env::var_os(REQUIRED).is_some() => Err(Error::NodeRequired { variable: REQUIRED, reason }),
            reason => Ok(reason),
        }
    }

    fn obstacle() -> Option<&'static str> {
        if !cfg!(target_os = "linux") {
            return Some("a kubelet runs on Linux");
        }
        if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return Some("a kubelet runs as root");
        }
        let may = |script: &str| {
            let output = Command::new("sh").args(["-c", script]).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !may("unshare --net --mount --pid --fork --kill-child mount -t tmpfs tmpfs /run") {
            return Some("this user may make no namespaces or mounts, as in a container without privileges");
        }
        if !may("test -w /sys/fs/cgroup/cgroup.procs || test -w /sys/fs/cgroup/memory/cgroup.procs") {
            return Some("/sys/fs/cgroup is read-only, as in a container without privileges");
        }
        None
    }

    /// The name of the cgroup that is there for the node, in every hierarchy.
    pub(super) fn cgroup(&self) -> &str {
        &self.cgroup
    }
}

fn run_inside() -> io::Result<ExitStatus> {
    let mut guard = Command::new("sh")
        .args(["-c", GUARD, "guard", INSIDE])
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .stdin(Stdio::piped())
        // Ctrl-C in a terminal goes to the whole foreground group; the guard must see to the end.
        .process_group(0)
        .spawn()?;
    // `wait` would close it, and the guard would take that for the end of this process.
    let held = guard.stdin.take();
    let status = guard.wait();
    drop(held);
    status
}
