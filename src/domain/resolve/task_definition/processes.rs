//! Processes of a task: whose they share, their limits and memory file systems.

use crate::api::{ContainerDefinition, IpcMode, LinuxParameters, PidMode, TaskDefinitionSpec, Tmpfs, Ulimit};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{member, mounts};

/// "The list of tmpfs volume mount options. Valid values"; some take a value after `=`.
const TMPFS_OPTIONS: &[&str] = &[
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "remount",
    "mand",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "bind",
    "rbind",
    "unbindable",
    "runbindable",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];
/// What Docker does to every tmpfs that is not said to be otherwise, and by what it is.
const TMPFS_OPTIONS_OF_DOCKER: [(&str, &str); 3] = [("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")];
/// What an emptyDir in memory does by itself, or what `readOnly` says.
const TMPFS_OPTIONS_MAPPED: &[&str] = &["defaults", "ro", "rw", "suid", "dev", "exec", "async", "nomand"];

/// What the processes of a task share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processes {
    /// Processes of all containers see each other.
    pub share_pid: bool,
    /// They see those of the node.
    pub host_pid: bool,
    /// They share shared memory and semaphores with the node.
    pub host_ipc: bool,
}

pub(super) fn refused(container: &ContainerDefinition) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (n, limit) in container.ulimits.iter().enumerate() {
        let Ulimit { name, soft_limit, hard_limit } = limit;
        if *hard_limit >= 0 && (*soft_limit < 0 || soft_limit > hard_limit) {
            let message =
                format!("{name:?}: the soft limit {soft_limit} is above the hard limit {hard_limit}; lower it");
            problems.push(Problem::new(member(&container.name, &format!("ulimits[{n}]")), message));
        }
    }
    let Some(linux) = &container.linux_parameters else { return problems };
    for (n, device) in linux.devices.iter().enumerate() {
        // A privileged container has all devices of its node, each at its own path.
        let is_there = container.privileged == Some(true)
            && device.container_path.as_ref().is_none_or(|path| *path == device.host_path);
        if !is_there {
            let message = format!(
                "Kubernetes gives {:?} to privileged containers only, at the same path; set privileged and leave containerPath out, or remove the device",
                device.host_path
            );
            problems.push(Problem::new(member(&container.name, &format!("linuxParameters.devices[{n}]")), message));
        }
    }
    for (n, tmpfs) in linux.tmpfs.iter().enumerate() {
        if !mounts::is_path(&tmpfs.container_path) {
            let place = member(&container.name, &format!("linuxParameters.tmpfs[{n}].containerPath"));
            problems.push(Problem::new(place, mounts::no_path(&tmpfs.container_path)));
        }
        for (m, option) in tmpfs.mount_options.iter().enumerate() {
            if !TMPFS_OPTIONS.contains(&option_name(option)) {
                let place = member(&container.name, &format!("linuxParameters.tmpfs[{n}].mountOptions[{m}]"));
                let message = format!(
                    "{option:?} is not an option that ECS has for a tmpfs; remove it, or write one of them, for example noexec or \
                     mode=755"
                );
                problems.push(Problem::new(place, message));
            }
        }
    }
    problems
}

fn option_name(option: &str) -> &str {
    option.split('=').next().unwrap_or(option)
}

pub(super) fn resolve(spec: &TaskDefinitionSpec, verdict: &mut Verdict) -> Processes {
    if spec.pid_mode == Some(PidMode::Task) {
        verdict.note(DeviationCode::PidOneIsPause, "pidMode");
    }
    if spec.ipc_mode == Some(IpcMode::None) {
        verdict.note(DeviationCode::IpcNamespaceShared, "ipcMode");
    }
    Processes {
        share_pid: spec.pid_mode == Some(PidMode::Task),
        host_pid: spec.pid_mode == Some(PidMode::Host),
        host_ipc: spec.ipc_mode == Some(IpcMode::Host),
    }
}

/// What has no effect on the processes of a container.
pub(super) fn note(container: &ContainerDefinition, pid_mode: Option<PidMode>, verdict: &mut Verdict) {
    let name = &container.name;
    if !container.ulimits.is_empty() {
        verdict.note(DeviationCode::UlimitsIgnored, member(name, "ulimits"));
    }
    let Some(linux) = &container.linux_parameters else { return };
    let LinuxParameters {
        capabilities: _,
        devices: _,
        init_process_enabled,
        shared_memory_size: _,
        tmpfs: _,
        max_swap,
        swappiness,
    } = linux;
    // The pause process of a task whose containers share their processes reaps for all of them.
    if *init_process_enabled == Some(true) && pid_mode != Some(PidMode::Task) {
        verdict.note(DeviationCode::InitProcessIgnored, member(name, "linuxParameters.initProcessEnabled"));
    }
    if max_swap.is_some() {
        verdict.note(DeviationCode::SwapIgnored, member(name, "linuxParameters.maxSwap"));
    }
    if swappiness.is_some() {
        verdict.note(DeviationCode::SwapIgnored, member(name, "linuxParameters.swappiness"));
    }
}

/// Whether a tmpfs cannot be written. What else its options say is noted.
pub(super) fn tmpfs_is_read_only(container: &str, n: usize, tmpfs: &Tmpfs, verdict: &mut Verdict) -> bool {
    let mapped = |option: &&String| TMPFS_OPTIONS_MAPPED.contains(&option.as_str());
    let says = |option: &str| tmpfs.mount_options.iter().any(|said| said == option);
    let of_docker = TMPFS_OPTIONS_OF_DOCKER.iter().filter(|(option, otherwise)| !says(option) && !says(otherwise));
    let given = tmpfs.mount_options.iter().filter(|option| !mapped(option)).map(String::as_str);
    let ignored: Vec<&str> = given.chain(of_docker.map(|(option, _)| *option)).collect();
    if !ignored.is_empty() {
        let place = member(container, &format!("linuxParameters.tmpfs[{n}].mountOptions"));
        verdict.note_with(DeviationCode::TmpfsOptionsIgnored, place, ignored.join(","));
    }
    says("ro")
}
