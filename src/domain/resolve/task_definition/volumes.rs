//! Volumes of a task and where its containers find them.

use std::collections::BTreeSet;

use crate::api::names::dns_label;
use crate::api::{
    ContainerDefinition, DockerVolumeConfiguration, HostVolumeProperties, IpcMode, MountPoint, Scope,
    TaskDefinitionSpec, Volume,
};
use crate::domain::resolve::Problem;
use crate::domain::resolve::size::MiB;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{POD_NAME_MAX, PodName, efs, member, positive, processes};

/// Where containers find shared memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// A volume of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskVolume {
    /// Its name.
    pub name: PodName,
    /// What it is made of.
    pub source: VolumeSource,
}

/// What a volume is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A directory that lives as long as the task.
    Empty,
    /// The same in memory, of this size at most.
    Memory(Option<MiB>),
    /// A path of the node.
    HostPath(String),
    /// A directory of an NFS server.
    Nfs {
        /// The server.
        server: String,
        /// The directory.
        path: String,
    },
    /// A PersistentVolumeClaim of the namespace.
    Claim(String),
    /// A disk of its own for every task, which the service describes.
    ConfiguredAtLaunch,
}

/// A volume mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The volume.
    pub volume: PodName,
    /// Where.
    pub path: String,
    /// The part of the volume that is mounted, where it is not all.
    pub sub_path: Option<String>,
    /// Whether it cannot be written.
    pub read_only: bool,
}

/// Whether `spec.kubernetes.volumes` says what a volume is.
pub(super) fn is_given(spec: &TaskDefinitionSpec, volume: &str) -> bool {
    let given = spec.kubernetes.iter().flat_map(|kubernetes| &kubernetes.volumes);
    given
        .filter_map(|given| given.get("name")?.as_str())
        .any(|name| name == volume || name == dns_label(volume, POD_NAME_MAX))
}

pub(super) fn refused(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for volume in spec.volumes.iter().filter(|volume| !is_given(spec, &volume.name)) {
        let mut problem = |name: &str, message: String| {
            problems.push(Problem::new(format!("volumes[{}].{name}", volume.name), message));
        };
        let map = || {
            format!(
                "say what it is on Kubernetes: a volume named {:?} in spec.kubernetes.volumes",
                dns_label(&volume.name, POD_NAME_MAX)
            )
        };
        if volume.configured_at_launch == Some(true) && has_source(volume) {
            let message = "the service says what the volume is; leave this out, or the other configuration";
            problem("configuredAtLaunch", message.to_owned());
        }
        if volume.s3files_volume_configuration.is_some() {
            problem("s3filesVolumeConfiguration", format!("S3 Files has no counterpart; {}", map()));
        }
        if volume.fsx_windows_file_server_volume_configuration.is_some() {
            let message = format!("FSx for Windows File Server has no counterpart; {}", map());
            problem("fsxWindowsFileServerVolumeConfiguration", message);
        }
        if let Some(docker) = &volume.docker_volume_configuration {
            if docker.autoprovision == Some(true) && docker.scope != Some(Scope::Shared) {
                problem("dockerVolumeConfiguration.autoprovision", "is for the scope shared; remove it".to_owned());
            }
            if docker_source(volume, docker).is_none() {
                let message = format!(
                    "neither the driver local nor options of type tmpfs, nfs or a bind of none, all without ro; {}",
                    map()
                );
                problem("dockerVolumeConfiguration", message);
            }
        }
        if let Some(efs) = &volume.efs_volume_configuration {
            problems.extend(efs::refused(&volume.name, efs));
        }
    }
    problems
}

/// Whether the task definition itself says what a volume is.
fn has_source(volume: &Volume) -> bool {
    volume.host.as_ref().and_then(source_path).is_some()
        || volume.docker_volume_configuration.is_some()
        || volume.efs_volume_configuration.is_some()
        || volume.s3files_volume_configuration.is_some()
        || volume.fsx_windows_file_server_volume_configuration.is_some()
}

/// "If this parameter is empty, then the Docker daemon assigns a host path for you."
fn source_path(host: &HostVolumeProperties) -> Option<&str> {
    host.source_path.as_deref().filter(|path| !path.is_empty())
}

/// A mount needs a volume of the task and a place of its own.
pub(super) fn bad_mounts(container: &ContainerDefinition, volumes: &[Volume]) -> Vec<Problem> {
    let mut paths = BTreeSet::new();
    let mut problems = Vec::new();
    for (n, mount) in container.mount_points.iter().enumerate() {
        let mut problem = |name: &str, message: String| {
            problems.push(Problem::new(member(&container.name, &format!("mountPoints[{n}].{name}")), message));
        };
        match mount.source_volume.as_deref() {
            None => problem("sourceVolume", "name one of volumes".to_owned()),
            Some(volume) if volumes.iter().any(|known| known.name == volume) => {}
            Some(volume) => problem("sourceVolume", format!("there is no volume {volume:?}; add it to volumes")),
        }
        match mount.container_path.as_deref() {
            None => problem("containerPath", "say where the container finds the volume".to_owned()),
            Some(path) if !is_path(path) => problem("containerPath", no_path(path)),
            Some(path) if paths.insert(path) => {}
            Some(path) => problem("containerPath", format!("another volume is mounted at {path:?} already")),
        }
    }
    problems
}

