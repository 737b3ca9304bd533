//! What a task and its containers get of a node: processors, memory, GPUs and disk.

use crate::api::{ContainerDefinition, ResourceRequirement, ResourceType, TaskDefinitionSpec};
use crate::domain::resolve::Problem;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::size::{CpuUnits, MiB};
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{Container, member, positive};

/// The task's own cpu and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskSize {
    /// The share of a node's processors.
    pub cpu: Option<CpuUnits>,
    /// The memory limit.
    pub memory: Option<MiB>,
}

/// Reads the task's own size.
pub(super) fn task(spec: &TaskDefinitionSpec) -> Result<TaskSize, Vec<Problem>> {
    let cpu = spec.cpu.as_ref().map(CpuUnits::parse).transpose();
    let memory = spec.memory.as_ref().map(MiB::parse).transpose();
    match (cpu, memory) {
        (Ok(cpu), Ok(memory)) => Ok(TaskSize { cpu, memory }),
        (cpu, memory) => Err(cpu.err().into_iter().chain(memory.err()).collect()),
    }
}

/// What the containers of a task ask for has to fit into what the task has: ECS does not register more, and the API server
/// takes no pod with more.
pub(super) fn beyond_the_task(containers: &[ContainerDefinition], size: TaskSize) -> Vec<Problem> {
    let total = |of: fn(&ContainerDefinition) -> Option<i32>| -> u64 {
        containers.iter().filter_map(|container| positive(of(container))).map(u64::from).sum()
    };
    let mut problems = Vec::new();
    let cpu_of_containers = total(|container| container.cpu);
    if let Some(CpuUnits(cpu)) = size.cpu.filter(|cpu| cpu_of_containers > u64::from(cpu.0)) {
        let message =
            format!("the containers ask for {cpu_of_containers} units together, and the task has {cpu}; raise it");
        problems.push(Problem::new("cpu", message));
    }
    let set_aside = total(|container| {
        positive(container.memory_reservation).map_or(container.memory, |_| container.memory_reservation)
    });
    if let Some(MiB(memory)) = size.memory.filter(|memory| set_aside > u64::from(memory.0)) {
        let message = format!("the containers set {set_aside} MiB aside together, and the task has {memory}; raise it");
        problems.push(Problem::new("memory", message));
    }
    for container in containers {
        let limit = positive(container.memory);
        if let Some((limit, MiB(task))) = limit.zip(size.memory).filter(|(limit, task)| *limit > task.0) {
            let message = format!("{limit} MiB are more than the {task} MiB of the task; lower it");
            problems.push(Problem::new(member(&container.name, "memory"), message));
        }
    }
    problems
}

/// Devices that a pod cannot be given, or not without knowing the nodes.
pub(super) fn refused_devices(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !spec.inference_accelerators.is_empty() {
        problems.push(Problem::new("inferenceAccelerators", "Elastic Inference is discontinued; remove the member"));
    }
    for container in &spec.container_definitions {
        for (n, requirement) in container.resource_requirements.iter().enumerate() {
            let ResourceRequirement { value, type_, sharing_strategy } = requirement;
            let place = |name: &str| member(&container.name, &format!("resourceRequirements[{n}].{name}"));
            problems.extend(match type_ {
                ResourceType::Gpu if sharing_strategy.is_some() => {
                    let message = "a part of a GPU cannot be asked for; leave sharingStrategy out and give a value";
                    Some(Problem::new(place("sharingStrategy"), message))
                }
                ResourceType::Gpu if gpus(requirement).is_none() => {
                    let value = value.as_deref().unwrap_or_default();
                    let message = format!(
                        "{value:?} is not a number of GPUs; write for example 1. All of a node cannot be asked for"
                    );
                    Some(Problem::new(place("value"), message))
                }
                ResourceType::Gpu => None,
                ResourceType::InferenceAccelerator => {
                    Some(Problem::new(place("type"), "Elastic Inference is discontinued; remove the requirement"))
                }
                ResourceType::NeuronDevice => {
                    let message = "all Neuron devices of a node cannot be asked for; remove the requirement";
                    Some(Problem::new(place("type"), message))
                }
            });
        }
    }
    problems
}

fn gpus(requirement: &ResourceRequirement) -> Option<u32> {
    let value = requirement.value.as_deref().filter(|value| value.chars().all(|c| c.is_ascii_digit()));
    value?.parse().ok().filter(|count| *count > 0)
}

/// How many GPUs a container has for itself.
pub(super) fn gpus_of(container: &ContainerDefinition) -> u32 {
    let whole = |requirement: &&ResourceRequirement| {
        requirement.type_ == ResourceType::Gpu && requirement.sharing_strategy.is_none()
    };
    let counts = container.resource_requirements.iter().filter(whole).filter_map(gpus);
    counts.fold(0, u32::saturating_add)
}

/// Disk space is limited by container in Kubernetes, and summed up by pod: the first essential container gets all of it.
pub(super) fn assign_ephemeral_storage(spec: &TaskDefinitionSpec, main: &mut [Container], verdict: &mut Verdict) {
    let size = spec.ephemeral_storage.as_ref().and_then(|storage| positive(Some(storage.size_in_gib)));
    if size.is_some() {
        verdict.note(DeviationCode::EphemeralStorageEvicts, "ephemeralStorage");
    }
    if let Some(container) = first(main) {
        container.ephemeral_storage_gib = size;
    }
}

/// The size that the pod is to have. Where Kubernetes has no resources for a pod, a task of one container has them there, and of
/// several the first essential one asks for what is left, so that at least the task finds a node that is large enough.
pub(super) fn assign(
    size: TaskSize,
    init: &[Container],
    main: &mut [Container],
    features: Features,
    verdict: &mut Verdict,
) -> TaskSize {
    if features.pod_level_resources || size == TaskSize::default() {
        return size;
    }
    if let ([], [only]) = (init, &mut *main) {
        only.cpu_limit = size.cpu;
        only.cpu = only.cpu.or(size.cpu);
        only.memory_reservation = only.memory_reservation.or(only.memory).or(size.memory);
        only.memory = only.memory.or(size.memory);
        return TaskSize::default();
    }
    if size.cpu.is_some() {
        verdict.note(DeviationCode::TaskSizeNotEnforced, "cpu");
    }
    if size.memory.is_some() {
        verdict.note(DeviationCode::TaskSizeNotEnforced, "memory");
    }
    let all = || init.iter().chain(&*main);
    let cpu = all().filter_map(|container| container.cpu).fold(0, |sum: u32, cpu| sum.saturating_add(cpu.0));
    let set_aside = |container: &Container| container.memory_reservation.or(container.memory);
    let memory = all().filter_map(set_aside).fold(0, |sum: u32, memory| sum.saturating_add(memory.0));
    if let Some(container) = first(main) {
        let own = container.cpu.map_or(0, |cpu| cpu.0);
        let asked = |all: u32, others: u32, own: u32| all.saturating_sub(others).saturating_add(own);
        container.cpu = size.cpu.map(|CpuUnits(all)| CpuUnits(asked(all, cpu, own))).or(container.cpu);
        let own = set_aside(container).map_or(0, |memory| memory.0);
        let left = size.memory.map(|MiB(all)| MiB(asked(all, memory, own)));
        container.memory_reservation = left.or(container.memory_reservation).min(container.memory.or(left));
    }
    TaskSize::default()
}

/// The first essential container, or the first.
fn first(main: &mut [Container]) -> Option<&mut Container> {
    let at = main.iter().position(|container| container.essential).unwrap_or(0);
    main.get_mut(at)
}
