//! A program that never outlives the process that started it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::folder::Folder;
use crate::{Error, wait};

/// Runs the program and kills it when standard input ends.
///
/// Standard input is a pipe that only the owner holds: it ends when the owner stops the
/// program, exits, or is killed, and no signal handler or polling is needed for that.
const GUARD: &str = r#"
exec 3<&0 </dev/null
marker=$1
shift
"$@" 3<&- &
program=$!
echo "$program" >"$marker"
( while read -r _ <&3; do :; done; kill -9 "$program" ) &
watcher=$!
exec 3<&-
wait "$program"
code=$?
kill -9 "$watcher" 2>/dev/null
rm -f "$marker"
exit "$code"
"#;

/// How many of a program's last lines go into an error.
const TAIL: usize = 20;

/// A running program and the shell that guards it.
#[derive(Debug)]
pub(crate) struct Guarded {
    name: String,
    log: PathBuf,
    marker: PathBuf,
    guard: Child,
}

impl Guarded {
    pub(crate) fn spawn(
        folder: &Folder,
        name: &str,
        program: &Path,
        arguments: &[OsString],
        environment: &[(&str, &Path)],
    ) -> Result<Self, Error> {
        let log = folder.path().join("logs").join(format!("{name}.log"));
        let marker = folder.path().join("running").join(name);
        let write = |path: &Path| {
            let path = path.to_owned();
            |source| Error::Write { path, source }
        };
        // Before the guard exists: should this process die in between, the janitor still waits.
        File::create(&marker).map_err(write(&marker))?;
        let output = File::create(&log).map_err(write(&log))?;
        let errors = output.try_clone().map_err(write(&log))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&marker)
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in a terminal goes to the whole foreground group; the guard must see to the end.
            .process_group(0)
            .spawn();
        match guard {
            Ok(guard) => Ok(Self { name: name.to_owned(), log, marker, guard }),
            Err(source) => {
                let _unused = fs::remove_file(&marker);
                Err(Error::Spawn { program: name.to_owned(), source })
            }
        }
    }

    /// The file of what the program prints.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The process id of the program, which its guard notes as soon as it has started it.
    pub(crate) async fn pid(&self) -> Result<u32, Error> {
        let mut pid = None;
        wait::until(&format!("the start of {}", self.name), Duration::from_secs(10), async || {
            let noted = fs::read_to_string(&self.marker).unwrap_or_default();
            pid = noted.strip_suffix('\n').and_then(|pid| pid.parse().ok());
            Ok(pid.is_some())
        })
        .await?;
        Ok(pid.unwrap_or_default())
    }

    /// Waits until `probe` says yes; an early end of the program or the limit is an error.
    pub(crate) async fn ready(&mut self, limit: Duration, mut probe: impl AsyncFnMut() -> bool) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = self.guard.try_wait() {
                return Err(self.exited(status));
            }
            // A probe that hangs must not hide that the program has ended.
            if let Ok(true) = tokio::time::timeout(Duration::from_secs(5), probe()).await {
                return Ok(());
            }
            if started.elapsed() > limit {
                return Err(Error::NotReady { program: self.name.clone(), limit, tail: self.tail() });
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    fn exited(&self, status: ExitStatus) -> Error {
        Error::Exited { program: self.name.clone(), status: status.to_string(), tail: self.tail() }
    }

    fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<&str> = text.lines().rev().take(TAIL).collect();
        lines.reverse();
        lines.join("\n")
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _unused = self.guard.wait();
    }
}