/// What a container runtime and Kubernetes both take for a place in a container.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains(':')
}

/// What is said of another.
pub(super) fn no_path(path: &str) -> String {
    format!("{path:?} is not a path from the root, without colons; write for example /data")
}

/// `volumesFrom` names another container, and not in a circle.
pub(super) fn bad_volumes_from(container: &ContainerDefinition, containers: &[ContainerDefinition]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (n, from) in container.volumes_from.iter().enumerate() {
        let source = from.source_container.as_deref().unwrap_or_default();
        let message = if source == container.name || !containers.iter().any(|other| other.name == source) {
            format!("there is no other container {source:?} in this task definition")
        } else if takes_volumes_of(source, &container.name, containers) {
            format!("{source:?} takes the volumes of {:?}, be it by others; remove one of the two", container.name)
        } else {
            continue;
        };
        let place = member(&container.name, &format!("volumesFrom[{n}].sourceContainer"));
        problems.push(Problem::new(place, message));
    }
    problems
}

/// Whether a container has the volumes of another one, be it by others.
fn takes_volumes_of(taker: &str, source: &str, containers: &[ContainerDefinition]) -> bool {
    let mut seen = BTreeSet::from([taker]);
    let mut next = vec![taker];
    while let Some(name) = next.pop() {
        let of_it = containers.iter().filter(|container| container.name == name).flat_map(|c| &c.volumes_from);
        for from in of_it.filter_map(|from| from.source_container.as_deref()) {
            if from == source {
                return true;
            }
            if seen.insert(from) {
                next.push(from);
            }
        }
    }
    false
}

/// The volumes of a task, those that containers have for themselves included.
pub(super) fn resolve(spec: &TaskDefinitionSpec, verdict: &mut Verdict) -> Vec<TaskVolume> {
    let own = spec.volumes.iter().filter(|volume| !is_given(spec, &volume.name));
    let mut volumes: Vec<TaskVolume> = own
        .filter_map(|volume| Some(TaskVolume { name: PodName::new(&volume.name), source: source(volume, verdict)? }))
        .collect();
    for container in &spec.container_definitions {
        let Some(linux) = &container.linux_parameters else { continue };
        for (n, tmpfs) in linux.tmpfs.iter().enumerate() {
            volumes.push(TaskVolume {
                name: tmpfs_name(&container.name, n),
                source: VolumeSource::Memory(positive(Some(tmpfs.size)).map(MiB)),
            });
        }
        if let Some(size) = positive(linux.shared_memory_size).map(MiB) {
            let name = shared_memory_name(spec, &container.name);
            match volumes.iter_mut().find(|volume| volume.name == name) {
                Some(TaskVolume { source: VolumeSource::Memory(known), .. }) => *known = (*known).max(Some(size)),
                Some(_) | None => volumes.push(TaskVolume { name, source: VolumeSource::Memory(Some(size)) }),
            }
        }
    }
    volumes
}

fn tmpfs_name(container: &str, n: usize) -> PodName {
    PodName::new(&format!("tmpfs-{n}-{container}"))
}

/// One for each container, or for the task where the IPC mode is `task`.
fn shared_memory_name(spec: &TaskDefinitionSpec, container: &str) -> PodName {
    match spec.ipc_mode {
        Some(IpcMode::Task) => PodName::new("shared-memory"),
        Some(IpcMode::Host | IpcMode::None) | None => PodName::new(&format!("shared-memory-{container}")),
    }
}

/// What a volume is made of; none for one that is refused today.
fn source(volume: &Volume, verdict: &mut Verdict) -> Option<VolumeSource> {
    let Volume {
        name,
        host,
        docker_volume_configuration,
        efs_volume_configuration,
        s3files_volume_configuration,
        fsx_windows_file_server_volume_configuration,
        configured_at_launch,
    } = volume;
    let place = |member: &str| format!("volumes[{name}].{member}");
    if let Some(efs) = efs_volume_configuration {
        return Some(VolumeSource::Claim(efs::claim(&place("efsVolumeConfiguration"), efs, verdict)));
    }
    if let Some(docker) = docker_volume_configuration {
        let source = docker_source(volume, docker);
        if !docker.labels.is_empty() {
            verdict.note(DeviationCode::VolumeLabelsIgnored, place("dockerVolumeConfiguration.labels"));
        }
        match &source {
            Some(VolumeSource::Claim(claim)) => {
                verdict.note_with(DeviationCode::ClaimNeeded, place("dockerVolumeConfiguration"), claim);
            }
            Some(VolumeSource::Empty) => verdict.note(DeviationCode::NoCopyUp, format!("volumes[{name}]")),
            Some(_) | None => {}
        }
        return source;
    }
    if s3files_volume_configuration.is_some() || fsx_windows_file_server_volume_configuration.is_some() {
        return None;
    }
    if *configured_at_launch == Some(true) {
        verdict.note(DeviationCode::StorageClassNeeded, place("configuredAtLaunch"));
        return Some(VolumeSource::ConfiguredAtLaunch);
    }
    if let Some(path) = host.as_ref().and_then(source_path) {
        return Some(VolumeSource::HostPath(path.to_owned()));
    }
    verdict.note(DeviationCode::NoCopyUp, format!("volumes[{name}]"));
    Some(VolumeSource::Empty)
}

