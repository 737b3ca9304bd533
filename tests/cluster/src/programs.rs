//! The built programs and the cache folder they are kept in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::go::{Go, GoError};
use crate::program::Program;

/// The manifests of kwok that a cluster needs, as its module holds them.
const MANIFESTS: [(&str, &str); 3] = [
    (
        "stage-crd.yaml",
        "kustomize/crd/bases/kwok.x-k8s.io_stages.yaml",
    ),
    (
        "node-initialize.yaml",
        "kustomize/stage/node/fast/node-initialize.yaml",
    ),
    (
        "node-heartbeat.yaml",
        "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    ),
];

/// Why the programs are not there.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// Go is missing or failed.
    #[error(transparent)]
    Go(#[from] GoError),
    /// Neither variable that leads to the cache folder is set.
    #[error(
        "there is no folder to keep the built programs in: set LONGSHORE_CACHE to a folder you can write to (XDG_CACHE_HOME and HOME are unset too)"
    )]
    NoCache,
    /// A file or folder of the cache could not be written.
    #[error(
        "could not write {}; check its permissions and the free space, or set LONGSHORE_CACHE to another folder",
        path.display()
    )]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The build was cut short from outside.
    #[error(
        "the build of the programs was interrupted; start it again, finished programs are kept"
    )]
    Interrupted,
}

/// The programs of the test cluster, built and ready to run.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    assets: Option<PathBuf>,
}

impl Programs {
    /// Builds what is missing, which takes minutes the first time and nothing after that.
    ///
    /// Says on standard error which program it is at. A program that lies in the folder
    /// `KUBEBUILDER_ASSETS` is taken from there and not built.
    pub async fn ready() -> Result<Self, ProgramsError> {
        tokio::task::spawn_blocking(Self::build)
            .await
            .map_err(|_| ProgramsError::Interrupted)?
    }

    /// As [`Programs::ready`], for callers without a runtime.
    pub fn build() -> Result<Self, ProgramsError> {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        let go = Go::new(PathBuf::from("go"), module)?;
        let assets = std::env::var_os("KUBEBUILDER_ASSETS")
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from);
        Self::build_with(&go, &cache_folder()?.join("programs"), assets)
    }

    /// Where the program lies.
    pub fn path(&self, program: Program) -> PathBuf {
        self.assets
            .iter()
            .chain([&self.folder])
            .map(|folder| folder.join(program.name()))
            .find(|path| path.exists())
            .unwrap_or_else(|| self.folder.join(program.name()))
    }

    /// A manifest of kwok, one of [`MANIFESTS`].
    pub(crate) fn manifest(&self, name: &str) -> PathBuf {
        self.folder.join("manifests").join(name)
    }

    fn build_with(go: &Go, cache: &Path, assets: Option<PathBuf>) -> Result<Self, ProgramsError> {
        let digest = Sha256::digest(go.inputs()?.as_bytes());
        let stamp: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let programs = Self {
            folder: cache.join(stamp),
            assets,
        };
        if programs.missing().is_empty() && programs.folder.join("manifests").exists() {
            return Ok(programs);
        }
        create(&programs.folder)?;
        let lock = cache.join("lock");
        File::create(&lock)
            .and_then(|file| {
                // Held until the file is closed: of two builds, the second finds all done.
                if file.try_lock().is_err() {
                    eprintln!("test cluster: another build is at work, waiting for it");
                    file.lock()?;
                }
                Ok(file)
            })
            .map_err(|source| ProgramsError::Write { path: lock, source })
            .and_then(|_held| programs.build_missing(go))?;
        Ok(programs)
    }

    fn missing(&self) -> Vec<Program> {
        Program::ALL
            .into_iter()
            .filter(|program| !self.path(*program).exists())
            .collect()
    }

    fn build_missing(&self, go: &Go) -> Result<(), ProgramsError> {
        go.check()?;
        let missing = self.missing();
        let started = Instant::now();
        for (done, program) in missing.iter().enumerate() {
            eprintln!(
                "test cluster: building {} ({} of {}, {} s so far)",
                program.name(),
                done.saturating_add(1),
                missing.len(),
                started.elapsed().as_secs(),
            );
            let unfinished = self.folder.join(format!("{}.unfinished", program.name()));
            go.build(program.package(), &unfinished)?;
            rename(&unfinished, &self.folder.join(program.name()))?;
        }
        self.copy_manifests(go)?;
        eprintln!(
            "test cluster: the programs are ready after {} s, in {}",
            started.elapsed().as_secs(),
            self.folder.display()
        );
        Ok(())
    }

    fn copy_manifests(&self, go: &Go) -> Result<(), ProgramsError> {
        let folder = self.folder.join("manifests");
        if folder.exists() {
            return Ok(());
        }
        let source = go.folder_of("sigs.k8s.io/kwok")?;
        let unfinished = self.folder.join("manifests.unfinished");
        create(&unfinished)?;
        for (name, path) in MANIFESTS {
            let from = source.join(path);
            let text = fs::read(&from).map_err(|source| GoError::Read { file: from, source })?;
            let to = unfinished.join(name);
            fs::write(&to, text).map_err(|source| ProgramsError::Write { path: to, source })?;
        }
        rename(&unfinished, &folder)
    }
}

/// The folder of everything this crate keeps between runs.
pub fn cache_folder() -> Result<PathBuf, ProgramsError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = variable("LONGSHORE_CACHE") {
        // `go build` runs elsewhere, so a relative folder must be made absolute here.
        return std::path::absolute(&folder).map_err(|source| ProgramsError::Write {
            path: folder.into(),
            source,
        });
    }
    variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|folder| folder.join("longshore"))
        .ok_or(ProgramsError::NoCache)
}

fn create(folder: &Path) -> Result<(), ProgramsError> {
    fs::create_dir_all(folder).map_err(|source| ProgramsError::Write {
        path: folder.to_owned(),
        source,
    })
}

fn rename(from: &Path, to: &Path) -> Result<(), ProgramsError> {
    fs::rename(from, to).map_err(|source| ProgramsError::Write {
        path: to.to_owned(),
        source,
    })
}
