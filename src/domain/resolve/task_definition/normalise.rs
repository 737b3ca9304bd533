//! The spec as registration leaves it.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::{NetworkMode, TaskDefinitionSpec, TransportProtocol};
use crate::domain::resolve::size::{CpuUnits, MiB};
use crate::domain::resolve::task_definition::extension;

/// The spec as registration leaves it: ECS fills in what it takes for granted, so that two texts that mean the same are the
/// same revision.
pub fn normalise(spec: &TaskDefinitionSpec, object_name: &str) -> TaskDefinitionSpec {
    let mut spec = spec.clone();
    spec.family = Some(family(&spec, object_name).to_owned());
    spec.kubernetes = spec.kubernetes.as_ref().and_then(extension::of_revision);
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
        volume.host = volume.host.take().filter(|host| host.source_path.as_ref().is_some_and(|path| !path.is_empty()));
    }
    spec
}

/// "If you use containers in a task with the awsvpc or host network mode, the hostPort can either be left blank or set to the
/// same value as the containerPort." In bridge mode left blank means any port.
fn host_port_is_implied(spec: &TaskDefinitionSpec) -> bool {
    matches!(spec.network_mode, Some(NetworkMode::Awsvpc | NetworkMode::Host))
}

/// The family of a task definition; it defaults to the name of the object.
pub fn family<'a>(spec: &'a TaskDefinitionSpec, object_name: &'a str) -> &'a str {
    spec.family.as_deref().unwrap_or(object_name)
}
