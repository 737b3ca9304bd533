//! Which members of a spec have an effect. A member that is accepted but has none yet is named in a condition.

use serde::Serialize;
use serde_json::Value;

use crate::api::{ContainerCondition, TaskDefinitionSpec};
use crate::domain::resolve::task_definition::host_port_is_implied;

/// The members of a `TaskDefinition` that have an effect. A list is followed by `[]`; a path stands for all below it.
const TASK_DEFINITION: &[&str] = &[
    "family",
    "cpu",
    "memory",
    "kubernetes",
    "containerDefinitions[].name",
    "containerDefinitions[].image",
    "containerDefinitions[].command",
    "containerDefinitions[].entryPoint",
    "containerDefinitions[].environment",
    "containerDefinitions[].environmentFiles",
    "containerDefinitions[].secrets",
    "containerDefinitions[].repositoryCredentials",
    "containerDefinitions[].portMappings[].containerPort",
    "containerDefinitions[].portMappings[].protocol",
    "containerDefinitions[].portMappings[].name",
    "containerDefinitions[].cpu",
    "containerDefinitions[].memory",
    "containerDefinitions[].memoryReservation",
    "containerDefinitions[].essential",
    "containerDefinitions[].healthCheck",
    "containerDefinitions[].stopTimeout",
    "containerDefinitions[].versionConsistency",
    "containerDefinitions[].mountPoints",
    "containerDefinitions[].dependsOn",
    "volumes[].name",
];

/// The members of a `Service` that have an effect.
pub const SERVICE: &[&str] = &[
    "serviceName",
    "cluster",
    "taskDefinition",
    "desiredCount",
    "deploymentConfiguration.minimumHealthyPercent",
    "deploymentConfiguration.maximumPercent",
    "deploymentConfiguration.deploymentCircuitBreaker",
    "healthCheckGracePeriodSeconds",
    "placementStrategy",
    "kubernetes",
];

/// The members of a `Service` with the DAEMON scheduling strategy that have an effect.
pub const DAEMON_SERVICE: &[&str] = &[
    "serviceName",
    "cluster",
    "taskDefinition",
    "schedulingStrategy",
    // "The service scheduler for DAEMON does not use a desired count": the one that is there by default asks for nothing.
    "desiredCount",
    "deploymentConfiguration.minimumHealthyPercent",
    "deploymentConfiguration.maximumPercent",
    "deploymentConfiguration.deploymentCircuitBreaker",
    "healthCheckGracePeriodSeconds",
    "placementConstraints",
    "kubernetes",
];

/// The members of a `Cluster` that have an effect.
pub const CLUSTER: &[&str] = &["clusterName", "kubernetes"];

/// The members of a `CapacityProvider` that have an effect.
pub const CAPACITY_PROVIDER: &[&str] = &["name", "kubernetes.nodeSelector"];

/// Values that ask for what happens anyway.
const DEFAULTS: &[(&str, &str)] = &[
    ("networkMode", "awsvpc"),
    ("schedulingStrategy", "REPLICA"),
    ("deploymentController.type", "ECS"),
    ("deploymentConfiguration.strategy", "ROLLING"),
    ("runtimePlatform.operatingSystemFamily", "LINUX"),
    ("trustedExecutionConfiguration.isolationMode", "SHARED"),
];

/// The members of a spec that are there and have no effect, each by the shortest path that tells it. Items of a list are told
/// by their name where they have one: `containerDefinitions[web].logConfiguration`.
pub fn not_implemented(spec: &impl Serialize, implemented: &[&str]) -> Vec<String> {
    let mut named = Vec::new();
    if let Ok(spec) = serde_json::to_value(spec) {
        walk(&spec, "", "spec", implemented, &mut named);
    }
    named
}

/// [`not_implemented`] of a task definition. A host port that is the container port asks for nothing where each task has an
/// address of its own, and COMPLETE asks for more than it gets: Kubernetes starts nothing behind a container that has failed.
pub fn not_implemented_in_task_definition(spec: &TaskDefinitionSpec) -> Vec<String> {
    let mut asked = spec.clone();
    let ports = asked.container_definitions.iter_mut().flat_map(|container| &mut container.port_mappings);
    for port in ports.filter(|port| host_port_is_implied(spec) && port.host_port == port.container_port) {
        port.host_port = None;
    }
    let mut named = not_implemented(&asked, TASK_DEFINITION);
    for container in &spec.container_definitions {
        let conditions = container.depends_on.iter().map(|dependency| dependency.condition).enumerate();
        let complete = conditions.filter(|(_, condition)| *condition == ContainerCondition::Complete);
        let shown = |n| {
            format!("spec.containerDefinitions[{}].dependsOn[{n}].condition (COMPLETE acts as SUCCESS)", container.name)
        };
        named.extend(complete.map(|(n, _)| shown(n)));
    }
    named
}

