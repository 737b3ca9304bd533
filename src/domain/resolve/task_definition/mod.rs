//! A task definition as ECS's registration leaves it, and as the pod builder wants it: a file for each family of members.
//!
//! Where a family has both, `refused` says what cannot be registered, and `resolve` makes the best of what is registered and notes
//! in the [`Verdict`] where that is not what ECS does. Every member has its row in [`MEMBERS`].

mod container;
mod deviation;
mod docker_volumes;
mod efs;
mod extension;
mod fargate;
mod images;
mod lifecycle;
mod logging;
mod members;
mod mounts;
mod networking;
mod normalise;
mod platform;
mod ports;
mod processes;
mod rules;
mod security;
mod sizes;
#[cfg(test)]
mod tests;
mod volumes;

use crate::api::names::dns_label;
use crate::api::{ContainerDefinition, TaskDefinitionSpec};
use crate::domain::resolve::Problem;
use crate::domain::resolve::dependencies::{self, Role};
use crate::domain::resolve::features::Features;

use crate::domain::resolve::secret_references::{self, SecretReferences};
pub use container::Container;
pub use deviation::{Deviation, DeviationCode, Verdict};
pub use extension::Extension;
pub use lifecycle::{Lifecycle, Restart};
pub use members::{MEMBERS, Member, Treatment, not_implemented_members};
pub use mounts::Mount;
pub use networking::{Hostname, Network};
pub use normalise::{family, normalise};
pub use platform::Platform;
pub use ports::Port;
pub use processes::Processes;
pub use security::{Security, SecurityOption};
pub use sizes::TaskSize;
pub use volumes::{TaskVolume, VolumeSource};

/// Longest name of a container or volume in a pod.
const POD_NAME_MAX: usize = 63;

/// A task definition that keeps every rule: what a task of it looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedTaskDefinition {
    /// The containers that others wait for, in start order.
    pub init: Vec<Container>,
    /// The others, as declared.
    pub main: Vec<Container>,
    /// The volumes, but for those of `spec.kubernetes`.
    pub volumes: Vec<TaskVolume>,
    /// The task's own size, where the pod can have one.
    pub size: TaskSize,
    /// What containers share of the network.
    pub network: Network,
    /// What their processes share.
    pub processes: Processes,
    /// Kernel parameters, by name.
    pub sysctls: std::collections::BTreeMap<String, String>,
    /// The nodes that will do.
    pub platform: Platform,
    /// The role whose rights the tasks have.
    pub task_role: Option<String>,
    /// What Kubernetes needs besides.
    pub extension: Extension,
    /// What it takes from secret stores, files and registries.
    pub secrets: SecretReferences,
    /// Where all of this is not what ECS does.
    pub verdict: Verdict,
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
    /// The names of what the task definition calls so.
    pub fn new(ecs: &str) -> Self {
        Self { ecs: ecs.to_owned(), pod: dns_label(ecs, POD_NAME_MAX) }
    }
}

/// The path of a member of a container.
fn member(container: &str, name: &str) -> String {
    format!("containerDefinitions[{container}].{name}")
}

/// ECS takes 0 for a member that was left out.
fn positive(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0)
}

/// Checks a task definition, in the order of ECS's registration. Only what is to be registered has to keep these rules: one
/// that a later version adds must not stop a service whose revision is older.
pub fn check(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let containers = &spec.container_definitions;
    let each = |rule: fn(&ContainerDefinition) -> Vec<Problem>| containers.iter().flat_map(rule);
    let mut problems = Vec::new();
    // Names.
    problems.extend(rules::too_large(spec));
    problems.extend(rules::repeated("containerDefinitions", containers.iter().map(|c| c.name.as_str())));
    problems.extend(rules::repeated("volumes", spec.volumes.iter().map(|volume| volume.name.as_str())));
    problems.extend(ports::bad_names(containers));
    problems.extend(containers.iter().flat_map(secret_references::bad_names));
    problems.extend(rules::bad_tags(&spec.tags));
    problems.extend(rules::none_essential(containers));
    // What they refer to.
    for container in containers {
        problems.extend(mounts::bad_mounts(container, spec));
        problems.extend(mounts::bad_volumes_from(container, containers));
        problems.extend(networking::bad_links(container, containers));
    }
    problems.extend(logging::refused(containers));
    // Who waits for whom.
    match dependencies::start_order(containers) {
        Ok(order) => problems.extend(lifecycle::refused(containers, &order)),
        Err(broken) => problems.extend(broken),
    }
    // Networks, sizes, checks, volumes.
    problems.extend(networking::refused(spec));
    match sizes::task(spec) {
        Ok(size) => {
            problems.extend(sizes::beyond_the_task(containers, size));
            problems.extend(fargate::refused_size(spec, size));
        }
        Err(unreadable) => problems.extend(unreadable),
    }
    problems.extend(sizes::refused_devices(spec));
    problems.extend(containers.iter().filter_map(container::unknown_probe));
    problems.extend(volumes::refused(spec));
    // ARNs.
    problems.extend(containers.iter().flat_map(secret_references::bad_files));
    problems.extend(secret_references::resolve(spec).err().into_iter().flatten());
    // What a pod has once for all containers.
    problems.extend(networking::conflicts(containers));
    problems.extend(security::refused_sysctls(spec));
    problems.extend(security::sysctls_given_twice(spec));
    // What Kubernetes does not take, or Fargate.
    problems.extend(each(security::refused));
    problems.extend(each(processes::refused));
    problems.extend(rules::without_counterpart(spec));
    problems.extend(platform::refused(spec));
    problems.extend(extension::refused(spec));
    problems.extend(fargate::refused(spec));
    problems
}