/// A Docker volume: of the task, or shared by all tasks. Options are those of `mount`: `type=nfs,o=addr=10.0.0.1,device=:/export`, or
/// `type=none,o=bind,device=/data` for a path of the node.
fn docker_source(volume: &Volume, docker: &DockerVolumeConfiguration) -> Option<VolumeSource> {
    let DockerVolumeConfiguration { scope, autoprovision: _, driver, driver_opts, labels: _ } = docker;
    if *scope == Some(Scope::Shared) {
        return Some(VolumeSource::Claim(dns_label(&volume.name, POD_NAME_MAX)));
    }
    if driver.as_deref().is_some_and(|driver| driver != "local") {
        return None;
    }
    let option = |name: &str| driver_opts.get(name).map(String::as_str);
    let has =
        |wanted: &str| option("o").is_some_and(|options| options.split(',').any(|option| option.trim() == wanted));
    // Whoever mounts a volume may write to it: read only is a member of `mountPoints`.
    if has("ro") {
        return None;
    }
    match option("type") {
        None if driver_opts.is_empty() => Some(VolumeSource::Empty),
        Some("tmpfs") => Some(VolumeSource::Memory(None)),
        Some("none") => {
            let path = option("device").filter(|path| has("bind") && path.starts_with('/'))?;
            Some(VolumeSource::HostPath(path.to_owned()))
        }
        Some("nfs" | "nfs4") => {
            let options = option("o").unwrap_or_default();
            let server = options.split(',').find_map(|option| option.trim().strip_prefix("addr="))?;
            let path = option("device")?.trim_start_matches(':');
            path.starts_with('/').then(|| VolumeSource::Nfs { server: server.to_owned(), path: path.to_owned() })
        }
        _ => None,
    }
}

/// Where a container finds the volumes of the task, those of `volumesFrom` included: the first at a path counts.
pub(super) fn mounts(spec: &TaskDefinitionSpec, container: &ContainerDefinition, verdict: &mut Verdict) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    let mut add = |mount: Mount| {
        if mounts.iter().all(|known| known.path != mount.path) {
            mounts.push(mount);
        }
    };
    if let Some(linux) = &container.linux_parameters {
        for (n, tmpfs) in linux.tmpfs.iter().enumerate() {
            let read_only = processes::tmpfs_is_read_only(&container.name, n, tmpfs, verdict);
            add(Mount {
                volume: tmpfs_name(&container.name, n),
                path: tmpfs.container_path.clone(),
                sub_path: None,
                read_only,
            });
        }
        if positive(linux.shared_memory_size).is_some() {
            let volume = shared_memory_name(spec, &container.name);
            add(Mount { volume, path: SHARED_MEMORY.to_owned(), sub_path: None, read_only: false });
        }
    }
    for n in 0..container.volumes_from.len() {
        verdict.note(DeviationCode::ImageVolumesNotShared, member(&container.name, &format!("volumesFrom[{n}]")));
    }
    let mut sources = vec![(container, false)];
    let mut seen = BTreeSet::from([container.name.as_str()]);
    while let Some((source, read_only)) = sources.pop() {
        for point in &source.mount_points {
            if let Some(mount) = mount(spec, point, read_only) {
                add(mount);
            }
        }
        for from in source.volumes_from.iter().rev() {
            let name = from.source_container.as_deref().unwrap_or_default();
            let other = spec.container_definitions.iter().find(|other| other.name == name);
            if let Some(other) = other.filter(|other| seen.insert(other.name.as_str())) {
                sources.push((other, read_only || from.read_only == Some(true)));
            }
        }
    }
    mounts
}

fn mount(spec: &TaskDefinitionSpec, point: &MountPoint, read_only: bool) -> Option<Mount> {
    let MountPoint { source_volume, container_path, read_only: of_its_own } = point;
    let name = source_volume.as_deref()?;
    let known = spec.volumes.iter().find(|volume| volume.name == name)?;
    let refused = known.s3files_volume_configuration.is_some()
        || known.fsx_windows_file_server_volume_configuration.is_some()
        || known.docker_volume_configuration.as_ref().is_some_and(|docker| docker_source(known, docker).is_none());
    if refused && !is_given(spec, name) {
        return None;
    }
    let read_only = read_only || *of_its_own == Some(true);
    Some(Mount { volume: PodName::new(name), path: container_path.clone()?, sub_path: None, read_only })
}
