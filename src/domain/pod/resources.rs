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
    let size = quantities(definition.size.cpu.map(CpuUnits::millicores_of_task), definition.size.memory);
    requirements(size.clone(), size)
}

/// A container's `cpu` is a share, never a limit. `memoryReservation` is what the scheduler sets aside, `memory` where the
/// container is killed; the one stands in for the other where only `memory` is given.
pub(super) fn container(container: &Container) -> Option<ResourceRequirements> {
    let cpu = |units: Option<CpuUnits>| units.map(CpuUnits::millicores_of_container);
    let mut requests = quantities(cpu(container.cpu), container.memory_reservation.or(container.memory));
    let mut limits = quantities(cpu(container.cpu_limit), container.memory);
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

fn quantities(millicores: Option<u64>, memory: Option<MiB>) -> BTreeMap<String, Quantity> {
    let cpu = millicores.map(|millicores| ("cpu".to_owned(), Quantity(format!("{millicores}m"))));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::resolve::features::Features;
    use crate::domain::resolve::task_definition;

    fn millicores(of: Option<ResourceRequirements>) -> u64 {
        let cpu = of.and_then(|resources| resources.requests?.remove("cpu"));
        cpu.map_or(0, |Quantity(cpu)| cpu.strip_suffix('m').unwrap().parse().unwrap())
    }

    proptest! {
        /// The API server takes no pod whose containers ask for more than the pod has.
        #[test]
        fn what_containers_ask_for_together_is_in_the_pod_where_their_units_are_in_the_task(
            units in proptest::collection::vec(prop_oneof![0..=4_u32, 0..=2048_u32], 1..=10),
            unused in 0..=2_u32,
        ) {
            let containers: Vec<Value> = units
                .iter()
                .enumerate()
                .map(|(n, units)| json!({"name": format!("c{n}"), "image": "i", "cpu": units}))
                .collect();
            let task = units.iter().sum::<u32>().max(1).saturating_add(unused);
            let spec = json!({"cpu": task, "containerDefinitions": containers});
            let definition = task_definition::resolve(&serde_json::from_value(spec).unwrap(), Features::ALL).unwrap();
            let of_containers: u64 = definition.main.iter().map(|main| millicores(container(main))).sum();
            prop_assert!(of_containers <= millicores(super::task(&definition)), "{of_containers}");
        }
    }
}
