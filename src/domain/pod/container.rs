//! One container of a task.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container as PodContainer, ContainerPort, EnvVar, Lifecycle, LifecycleHandler, SleepAction, VolumeMount,
};

use crate::api::{ContainerImage, TransportProtocol};
use crate::domain::pod::escape::{literal, literals};
use crate::domain::pod::{probes, resources};
use crate::domain::resolve::dependencies::Role;
use crate::domain::resolve::task_definition::Container;

/// Builds a container, in whichever part of the pod it stands, with its image by digest where that is known.
pub(super) fn build(container: &Container, images: &[ContainerImage], deregistration_delay: u32) -> PodContainer {
    let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    PodContainer {
        name: container.name.pod.clone(),
        image: image(container, images),
        command: given(literals(&container.entry_point)),
        args: given(literals(&container.command)),
        env: Some(environment(container)).filter(|env| !env.is_empty()),
        ports: Some(ports(container)).filter(|ports| !ports.is_empty()),
        resources: resources::container(container),
        readiness_probe: probes::readiness(container),
        startup_probe: probes::startup(container),
        restart_policy: matches!(container.role, Role::Sidecar { .. }).then(|| "Always".to_owned()),
        lifecycle: drain(container, deregistration_delay),
        volume_mounts: Some(mounts(container)).filter(|mounts| !mounts.is_empty()),
        ..PodContainer::default()
    }
}

/// `nginx:1` as `nginx:1@sha256:…`: the runtime goes by the digest, and people still see the tag.
fn image(container: &Container, images: &[ContainerImage]) -> Option<String> {
    let image = container.image.clone()?;
    let pinned = images.iter().find(|pinned| pinned.container_name == container.name.ecs && pinned.image == image);
    Some(match pinned {
        Some(pinned) if container.version_consistency => format!("{image}@{}", pinned.image_digest),
        Some(_) | None => image,
    })
}

/// A task that is to stop "is first removed from the load balancer, then the connections drain, then the containers get the stop
/// signal". Kubernetes takes a pod out of its endpoints as soon as it is deleted; sleeping before the signal is the rest.
fn drain(container: &Container, deregistration_delay: u32) -> Option<Lifecycle> {
    let runs = container.role != Role::InitOnce && deregistration_delay > 0;
    let sleep = SleepAction { seconds: i64::from(deregistration_delay) };
    runs.then(|| Lifecycle {
        pre_stop: Some(LifecycleHandler { sleep: Some(sleep), ..LifecycleHandler::default() }),
        ..Lifecycle::default()
    })
}

/// The environment by name: of two variables with one name the later wins, at the place of the first.
fn environment(container: &Container) -> Vec<EnvVar> {
    let last: BTreeMap<&str, &str> =
        container.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut env: Vec<EnvVar> = Vec::new();
    for (name, _) in &container.environment {
        if let Some(value) = last.get(name.as_str()).filter(|_| env.iter().all(|variable| variable.name != *name)) {
            env.push(EnvVar { name: name.clone(), value: Some(literal(value)), value_from: None });
        }
    }
    env
}

fn ports(container: &Container) -> Vec<ContainerPort> {
    let mut ports: Vec<ContainerPort> = Vec::new();
    for port in &container.ports {
        let (number, protocol) = (i32::from(port.number), protocol(port.protocol));
        let taken = |name: &str| ports.iter().any(|other| other.name.as_deref() == Some(name));
        let name = port.name.as_deref().filter(|name| is_service_name(name) && !taken(name));
        // Kubernetes takes a port once; in ECS two host ports may lead to one container port.
        let known =
            |other: &ContainerPort| other.container_port == number && other.protocol.as_deref() == Some(protocol);
        if !ports.iter().any(known) {
            ports.push(ContainerPort {
                container_port: number,
                protocol: Some(protocol.to_owned()),
                name: name.map(str::to_owned),
                ..ContainerPort::default()
            });
        }
    }
    ports
}

fn protocol(protocol: TransportProtocol) -> &'static str {
    match protocol {
        TransportProtocol::Tcp => "TCP",
        TransportProtocol::Udp => "UDP",
    }
}

/// Whether Kubernetes takes a port's name: at most 15 lower-case letters, digits and single hyphens, with a letter among them
/// (RFC 6335). ECS allows 64 characters and underscores; a name that does not fit is left out, nothing depends on it.
fn is_service_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=15).contains(&name.len())
        && name.chars().all(legal)
        && name.chars().any(|c| c.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

fn mounts(container: &Container) -> Vec<VolumeMount> {
    let mount = |mount: &crate::domain::resolve::task_definition::Mount| VolumeMount {
        name: mount.volume.pod.clone(),
        mount_path: mount.path.clone(),
        read_only: mount.read_only.then_some(true),
        ..VolumeMount::default()
    };
    container.mounts.iter().map(mount).collect()
}
