//! What a task definition that requires FARGATE may not say.

use std::ops::RangeInclusive;

use crate::api::{
    Compatibility, ContainerDefinition, IpcMode, LogDriver, NetworkMode, OsFamily, PidMode, ResourceType,
    TaskDefinitionSpec,
};
use crate::domain::resolve::Problem;
use crate::domain::resolve::size::{CpuUnits, MiB};
use crate::domain::resolve::task_definition::member;
use crate::domain::resolve::task_definition::sizes::TaskSize;

/// "Task CPU and memory": units of CPU, and the memory that goes with them: least, most and step, in MiB.
const SIZES: &[(u32, u32, u32, u32)] = &[
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16384, 1024),
    (4096, 8192, 30720, 1024),
    (8192, 16384, 61440, 4096),
    (16384, 32768, 122_880, 8192),
];
/// 256 units go with memory that has no step.
const SMALLEST: (u32, &[u32]) = (256, &[512, 1024, 2048]);
/// "The valid values for Fargate are 2-120 seconds."
const START_TIMEOUTS: RangeInclusive<i32> = 2..=120;
/// "The max stop timeout value is 120 seconds."
const STOP_TIMEOUTS: RangeInclusive<i32> = 1..=120;

/// Whether a task definition is to run on Fargate.
pub(super) fn is_required(spec: &TaskDefinitionSpec) -> bool {
    spec.requires_compatibilities.contains(&Compatibility::Fargate)
}

pub(super) fn refused_size(spec: &TaskDefinitionSpec, size: TaskSize) -> Option<Problem> {
    if !is_required(spec) {
        return None;
    }
    let (Some(CpuUnits(cpu)), Some(MiB(memory))) = (size.cpu, size.memory) else {
        let (name, example) = if size.cpu.is_none() { ("cpu", "256") } else { ("memory", "512") };
        return Some(Problem::new(name, format!("FARGATE requires it; write for example {example}")));
    };
    if is_size(cpu, memory) {
        return None;
    }
    let message = match memories(cpu) {
        None => {
            return Some(Problem::new(
                "cpu",
                format!(
                    "Invalid 'cpu' setting for task: {cpu} units are not one of FARGATE's 256, 512, 1024, 2048, 4096, 8192 and 16384"
                ),
            ));
        }
        Some(memories) => format!(
            "No Fargate configuration exists for given values: {memory} MiB do not go with {cpu} units of cpu; {memories} do"
        ),
    };
    Some(Problem::new("memory", message))
}

fn is_size(cpu: u32, memory: u32) -> bool {
    let stepped = |(units, least, most, step): &(u32, u32, u32, u32)| {
        *units == cpu && (*least..=*most).contains(&memory) && memory.checked_rem(*step) == Some(0)
    };
    (cpu == SMALLEST.0 && SMALLEST.1.contains(&memory)) || SIZES.iter().any(stepped)
}

fn memories(cpu: u32) -> Option<String> {
    if cpu == SMALLEST.0 {
        return Some("512, 1024 and 2048".to_owned());
    }
    let (_, least, most, step) = SIZES.iter().find(|(units, ..)| *units == cpu)?;
    Some(format!("{least} to {most} in steps of {step}"))
}

pub(super) fn refused(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    if !is_required(spec) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut problem = |name: &str, message: &str| problems.push(Problem::new(name, message));
    if spec.network_mode != Some(NetworkMode::Awsvpc) {
        problem("networkMode", "FARGATE requires awsvpc");
    }
    if spec.pid_mode == Some(PidMode::Host) {
        problem("pidMode", "FARGATE takes task only");
    }
    if spec.ipc_mode.is_some_and(|mode| matches!(mode, IpcMode::Host | IpcMode::Task | IpcMode::None)) {
        problem("ipcMode", "FARGATE takes none of them; remove the member");
    }
    if !spec.placement_constraints.is_empty() {
        problem("placementConstraints", "FARGATE has no container instances to choose from; remove them");
    }
    for volume in &spec.volumes {
        if volume.host.as_ref().is_some_and(|host| host.source_path.is_some()) {
            let place = format!("volumes[{}].host.sourcePath", volume.name);
            problems.push(Problem::new(place, "FARGATE has no container instance whose path this could be"));
        } else if volume.docker_volume_configuration.is_some() {
            let place = format!("volumes[{}].dockerVolumeConfiguration", volume.name);
            problems.push(Problem::new(place, "FARGATE has no Docker volumes"));
        }
    }
    problems.extend(spec.container_definitions.iter().flat_map(refused_of_container));
    problems
}

