//! `dependsOn`: the rules on the graph, and the part of a pod that each container stands in because of it.

use std::collections::BTreeMap;

use crate::api::{ContainerCondition, ContainerDefinition};
use crate::domain::resolve::Problem;

/// Where a container of a task stands in the pod, so that Kubernetes starts the containers in ECS's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Others wait for its end: an init container.
    InitOnce,
    /// Others wait for its start or its health: a native sidecar.
    Sidecar {
        /// Whether another container waits until it is HEALTHY.
        awaited_healthy: bool,
    },
    /// Nothing waits for it: an ordinary container.
    Main,
}

/// The role of each container, and the order in which those that others wait for are started. Both by index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StartOrder {
    /// In the order of declaration.
    pub(super) roles: Vec<Role>,
    /// The containers that are not [`Role::Main`], each behind those it waits for.
    pub(super) init: Vec<usize>,
}

/// Checks `dependsOn` and works out the start order.
pub(super) fn start_order(containers: &[ContainerDefinition]) -> Result<StartOrder, Vec<Problem>> {
    let index: BTreeMap<&str, usize> =
        containers.iter().enumerate().map(|(index, container)| (container.name.as_str(), index)).collect();
    let mut problems = Vec::new();
    let mut waits_for: Vec<Vec<(usize, ContainerCondition)>> = vec![Vec::new(); containers.len()];
    for (container, waits_for) in containers.iter().zip(&mut waits_for) {
        for (n, dependency) in container.depends_on.iter().enumerate() {
            let member = format!("containerDefinitions[{}].dependsOn[{n}]", container.name);
            let target = index.get(dependency.container_name.as_str()).copied();
            match target.and_then(|target| Some((target, containers.get(target)?))) {
                None => problems.push(Problem::new(
                    format!("{member}.containerName"),
                    format!("there is no container {:?} in this task definition", dependency.container_name),
                )),
                Some((target, definition)) => {
                    problems.extend(broken_rule(&member, dependency.condition, definition));
                    waits_for.push((target, dependency.condition));
                }
            }
        }
    }
    match topological(&waits_for) {
        Err(cycle) => {
            let names: Vec<&str> =
                cycle.iter().filter_map(|index| containers.get(*index)).map(|c| c.name.as_str()).collect();
            let first = names.first().copied().unwrap_or_default();
            problems.push(Problem::new(
                format!("containerDefinitions[{first}].dependsOn"),
                format!("the containers {} wait for each other; remove one of the dependencies", names.join(" -> ")),
            ));
            Err(problems)
        }
        Ok(_) if !problems.is_empty() => Err(problems),
        Ok(order) => {
            let roles: Vec<Role> = (0..containers.len()).map(|index| role(index, &waits_for)).collect();
            let init = order.into_iter().filter(|index| roles.get(*index).is_some_and(|role| *role != Role::Main));
            Ok(StartOrder { init: init.collect(), roles })
        }
    }
}

/// "If the dependent container is essential, COMPLETE and SUCCESS can't be set on it"; HEALTHY "requires that the dependent
/// container has health checks configured in the task definition".
fn broken_rule(member: &str, condition: ContainerCondition, target: &ContainerDefinition) -> Option<Problem> {
    let name = &target.name;
    match condition {
        ContainerCondition::Complete | ContainerCondition::Success if target.essential.unwrap_or(true) => {
            let message = format!(
                "{name:?} is essential, and its end stops the task; set its essential to false, or wait for START or HEALTHY"
            );
            Some(Problem::new(format!("{member}.condition"), message))
        }
        ContainerCondition::Healthy if target.health_check.is_none() => {
            let message =
                format!("{name:?} has no healthCheck, so it can never be HEALTHY; add one, or wait for START");
            Some(Problem::new(format!("{member}.condition"), message))
        }
        ContainerCondition::Start
        | ContainerCondition::Complete
        | ContainerCondition::Success
        | ContainerCondition::Healthy => None,
    }
}

fn role(index: usize, waits_for: &[Vec<(usize, ContainerCondition)>]) -> Role {
    let awaited = |conditions: &[ContainerCondition]| {
        waits_for.iter().flatten().any(|(target, condition)| *target == index && conditions.contains(condition))
    };
    if awaited(&[ContainerCondition::Complete, ContainerCondition::Success]) {
        return Role::InitOnce;
    }
    let awaited_healthy = awaited(&[ContainerCondition::Healthy]);
    if awaited_healthy || awaited(&[ContainerCondition::Start]) {
        Role::Sidecar { awaited_healthy }
    } else {
        Role::Main
    }
}

