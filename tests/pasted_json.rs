//! What people paste: how the types read JSON, and which values the schema refuses.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use longshore::api::{self, ServiceSpec, TaskDefinitionRevisionSpec, TaskDefinitionSpec};
use serde_json::{Value, json};

fn task_definition(container: &Value) -> Result<TaskDefinitionSpec, serde_json::Error> {
    serde_json::from_value(json!({ "containerDefinitions": [container] }))
}

#[test]
fn null_is_absent_everywhere() {
    let pasted = task_definition(&json!({
        "name": "app", "image": "nginx", "cpu": null, "essential": null, "environment": null, "dockerLabels": null,
        "healthCheck": null, "logConfiguration": { "logDriver": "awslogs", "options": null, "secretOptions": null },
    }));
    let written = task_definition(&json!({
        "name": "app", "image": "nginx", "logConfiguration": { "logDriver": "awslogs" },
    }));
    assert_eq!(pasted.unwrap(), written.unwrap());
    let service: ServiceSpec = serde_json::from_value(json!({ "desiredCount": null, "tags": null })).unwrap();
    assert_eq!(service, ServiceSpec::default());
}

#[test]
fn absent_is_not_written() {
    let spec = task_definition(&json!({ "name": "app", "image": "nginx" })).unwrap();
    let written = json!({ "containerDefinitions": [{ "name": "app", "image": "nginx" }] });
    assert_eq!(serde_json::to_value(spec).unwrap(), written);
}

#[test]
fn cpu_and_memory_of_a_task_are_numbers_or_strings() {
    let spec: TaskDefinitionSpec =
        serde_json::from_value(json!({ "cpu": 256, "memory": "0.5 GB", "containerDefinitions": [] })).unwrap();
    assert_eq!(spec.cpu, Some(IntOrString::Int(256)));
    assert_eq!(spec.memory, Some(IntOrString::String("0.5 GB".into())));
}

#[test]
fn cpu_of_a_container_is_a_number() {
    let error = task_definition(&json!({ "name": "app", "image": "nginx", "cpu": "256" })).unwrap_err();
    assert!(error.to_string().contains("expected i32"), "{error}");
}

#[test]
fn a_revision_has_its_number_next_to_the_definition() {
    let json = json!({
        "family": "web", "revision": 7, "memory": 512, "containerDefinitions": [{ "name": "app", "image": "nginx" }],
    });
    let spec: TaskDefinitionRevisionSpec = serde_json::from_value(json.clone()).unwrap();
    assert_eq!((spec.revision, spec.task_definition.family.as_deref()), (7, Some("web")));
    assert_eq!(serde_json::to_value(spec).unwrap(), json);
}

/// Bounds that only the prose of the AWS API has; `aws_model` holds those of its model.
const BOUNDS: [(&str, &str, &str, i32); 35] = [
    ("TaskDefinition", "containerDefinitions", "minItems", 1),
    ("TaskDefinition", "containerDefinitions", "maxItems", 10),
    ("TaskDefinition", "placementConstraints", "maxItems", 10),
    ("TaskDefinition", "ephemeralStorage.sizeInGiB", "minimum", 21),
    ("TaskDefinition", "ephemeralStorage.sizeInGiB", "maximum", 200),
    ("TaskDefinition", "containerDefinitions.environmentFiles", "maxItems", 10),
    ("TaskDefinition", "containerDefinitions.credentialSpecs", "maxItems", 1),
    ("TaskDefinition", "containerDefinitions.startTimeout", "minimum", 1),
    ("TaskDefinition", "containerDefinitions.stopTimeout", "minimum", 1),
    ("TaskDefinition", "containerDefinitions.portMappings.containerPort", "maximum", 65535),
    ("TaskDefinition", "containerDefinitions.portMappings.hostPort", "maximum", 65535),
    ("TaskDefinition", "containerDefinitions.restartPolicy.ignoredExitCodes", "maxItems", 50),
    ("TaskDefinition", "containerDefinitions.restartPolicy.restartAttemptPeriod", "minimum", 60),
    ("TaskDefinition", "containerDefinitions.restartPolicy.restartAttemptPeriod", "maximum", 1800),
    ("TaskDefinition", "containerDefinitions.healthCheck.command", "minItems", 1),
    ("TaskDefinition", "containerDefinitions.healthCheck.interval", "minimum", 5),
    ("TaskDefinition", "containerDefinitions.healthCheck.interval", "maximum", 300),
    ("TaskDefinition", "containerDefinitions.healthCheck.timeout", "minimum", 2),
    ("TaskDefinition", "containerDefinitions.healthCheck.timeout", "maximum", 60),
    ("TaskDefinition", "containerDefinitions.healthCheck.retries", "minimum", 1),
    ("TaskDefinition", "containerDefinitions.healthCheck.retries", "maximum", 10),
    ("TaskDefinition", "containerDefinitions.healthCheck.startPeriod", "minimum", 0),
    ("TaskDefinition", "containerDefinitions.healthCheck.startPeriod", "maximum", 300),
    ("TaskDefinition", "kubernetes.revisionHistoryLimit", "minimum", 1),
    ("TaskDefinitionRevision", "revision", "minimum", 1),
    ("Service", "desiredCount", "minimum", 0),
    ("Service", "placementConstraints", "maxItems", 10),
    ("Service", "placementStrategy", "maxItems", 5),
    ("Service", "capacityProviderStrategy", "maxItems", 20),
    ("Service", "networkConfiguration.awsvpcConfiguration.subnets", "maxItems", 16),
    ("Service", "networkConfiguration.awsvpcConfiguration.securityGroups", "maxItems", 5),
    ("Service", "deploymentConfiguration.minimumHealthyPercent", "minimum", 0),
    ("Service", "deploymentConfiguration.minimumHealthyPercent", "maximum", 100),
    ("Service", "deploymentConfiguration.maximumPercent", "minimum", 100),
    ("Cluster", "defaultCapacityProviderStrategy", "maxItems", 20),
];

#[test]
fn the_schema_has_the_bounds_of_the_documentation() {
    let crds = api::crds();
    for (kind, path, keyword, bound) in BOUNDS {
        let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let member = path.split('.').fold(&schema["openAPIV3Schema"]["properties"]["spec"], |schema, name| {
            let schema = schema.get("items").unwrap_or(schema);
            &schema["properties"][name]
        });
        assert_eq!(member[keyword].as_f64(), Some(bound.into()), "{kind}.{path} {keyword}");
    }
}

#[test]
fn containers_and_volumes_are_told_apart_by_name_and_other_lists_are_taken_whole() {
    for crd in api::crds() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let spec = &schema["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let keyed = spec.as_object().unwrap().iter().filter(|(_, member)| member["x-kubernetes-list-type"] == "map");
        let keyed: Vec<_> =
            keyed.map(|(name, member)| (name.as_str(), &member["x-kubernetes-list-map-keys"])).collect();
        let by_name = json!(["name"]);
        let expected = match crd.spec.names.kind.as_str() {
            "TaskDefinition" | "TaskDefinitionRevision" => {
                vec![("containerDefinitions", &by_name), ("volumes", &by_name)]
            }
            _ => Vec::new(),
        };
        assert_eq!(keyed, expected, "{}", crd.spec.names.kind);
    }
}