fn refused_of_container(container: &ContainerDefinition) -> Vec<Problem> {
    let linux = container.linux_parameters.clone().unwrap_or_default();
    let not_taken = [
        ("disableNetworking", container.disable_networking == Some(true)),
        ("dnsServers", !container.dns_servers.is_empty()),
        ("dnsSearchDomains", !container.dns_search_domains.is_empty()),
        ("dockerSecurityOptions", !container.docker_security_options.is_empty()),
        ("extraHosts", !container.extra_hosts.is_empty()),
        ("links", !container.links.is_empty()),
        ("privileged", container.privileged == Some(true)),
        ("linuxParameters.maxSwap", linux.max_swap.is_some()),
        ("linuxParameters.swappiness", linux.swappiness.is_some()),
        ("linuxParameters.devices", !linux.devices.is_empty()),
        ("linuxParameters.sharedMemorySize", linux.shared_memory_size.is_some_and(|size| size > 0)),
        ("resourceRequirements", container.resource_requirements.iter().any(|need| need.type_ == ResourceType::Gpu)),
    ];
    let given = not_taken.into_iter().filter(|(_, is_given)| *is_given);
    let mut problems: Vec<Problem> = given
        .map(|(name, _)| Problem::new(member(&container.name, name), "FARGATE does not take it; remove the member"))
        .collect();
    let mut problem = |name: &str, message: &str| problems.push(Problem::new(member(&container.name, name), message));
    let added = linux.capabilities.unwrap_or_default().add;
    if added.iter().any(|capability| capability != "SYS_PTRACE") {
        problem("linuxParameters.capabilities.add", "FARGATE adds SYS_PTRACE only; remove the others");
    }
    if container.start_timeout.is_some_and(|seconds| !START_TIMEOUTS.contains(&seconds)) {
        problem("startTimeout", "FARGATE takes 2 to 120 seconds");
    }
    if container.stop_timeout.is_some_and(|seconds| !STOP_TIMEOUTS.contains(&seconds)) {
        problem("stopTimeout", "FARGATE takes up to 120 seconds");
    }
    let driver = container.log_configuration.as_ref().map(|log| log.log_driver);
    if driver.is_some_and(|driver| !matches!(driver, LogDriver::Awslogs | LogDriver::Splunk | LogDriver::Awsfirelens)) {
        problem("logConfiguration.logDriver", "FARGATE has awslogs, splunk and awsfirelens only");
    }
    problems
}

/// Whether a system is Windows.
pub(super) fn is_windows(system: OsFamily) -> bool {
    system != OsFamily::Linux
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_with_cpu_as_in_the_table_of_fargate() {
        // (units, sizes that there are, sizes that there are not)
        let rows: [(u32, &[u32], &[u32]); 9] = [
            (256, &[512, 1024, 2048], &[256, 1536, 3072]),
            (512, &[1024, 2048, 3072, 4096], &[512, 1536, 5120]),
            (1024, &[2048, 3072, 7168, 8192], &[1024, 2560, 9216]),
            (2048, &[4096, 5120, 16384], &[3072, 17408]),
            (4096, &[8192, 9216, 30720], &[7168, 31744]),
            (8192, &[16384, 20480, 61440], &[12288, 17408, 65536]),
            (16384, &[32768, 40960, 122_880], &[24576, 36864, 131_072]),
            (128, &[], &[512]),
            (32768, &[], &[65536]),
        ];
        for (cpu, sizes, others) in rows {
            assert!(sizes.iter().all(|memory| is_size(cpu, *memory)), "{cpu}: {sizes:?}");
            assert!(others.iter().all(|memory| !is_size(cpu, *memory)), "{cpu}: {others:?}");
        }
    }
}
