//! CPU and memory, of the task and of its containers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::domain::resolve::size::{CpuUnits, MiB};
use crate::domain::resolve::task_definition::{Container, ResolvedTaskDefinition};

/// The resource by which nodes offer GPUs.
const GPU: &str = "nvidia.com/gpu";

/// The task's own size is a limit on all its containers together: pod-level requests and limits.
pub(super) fn task(definition: &ResolvedTaskDefinition) -> Option<ResourceRequirements> {
    let size = quantities(definition.size.cpu, definition.size.memory);
    requirements(size.clone(), size)
}

/// A container's `cpu` is a share, never a limit. `memoryReservation` is what the scheduler sets aside, `memory` where the
/// container is killed; the one stands in for the other where only `memory` is given.
pub(super) fn container(container: &Container) -> Option<ResourceRequirements> {
    let mut requests = quantities(container.cpu, container.memory_reservation.or(container.memory));
    let mut limits = quantities(container.cpu_limit, container.memory);
    if let Some(size) = container.ephemeral_storage_gib {
        for side in [&mut requests, &mut limits] {
            side.insert("ephemeral-storage".to_owned(), Quantity(format!("{size}Gi")));
        }
    }
    // What is not divisible is asked for as a limit; the API server makes it the request too.
    if container.gpus > 0 {
        limits.insert(GPU.to_owned(), Quantity(container.gpus.to_string()));
    }
    requirements(requests, limits)
}

fn quantities(cpu: Option<CpuUnits>, memory: Option<MiB>) -> BTreeMap<String, Quantity> {
    let cpu = cpu.map(|cpu| ("cpu".to_owned(), Quantity(format!("{}m", cpu.millicores()))));
    let memory = memory.map(|MiB(memory)| ("memory".to_owned(), Quantity(format!("{memory}Mi"))));
    cpu.into_iter().chain(memory).collect()
}

fn requirements(
    requests: BTreeMap<String, Quantity>,
    limits: BTreeMap<String, Quantity>,
) -> Option<ResourceRequirements> {
    let given = |quantities: BTreeMap<_, _>| Some(quantities).filter(|quantities| !quantities.is_empty());
    let (requests, limits) = (given(requests), given(limits));
    let any = requests.is_some() || limits.is_some();
    any.then_some(ResourceRequirements { requests, limits, claims: None })
}
