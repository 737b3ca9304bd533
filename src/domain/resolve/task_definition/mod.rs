//! A task definition as ECS's registration leaves it, and as the pod builder wants it.

mod rules;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::names::dns_label;
use crate::api::{
    ContainerDefinition, HealthCheck, MountPoint, NetworkMode, PortMapping, TaskDefinitionSpec, TransportProtocol,
    VersionConsistency, Volume,
};
use crate::domain::resolve::Problem;
use crate::domain::resolve::dependencies::{self, Role};
use crate::domain::resolve::secret_references::{self, SecretReferences};
use crate::domain::resolve::size::{CpuUnits, MiB};

/// Longest name of a container or volume in a pod.
const POD_NAME_MAX: usize = 63;
/// "If the parameter isn't specified, then the default value of 30 seconds is used."
const STOP_TIMEOUT_DEFAULT: u32 = 30;

/// A task definition that keeps every rule: what a task of it looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedTaskDefinition {
    /// The containers that others wait for, in start order.
    pub init: Vec<Container>,
    /// The others, as declared.
    pub main: Vec<Container>,
    /// Volumes that live as long as the task.
    pub volumes: Vec<PodName>,
    /// The task's share of a node's processors.
    pub cpu: Option<CpuUnits>,
    /// The task's memory limit.
    pub memory: Option<MiB>,
    /// What it takes from secret stores, files and registries.
    pub secrets: SecretReferences,
}

/// A name that ECS and Kubernetes may spell differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodName {
    /// As in the task definition.
    pub ecs: String,
    /// As in the pod.
    pub pod: String,
}

impl PodName {
    pub(super) fn new(ecs: &str) -> Self {
        Self { ecs: ecs.to_owned(), pod: dns_label(ecs, POD_NAME_MAX) }
    }
}

/// One container of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: PodName,
    /// Where it stands in the pod.
    pub role: Role,
    /// Whether the task ends with it.
    pub essential: bool,
    /// The image. A definition can be registered without one; the API server then refuses the pod.
    pub image: Option<String>,
    /// Whether all tasks of a deployment run what the image's tag meant when it began.
    pub version_consistency: bool,
    /// Replaces the image's entry point, unless empty.
    pub entry_point: Vec<String>,
    /// Replaces the image's command, unless empty.
    pub command: Vec<String>,
    /// Names and values; of two with one name the later wins.
    pub environment: Vec<(String, String)>,
    /// Ports it listens on.
    pub ports: Vec<Port>,
    /// CPU units guaranteed to it.
    pub cpu: Option<CpuUnits>,
    /// Memory set aside for it.
    pub memory_reservation: Option<MiB>,
    /// Memory at which it is killed.
    pub memory: Option<MiB>,
    /// How its health is told.
    pub health_check: Option<HealthCheck>,
    /// Seconds from the stop signal to the kill.
    pub stop_timeout: u32,
    /// Volumes mounted into it.
    pub mounts: Vec<Mount>,
}

/// A port that a container listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// The protocol.
    pub protocol: TransportProtocol,
    /// The name, for those who refer to it.
    pub name: Option<String>,
}

/// A volume mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The volume.
    pub volume: PodName,
    /// Where.
    pub path: String,
    /// Whether it cannot be written.
    pub read_only: bool,
}

/// The spec as registration leaves it: ECS fills in what it takes for granted, so that two texts that mean the same are the
/// same revision.
pub fn normalise(spec: &TaskDefinitionSpec, object_name: &str) -> TaskDefinitionSpec {
    let mut spec = spec.clone();
    spec.family = Some(family(&spec, object_name).to_owned());
    spec.kubernetes = None;
    let host_port_is_implied = host_port_is_implied(&spec);
    let units = |size: &IntOrString, parsed: Option<u32>| {
        parsed.map_or_else(|| size.clone(), |n| IntOrString::String(n.to_string()))
    };
    spec.cpu = spec.cpu.as_ref().map(|cpu| units(cpu, CpuUnits::parse(cpu).ok().map(|cpu| cpu.0)));
    spec.memory = spec.memory.as_ref().map(|memory| units(memory, MiB::parse(memory).ok().map(|mib| mib.0)));
    for container in &mut spec.container_definitions {
        container.essential = Some(container.essential.unwrap_or(true));
        container.cpu = Some(container.cpu.unwrap_or(0));
        for port in &mut container.port_mappings {
            port.protocol = Some(port.protocol.unwrap_or(TransportProtocol::Tcp));
            let given = port.host_port.filter(|port| *port != 0);
            port.host_port = given.or_else(|| port.container_port.filter(|_| host_port_is_implied));
        }
    }
    for volume in &mut spec.volumes {
        volume.host = volume.host.take().filter(|host| host.source_path.is_some());
    }
    spec
}

/// "If you use containers in a task with the awsvpc or host network mode, the hostPort can either be left blank or set to the
/// same value as the containerPort." In bridge mode left blank means any port.
pub(super) fn host_port_is_implied(spec: &TaskDefinitionSpec) -> bool {
    matches!(spec.network_mode, Some(NetworkMode::Awsvpc | NetworkMode::Host))
}

/// The family of a task definition; it defaults to the name of the object.
pub fn family<'a>(spec: &'a TaskDefinitionSpec, object_name: &'a str) -> &'a str {
    spec.family.as_deref().unwrap_or(object_name)
}

