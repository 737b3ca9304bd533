//! The ports of a container and their names.
//!
//! ECS allows 64 characters and underscores in the name of a port, Kubernetes 15 lower-case letters, digits and single hyphens, with a
//! letter among them (RFC 6335). A name that does not fit is `p8080-tcp` in the pod, and stands in an annotation.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ContainerPort;

use crate::api::TransportProtocol;
use crate::domain::resolve::task_definition::{Container, Port};

/// The ports as the pod lists them.
pub(super) fn build(container: &Container) -> Vec<ContainerPort> {
    let mut ports: Vec<ContainerPort> = Vec::new();
    for port in &container.ports {
        let (number, protocol) = (i32::from(port.number), protocol(port.protocol));
        let taken = |name: &String| ports.iter().any(|other| other.name.as_ref() == Some(name));
        let name = name(port, container).filter(|name| !taken(name));
        // Kubernetes takes a port once; in ECS two host ports may lead to one container port.
        let host = port.host.map(i32::from);
        let known = |other: &ContainerPort| {
            (other.container_port, other.protocol.as_deref(), other.host_port) == (number, Some(protocol), host)
        };
        if !ports.iter().any(known) {
            ports.push(ContainerPort {
                container_port: number,
                host_port: host,
                protocol: Some(protocol.to_owned()),
                name,
                ..ContainerPort::default()
            });
        }
    }
    ports
}

/// The names that Kubernetes does not take, and what stands for them in the pod.
pub(super) fn renamed(container: &Container) -> BTreeMap<&str, String> {
    let mut renamed = BTreeMap::new();
    for port in &container.ports {
        if let (Some(of_ecs), Some(of_pod)) = (port.name.as_deref(), name(port, container))
            && of_ecs != of_pod
        {
            renamed.entry(of_ecs).or_insert(of_pod);
        }
    }
    renamed
}

/// What a port that has a name is called in the pod. None in the odd case that its number is the name of another port.
fn name(port: &Port, container: &Container) -> Option<String> {
    let name = port.name.as_deref()?;
    if is_service_name(name) {
        return Some(name.to_owned());
    }
    let stands_for = format!("p{}-{}", port.number, protocol(port.protocol).to_ascii_lowercase());
    let is_taken = container.ports.iter().any(|other| other.name.as_ref() == Some(&stands_for));
    (!is_taken).then_some(stands_for)
}

fn protocol(protocol: TransportProtocol) -> &'static str {
    match protocol {
        TransportProtocol::Tcp => "TCP",
        TransportProtocol::Udp => "UDP",
    }
}

/// Whether Kubernetes takes the name of a port.
fn is_service_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=15).contains(&name.len())
        && name.chars().all(legal)
        && name.chars().any(|c| c.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::resolve::features::Features;
    use crate::domain::resolve::task_definition;

    #[test]
    fn a_port_has_a_name_that_kubernetes_takes() {
        let names = |mappings: serde_json::Value| {
            let spec = json!({"containerDefinitions": [{"name": "app", "portMappings": mappings}]});
            let definition = task_definition::resolve(&serde_json::from_value(spec).unwrap(), Features::ALL).unwrap();
            let container = &definition.main[0];
            let names: Vec<String> =
                build(container).into_iter().map(|port| port.name.unwrap_or_else(|| "-".to_owned())).collect();
            let renamed = renamed(container).into_iter().map(|(of_ecs, of_pod)| format!("{of_ecs}={of_pod}"));
            (names.join(" "), renamed.collect::<Vec<_>>().join(" "))
        };
        let port = |number: i32, name: &str| json!({"containerPort": number, "name": name});
        for (sentence, mappings, expected, annotated) in [
            ("one that it takes", json!([port(80, "http-1")]), "http-1", ""),
            ("an underscore", json!([port(80, "http_api")]), "p80-tcp", "http_api=p80-tcp"),
            ("16 characters", json!([port(80, "abcdefghijklmnop")]), "p80-tcp", "abcdefghijklmnop=p80-tcp"),
            ("no letter", json!([port(80, "80")]), "p80-tcp", "80=p80-tcp"),
            ("hyphens side by side", json!([port(80, "a--b")]), "p80-tcp", "a--b=p80-tcp"),
            ("a hyphen at the end", json!([port(80, "a-")]), "p80-tcp", "a-=p80-tcp"),
            (
                "the protocol is part of it",
                json!([{"containerPort": 53, "protocol": "udp", "name": "dns_udp"}, port(53, "dns_tcp")]),
                "p53-udp p53-tcp",
                "dns_tcp=p53-tcp dns_udp=p53-udp",
            ),
            (
                "two names of one port",
                json!([
                    {"containerPort": 80, "hostPort": 8080, "name": "a_1"}, {"containerPort": 80, "hostPort": 8081, "name": "b_1"}
                ]),
                "p80-tcp -",
                "a_1=p80-tcp b_1=p80-tcp",
            ),
            ("a name that would be another's", json!([port(80, "a_b"), port(81, "p80-tcp")]), "- p80-tcp", ""),
        ] {
            assert_eq!(names(mappings), (expected.to_owned(), annotated.to_owned()), "{sentence}");
        }
    }
}
