//! Volumes of a task.

use crate::api::names::dns_label;
use crate::api::{ContainerDefinition, HostVolumeProperties, IpcMode, Scope, TaskDefinitionSpec, Volume};
use crate::domain::resolve::Problem;
use crate::domain::resolve::size::MiB;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{POD_NAME_MAX, PodName, docker_volumes, efs, member, mounts, positive};

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

/// Whether `spec.kubernetes.volumes` says what a volume is.
pub(super) fn is_given(spec: &TaskDefinitionSpec, volume: &str) -> bool {
    let given = spec.kubernetes.iter().flat_map(|kubernetes| &kubernetes.volumes);
    given
        .filter_map(|given| given.get("name")?.as_str())
        .any(|name| name == volume || name == dns_label(volume, POD_NAME_MAX))
}

pub(super) fn refused(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let mut problems = names_taken(spec);
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
        if let Some(path) = volume.host.as_ref().and_then(source_path) {
            if mounts::is_of_windows(path) {
                problem("host.sourcePath", format!("{path:?} is a path of Windows, and tasks run on Linux; {}", map()));
            } else if has_parent(path) {
                problem("host.sourcePath", format!("{path:?} goes up by ..; write where it leads to, or {}", map()));
            }
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
            match docker_volumes::source(&volume.name, docker).map(|(source, _)| source) {
                None => {
                    let message = format!(
                        "is none of these, all of the driver local and without ro: no driverOpts; type tmpfs; type nfs with addr in o and \
                         :/path in device; type none with bind in o and /path in device; {}",
                        map()
                    );
                    problem("dockerVolumeConfiguration", message);
                }
                Some(VolumeSource::HostPath(path)) if has_parent(&path) => {
                    let message = format!("{path:?} goes up by ..; write where it leads to, or {}", map());
                    problem("dockerVolumeConfiguration.driverOpts", message);
                }
                Some(_) => {}
            }
        }
        if let Some(efs) = &volume.efs_volume_configuration {
            problems.extend(efs::refused(&volume.name, efs));
        }
    }
    problems
}

/// A pod has one volume of a name, be it one that a container has for itself.
fn names_taken(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let own = spec.volumes.iter().map(|volume| (format!("volumes[{}].name", volume.name), volume.name.as_str()));
    let given = spec.kubernetes.iter().flat_map(|kubernetes| &kubernetes.volumes).enumerate();
    let given =
        given.filter_map(|(n, given)| Some((format!("kubernetes.volumes[{n}].name"), given.get("name")?.as_str()?)));
    let named: Vec<(String, &str)> = own.chain(given).collect();
    let mut problems = Vec::new();
    for (made, by) in spec.container_definitions.iter().flat_map(|container| made_for(container, spec)) {
        for (place, name) in named.iter().filter(|(_, name)| dns_label(name, POD_NAME_MAX) == made.pod) {
            let message = format!("{name:?} is the volume that is made for {by}; give this one another name");
            problems.push(Problem::new(place.clone(), message));
        }
    }
    problems
}

/// The volumes that a container has for itself, and the member that asks for each.
fn made_for(container: &ContainerDefinition, spec: &TaskDefinitionSpec) -> Vec<(PodName, String)> {
    let tmpfs = container.linux_parameters.iter().flat_map(|linux| &linux.tmpfs).enumerate();
    let tmpfs = tmpfs.map(|(n, _)| (tmpfs_name(&container.name, n), format!("linuxParameters.tmpfs[{n}]")));
    let shared = own_shared_memory(spec, container).map(|name| (name, "linuxParameters.sharedMemorySize".to_owned()));
    tmpfs.chain(shared).map(|(name, by)| (name, member(&container.name, &by))).collect()
}

/// Whether the task definition itself says what a volume is.
fn has_source(volume: &Volume) -> bool {
    volume.host.as_ref().and_then(source_path).is_some()
        || volume.docker_volume_configuration.is_some()
        || volume.efs_volume_configuration.is_some()
        || volume.s3files_volume_configuration.is_some()
        || volume.fsx_windows_file_server_volume_configuration.is_some()
}

/// Whether a path goes up, which Kubernetes lets no path of a node do.
fn has_parent(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// "If this parameter is empty, then the Docker daemon assigns a host path for you."
fn source_path(host: &HostVolumeProperties) -> Option<&str> {
    host.source_path.as_deref().filter(|path| !path.is_empty())
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
        if let (Some(name), Some(size)) = (own_shared_memory(spec, container), positive(linux.shared_memory_size)) {
            let size = MiB(size);
            match volumes.iter_mut().find(|volume| volume.name == name) {
                Some(TaskVolume { source: VolumeSource::Memory(known), .. }) => *known = (*known).max(Some(size)),
                Some(_) | None => volumes.push(TaskVolume { name, source: VolumeSource::Memory(Some(size)) }),
            }
        }
    }
    volumes
}

pub(super) fn tmpfs_name(container: &str, n: usize) -> PodName {
    PodName::new(&format!("tmpfs-{n}-{container}"))
}

/// The volume that a container asks for with `sharedMemorySize`: one for each, or for the task where the IPC mode is `task`. With `host`
/// there is none, on ECS neither: the containers have the shared memory of the node, which is as large as it is.
pub(super) fn own_shared_memory(spec: &TaskDefinitionSpec, container: &ContainerDefinition) -> Option<PodName> {
    positive(container.linux_parameters.as_ref()?.shared_memory_size)?;
    match spec.ipc_mode {
        Some(IpcMode::Task) => Some(PodName::new("shared-memory")),
        Some(IpcMode::Host) => None,
        Some(IpcMode::None) | None => Some(PodName::new(&format!("shared-memory-{}", container.name))),
    }
}

/// The volume that a container finds at `/dev/shm`. In the IPC mode `task` all have the one that one of them asks for: a segment that
/// one makes is there for the others.
pub(super) fn shared_memory(spec: &TaskDefinitionSpec, container: &ContainerDefinition) -> Option<PodName> {
    let of_task = || spec.container_definitions.iter().filter(|_| spec.ipc_mode == Some(IpcMode::Task));
    own_shared_memory(spec, container).or_else(|| of_task().find_map(|other| own_shared_memory(spec, other)))
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
        docker_volumes::note(name, docker, verdict);
        return docker_volumes::source(name, docker).map(|(source, _)| source);
    }
    if s3files_volume_configuration.is_some() || fsx_windows_file_server_volume_configuration.is_some() {
        return None;
    }
    if *configured_at_launch == Some(true) {
        verdict.note(DeviationCode::StorageClassNeeded, place("configuredAtLaunch"));
        return Some(VolumeSource::ConfiguredAtLaunch);
    }
    if let Some(path) = host.as_ref().and_then(source_path) {
        if !path.starts_with('/') {
            verdict.note(DeviationCode::RelativePath, place("host.sourcePath"));
        }
        return Some(VolumeSource::HostPath(path.to_owned()));
    }
    verdict.note(DeviationCode::NoCopyUp, format!("volumes[{name}]"));
    Some(VolumeSource::Empty)
}