/// The containers in an order in which each stands behind those it waits for, and otherwise as declared; or the containers of
/// a cycle.
fn topological(waits_for: &[Vec<(usize, ContainerCondition)>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = (0..waits_for.len()).collect();
    let targets = |index: &usize| waits_for.get(*index).into_iter().flatten().map(|(target, _)| *target);
    while !left.is_empty() {
        let Some(next) = left.iter().position(|index| targets(index).all(|target| order.contains(&target))) else {
            return Err(cycle(&left, |index| targets(&index).find(|target| left.contains(target))));
        };
        order.push(left.remove(next));
    }
    Ok(order)
}

/// Follows one dependency after another, where all lead on, until one comes back.
fn cycle(left: &[usize], next: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut path: Vec<usize> = left.iter().take(1).copied().collect();
    while let Some(following) = path.last().copied().and_then(&next) {
        if let Some(start) = path.iter().position(|index| *index == following) {
            path.push(following);
            return path.split_off(start);
        }
        path.push(following);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `app: envoy HEALTHY, xds SUCCESS` as a container; a trailing `*` makes it essential, `+` gives it a health check.
    fn containers(lines: &[&str]) -> Vec<ContainerDefinition> {
        let container = |line: &&str| {
            let (name, dependencies) = line.split_once(':').unwrap();
            let depends_on: Vec<_> = dependencies
                .split_terminator(',')
                .map(|dependency| {
                    let (name, condition) = dependency.trim().split_once(' ').unwrap();
                    serde_json::json!({"containerName": name, "condition": condition})
                })
                .collect();
            let mut json = serde_json::json!({
                "name": name.trim_end_matches(['*', '+']), "image": "i", "essential": name.contains('*'), "dependsOn": depends_on,
            });
            if name.contains('+') {
                json["healthCheck"] = serde_json::json!({"command": ["CMD", "true"]});
            }
            serde_json::from_value(json).unwrap()
        };
        lines.iter().map(container).collect()
    }

    fn init(lines: &[&str]) -> Vec<String> {
        let containers = containers(lines);
        let order = start_order(&containers).unwrap();
        order.init.iter().map(|index| format!("{} {:?}", containers[*index].name, order.roles[*index])).collect()
    }

    fn refused(lines: &[&str]) -> String {
        Problem::join(&start_order(&containers(lines)).unwrap_err())
    }

    #[test]
    fn a_container_that_others_wait_for_is_started_before_them() {
        assert_eq!(
            init(&["app*: envoy HEALTHY", "envoy*+: xds SUCCESS", "xds:"]),
            ["xds InitOnce", "envoy Sidecar { awaited_healthy: true }"]
        );
        assert_eq!(
            init(&["migrate: db HEALTHY", "db*+:", "app*: migrate SUCCESS, db START"]),
            ["db Sidecar { awaited_healthy: true }", "migrate InitOnce"]
        );
        assert_eq!(init(&["app*: log START", "log:"]), ["log Sidecar { awaited_healthy: false }"]);
        assert_eq!(init(&["app*:", "other:"]), Vec::<String>::new());
    }

    #[test]
    fn a_cycle_is_refused_with_its_containers() {
        let refusal = refused(&["app*: a START", "a: b START", "b: a START"]);
        assert_eq!(
            refusal,
            "spec.containerDefinitions[a].dependsOn: the containers a -> b -> a wait for each other; remove one of the dependencies"
        );
        assert!(refused(&["app*: app START"]).contains("app -> app"));
    }

    #[test]
    fn complete_and_success_cannot_be_awaited_of_an_essential_container() {
        assert!(
            refused(&["app*: a SUCCESS", "a*:"])
                .contains("containerDefinitions[app].dependsOn[0].condition: \"a\" is essential")
        );
    }

    #[test]
    fn healthy_can_be_awaited_only_where_there_is_a_health_check() {
        assert!(refused(&["app*: a HEALTHY", "a:"]).contains("\"a\" has no healthCheck"));
    }

    #[test]
    fn a_container_that_does_not_exist_cannot_be_awaited() {
        assert!(refused(&["app*: a START"]).contains("dependsOn[0].containerName: there is no container \"a\""));
    }
}
