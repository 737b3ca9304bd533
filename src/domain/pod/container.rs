//! One container of a task.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Container as PodContainer, ContainerRestartRule, ContainerRestartRuleOnExitCodes, EnvVar,
    Lifecycle as PodLifecycle, LifecycleHandler, SleepAction,
};

use crate::api::{ContainerImage, ImagePullPolicy};
use crate::domain::pod::escape::{literal, literals};
use crate::domain::pod::{ports, probes, resources, security, volumes};
use crate::domain::resolve::dependencies::Role;
use crate::domain::resolve::task_definition::{Container, Lifecycle};

/// Builds a container, in whichever part of the pod it stands, with its image by digest where that is known.
pub(super) fn build(
    container: &Container,
    images: &[ContainerImage],
    pull: Option<ImagePullPolicy>,
    deregistration_delay: u32,
) -> PodContainer {
    let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let image = image(container, images);
    let (restart_policy, restart_policy_rules) = restart(&container.lifecycle);
    PodContainer {
        name: container.name.pod.clone(),
        image_pull_policy: image.as_deref().map(|image| pull_policy(image, pull).to_owned()),
        image,
        command: given(literals(&container.entry_point)),
        args: given(literals(&container.command)),
        working_dir: container.working_directory.clone(),
        env: Some(environment(container)).filter(|env| !env.is_empty()),
        ports: Some(ports::build(container)).filter(|ports| !ports.is_empty()),
        resources: resources::container(container),
        readiness_probe: probes::readiness(container),
        startup_probe: probes::startup(container),
        restart_policy,
        restart_policy_rules,
        security_context: security::container(&container.security),
        stdin: container.interactive.then_some(true),
        tty: container.pseudo_terminal.then_some(true),
        lifecycle: drain(container, deregistration_delay),
        volume_mounts: Some(volumes::mounts(container)).filter(|mounts| !mounts.is_empty()),
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

/// ECS pulls an image at every start of a task. What a digest names never changes.
fn pull_policy(image: &str, given: Option<ImagePullPolicy>) -> &'static str {
    let on_ecs = if image.contains('@') { ImagePullPolicy::IfNotPresent } else { ImagePullPolicy::Always };
    match given.unwrap_or(on_ecs) {
        ImagePullPolicy::Always => "Always",
        ImagePullPolicy::IfNotPresent => "IfNotPresent",
        ImagePullPolicy::Never => "Never",
    }
}

/// A sidecar is started again always, that makes it one; an ordinary container as its restart policy says.
fn restart(lifecycle: &Lifecycle) -> (Option<String>, Option<Vec<ContainerRestartRule>>) {
    let policy = |policy: &str| Some(policy.to_owned());
    match (lifecycle.role, &lifecycle.restart) {
        (Role::Sidecar { .. }, _) => (policy("Always"), None),
        (Role::InitOnce, _) | (Role::Main, None) => (None, None),
        (Role::Main, Some(restart)) if restart.ignored_exit_codes.is_empty() => (policy("Always"), None),
        (Role::Main, Some(restart)) => {
            let codes: BTreeSet<i32> = restart.ignored_exit_codes.iter().copied().collect();
            let others = ContainerRestartRuleOnExitCodes {
                operator: "NotIn".to_owned(),
                values: Some(codes.into_iter().collect()),
            };
            let rule = ContainerRestartRule { action: "Restart".to_owned(), exit_codes: Some(others) };
            (policy("Never"), Some(vec![rule]))
        }
    }
}

/// A task that is to stop "is first removed from the load balancer, then the connections drain, then the containers get the stop
/// signal". Kubernetes takes a pod out of its endpoints as soon as it is deleted; sleeping before the signal is the rest.
fn drain(container: &Container, deregistration_delay: u32) -> Option<PodLifecycle> {
    let runs = container.role() != Role::InitOnce && deregistration_delay > 0;
    let sleep = SleepAction { seconds: i64::from(deregistration_delay) };
    runs.then(|| PodLifecycle {
        pre_stop: Some(LifecycleHandler { sleep: Some(sleep), ..LifecycleHandler::default() }),
        ..PodLifecycle::default()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::resolve::features::Features;
    use crate::domain::resolve::task_definition;

    fn built(container: &serde_json::Value, delay: u32) -> PodContainer {
        let spec = json!({ "containerDefinitions": [container] });
        let definition = task_definition::resolve(&serde_json::from_value(spec).unwrap(), Features::ALL).unwrap();
        let pinned = ContainerImage {
            container_name: "app".to_owned(),
            image: "example.com/app:1".to_owned(),
            image_digest: "sha256:first".to_owned(),
        };
        build(&definition.main[0], &[pinned], None, delay)
    }

    #[test]
    fn an_image_is_run_by_the_digest_that_its_tag_meant() {
        for (sentence, container, expected) in [
            ("by default", json!({ "name": "app", "image": "example.com/app:1" }), "example.com/app:1@sha256:first"),
            (
                "unless it is disabled",
                json!({ "name": "app", "image": "example.com/app:1", "versionConsistency": "disabled" }),
                "example.com/app:1",
            ),
            ("or another image", json!({ "name": "app", "image": "example.com/app:2" }), "example.com/app:2"),
            ("or another container", json!({ "name": "web", "image": "example.com/app:1" }), "example.com/app:1"),
        ] {
            assert_eq!(built(&container, 0).image.as_deref(), Some(expected), "{sentence}");
        }
    }

    #[test]
    fn connections_drain_before_the_containers_get_the_stop_signal() {
        let container = || json!({ "name": "app", "image": "example.com/app:1" });
        let seconds = |built: PodContainer| Some(built.lifecycle?.pre_stop?.sleep?.seconds);
        assert_eq!(seconds(built(&container(), 300)), Some(300));
        assert_eq!(seconds(built(&container(), 0)), None);
    }
}
