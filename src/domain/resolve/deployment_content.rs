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
