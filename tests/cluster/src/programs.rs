//! The built programs and the cache folder they are kept in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use crate::go::{Go, GoError};
use crate::program::Program;
use crate::stamp::stamp;

/// The manifests of kwok that a cluster needs, as its module holds them.
const MANIFESTS: [(&str, &str); 3] = [
    ("stage-crd.yaml", "kustomize/crd/bases/kwok.x-k8s.io_stages.yaml"),
    ("node-initialize.yaml", "kustomize/stage/node/fast/node-initialize.yaml"),
    ("node-heartbeat.yaml", "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml"),
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
    #[error("the build of the programs was interrupted; start it again, finished programs are kept")]
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
        tokio::task::spawn_blocking(Self::build).await.map_err(|_| ProgramsError::Interrupted)?
    }

    /// As [`Programs::ready`], for callers without a runtime.
    pub fn build() -> Result<Self, ProgramsError> {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        let go = Go::new(PathBuf::from("go"), module)?;
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
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
        let programs = Self { folder: cache.join(stamp(&go.inputs()?)), assets };
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
        Program::ALL.into_iter().filter(|program| !self.path(*program).exists()).collect()
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
        return std::path::absolute(&folder).map_err(|source| ProgramsError::Write { path: folder.into(), source });
    }
    variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|folder| folder.join("longshore"))
        .ok_or(ProgramsError::NoCache)
}

fn create(folder: &Path) -> Result<(), ProgramsError> {
    fs::create_dir_all(folder).map_err(|source| ProgramsError::Write { path: folder.to_owned(), source })
}

fn rename(from: &Path, to: &Path) -> Result<(), ProgramsError> {
    fs::rename(from, to).map_err(|source| ProgramsError::Write { path: to.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module folder and a cache folder, with a fake toolchain.
    struct Workshop(PathBuf);

    impl Workshop {
        fn new(name: &str) -> Self {
            let name = format!("longshore-programs-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            for (_, path) in MANIFESTS {
                let file = folder.join("module/kwok").join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "kind: Stage\n").unwrap();
            }
            let workshop = Self(folder);
            workshop.write("go.mod", "go 1.26.0\nrequire k8s.io/kubernetes v1.36.3 // indirect\n");
            workshop.write("go.sum", "");
            workshop
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join("module").join(name), text).unwrap();
        }

        fn build(&self) -> Result<Programs, ProgramsError> {
            let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-go");
            let go = Go::new(fake, self.0.join("module"))?;
            Programs::build_with(&go, &self.0.join("cache"), None)
        }

        /// The packages built since the last call.
        fn built(&self) -> Vec<String> {
            let calls = self.0.join("module/calls");
            let text = fs::read_to_string(&calls).unwrap_or_default();
            let _unused = fs::remove_file(calls);
            text.lines()
                .filter(|line| line.starts_with("build"))
                .filter_map(|line| line.split(' ').next_back().map(str::to_owned))
                .collect()
        }
    }

    impl Drop for Workshop {
        fn drop(&mut self) {
            let _unused = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_second_build_does_nothing_and_a_new_version_builds_anew() {
        let workshop = Workshop::new("second");
        let first = workshop.build().unwrap();
        assert_eq!(workshop.built().len(), Program::ALL.len());
        assert!(Program::ALL.iter().all(|program| first.path(*program).exists()));
        assert!(first.manifest("stage-crd.yaml").exists());

        workshop.build().unwrap();
        assert!(!workshop.0.join("module/calls").exists(), "go was not asked");

        workshop.write("go.mod", "go 1.26.0\nrequire k8s.io/kubernetes v1.36.4 // indirect\n");
        let newer = workshop.build().unwrap();
        assert_eq!(workshop.built().len(), Program::ALL.len());
        assert_ne!(first.path(Program::Kwok), newer.path(Program::Kwok));
    }

    #[test]
    fn of_two_builds_at_once_one_builds() {
        let workshop = Workshop::new("at-once");
        std::thread::scope(|scope| {
            let builds = [0, 1].map(|_| scope.spawn(|| workshop.build()));
            for build in builds {
                build.join().unwrap().unwrap();
            }
        });
        assert_eq!(workshop.built().len(), Program::ALL.len());
    }

    #[test]
    fn a_broken_build_is_taken_up_where_it_stopped() {
        let workshop = Workshop::new("broken");
        workshop.write("broken", Program::Etcd.package());
        let error = workshop.build().unwrap_err().to_string();
        assert!(error.contains("cannot build go.etcd.io/etcd"), "{error}");
        let before = workshop.built();
        assert_eq!(before.last().unwrap(), Program::Etcd.package());

        workshop.write("broken", "");
        workshop.build().unwrap();
        let after = workshop.built();
        assert_eq!(after.first().unwrap(), Program::Etcd.package());
        assert_eq!(before.len() + after.len(), Program::ALL.len() + 1);
    }

    #[test]
    fn programs_of_a_folder_of_assets_are_not_built() {
        let workshop = Workshop::new("assets");
        let assets = workshop.0.join("assets");
        fs::create_dir(&assets).unwrap();
        fs::write(assets.join("etcd"), "").unwrap();
        let go =
            Go::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-go"), workshop.0.join("module")).unwrap();
        let cache = workshop.0.join("cache");
        let programs = Programs::build_with(&go, &cache, Some(assets.clone())).unwrap();
        assert_eq!(workshop.built().len(), Program::ALL.len() - 1);
        assert_eq!(programs.path(Program::Etcd), assets.join("etcd"));
        assert!(programs.path(Program::Kwok).starts_with(cache));
    }

    #[test]
    fn without_a_toolchain_a_sentence_says_what_to_install() {
        let workshop = Workshop::new("no-go");
        let nowhere = workshop.0.join("no/go");
        let go = Go::new(nowhere, workshop.0.join("module")).unwrap();
        let error = Programs::build_with(&go, &workshop.0.join("cache"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the programs of the test cluster are built with Go 1.26.0 or newer, and there is none: \
             install Go from https://go.dev/dl or your distribution and put `go` on the PATH"
        );

        workshop.write("go.mod", "go 2.5.0\nrequire k8s.io/kubernetes v1.36.3\n");
        let error = workshop.build().unwrap_err().to_string();
        assert!(error.contains("the one on the PATH is go1.99.0"), "{error}");
    }
}
