//! The network of a task: its mode and names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::api::{ContainerDefinition, NetworkMode, TaskDefinitionSpec};
use crate::domain::resolve::Problem;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{member, ports};

/// Most nameservers a pod may have.
const NAMESERVERS_MAX: usize = 3;
/// Most search domains that a pod may have.
const SEARCH_DOMAINS_MAX: usize = 32;
/// Longest hostname that Linux takes.
const HOSTNAME_MAX: usize = 64;

/// What all containers of a task share of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Whether the task uses the network of its node.
    pub host: bool,
    /// The hostname, where it is given.
    pub hostname: Option<Hostname>,
    /// Names by address, for `/etc/hosts`.
    pub host_aliases: BTreeMap<String, Vec<String>>,
    /// The name servers that take the place of the cluster's.
    pub dns_servers: Vec<String>,
    /// The search domains.
    pub dns_search_domains: Vec<String>,
}

/// A hostname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hostname {
    /// One that is a DNS label.
    Label(String),
    /// Another, which only newer Kubernetes takes.
    Override(String),
}

/// The mode; "the default is bridge".
pub(super) fn mode(spec: &TaskDefinitionSpec) -> NetworkMode {
    spec.network_mode.unwrap_or(NetworkMode::Bridge)
}

pub(super) fn refused(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let containers = &spec.container_definitions;
    let mut problems = Vec::new();
    if mode(spec) == NetworkMode::None {
        let message = "a pod always has a network; use awsvpc or bridge, and a NetworkPolicy that allows nothing";
        problems.push(Problem::new("networkMode", message));
    }
    for container in containers {
        problems.extend(members_of_other_modes(container, mode(spec)));
        if container.disable_networking == Some(true) {
            let message = "the containers of a pod share one network, which no container can be without; remove the member, or \
                           make the container a task definition of its own with a NetworkPolicy";
            problems.push(Problem::new(member(&container.name, "disableNetworking"), message));
        }
        problems.extend(ports::refused(container, mode(spec)));
    }
    problems.extend(ports::host_ports_taken(containers, mode(spec)));
    problems
}

/// A link names another container of the task, and may give it another name: `name:alias`.
pub(super) fn bad_links(container: &ContainerDefinition, containers: &[ContainerDefinition]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (n, link) in container.links.iter().enumerate() {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        let place = member(&container.name, &format!("links[{n}]"));
        if name == container.name || !containers.iter().any(|other| other.name == name) {
            let message =
                format!("there is no other container {name:?} in this task definition; name one of it, or add it");
            problems.push(Problem::new(place, message));
        } else if alias.is_empty() || alias.contains(':') {
            problems.push(Problem::new(place, format!("{link:?} is not a link; write name or name:alias")));
        }
    }
    problems
}

/// Settings that a pod has once, and that containers ask for differently.
pub(super) fn conflicts(containers: &[ContainerDefinition]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut hosts: BTreeMap<&str, &str> = BTreeMap::new();
    for container in containers {
        for (n, host) in container.extra_hosts.iter().enumerate() {
            let place = member(&container.name, &format!("extraHosts[{n}]"));
            problems.extend(no_address(format!("{place}.ipAddress"), &host.ip_address));
            problems.extend(no_dns_name(
                format!("{place}.hostname"),
                &host.hostname,
                &host.hostname.to_ascii_lowercase(),
            ));
            let known = hosts.entry(&host.hostname).or_insert(&host.ip_address);
            if *known != host.ip_address {
                let message = format!(
                    "{:?} is {known} in another entry; the containers of a pod share one /etc/hosts, give it one address",
                    host.hostname
                );
                problems.push(Problem::new(place, message));
            }
        }
        for (n, server) in container.dns_servers.iter().enumerate() {
            problems.extend(no_address(member(&container.name, &format!("dnsServers[{n}]")), server));
        }
        for (n, domain) in container.dns_search_domains.iter().enumerate() {
            let place = member(&container.name, &format!("dnsSearchDomains[{n}]"));
            problems.extend(no_dns_name(place, domain, &search_domain(domain)));
        }
        if container.dns_search_domains.len() > SEARCH_DOMAINS_MAX {
            let message = format!("a pod has {SEARCH_DOMAINS_MAX} search domains at most; remove some");
            problems.push(Problem::new(member(&container.name, "dnsSearchDomains"), message));
        }
        if container.dns_servers.len() > NAMESERVERS_MAX {
            let message = format!("a pod has {NAMESERVERS_MAX} name servers at most; remove some");
            problems.push(Problem::new(member(&container.name, "dnsServers"), message));
        }
    }
    problems.extend(differing(containers, "hostname", |c| c.hostname.clone().into_iter().collect()));
    problems.extend(differing(containers, "dnsServers", |c| c.dns_servers.clone()));
    problems.extend(differing(containers, "dnsSearchDomains", |c| c.dns_search_domains.clone()));
    problems
}

fn no_address(place: String, text: &str) -> Option<Problem> {
    let message = format!("{text:?} is not an IP address; write for example 10.0.0.2 or fd00::2");
    text.parse::<IpAddr>().is_err().then(|| Problem::new(place, message))
}

/// What is said of a text that is no name, as Kubernetes gets it.
fn no_dns_name(place: String, text: &str, name: &str) -> Option<Problem> {
    let message = format!(
        "{text:?} is not a DNS name, and Kubernetes takes no other; write letters, digits and hyphens with dots between them, for \
         example db.example.com"
    );
    (!is_dns_name(name)).then(|| Problem::new(place, message))
}

