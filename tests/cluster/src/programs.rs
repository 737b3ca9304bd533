//! The built programs and the cache folder they are kept in.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use crate::go::{Go, GoError};
use crate::program::{Module, Program};
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
    /// Where the programs of each module are kept.
    folders: BTreeMap<Module, PathBuf>,
    assets: Option<PathBuf>,
}

impl Programs {
    /// Builds what is missing of the cluster's programs, which takes minutes the first time and nothing after that.
    ///
    /// Says on standard error which program it is at. A program that lies in the folder
    /// `KUBEBUILDER_ASSETS` is taken from there and not built.
    pub async fn ready() -> Result<Self, ProgramsError> {
        let build = || Self::build(&Program::CLUSTER);
        tokio::task::spawn_blocking(build).await.map_err(|_| ProgramsError::Interrupted)?
    }

    /// As [`Programs::ready`], for these programs and callers without a runtime.
    pub fn build(wanted: &[Program]) -> Result<Self, ProgramsError> {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        let workshop = Workshop::new(Path::new("go"), &modules)?;
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        workshop.build(wanted, &cache_folder()?.join("programs"), assets)
    }

    /// Where the program lies.
    pub fn path(&self, program: Program) -> PathBuf {
        let built = self.folder(program.module()).join(program.name());
        let asset = self.assets.as_ref().map(|folder| folder.join(program.name()));
        asset.filter(|path| path.exists()).unwrap_or(built)
    }

    /// A manifest of kwok, one of [`MANIFESTS`].
    pub(crate) fn manifest(&self, name: &str) -> PathBuf {
        self.manifests().join(name)
    }

    fn manifests(&self) -> PathBuf {
        self.folder(Module::Kubernetes).join("manifests")
    }

    fn folder(&self, module: Module) -> &Path {
        self.folders.get(&module).map_or_else(|| Path::new(""), PathBuf::as_path)
    }

    fn missing(&self, wanted: &[Program]) -> Vec<Program> {
        wanted.iter().copied().filter(|program| !self.path(*program).exists()).collect()
    }
}

/// The Go toolchain in each of the modules.
struct Workshop(BTreeMap<Module, Go>);

impl Workshop {
    fn new(go: &Path, modules: &Path) -> Result<Self, GoError> {
        let at = |module: Module| Ok((module, Go::new(go.to_owned(), modules, module)?));
        Module::ALL.into_iter().map(at).collect::<Result<_, _>>().map(Self)
    }

    fn build(&self, wanted: &[Program], cache: &Path, assets: Option<PathBuf>) -> Result<Programs, ProgramsError> {
        let folder = |(module, go): (&Module, &Go)| Ok::<_, GoError>((*module, cache.join(stamp(&go.inputs()?))));
        let programs = Programs { folders: self.0.iter().map(folder).collect::<Result<_, _>>()?, assets };
        if programs.missing(wanted).is_empty() && programs.manifests().exists() {
            return Ok(programs);
        }
        create(cache)?;
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
            .and_then(|_held| self.build_missing(&programs, wanted))?;
        Ok(programs)
    }

    fn build_missing(&self, programs: &Programs, wanted: &[Program]) -> Result<(), ProgramsError> {
        let missing = programs.missing(wanted);
        let started = Instant::now();
        for go in self.0.values() {
            go.check()?;
        }
        for (done, program) in missing.iter().enumerate() {
            eprintln!(
                "test cluster: building {} ({} of {}, {} s so far)",
                program.name(),
                done.saturating_add(1),
                missing.len(),
                started.elapsed().as_secs(),
            );
            let folder = programs.folder(program.module());
            create(folder)?;
            let unfinished = folder.join(format!("{}.unfinished", program.name()));
            if let Some(go) = self.0.get(&program.module()) {
                go.build(*program, &unfinished)?;
            }
            rename(&unfinished, &folder.join(program.name()))?;
        }
        if let Some(go) = self.0.get(&Module::Kubernetes) {
            copy_manifests(go, &programs.manifests())?;
        }
        eprintln!(
            "test cluster: the programs are ready after {} s, in {}",
            started.elapsed().as_secs(),
            programs.folder(Module::Kubernetes).display()
        );
        Ok(())
    }
}

