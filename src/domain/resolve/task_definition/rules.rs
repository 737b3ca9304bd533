//! The rules that a task definition may break, one a function. Those on `dependsOn` stand with the start order.

use std::collections::BTreeSet;

use crate::api::names::dns_label;
use crate::api::{ContainerDefinition, TaskDefinitionSpec, Volume};
use crate::domain::resolve::size::{CpuUnits, MiB};
use crate::domain::resolve::task_definition::{POD_NAME_MAX, positive};
use crate::domain::resolve::{Problem, canonical_json};

/// "Task definition size: 64 KiB."
const SIZE_MAX: usize = 64 * 1024;

pub(super) fn too_large(spec: &TaskDefinitionSpec) -> Option<Problem> {
    let size = serde_json::to_value(spec).map_or(0, |spec| canonical_json(&spec).len());
    let message = || {
        format!(
            "the task definition is {size} bytes of JSON and may be {SIZE_MAX} (64 KiB) at most; move large values into files or secrets"
        )
    };
    (size > SIZE_MAX).then(|| Problem::new("containerDefinitions", message()))
}

/// Names are compared as the pod has them: two that become one there are one too many.
pub(super) fn repeated<'a>(list: &str, names: impl Iterator<Item = &'a str>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = names.filter(|name| !seen.insert(dns_label(name, POD_NAME_MAX)));
    again
        .map(|name| Problem::new(format!("{list}[{name}].name"), "the name is used twice; give each its own"))
        .collect()
}

/// "All tasks must have at least one essential container."
pub(super) fn none_essential(containers: &[ContainerDefinition]) -> Option<Problem> {
    let none = !containers.iter().any(|container| container.essential.unwrap_or(true));
    let message = "at least one container must be essential; remove essential: false from one";
    none.then(|| Problem::new("containerDefinitions", message))
}

/// A mount needs a volume of the task and a place of its own.
pub(super) fn bad_mounts(container: &ContainerDefinition, volumes: &[Volume]) -> Vec<Problem> {
    let mut paths = BTreeSet::new();
    let mut problems = Vec::new();
    for (n, mount) in container.mount_points.iter().enumerate() {
        let mut problem = |member: &str, message: String| {
            let member = format!("containerDefinitions[{}].mountPoints[{n}].{member}", container.name);
            problems.push(Problem::new(member, message));
        };
        match mount.source_volume.as_deref() {
            None => problem("sourceVolume", "name one of volumes".to_owned()),
            Some(volume) if volumes.iter().any(|known| known.name == volume) => {}
            Some(volume) => problem("sourceVolume", format!("there is no volume {volume:?}; add it to volumes")),
        }
        match mount.container_path.as_deref() {
            None => problem("containerPath", "say where the container finds the volume".to_owned()),
            Some(path) if paths.insert(path) => {}
            Some(path) => problem("containerPath", format!("another volume is mounted at {path:?} already")),
        }
    }
    problems
}

pub(super) fn unknown_probe(container: &ContainerDefinition) -> Option<Problem> {
    let command = &container.health_check.as_ref()?.command;
    let member = format!("containerDefinitions[{}].healthCheck.command", container.name);
    match (command.first().map(String::as_str), command.len()) {
        (Some("CMD" | "CMD-SHELL"), 2..) => None,
        _ => Some(Problem::new(
            member,
            "must start with CMD or CMD-SHELL and go on with the command, for example [\"CMD-SHELL\", \"curl -f http://localhost/\"]",
        )),
    }
}

/// What the containers of a task ask for has to fit into what the task has: ECS does not register more, and the API server
/// takes no pod with more.
pub(super) fn beyond_the_task(
    containers: &[ContainerDefinition],
    cpu: Option<CpuUnits>,
    memory: Option<MiB>,
) -> Vec<Problem> {
    let total = |of: fn(&ContainerDefinition) -> Option<i32>| -> u64 {
        containers.iter().filter_map(|container| positive(of(container))).map(u64::from).sum()
    };
    let mut problems = Vec::new();
    let cpu_of_containers = total(|container| container.cpu);
    if let Some(CpuUnits(cpu)) = cpu.filter(|cpu| cpu_of_containers > u64::from(cpu.0)) {
        let message =
            format!("the containers ask for {cpu_of_containers} units together, and the task has {cpu}; raise it");
        problems.push(Problem::new("cpu", message));
    }
    let set_aside = total(|container| {
        positive(container.memory_reservation).map_or(container.memory, |_| container.memory_reservation)
    });
    if let Some(MiB(memory)) = memory.filter(|memory| set_aside > u64::from(memory.0)) {
        let message = format!("the containers set {set_aside} MiB aside together, and the task has {memory}; raise it");
        problems.push(Problem::new("memory", message));
    }
    for container in containers {
        let limit = positive(container.memory);
        if let Some((limit, MiB(task))) = limit.zip(memory).filter(|(limit, task)| *limit > task.0) {
            let member = format!("containerDefinitions[{}].memory", container.name);
            problems
                .push(Problem::new(member, format!("{limit} MiB are more than the {task} MiB of the task; lower it")));
        }
    }
    problems
}
