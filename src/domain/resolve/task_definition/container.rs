//! One container of a task.

use crate::api::{ContainerDefinition, HealthCheck, TaskDefinitionSpec, VersionConsistency};
use crate::domain::resolve::Problem;
use crate::domain::resolve::dependencies::{Role, StartOrder};
use crate::domain::resolve::features::Features;
use crate::domain::resolve::size::{CpuUnits, MiB};
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::lifecycle::{self, Lifecycle};
use crate::domain::resolve::task_definition::mounts::{self, Mount};
use crate::domain::resolve::task_definition::ports::{self, Port};
use crate::domain::resolve::task_definition::security::{self, Security};
use crate::domain::resolve::task_definition::{PodName, images, logging, member, positive, processes, sizes};

/// "The Docker … daemon reserves a minimum of 6 MiB of memory for a container": the agent makes that of less.
const MEMORY_MIN: u32 = 6;

/// One container of a task.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of ECS's own")]
pub struct Container {
    /// Its name.
    pub name: PodName,
    /// When it starts, starts again and stops.
    pub lifecycle: Lifecycle,
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
    /// Where commands run.
    pub working_directory: Option<String>,
    /// Names and values; of two with one name the later wins.
    pub environment: Vec<(String, String)>,
    /// Ports it listens on.
    pub ports: Vec<Port>,
    /// CPU units guaranteed to it.
    pub cpu: Option<CpuUnits>,
    /// CPU units it may use, where the task's size is a limit that only this container can have.
    pub cpu_limit: Option<CpuUnits>,
    /// Memory set aside for it.
    pub memory_reservation: Option<MiB>,
    /// Memory at which it is killed.
    pub memory: Option<MiB>,
    /// Disk space in GiB at which the task is stopped.
    pub ephemeral_storage_gib: Option<u32>,
    /// GPUs it has for itself.
    pub gpus: u32,
    /// How its health is told.
    pub health_check: Option<HealthCheck>,
    /// Volumes mounted into it.
    pub mounts: Vec<Mount>,
    /// What it may do.
    pub security: Security,
    /// Whether its standard input stays open.
    pub interactive: bool,
    /// Whether it has a terminal.
    pub pseudo_terminal: bool,
    /// Labels, by name.
    pub docker_labels: Vec<(String, String)>,
}

impl Container {
    /// Where it stands in the pod.
    pub fn role(&self) -> Role {
        self.lifecycle.role
    }
}

/// Resolves the container at a place of the list. Each member has its line here, or says where it is dealt with.
pub(super) fn resolve(
    index: usize,
    spec: &TaskDefinitionSpec,
    order: &StartOrder,
    features: Features,
    verdict: &mut Verdict,
) -> Option<Container> {
    let definition = spec.container_definitions.get(index)?;
    let ContainerDefinition {
        name,
        image,
        repository_credentials: _, // secret_references
        cpu,
        memory,
        memory_reservation,
        links: _,         // start_order, networking
        port_mappings: _, // ports
        essential,
        restart_policy: _, // lifecycle
        entry_point,
        command,
        environment,
        environment_files: _, // secret_references
        mount_points: _,      // mounts
        volumes_from: _,      // mounts
        linux_parameters: _,  // processes, security, mounts
        secrets: _,           // secret_references
        depends_on: _,        // start_order
        start_timeout: _,     // lifecycle
        stop_timeout: _,      // lifecycle
        version_consistency,
        hostname: _, // networking
        user: _,     // security
        working_directory,
        disable_networking: _,       // refused
        privileged: _,               // security
        readonly_root_filesystem: _, // security
        dns_servers: _,              // networking
        dns_search_domains: _,       // networking
        extra_hosts: _,              // networking
        docker_security_options: _,  // security
        interactive,
        pseudo_terminal,
        docker_labels,
        ulimits: _,           // processes
        log_configuration: _, // logging
        health_check,
        system_controls: _,        // security
        resource_requirements: _,  // sizes
        firelens_configuration: _, // logging
        credential_specs: _,       // refused
    } = definition;

    images::note_name(definition, verdict);
    let lifecycle = lifecycle::resolve(index, &spec.container_definitions, definition, order, features, verdict);
    let essential = essential.unwrap_or(true);
    if health_check.is_some() && !essential && lifecycle.role != (Role::Sidecar { awaited_healthy: true }) {
        verdict.note(DeviationCode::NonEssentialHealthNotProbed, member(name, "healthCheck"));
    }
    if !docker_labels.is_empty() {
        verdict.note(DeviationCode::DockerLabelsAreAnnotations, member(name, "dockerLabels"));
    }
    logging::note(definition, verdict);
    processes::note(definition, spec.pid_mode, verdict);
    note_repeated_variables(definition, verdict);

    let given = environment.iter().map(|pair| (pair.name.clone(), pair.value.clone().unwrap_or_default()));
    Some(Container {
        name: PodName::new(name),
        lifecycle,
        essential,
        image: image.clone(),
        version_consistency: *version_consistency != Some(VersionConsistency::Disabled),
        entry_point: entry_point.clone(),
        command: command.clone(),
        working_directory: working_directory.clone(),
        environment: logging::environment(definition).into_iter().chain(given).collect(),
        ports: ports::resolve(definition, spec, verdict),
        cpu: positive(*cpu).map(CpuUnits),
        cpu_limit: None,
        memory_reservation: positive(*memory_reservation).map(MiB),
        memory: positive(*memory).map(|memory| MiB(memory.max(MEMORY_MIN))),
        ephemeral_storage_gib: None,
        gpus: sizes::gpus_of(definition),
        health_check: health_check.clone(),
        mounts: mounts::resolve(spec, definition, verdict),
        security: security::resolve(definition),
        interactive: *interactive == Some(true),
        pseudo_terminal: *pseudo_terminal == Some(true),
        docker_labels: docker_labels.clone().into_iter().collect(),
    })
}

fn note_repeated_variables(definition: &ContainerDefinition, verdict: &mut Verdict) {
    for (n, pair) in definition.environment.iter().enumerate() {
        let later = definition.environment.iter().skip(n.saturating_add(1));
        if later.clone().any(|other| other.name == pair.name && other.value != pair.value) {
            verdict.note_with(DeviationCode::RepeatedVariable, member(&definition.name, "environment"), &pair.name);
        }
    }
}

pub(super) fn unknown_probe(container: &ContainerDefinition) -> Option<Problem> {
    let command = &container.health_check.as_ref()?.command;
    match (command.first().map(String::as_str), command.len()) {
        (Some("CMD" | "CMD-SHELL"), 2..) => None,
        _ => Some(Problem::new(
            member(&container.name, "healthCheck.command"),
            "must start with CMD or CMD-SHELL and go on with the command, for example [\"CMD-SHELL\", \"curl -f http://localhost/\"]",
        )),
    }
}