/// Checks a task definition, in the order of ECS's registration. Only what is to be registered has to keep these rules: one
/// that a later version adds must not stop a service whose revision is older.
pub fn check(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let containers = &spec.container_definitions;
    let mut problems = Vec::new();
    problems.extend(rules::too_large(spec));
    problems.extend(rules::repeated("containerDefinitions", containers.iter().map(|c| c.name.as_str())));
    problems.extend(rules::repeated("volumes", spec.volumes.iter().map(|volume| volume.name.as_str())));
    problems.extend(rules::none_essential(containers));
    problems.extend(containers.iter().flat_map(|container| rules::bad_mounts(container, &spec.volumes)));
    problems.extend(containers.iter().filter_map(rules::unknown_probe));
    problems.extend(containers.iter().flat_map(secret_references::check));
    if let Ok((cpu, memory)) = size(spec) {
        problems.extend(rules::beyond_the_task(containers, cpu, memory));
    }
    problems.extend(resolve(spec).err().into_iter().flatten());
    problems
}

/// The task's own cpu and memory.
fn size(spec: &TaskDefinitionSpec) -> Result<(Option<CpuUnits>, Option<MiB>), Vec<Problem>> {
    let cpu = spec.cpu.as_ref().map(CpuUnits::parse).transpose();
    let memory = spec.memory.as_ref().map(MiB::parse).transpose();
    match (cpu, memory) {
        (Ok(cpu), Ok(memory)) => Ok((cpu, memory)),
        (cpu, memory) => Err(cpu.err().into_iter().chain(memory.err()).collect()),
    }
}

/// Resolves a task definition. Fails only where no pod can be made of it.
pub fn resolve(spec: &TaskDefinitionSpec) -> Result<ResolvedTaskDefinition, Vec<Problem>> {
    let (size, order) = (size(spec), dependencies::start_order(&spec.container_definitions));
    let ((cpu, memory), order, secrets) = match (size, order, secret_references::resolve(spec)) {
        (Ok(size), Ok(order), Ok(secrets)) => (size, order, secrets),
        (size, order, secrets) => {
            return Err([size.err(), order.err(), secrets.err()].into_iter().flatten().flatten().collect());
        }
    };
    let volumes: Vec<&Volume> = spec.volumes.iter().filter(|volume| lives_with_the_task(volume)).collect();
    let container = |index: &usize| {
        let definition = spec.container_definitions.get(*index)?;
        Some(resolve_container(definition, *order.roles.get(*index)?, &volumes))
    };
    let mains = (0..spec.container_definitions.len()).filter(|index| order.roles.get(*index) == Some(&Role::Main));
    Ok(ResolvedTaskDefinition {
        init: order.init.iter().filter_map(container).collect(),
        main: mains.collect::<Vec<_>>().iter().filter_map(container).collect(),
        volumes: volumes.iter().map(|volume| PodName::new(&volume.name)).collect(),
        cpu,
        memory,
        secrets,
    })
}

fn resolve_container(definition: &ContainerDefinition, role: Role, volumes: &[&Volume]) -> Container {
    let port = |mapping: &PortMapping| {
        let number = u16::try_from(mapping.container_port?).ok().filter(|number| *number > 0)?;
        let protocol = mapping.protocol.unwrap_or(TransportProtocol::Tcp);
        Some(Port { number, protocol, name: mapping.name.clone() })
    };
    let mount = |mount: &MountPoint| {
        let volume = mount.source_volume.as_deref()?;
        volumes.iter().any(|known| known.name == volume).then_some(())?;
        let read_only = mount.read_only.unwrap_or(false);
        Some(Mount { volume: PodName::new(volume), path: mount.container_path.clone()?, read_only })
    };
    Container {
        name: PodName::new(&definition.name),
        role,
        essential: definition.essential.unwrap_or(true),
        image: definition.image.clone(),
        version_consistency: definition.version_consistency != Some(VersionConsistency::Disabled),
        entry_point: definition.entry_point.clone(),
        command: definition.command.clone(),
        environment: definition
            .environment
            .iter()
            .map(|pair| (pair.name.clone(), pair.value.clone().unwrap_or_default()))
            .collect(),
        ports: definition.port_mappings.iter().filter_map(port).collect(),
        cpu: positive(definition.cpu).map(CpuUnits),
        memory_reservation: positive(definition.memory_reservation).map(MiB),
        memory: positive(definition.memory).map(MiB),
        health_check: definition.health_check.clone(),
        stop_timeout: positive(definition.stop_timeout).unwrap_or(STOP_TIMEOUT_DEFAULT),
        mounts: definition.mount_points.iter().filter_map(mount).collect(),
    }
}

/// ECS takes 0 for a member that was left out.
fn positive(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0)
}

/// A volume with no source of its own: "the Docker daemon assigns a host path", and it goes with the task.
pub(super) fn lives_with_the_task(volume: &Volume) -> bool {
    let Volume {
        name: _,
        host,
        docker_volume_configuration,
        efs_volume_configuration,
        s3files_volume_configuration,
        fsx_windows_file_server_volume_configuration,
        configured_at_launch,
    } = volume;
    host.as_ref().is_none_or(|host| host.source_path.is_none())
        && docker_volume_configuration.is_none()
        && efs_volume_configuration.is_none()
        && s3files_volume_configuration.is_none()
        && fsx_windows_file_server_volume_configuration.is_none()
        && !configured_at_launch.unwrap_or(false)
}