/// Resolves a task definition. Fails only where no pod can be made of it.
pub fn resolve(spec: &TaskDefinitionSpec, features: Features) -> Result<ResolvedTaskDefinition, Vec<Problem>> {
    let TaskDefinitionSpec {
        family: _, // of the revision
        task_role_arn,
        execution_role_arn,
        network_mode: _, // networking
        container_definitions,
        volumes: _,                  // volumes
        placement_constraints: _,    // platform
        requires_compatibilities: _, // fargate
        cpu: _,                      // sizes
        memory: _,                   // sizes
        tags: _,                     // of the revision
        pid_mode: _,                 // processes
        ipc_mode: _,                 // processes, volumes
        proxy_configuration,
        inference_accelerators: _, // refused
        ephemeral_storage: _,      // sizes
        runtime_platform: _,       // platform
        enable_fault_injection,
        trusted_execution_configuration: _, // platform
        kubernetes: _,                      // extension
    } = spec;
    let (size, order) = (sizes::task(spec), dependencies::start_order(container_definitions));
    let (size, order, secrets) = match (size, order, secret_references::resolve(spec)) {
        (Ok(size), Ok(order), Ok(secrets)) => (size, order, secrets),
        (size, order, secrets) => {
            return Err([size.err(), order.err(), secrets.err()].into_iter().flatten().flatten().collect());
        }
    };
    let mut verdict = Verdict::default();
    let mut containers: Vec<(usize, Container)> = (0..container_definitions.len())
        .filter_map(|index| Some((index, container::resolve(index, spec, &order, features, &mut verdict)?)))
        .collect();
    lifecycle::note_order(container_definitions, &order, features, &mut verdict);
    let place = |index: &usize| order.init.iter().chain(&order.main).position(|placed| placed == index);
    let (mut init, mut main) = (Vec::new(), Vec::new());
    containers.sort_by_key(|(index, _)| place(index));
    for (_, container) in containers {
        if container.role() == Role::Main { main.push(container) } else { init.push(container) }
    }
    sizes::assign_ephemeral_storage(spec, &mut main, &mut verdict);
    let size = sizes::assign(size, &init, &mut main, features, &mut verdict);

    images::note_credentials(&secrets, &mut verdict);
    if task_role_arn.is_some() && !has_service_account(spec) {
        verdict.note(DeviationCode::TaskRoleByServiceAccount, "taskRoleArn");
    }
    if execution_role_arn.is_some() {
        verdict.note(DeviationCode::ExecutionRoleUnused, "executionRoleArn");
    }
    if proxy_configuration.is_some() {
        verdict.note(DeviationCode::ProxyIgnored, "proxyConfiguration");
    }
    if *enable_fault_injection == Some(true) {
        verdict.note(DeviationCode::FaultInjectionIgnored, "enableFaultInjection");
    }
    Ok(ResolvedTaskDefinition {
        init,
        main,
        volumes: volumes::resolve(spec, &mut verdict),
        size,
        network: networking::resolve(spec, features, &mut verdict),
        processes: processes::resolve(spec, &mut verdict),
        sysctls: security::sysctls(spec, &mut verdict),
        platform: platform::resolve(spec),
        task_role: task_role_arn.clone(),
        extension: extension::resolve(spec),
        secrets,
        verdict,
    })
}

fn has_service_account(spec: &TaskDefinitionSpec) -> bool {
    spec.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.service_account_name.is_some())
}

/// The verdict on what is registered: where its tasks are not what they are on ECS. What would not be registered any more is part
/// of it.
pub fn verdict(spec: &TaskDefinitionSpec, features: Features) -> Verdict {
    let mut verdict = resolve(spec, features).map(|resolved| resolved.verdict).unwrap_or_default();
    for Problem { member, message } in check(spec) {
        verdict.note_with(DeviationCode::RefusedToday, member, message);
    }
    verdict
}

/// [`check`], and with `spec.kubernetes.strict` every deviation besides.
pub fn check_for_registration(spec: &TaskDefinitionSpec, features: Features) -> Vec<Problem> {
    let problems = check(spec);
    let strict = spec.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.strict == Some(true));
    if !strict || !problems.is_empty() {
        return problems;
    }
    let verdict = verdict(spec, features);
    let refusal = |deviation: &Deviation| {
        let Deviation { code, member, detail } = deviation;
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let message =
            format!("{} ({}{detail}); change it, or take spec.kubernetes.strict away", code.sentence(), code.name());
        Problem::new(member.clone(), message)
    };
    verdict.deviations().iter().map(refusal).collect()
}
