//! Which members of a spec have an effect. A member that is accepted but has none yet is named in a condition.

use serde::Serialize;
use serde_json::Value;

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
    "availabilityZoneRebalancing",
    "placementStrategy",
    "volumeConfigurations[].name",
    "volumeConfigurations[].managedEBSVolume.sizeInGiB",
    "volumeConfigurations[].managedEBSVolume.volumeType",
    "volumeConfigurations[].managedEBSVolume.snapshotId",
    // Whoever makes the disks on Kubernetes has its own.
    "volumeConfigurations[].managedEBSVolume.roleArn",
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
    "volumeConfigurations[].name",
    "volumeConfigurations[].managedEBSVolume.sizeInGiB",
    "volumeConfigurations[].managedEBSVolume.volumeType",
    "volumeConfigurations[].managedEBSVolume.snapshotId",
    "volumeConfigurations[].managedEBSVolume.roleArn",
    "kubernetes",
];

/// The members of a `Cluster` that have an effect.
pub const CLUSTER: &[&str] = &["clusterName", "kubernetes"];

/// The members of a `CapacityProvider` that have an effect.
pub const CAPACITY_PROVIDER: &[&str] = &["name", "kubernetes.nodeSelector"];

/// Values that ask for what happens anyway.
const DEFAULTS: &[(&str, &str)] = &[
    ("schedulingStrategy", "REPLICA"),
    ("availabilityZoneRebalancing", "DISABLED"),
    ("deploymentController.type", "ECS"),
    ("deploymentConfiguration.strategy", "ROLLING"),
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
        let implemented = &["family", "containers[].name", "containers[].ports[].number", "volumes[].name"];
        let spec = serde_json::json!({
            "family": "web",
            "role": "arn:aws:iam::123456789012:role/web",
            "containers": [
                {"name": "app", "privileged": false, "links": [], "ports": [{"number": 80, "host": 8080}],
                 "log": {"driver": "awslogs", "options": {"group": "web"}}},
            ],
            "volumes": [{"name": "data"}, {"name": "proc", "host": {"sourcePath": "/proc"}}],
        });
        assert_eq!(
            not_implemented(&spec, implemented),
            ["spec.containers[app].log", "spec.containers[app].ports[0].host", "spec.role", "spec.volumes[proc].host"]
        );
    }

    #[test]
    fn a_default_that_is_written_down_is_not_a_member_without_effect() {
        let spec = |strategy: &str| serde_json::json!({"deploymentConfiguration": {"strategy": strategy, "maximumPercent": 150}});
        assert_eq!(not_implemented(&spec("ROLLING"), SERVICE), Vec::<String>::new());
        assert_eq!(not_implemented(&spec("BLUE_GREEN"), SERVICE), ["spec.deploymentConfiguration.strategy"]);
    }
}
