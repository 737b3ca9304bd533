//! The folder of one cluster, which goes when its cluster goes.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// Waits for the end of its owner and of every guarded program, then removes the folder.
///
/// Standard input is a pipe that only the owner holds, so its end is the owner's end, also
/// by SIGKILL. A program's guard removes the file in `running` when the program is gone; a
/// guard that was killed itself never does, hence the limit.
const JANITOR: &str = r#"
while read -r _; do :; done
tries=0
while [ "$tries" -lt 100 ]; do
  set -- "$1" "$1"/running/*
  [ -e "$2" ] || break
  sleep 0.05
  tries=$((tries + 1))
done
rm -rf "$1"
"#;

/// The folder of one cluster.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    janitor: Option<Child>,
}

impl Folder {
    /// A new folder for temporary files, removed when this value or the process ends.
    pub(crate) fn temporary() -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = loop {
            let path = std::env::temp_dir().join(format!(
                "longshore-cluster-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            ));
            match private(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Write { path, source }),
                Ok(()) => break path,
            }
        };
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal goes to the whole foreground group; the janitor must outlive it.
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Spawn { program: "the janitor".to_owned(), source });
        let mut folder = Self { path, janitor: None };
        match janitor {
            Ok(child) => folder.janitor = Some(child),
            Err(error) => {
                let _unused = fs::remove_dir(&folder.path);
                return Err(error);
            }
        }
        folder.furnish()?;
        Ok(folder)
    }

    /// A folder that stays, for people who want to read it afterwards.
    pub(crate) fn kept(path: &Path) -> Result<Self, Error> {
        let write = |source| Error::Write { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(write)?;
        match private(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut entries = fs::read_dir(&path).map_err(write)?;
                if entries.next().is_some() {
                    return Err(Error::FolderInUse(path));
                }
            }
            other => other.map_err(write)?,
        }
        let folder = Self { path, janitor: None };
        folder.furnish()?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into the folder and returns where it lies.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        let write = || {
            // Some of them are private keys, and a kept folder may be open to others.
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(text.as_bytes())
        };
        match write() {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    fn furnish(&self) -> Result<(), Error> {
        for name in ["running", "logs", "kubeconfigs"] {
            let path = self.path.join(name);
            private(&path).map_err(|source| Error::Write { path, source })?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(mut janitor) = self.janitor.take() {
            drop(janitor.stdin.take());
            let _unused = janitor.wait();
        }
    }
}

/// The folder holds private keys.
fn private(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(path)
}
