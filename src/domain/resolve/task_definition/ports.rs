//! The ports that the containers of a task listen on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::api::{ContainerDefinition, NetworkMode, PortMapping, TaskDefinitionSpec, TransportProtocol};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{member, networking};

/// Most ports of a range that are listed in the pod one by one.
const RANGE_LISTED_MAX: usize = 100;
/// "You can specify a maximum of 100 port ranges per container."
const RANGES_MAX: usize = 100;

/// A port that a container listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// The port of the node that leads to it.
    pub host: Option<u16>,
    /// The protocol.
    pub protocol: TransportProtocol,
    /// The name, for those who refer to it.
    pub name: Option<String>,
}

/// Names of ports are those of the task, not of a container.
pub(super) fn bad_names(containers: &[ContainerDefinition]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for container in containers {
        for (n, mapping) in container.port_mappings.iter().enumerate() {
            let Some(name) = mapping.name.as_deref() else { continue };
            let message = if !is_name(name) {
                "is up to 64 lower-case letters, digits, _ and -, and does not begin with -"
            } else if names.insert(name) {
                continue;
            } else {
                "another port of the task has the name already; give each its own"
            };
            let place = member(&container.name, &format!("portMappings[{n}].name"));
            problems.push(Problem::new(place, format!("{name:?}: {message}")));
        }
    }
    problems
}

/// "TCP host port '3000' is mapped multiple times in task." In the mode host a container's port is the node's.
pub(super) fn host_ports_taken(containers: &[ContainerDefinition], mode: NetworkMode) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut taken = HashMap::new();
    for container in containers {
        for (n, mapping) in container.port_mappings.iter().enumerate() {
            let (name, of_node) = match mode {
                NetworkMode::Host => ("containerPort", mapping.container_port),
                NetworkMode::Bridge => ("hostPort", mapping.host_port),
                NetworkMode::Awsvpc | NetworkMode::None => continue,
            };
            let Some(of_node) = of_node.and_then(port) else { continue };
            let protocol = mapping.protocol.unwrap_or(TransportProtocol::Tcp);
            if let Some(other) = taken.insert((of_node, protocol), container.name.as_str()) {
                let place = member(&container.name, &format!("portMappings[{n}].{name}"));
                let message =
                    format!("the port {of_node} of the node is the container {other:?}'s already; give each its own");
                problems.push(Problem::new(place, message));
            }
        }
    }
    problems
}

/// "The characters can include lowercase letters, numbers, underscores (_), and hyphens (-). The name can't start with a hyphen."
fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(legal) && !name.starts_with('-')
}

pub(super) fn refused(container: &ContainerDefinition, mode: NetworkMode) -> Vec<Problem> {
    let mappings = &container.port_mappings;
    let mut problems: Vec<Problem> =
        mappings.iter().enumerate().filter_map(|(n, mapping)| refused_mapping(container, n, mapping, mode)).collect();
    let ranges = mappings.iter().filter(|mapping| mapping.container_port_range.is_some()).count();
    if ranges > RANGES_MAX {
        let message = format!("{ranges} ranges of ports are more than the {RANGES_MAX} that a container may have");
        problems.push(Problem::new(member(&container.name, "portMappings"), message));
    }
    for (n, mapping) in mappings.iter().enumerate() {
        problems.extend(mappings.iter().take(n).find_map(|earlier| clash(container, n, mapping, earlier)));
    }
    problems
}

fn refused_mapping(
    container: &ContainerDefinition,
    n: usize,
    mapping: &PortMapping,
    mode: NetworkMode,
) -> Option<Problem> {
    let problem = |name: &str, message: String| {
        Some(Problem::new(member(&container.name, &format!("portMappings[{n}].{name}")), message))
    };
    let Some(text) = &mapping.container_port_range else {
        let none = mapping.container_port.and_then(port).is_none();
        return none.then(|| problem("containerPort", "write a port from 1 to 65535".to_owned())).flatten();
    };
    if range(text).is_none() {
        return problem("containerPortRange", format!("{text:?} is not a range of ports; write for example 8000-8010"));
    }
    if mode == NetworkMode::Host {
        let message = "a range is for the network modes bridge and awsvpc; in host the container has every port anyway";
        return problem("containerPortRange", message.to_owned());
    }
    let host = mapping.host_port.filter(|port| *port != 0);
    host.and_then(|_| problem("hostPort", "cannot be combined with containerPortRange; remove it".to_owned()))
}

