//! Which members of a spec have an effect. A member that is accepted but has none yet is named in a condition.

use serde::Serialize;
use serde_json::Value;

/// The members of a `TaskDefinition` that have an effect. A list is followed by `[]`; a path stands for all below it.
pub const TASK_DEFINITION: &[&str] = &[
    "family",
    "cpu",
    "memory",
    "kubernetes",
    "revision",
    "containerDefinitions[].name",
    "containerDefinitions[].image",
    "containerDefinitions[].command",
    "containerDefinitions[].entryPoint",
    "containerDefinitions[].environment",
    "containerDefinitions[].portMappings[].containerPort",
    "containerDefinitions[].portMappings[].protocol",
    "containerDefinitions[].portMappings[].name",
    "containerDefinitions[].cpu",
    "containerDefinitions[].memory",
    "containerDefinitions[].memoryReservation",
    "containerDefinitions[].essential",
    "containerDefinitions[].healthCheck",
    "containerDefinitions[].stopTimeout",
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
];

/// The members of a `Cluster` that have an effect.
pub const CLUSTER: &[&str] = &["clusterName"];

/// The members of a `CapacityProvider` that have an effect.
pub const CAPACITY_PROVIDER: &[&str] = &["name", "kubernetes.nodeSelector"];

/// Values that ask for what happens anyway: ECS's default, which is also ours.
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
    fn a_default_that_is_written_down_is_not_a_member_without_effect() {
        let spec = |strategy: &str| serde_json::json!({"deploymentConfiguration": {"strategy": strategy, "maximumPercent": 150}});
        assert_eq!(not_implemented(&spec("ROLLING"), SERVICE), Vec::<String>::new());
        assert_eq!(not_implemented(&spec("BLUE_GREEN"), SERVICE), ["spec.deploymentConfiguration.strategy"]);
    }
}
