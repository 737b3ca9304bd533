//! What starts a deployment, and what does not.

use serde_json::Value;

use crate::api::ServiceSpec;
use crate::api::names::RevisionName;
use crate::domain::resolve::canonical_json;

/// What a deployment runs, as a text that changes exactly when a new deployment has to start: the members of which ECS's
/// `UpdateService` says so. A member that is absent is left out, so that one that a later version adds changes nothing for
/// those who do not use it.
pub fn deployment_content(spec: &ServiceSpec, revision: &RevisionName) -> String {
    let spec = serde_json::to_value(spec).unwrap_or(Value::Null);
    let starts_a_deployment = [
        "loadBalancers",
        "networkConfiguration",
        "platformVersion",
        "serviceConnectConfiguration",
        "serviceRegistries",
        "volumeConfigurations",
        "vpcLatticeConfigurations",
    ];
    let mut content = serde_json::Map::new();
    content.insert("taskDefinition".to_owned(), Value::String(revision.to_string()));
    for member in starts_a_deployment {
        if let Some(value) = spec.get(member) {
            content.insert(member.to_owned(), value.clone());
        }
    }
    canonical_json(&Value::Object(content))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::api;

    /// A change of each member, and whether it starts a deployment. ECS's `UpdateService` says of those: "a new deployment is
    /// started".
    fn changes() -> Vec<(&'static str, Value, bool)> {
        let tag = json!([{ "key": "team", "value": "blue" }]);
        let lattice = json!([{ "portName": "http", "roleArn": "r", "targetGroupArn": "t" }]);
        vec![
            ("availabilityZoneRebalancing", json!("ENABLED"), false),
            ("capacityProviderStrategy", json!([{ "capacityProvider": "spot" }]), false),
            ("clientToken", json!("again"), false),
            ("cluster", json!("blue"), false),
            ("deploymentConfiguration", json!({ "maximumPercent": 150 }), false),
            ("deploymentController", json!({ "type": "ECS" }), false),
            ("desiredCount", json!(7), false),
            ("enableECSManagedTags", json!(true), false),
            ("enableExecuteCommand", json!(true), false),
            ("gatewayConnectors", json!([{ "portName": "http" }]), false),
            ("healthCheckGracePeriodSeconds", json!(30), false),
            ("kubernetes", json!({ "healthyAfterSeconds": 5 }), false),
            ("launchType", json!("FARGATE"), false),
            ("loadBalancers", json!([{ "targetGroupArn": "t" }]), true),
            ("monitoring", json!({ "metricConfigurations": [] }), false),
            ("networkConfiguration", json!({ "awsvpcConfiguration": { "subnets": ["a"] } }), true),
            ("placementConstraints", json!([{ "type": "distinctInstance" }]), false),
            ("placementStrategy", json!([{ "type": "random" }]), false),
            ("platformVersion", json!("1.4.0"), true),
            ("propagateTags", json!("SERVICE"), false),
            ("role", json!("ecsServiceRole"), false),
            ("schedulingStrategy", json!("DAEMON"), false),
            ("serviceConnectConfiguration", json!({ "enabled": true }), true),
            ("serviceName", json!("web"), false),
            ("serviceRegistries", json!([{ "registryArn": "r" }]), true),
            ("tags", tag, false),
            ("volumeConfigurations", json!([{ "name": "data" }]), true),
            ("vpcLatticeConfigurations", lattice, true),
        ]
    }

    fn content(change: Option<(&str, &Value)>) -> String {
        let mut spec = json!({ "taskDefinition": "web" });
        spec.as_object_mut().unwrap().extend(change.map(|(member, value)| (member.to_owned(), value.clone())));
        deployment_content(&serde_json::from_value(spec).unwrap(), &"web:1".parse().unwrap())
    }

    #[test]
    fn a_change_of_some_members_starts_a_deployment_and_of_all_others_does_not() {
        for (member, value, starts) in changes() {
            assert_eq!(content(Some((member, &value))) != content(None), starts, "{member}");
        }
    }

    #[test]
    fn every_member_is_of_one_kind_or_the_other() {
        let crds: Vec<Value> = api::crds().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect();
        let service = crds.iter().find(|crd| crd["spec"]["names"]["kind"] == "Service").unwrap();
        let spec = &service["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let members: BTreeSet<&str> = spec.as_object().unwrap().keys().map(String::as_str).collect();
        let classified: BTreeSet<&str> =
            changes().iter().map(|(member, ..)| *member).chain(["taskDefinition"]).collect();
        assert_eq!(members, classified);
    }
}