fn copy_manifests(go: &Go, folder: &Path) -> Result<(), ProgramsError> {
    if folder.exists() {
        return Ok(());
    }
    let source = go.folder_of("sigs.k8s.io/kwok")?;
    let unfinished = folder.with_extension("unfinished");
    create(&unfinished)?;
    for (name, path) in MANIFESTS {
        let from = source.join(path);
        let text = fs::read(&from).map_err(|source| GoError::Read { file: from, source })?;
        let to = unfinished.join(name);
        fs::write(&to, text).map_err(|source| ProgramsError::Write { path: to, source })?;
    }
    rename(&unfinished, folder)
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

    /// Module folders and a cache folder, with a fake toolchain.
    struct Bench(PathBuf);

    impl Bench {
        fn new(name: &str) -> Self {
            let name = format!("longshore-programs-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            for (_, path) in MANIFESTS {
                let file = folder.join("modules/kwok").join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "kind: Stage\n").unwrap();
            }
            fs::create_dir_all(folder.join("modules/containers/task")).unwrap();
            let bench = Self(folder);
            bench.write("go.mod", "go 1.26.0\nrequire k8s.io/kubernetes v1.36.3 // indirect\n");
            bench.write("containers/go.mod", "go 1.26.0\n");
            bench.write("containers/task/main.go", "package main\n");
            bench.write("go.sum", "");
            bench.write("containers/go.sum", "");
            bench
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join("modules").join(name), text).unwrap();
        }

        fn build_with(
            &self,
            go: &Path,
            wanted: &[Program],
            assets: Option<PathBuf>,
        ) -> Result<Programs, ProgramsError> {
            Workshop::new(go, &self.0.join("modules"))?.build(wanted, &self.0.join("cache"), assets)
        }

        fn build(&self) -> Result<Programs, ProgramsError> {
            self.build_with(&fake_go(), &Program::CLUSTER, None)
        }

        /// The packages built since the last call.
        fn built(&self) -> Vec<String> {
            let mut built = Vec::new();
            for calls in ["modules/calls", "modules/containers/calls"] {
                let text = fs::read_to_string(self.0.join(calls)).unwrap_or_default();
                let _unused = fs::remove_file(self.0.join(calls));
                let builds = text.lines().filter(|line| line.starts_with("build"));
                built.extend(builds.filter_map(|line| line.split(' ').next_back().map(str::to_owned)));
            }
            built
        }
    }

    fn fake_go() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-go")
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            let _unused = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_second_build_does_nothing_and_a_new_version_builds_anew() {
        let bench = Bench::new("second");
        let first = bench.build().unwrap();
        assert_eq!(bench.built().len(), Program::CLUSTER.len());
        assert!(Program::CLUSTER.iter().all(|program| first.path(*program).exists()));
        assert!(first.manifest("stage-crd.yaml").exists());

        bench.build().unwrap();
        assert!(!bench.0.join("modules/calls").exists(), "go was not asked");

        bench.write("go.mod", "go 1.26.0\nrequire k8s.io/kubernetes v1.36.4 // indirect\n");
        let newer = bench.build().unwrap();
        assert_eq!(bench.built().len(), Program::CLUSTER.len());
        assert_ne!(first.path(Program::Kwok), newer.path(Program::Kwok));
    }

    #[test]
    fn the_programs_of_a_node_are_built_when_they_are_asked_for() {
        let bench = Bench::new("node");
        bench.build().unwrap();
        bench.built();
        let build = || bench.build_with(&fake_go(), &Program::NODE, None).unwrap();
        let first = build();
        assert_eq!(bench.built().len(), Program::NODE.len());
        assert!(Program::all().all(|program| first.path(program).exists()));

        bench.write("containers/task/main.go", "package main // changed\n");
        let newer = build();
        assert!(bench.built().contains(&Program::Task.package().to_owned()));
        assert_ne!(first.path(Program::Task), newer.path(Program::Task));
        assert_eq!(first.path(Program::Kubelet), newer.path(Program::Kubelet));
    }

    #[test]
    fn of_two_builds_at_once_one_builds() {
        let bench = Bench::new("at-once");
        std::thread::scope(|scope| {
            let builds = [0, 1].map(|_| scope.spawn(|| bench.build()));
            for build in builds {
                build.join().unwrap().unwrap();
            }
        });
        assert_eq!(bench.built().len(), Program::CLUSTER.len());
    }

    #[test]
    fn a_broken_build_is_taken_up_where_it_stopped() {
        let bench = Bench::new("broken");
        bench.write("broken", Program::Etcd.package());
        let error = bench.build().unwrap_err().to_string();
        assert!(error.contains("cannot build go.etcd.io/etcd"), "{error}");
        let before = bench.built();
        assert_eq!(before.last().unwrap(), Program::Etcd.package());

        bench.write("broken", "");
        bench.build().unwrap();
        let after = bench.built();
        assert_eq!(after.first().unwrap(), Program::Etcd.package());
        assert_eq!(before.len() + after.len(), Program::CLUSTER.len() + 1);
    }

    #[test]
    fn programs_of_a_folder_of_assets_are_not_built() {
        let bench = Bench::new("assets");
        let assets = bench.0.join("assets");
        fs::create_dir(&assets).unwrap();
        fs::write(assets.join("etcd"), "").unwrap();
        let programs = bench.build_with(&fake_go(), &Program::CLUSTER, Some(assets.clone())).unwrap();
        assert_eq!(bench.built().len(), Program::CLUSTER.len() - 1);
        assert_eq!(programs.path(Program::Etcd), assets.join("etcd"));
        assert!(programs.path(Program::Kwok).starts_with(bench.0.join("cache")));
    }

    #[test]
    fn without_a_toolchain_a_sentence_says_what_to_install() {
        let bench = Bench::new("no-go");
        let nowhere = bench.0.join("no/go");
        let error = bench.build_with(&nowhere, &Program::CLUSTER, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the programs of the test cluster are built with Go 1.26.0 or newer, and there is none: \
             install Go from https://go.dev/dl or your distribution and put `go` on the PATH"
        );

        bench.write("go.mod", "go 2.5.0\nrequire k8s.io/kubernetes v1.36.3\n");
        let error = bench.build().unwrap_err().to_string();
        assert!(error.contains("the one on the PATH is go1.99.0"), "{error}");
    }
}