fn walk(value: &Value, path: &str, shown: &str, implemented: &[&str], named: &mut Vec<String>) {
    let leads_on = |path: &str| {
        implemented.iter().any(|known| known.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])))
    };
    let by_default =
        |value: &Value| DEFAULTS.iter().any(|(known, default)| *known == path && value.as_str() == Some(default));
    if path.is_empty() || leads_on(path) || has_default_below(path) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(value, &path, &format!("{shown}.{name}"), implemented, named);
                }
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    let name = item.get("name").and_then(Value::as_str).map_or_else(|| n.to_string(), str::to_owned);
                    walk(item, &format!("{path}[]"), &format!("{shown}[{name}]"), implemented, named);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    } else if !implemented.contains(&path) && !says_nothing(value) && !by_default(value) {
        named.push(shown.to_owned());
    }
}

fn has_default_below(path: &str) -> bool {
    DEFAULTS.iter().any(|(known, _)| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// An empty or false value asks for nothing.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(says_nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_without_effect_are_named_by_the_shortest_path_that_tells_them() {
        let spec = serde_json::json!({
            "family": "web",
            "networkMode": "awsvpc",
            "taskRoleArn": "arn:aws:iam::123456789012:role/web",
            "containerDefinitions": [
                {"name": "app", "image": "i", "privileged": false, "links": [], "portMappings": [{"containerPort": 80, "hostPort": 8080}],
                 "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "web"}}},
            ],
            "volumes": [{"name": "data"}, {"name": "proc", "host": {"sourcePath": "/proc"}}],
        });
        assert_eq!(
            not_implemented(&spec, TASK_DEFINITION),
            [
                "spec.containerDefinitions[app].logConfiguration",
                "spec.containerDefinitions[app].portMappings[0].hostPort",
                "spec.taskRoleArn",
                "spec.volumes[proc].host",
            ]
        );
    }

    #[test]
    fn a_task_definition_names_what_has_not_the_effect_that_ecs_gives_it() {
        let named = |mode: &str, port: Value, condition: &str| {
            let spec = serde_json::json!({
                "networkMode": mode,
                "containerDefinitions": [
                    {"name": "app", "image": "i", "portMappings": [port], "dependsOn": [
                        {"containerName": "a", "condition": "START"}, {"containerName": "b", "condition": condition},
                    ]},
                ],
            });
            not_implemented_in_task_definition(&serde_json::from_value(spec).unwrap())
        };
        let (host_port, complete) = (
            "spec.containerDefinitions[app].portMappings[0].hostPort",
            "spec.containerDefinitions[app].dependsOn[1].condition (COMPLETE acts as SUCCESS)",
        );
        let equal = || serde_json::json!({"containerPort": 80, "hostPort": 80});
        let any = || serde_json::json!({"containerPort": 80, "hostPort": 0});
        let of_the_node = || serde_json::json!({"containerPort": 80, "hostPort": 8080});
        for (sentence, found, expected) in [
            ("in awsvpc mode the host port is the container port", named("awsvpc", equal(), "START"), vec![]),
            ("a host port of 0 is any", named("bridge", any(), "START"), vec!["spec.networkMode"]),
            (
                "in bridge mode it is one of the node's",
                named("bridge", equal(), "START"),
                vec![host_port, "spec.networkMode"],
            ),
            ("in awsvpc mode it cannot be another", named("awsvpc", of_the_node(), "START"), vec![host_port]),
            ("SUCCESS needs exit code 0, like Kubernetes", named("awsvpc", any(), "SUCCESS"), vec![]),
            ("COMPLETE does not need exit code 0", named("awsvpc", any(), "COMPLETE"), vec![complete]),
        ] {
            assert_eq!(found, expected, "{sentence}");
        }
    }

    #[test]
    fn a_default_that_is_written_down_is_not_a_member_without_effect() {
        let spec = |strategy: &str| serde_json::json!({"deploymentConfiguration": {"strategy": strategy, "maximumPercent": 150}});
        assert_eq!(not_implemented(&spec("ROLLING"), SERVICE), Vec::<String>::new());
        assert_eq!(not_implemented(&spec("BLUE_GREEN"), SERVICE), ["spec.deploymentConfiguration.strategy"]);
    }
}
