//! Where the containers of a task find its volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::api::{ContainerDefinition, ContainerVolumeMount, MountPoint, TaskDefinitionSpec};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{PodName, docker_volumes, member, processes, volumes};

/// Where containers find shared memory.
const SHARED_MEMORY: &str = "/dev/shm";

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

/// A mount needs a volume of the task and a place of its own.
pub(super) fn bad_mounts(container: &ContainerDefinition, spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (n, mount) in container.mount_points.iter().enumerate() {
        let mut problem = |name: &str, message: String| {
            problems.push(Problem::new(member(&container.name, &format!("mountPoints[{n}].{name}")), message));
        };
        match mount.source_volume.as_deref() {
            None => problem("sourceVolume", "name one of volumes".to_owned()),
            Some(volume) if spec.volumes.iter().any(|known| known.name == volume) => {}
            Some(volume) => problem("sourceVolume", format!("there is no volume {volume:?}; add it to volumes")),
        }
        match mount.container_path.as_deref() {
            None => problem("containerPath", "say where the container finds the volume".to_owned()),
            Some(path) if !is_path(path) => problem("containerPath", no_path(path)),
            Some(_) => {}
        }
    }
    let mut taken: BTreeMap<&Path, String> = BTreeMap::new();
    for (name, path) in places(container, spec).into_iter().filter(|(_, path)| is_path(path)) {
        if let Some(other) = taken.get(Path::new(path)) {
            let message = format!("{path:?} is the place of {other} already; give each its own");
            problems.push(Problem::new(member(&container.name, &name), message));
        } else {
            taken.insert(Path::new(path), name);
        }
    }
    problems
}

/// The members of a container that take a place in its file system, and the place. Docker too starts no container with two at one
/// ("Duplicate mount point").
fn places<'a>(container: &'a ContainerDefinition, spec: &TaskDefinitionSpec) -> Vec<(String, &'a str)> {
    let tmpfs = container.linux_parameters.iter().flat_map(|linux| &linux.tmpfs).enumerate();
    let tmpfs = tmpfs.map(|(n, tmpfs)| (format!("linuxParameters.tmpfs[{n}].containerPath"), &*tmpfs.container_path));
    let shared_memory = volumes::own_shared_memory(spec, container);
    let shared_memory = shared_memory.map(|_| ("linuxParameters.sharedMemorySize".to_owned(), SHARED_MEMORY));
    let points = container.mount_points.iter().enumerate();
    let points = points
        .filter_map(|(n, point)| Some((format!("mountPoints[{n}].containerPath"), point.container_path.as_deref()?)));
    tmpfs.chain(shared_memory).chain(points).collect()
}

/// What a container runtime and Kubernetes both take for a place in a container.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains(':')
}

/// What is said of another.
pub(super) fn no_path(path: &str) -> String {
    if is_of_windows(path) {
        return format!("{path:?} is a path of Windows, and tasks run on Linux; remove it, or write for example /data");
    }
    format!("{path:?} is not a path from the root, without colons; write for example /data")
}

/// `C:\logs`, or `\\.\pipe\docker_engine`.
pub(super) fn is_of_windows(path: &str) -> bool {
    let mut chars = path.chars();
    path.starts_with('\\')
        || (chars.next().is_some_and(|drive| drive.is_ascii_alphabetic()) && chars.next() == Some(':'))
}

/// `volumesFrom` names another container, and not in a circle.
pub(super) fn bad_volumes_from(container: &ContainerDefinition, containers: &[ContainerDefinition]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (n, from) in container.volumes_from.iter().enumerate() {
        let source = from.source_container.as_deref().unwrap_or_default();
        let message = if source == container.name || !containers.iter().any(|other| other.name == source) {
            format!("there is no other container {source:?} in this task definition; name one of it, or add it")
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

/// Where a container finds volumes.
pub(super) fn resolve(spec: &TaskDefinitionSpec, container: &ContainerDefinition, verdict: &mut Verdict) -> Vec<Mount> {
    let mut mounts = [of_members(spec, container, verdict), given(spec, &container.name)].concat();
    // One that another container asks for makes way for what this one has there.
    if let Some(volume) = volumes::shared_memory(spec, container)
        && mounts.iter().all(|mount| mount.path != SHARED_MEMORY)
    {
        mounts.push(shared_memory(volume));
    }
    mounts
}

fn shared_memory(volume: PodName) -> Mount {
    Mount { volume, path: SHARED_MEMORY.to_owned(), sub_path: None, read_only: false }
}

/// Those of the task, `volumesFrom` included, and those that the container has for itself: the first at a path counts.
pub(super) fn of_members(
    spec: &TaskDefinitionSpec,
    container: &ContainerDefinition,
    verdict: &mut Verdict,
) -> Vec<Mount> {
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
                volume: volumes::tmpfs_name(&container.name, n),
                path: tmpfs.container_path.clone(),
                sub_path: None,
                read_only,
            });
        }
    }
    if let Some(volume) = volumes::own_shared_memory(spec, container) {
        add(shared_memory(volume));
    }
    for n in 0..container.volumes_from.len() {
        verdict.note(DeviationCode::ImageVolumesNotShared, member(&container.name, &format!("volumesFrom[{n}]")));
    }
    // Docker goes through the sources in their order, each with what it has from others, and lets the later one have a path. So here
    // the last comes first: with `volumesFrom: [a, b]` the stack gives b, then all that b has from others, then a.
    let mut sources = vec![(container, false)];
    let mut seen = BTreeSet::new();
    while let Some((source, read_only)) = sources.pop() {
        if !seen.insert(source.name.as_str()) {
            continue;
        }
        for point in &source.mount_points {
            if let Some(mount) = mount(spec, point, read_only) {
                add(mount);
            }
        }
        for from in &source.volumes_from {
            let name = from.source_container.as_deref().unwrap_or_default();
            let other = spec.container_definitions.iter().find(|other| other.name == name);
            sources.extend(other.map(|other| (other, read_only || from.read_only == Some(true))));
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
        || known
            .docker_volume_configuration
            .as_ref()
            .is_some_and(|docker| docker_volumes::source(&known.name, docker).is_none());
    if refused && !volumes::is_given(spec, name) {
        return None;
    }
    let read_only = read_only || *of_its_own == Some(true);
    Some(Mount { volume: PodName::new(name), path: container_path.clone()?, sub_path: None, read_only })
}

/// Those that `spec.kubernetes` adds.
fn given(spec: &TaskDefinitionSpec, container: &str) -> Vec<Mount> {
    let mounts = spec.kubernetes.iter().flat_map(|kubernetes| &kubernetes.volume_mounts);
    let of_container = mounts.filter(|mount| mount.container == container);
    let mount = |mount: &ContainerVolumeMount| Mount {
        volume: PodName::new(&mount.name),
        path: mount.mount_path.clone(),
        sub_path: mount.sub_path.clone(),
        read_only: mount.read_only == Some(true),
    };
    of_container.map(mount).collect()
}