fn differing(
    containers: &[ContainerDefinition],
    name: &str,
    value: impl Fn(&ContainerDefinition) -> Vec<String>,
) -> Vec<Problem> {
    let mut given =
        containers.iter().map(|container| (container, value(container))).filter(|(_, value)| !value.is_empty());
    let Some((first, expected)) = given.next() else { return Vec::new() };
    let others = given.filter(|(_, value)| *value != expected);
    let problem = |(container, value): (&ContainerDefinition, Vec<String>)| {
        let message = format!(
            "{} differs from {} of {:?}; a pod has it once for all containers, give all the same",
            value.join(","),
            expected.join(","),
            first.name
        );
        Problem::new(member(&container.name, name), message)
    };
    others.map(problem).collect()
}

/// "Link … is only supported if the network mode is bridge"; "extraHosts and hostname are not supported with awsvpc".
fn members_of_other_modes(container: &ContainerDefinition, mode: NetworkMode) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |name: &str, message: &str| problems.push(Problem::new(member(&container.name, name), message));
    if !container.links.is_empty() && mode != NetworkMode::Bridge {
        problem(
            "links",
            "links are for the network mode bridge; in awsvpc and host containers reach each other on localhost",
        );
    }
    if container.hostname.is_some() && mode == NetworkMode::Awsvpc {
        problem("hostname", "a hostname cannot be set in the network mode awsvpc; remove it");
    }
    if !container.extra_hosts.is_empty() && mode == NetworkMode::Awsvpc {
        problem("extraHosts", "extra hosts cannot be set in the network mode awsvpc; remove them");
    }
    problems
}

pub(super) fn resolve(spec: &TaskDefinitionSpec, features: Features, verdict: &mut Verdict) -> Network {
    let containers = &spec.container_definitions;
    let host = mode(spec) == NetworkMode::Host;
    if mode(spec) == NetworkMode::Bridge && containers.len() > 1 {
        verdict.note(DeviationCode::SharedNetwork, "networkMode");
    }
    note_pod_wide(containers, verdict);
    ports::note_used_twice(containers, verdict);
    let mut aliases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for container in containers {
        for host in &container.extra_hosts {
            aliases.entry(host.ip_address.clone()).or_default().insert(host.hostname.to_ascii_lowercase());
        }
        for (n, link) in container.links.iter().enumerate() {
            let place = member(&container.name, &format!("links[{n}]"));
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            verdict.note(DeviationCode::LinksWithoutEnvironment, place.clone());
            for name in [name, alias].map(str::to_ascii_lowercase) {
                if is_dns_name(&name) {
                    aliases.entry("127.0.0.1".to_owned()).or_default().insert(name);
                } else {
                    verdict.note_with(DeviationCode::LinkNotResolved, place.clone(), name);
                }
            }
        }
    }
    Network {
        host,
        hostname: hostname(containers, host, features, verdict),
        host_aliases: aliases.into_iter().map(|(address, names)| (address, names.into_iter().collect())).collect(),
        dns_servers: first_of(containers, |c| &c.dns_servers).into_iter().take(NAMESERVERS_MAX).collect(),
        dns_search_domains: first_of(containers, |c| &c.dns_search_domains)
            .iter()
            .map(|domain| search_domain(domain))
            .collect(),
    }
}

/// A search domain as Kubernetes writes it: in lower case, and without the dot that may end it.
fn search_domain(domain: &str) -> String {
    domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase()
}

fn first_of(containers: &[ContainerDefinition], list: impl Fn(&ContainerDefinition) -> &Vec<String>) -> Vec<String> {
    containers.iter().map(list).find(|list| !list.is_empty()).cloned().unwrap_or_default()
}

fn hostname(
    containers: &[ContainerDefinition],
    host_network: bool,
    features: Features,
    verdict: &mut Verdict,
) -> Option<Hostname> {
    let container = containers.iter().find(|container| container.hostname.is_some())?;
    let name = container.hostname.clone()?;
    let is_label = name.len() <= 63 && !name.contains('.') && is_dns_name(&name);
    if is_label && !host_network {
        return Some(Hostname::Label(name));
    }
    if features.hostname_override && !host_network && name.len() <= HOSTNAME_MAX && is_dns_name(&name) {
        return Some(Hostname::Override(name));
    }
    verdict.note(DeviationCode::HostnameIgnored, member(&container.name, "hostname"));
    None
}

/// Whether a container has a member.
type IsGiven = fn(&ContainerDefinition) -> bool;

/// What one container asks for and another does not, and both get.
fn note_pod_wide(containers: &[ContainerDefinition], verdict: &mut Verdict) {
    let settings: [(&str, IsGiven); 4] = [
        ("hostname", |container| container.hostname.is_some()),
        ("extraHosts", |container| !container.extra_hosts.is_empty()),
        ("dnsServers", |container| !container.dns_servers.is_empty()),
        ("dnsSearchDomains", |container| !container.dns_search_domains.is_empty()),
    ];
    for (name, is_given) in settings {
        if containers.iter().all(is_given) {
            continue;
        }
        for container in containers.iter().filter(|container| is_given(container)) {
            verdict.note(DeviationCode::PodWide, member(&container.name, name));
        }
    }
}

/// Whether a name is one of DNS: labels of letters, digits and hyphens.
pub(super) fn is_dns_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(legal) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
