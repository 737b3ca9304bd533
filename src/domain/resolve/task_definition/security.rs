//! What a container may do: its user, capabilities and security options, and the task's kernel parameters.

use std::collections::BTreeMap;

use crate::api::{ContainerDefinition, IpcMode, NetworkMode, SystemControl, TaskDefinitionSpec};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{extension, member, networking};

/// "The Linux capabilities … Valid values".
const CAPABILITIES: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];
/// "The following systemControls are supported", and all of `fs.mqueue.` and `net.`.
const IPC_SYSCTLS: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];
/// What a kubelet sets without being told that it may.
const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// The security settings of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// User and group by number.
    pub user: Option<(i64, Option<i64>)>,
    /// Whether it has the rights of root on the node.
    pub privileged: bool,
    /// Whether its root file system cannot be written.
    pub readonly_root_filesystem: bool,
    /// Capabilities that it has beyond the usual ones.
    pub capabilities_added: Vec<String>,
    /// Usual capabilities that it has not.
    pub capabilities_dropped: Vec<String>,
    /// What `dockerSecurityOptions` say.
    pub options: Vec<SecurityOption>,
}

/// One of `dockerSecurityOptions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOption {
    /// No process gets more rights than the one that started it.
    NoNewPrivileges,
    /// The AppArmor profile.
    AppArmor(String),
    /// The SELinux user.
    SeLinuxUser(String),
    /// The SELinux role.
    SeLinuxRole(String),
    /// The SELinux type.
    SeLinuxType(String),
    /// The SELinux level.
    SeLinuxLevel(String),
}

pub(super) fn refused(container: &ContainerDefinition) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |name: &str, message: String| problems.push(Problem::new(member(&container.name, name), message));
    if let Some(text) = container.user.as_deref().filter(|text| user(text).is_none()) {
        problem(
            "user",
            format!(
                "{text:?} is not uid or uid:gid; Kubernetes looks up no names in the image, write the numbers that they have there"
            ),
        );
    }
    let capabilities = container.linux_parameters.as_ref().and_then(|linux| linux.capabilities.as_ref());
    let lists = capabilities.map_or([("add", &[][..]), ("drop", &[])], |c| [("add", &c.add[..]), ("drop", &c.drop)]);
    for (list, names) in lists {
        for unknown in names.iter().filter(|name| !CAPABILITIES.contains(&name.as_str())) {
            problem(
                &format!("linuxParameters.capabilities.{list}"),
                format!("{unknown:?} is not a capability; write it without CAP_, for example NET_ADMIN"),
            );
        }
    }
    let privileged = container.privileged == Some(true);
    for (n, text) in container.docker_security_options.iter().enumerate() {
        let place = format!("dockerSecurityOptions[{n}]");
        match security_option(text) {
            None => problem(
                &place,
                format!(
                    "{text:?} cannot be mapped; no-new-privileges, apparmor:PROFILE and label:user|role|type|level:VALUE can, and what seccomp is to \
                     be stands in spec.kubernetes.securityContext.seccompProfile"
                ),
            ),
            Some(SecurityOption::NoNewPrivileges) if privileged => {
                problem(&place, "a privileged container has all privileges already; remove one of the two".to_owned());
            }
            Some(_) => {}
        }
    }
    problems
}

pub(super) fn resolve(container: &ContainerDefinition) -> Security {
    let capabilities = container.linux_parameters.as_ref().and_then(|linux| linux.capabilities.clone());
    let capabilities = capabilities.unwrap_or_default();
    Security {
        user: container.user.as_deref().and_then(user),
        privileged: container.privileged == Some(true),
        readonly_root_filesystem: container.readonly_root_filesystem == Some(true),
        capabilities_added: capabilities.add,
        capabilities_dropped: capabilities.drop,
        options: container.docker_security_options.iter().filter_map(|text| security_option(text)).collect(),
    }
}

/// Reads `uid` or `uid:gid`; `root` is 0 in every image.
fn user(text: &str) -> Option<(i64, Option<i64>)> {
    let id = |text: &str| match text {
        "root" => Some(0),
        text => text.parse::<i32>().ok().filter(|id| *id >= 0 && !text.starts_with('+')).map(i64::from),
    };
    match text.split_once(':') {
        Some((user, group)) => Some((id(user)?, Some(id(group)?))),
        None => Some((id(text)?, None)),
    }
}

/// Reads `no-new-privileges`, `apparmor:profile` or `label:type:value`; Docker takes `=` for the first `:` as well.
fn security_option(text: &str) -> Option<SecurityOption> {
    let (name, value) = text.split_once([':', '=']).unwrap_or((text, ""));
    match (name, value) {
        ("no-new-privileges", "" | "true") => Some(SecurityOption::NoNewPrivileges),
        ("apparmor", profile) if !profile.is_empty() => Some(SecurityOption::AppArmor(profile.to_owned())),
        // Without confinement, the type is that of privileged containers.
        ("label", "disable") => Some(SecurityOption::SeLinuxType("spc_t".to_owned())),
        ("label", label) => {
            let (kind, value) = label.split_once(':').filter(|(_, value)| !value.is_empty())?;
            let option: fn(String) -> SecurityOption = match kind {
                "user" => SecurityOption::SeLinuxUser,
                "role" => SecurityOption::SeLinuxRole,
                "type" => SecurityOption::SeLinuxType,
                "level" => SecurityOption::SeLinuxLevel,
                _ => return None,
            };
            Some(option(value.to_owned()))
        }
        _ => None,
    }
}