/// Of ranges: "a port can only be included in one port mapping per container". Two host ports may lead to one container port, and one
/// port may be exposed for both protocols: the sentence that says otherwise was taken out of ECS's guide, and ECS registers it.
fn clash(container: &ContainerDefinition, n: usize, one: &PortMapping, other: &PortMapping) -> Option<Problem> {
    let (of_one, of_other) = (span(one)?, span(other)?);
    if of_one.0 > of_other.1 || of_other.0 > of_one.1 {
        return None;
    }
    if one.container_port_range.is_some() || other.container_port_range.is_some() {
        let name = if one.container_port_range.is_some() { "containerPortRange" } else { "containerPort" };
        let message = "a port of it is in another mapping of the container already; a port is in one only";
        Some(Problem::new(member(&container.name, &format!("portMappings[{n}].{name}")), message))
    } else {
        None
    }
}

/// The ports of a mapping, from the first to the last.
fn span(mapping: &PortMapping) -> Option<(u16, u16)> {
    match &mapping.container_port_range {
        Some(text) => range(text),
        None => mapping.container_port.and_then(port).map(|port| (port, port)),
    }
}

fn port(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port > 0)
}

/// Reads `8000-8010`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && !text.starts_with('+'));
    let (first, last) = (port(first)?, port(last)?);
    (first < last).then_some((first, last))
}

/// In a pod two containers cannot listen on one port, which in ECS's bridge mode they can.
pub(super) fn note_used_twice(containers: &[ContainerDefinition], verdict: &mut Verdict) {
    let mut users: BTreeMap<(u16, bool), &str> = BTreeMap::new();
    for container in containers {
        for (n, mapping) in container.port_mappings.iter().enumerate() {
            let Some(port) = mapping.container_port.and_then(port) else { continue };
            let udp = mapping.protocol == Some(TransportProtocol::Udp);
            let user = users.entry((port, udp)).or_insert(&container.name);
            if *user != container.name {
                let place = member(&container.name, &format!("portMappings[{n}].containerPort"));
                verdict.note_with(DeviationCode::PortUsedTwice, place, (*user).to_owned());
            }
        }
    }
}

pub(super) fn resolve(container: &ContainerDefinition, spec: &TaskDefinitionSpec, verdict: &mut Verdict) -> Vec<Port> {
    let bridge = networking::mode(spec) == NetworkMode::Bridge;
    let mut ports = Vec::new();
    for (n, mapping) in container.port_mappings.iter().enumerate() {
        let PortMapping { container_port, host_port, protocol, name, app_protocol: _, container_port_range } = mapping;
        let protocol = protocol.unwrap_or(TransportProtocol::Tcp);
        if let Some(number) = container_port.and_then(port) {
            let host = host_port.and_then(port).filter(|_| bridge);
            if !bridge && host_port.and_then(port).is_some_and(|host| host != number) {
                let place = member(&container.name, &format!("portMappings[{n}].hostPort"));
                verdict.note(DeviationCode::HostPortIgnored, place);
            }
            ports.push(Port { number, host, protocol, name: name.clone() });
        }
        if let Some((first, last)) = container_port_range.as_deref().and_then(range) {
            let listed = (first..=last).map(|number| Port { number, host: None, protocol, name: None });
            if listed.len() <= RANGE_LISTED_MAX {
                ports.extend(listed);
            } else {
                let place = member(&container.name, &format!("portMappings[{n}].containerPortRange"));
                verdict.note(DeviationCode::PortRangeNotListed, place);
            }
        }
    }
    ports
}