/// `systemControls`: which ECS takes, which a pod takes together with the namespaces of the node, and which contradict.
pub(super) fn refused_sysctls(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let host_network = networking::mode(spec) == NetworkMode::Host;
    let host_ipc = spec.ipc_mode == Some(IpcMode::Host);
    let mut values: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (container, n, control) in controls(spec) {
        let place = |name: &str| member(container, &format!("systemControls[{n}].{name}"));
        let (Some(name), Some(value)) = (&control.namespace, &control.value) else {
            problems.push(Problem::new(place("namespace"), "give both namespace and value"));
            continue;
        };
        let is_net = name.starts_with("net.");
        if !is_net && !name.starts_with("fs.mqueue.") && !IPC_SYSCTLS.contains(&name.as_str()) {
            let message = format!(
                "{name:?} is a parameter of the node; net.*, fs.mqueue.* and kernel.shm*, kernel.msg* and kernel.sem can be set"
            );
            problems.push(Problem::new(place("namespace"), message));
        } else if is_net && host_network {
            let message = format!("{name:?} would change the node's network in the network mode host; remove it");
            problems.push(Problem::new(place("namespace"), message));
        } else if !is_net && host_ipc {
            let message = format!("{name:?} would change the node in the IPC mode host; remove it");
            problems.push(Problem::new(place("namespace"), message));
        }
        let (other, known) = *values.entry(name).or_insert((container, value));
        if known != value {
            let message = format!(
                "{value:?} differs from {known:?} of {other:?}; a pod has it once for all containers, give all the same"
            );
            problems.push(Problem::new(place("value"), message));
        }
    }
    problems
}

/// A parameter that `spec.kubernetes` sets to something else.
pub(super) fn sysctls_given_twice(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let context = extension::resolve(spec).security_context;
    let given = context.sysctls.unwrap_or_default();
    let contradicts = |(container, n, control): (&str, usize, &SystemControl)| {
        let name = control.namespace.as_ref()?;
        let other = given.iter().find(|given| given.name == *name && Some(&given.value) != control.value.as_ref())?;
        let message = format!(
            "spec.kubernetes.securityContext.sysctls sets {name:?} to {:?}; a pod has it once, remove one of the two",
            other.value
        );
        Some(Problem::new(member(container, &format!("systemControls[{n}].value")), message))
    };
    controls(spec).filter_map(contradicts).collect()
}

pub(super) fn sysctls(spec: &TaskDefinitionSpec, verdict: &mut Verdict) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    for (container, n, control) in controls(spec) {
        if let (Some(name), Some(value)) = (&control.namespace, &control.value) {
            let place = member(container, &format!("systemControls[{n}]"));
            if !SAFE_SYSCTLS.contains(&name.as_str()) {
                verdict.note_with(DeviationCode::UnsafeSysctl, place.clone(), name);
            }
            let everywhere = |other: &ContainerDefinition| other.system_controls.contains(control);
            if !spec.container_definitions.iter().all(everywhere) {
                verdict.note(DeviationCode::PodWide, place);
            }
            sysctls.insert(name.clone(), value.clone());
        }
    }
    sysctls
}

fn controls(spec: &TaskDefinitionSpec) -> impl Iterator<Item = (&str, usize, &SystemControl)> {
    spec.container_definitions.iter().flat_map(|container| {
        let controls = container.system_controls.iter().enumerate();
        controls.map(|(n, control)| (container.name.as_str(), n, control))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_number_with_or_without_a_group() {
        for (text, expected) in [
            ("1000", Some((1000, None))),
            ("1000:2000", Some((1000, Some(2000)))),
            ("0", Some((0, None))),
            ("root", Some((0, None))),
            ("root:root", Some((0, Some(0)))),
            ("node", None),
            ("1000:staff", None),
            ("-1", None),
            ("+1", None),
            ("1000:", None),
            ("", None),
            ("99999999999", None),
        ] {
            assert_eq!(user(text), expected, "{text:?}");
        }
    }

    #[test]
    fn docker_security_options_are_read_as_docker_does() {
        let text = |text: &str| text.to_owned();
        for (option, expected) in [
            ("no-new-privileges", Some(SecurityOption::NoNewPrivileges)),
            ("no-new-privileges:true", Some(SecurityOption::NoNewPrivileges)),
            ("no-new-privileges=true", Some(SecurityOption::NoNewPrivileges)),
            ("no-new-privileges:false", None),
            ("apparmor:my-profile", Some(SecurityOption::AppArmor(text("my-profile")))),
            ("apparmor:", None),
            ("label:user:u", Some(SecurityOption::SeLinuxUser(text("u")))),
            ("label:role:r", Some(SecurityOption::SeLinuxRole(text("r")))),
            ("label=type:t", Some(SecurityOption::SeLinuxType(text("t")))),
            ("label:level:s0:c1,c2", Some(SecurityOption::SeLinuxLevel(text("s0:c1,c2")))),
            ("label:disable", Some(SecurityOption::SeLinuxType(text("spc_t")))),
            ("label:other:x", None),
            ("label:type:", None),
            ("seccomp:unconfined", None),
            ("credentialspec:file://x.json", None),
        ] {
            assert_eq!(security_option(option), expected, "{option}");
        }
    }
}
