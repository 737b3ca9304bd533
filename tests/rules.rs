//! The CEL rules of every kind, each row under the sentence it encodes, evaluated as the API server would.

#![expect(clippy::unwrap_used, reason = "a test may fail this way")]

use kube::CustomResourceExt;
use kube::core::cel;
use longshore::api::{CapacityProvider, Cluster, Service, TaskDefinition, TaskDefinitionRevision};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A sentence, the change to the base object's spec, and a part of the refusal, or `None` where it is accepted.
type Create = (&'static str, Value, Option<&'static str>);

/// A sentence, the changes before and after an update, and a part of the refusal, or `None` where it is accepted.
type Update = (&'static str, Value, Value, Option<&'static str>);

fn creates<T: CustomResourceExt + Serialize + DeserializeOwned>(base: &Value, rows: &[Create]) {
    for (title, change, refusal) in rows {
        judge(title, cel::validate_cel(&object::<T>(base, change)), *refusal);
    }
}

fn updates<T: CustomResourceExt + Serialize + DeserializeOwned>(base: &Value, rows: &[Update]) {
    for (title, old, new, refusal) in rows {
        let result = cel::validate_cel_update(&object::<T>(base, new), &object::<T>(base, old));
        judge(title, result, *refusal);
    }
}

fn judge(title: &str, result: Result<(), cel::ValidationErrors>, refusal: Option<&str>) {
    let found = result.err().map(|errors| errors.to_string()).unwrap_or_default();
    match refusal {
        None => assert!(found.is_empty(), "{title}: refused with {found}"),
        Some(part) => assert!(found.contains(part), "{title}: expected {part:?}, found {found:?}"),
    }
}

/// The object `web`, or of the name under `"@name"`, with members of the base spec replaced, or removed by `null`.
fn object<T: DeserializeOwned>(base: &Value, change: &Value) -> T {
    let mut spec = base.as_object().unwrap().clone();
    let mut name = json!("web");
    for (member, value) in change.as_object().unwrap() {
        match (member.as_str(), value) {
            ("@name", value) => name = value.clone(),
            (member, Value::Null) => drop(spec.remove(member)),
            (member, value) => drop(spec.insert(member.to_owned(), value.clone())),
        }
    }
    serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap()
}

fn container(name: &str, more: &Value) -> Value {
    let mut container = json!({ "name": name, "image": "nginx" });
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container
}

#[test]
fn task_definitions() {
    let one = |more: Value| json!({ "containerDefinitions": [container("app", &more)] });
    let two = |more: Value| json!({ "containerDefinitions": [container("app", &more), container("log", &json!({}))] });
    let depends = |on: &str| json!({ "dependsOn": [{ "containerName": on, "condition": "START" }] });
    let volumes = |volumes: Value| json!({ "volumes": volumes });
    let both = "containerPortRange: cannot be combined with containerPort";
    creates::<TaskDefinition>(
        &one(json!({})),
        &[
            ("A container is essential unless it says otherwise", json!({}), None),
            ("At least one container must be essential", two(json!({ "essential": false })), None),
            ("At least one container must be essential", one(json!({ "essential": false })), Some("must be essential")),
            ("A family has no dots", json!({ "@name": "web.v1" }), Some("spec.family: the object's name has a dot")),
            ("A family may be named apart from the object", json!({ "@name": "web.v1", "family": "web" }), None),
            ("A container may depend on another", two(depends("log")), None),
            ("A dependency must exist", two(depends("db")), Some("dependsOn must name another container")),
            ("A container cannot depend on itself", two(depends("app")), Some("dependsOn must name another")),
            ("memory may equal memoryReservation", one(json!({ "memory": 64, "memoryReservation": 64 })), None),
            (
                "memory must not be below memoryReservation",
                one(json!({ "memory": 63, "memoryReservation": 64 })),
                Some("memory: the hard limit must not be below memoryReservation"),
            ),
            (
                "A port range stands instead of a port",
                one(json!({ "portMappings": [{ "containerPortRange": "80-90" }, { "containerPort": 443 }] })),
                None,
            ),
            (
                "A port range stands instead of a port",
                one(json!({ "portMappings": [{ "containerPortRange": "80-90", "containerPort": 80 }] })),
                Some(both),
            ),
            ("A volume may have no configuration", volumes(json!([{ "name": "a" }])), None),
            (
                "A volume has at most one configuration",
                volumes(json!([{ "name": "a", "host": {} }, { "name": "b", "dockerVolumeConfiguration": {} }])),
                None,
            ),
            (
                "A volume has at most one configuration",
                volumes(json!([{ "name": "a", "host": {}, "efsVolumeConfiguration": { "fileSystemId": "fs-1" } }])),
                Some("a volume has at most one of host"),
            ),
            (
                "Only one volume is configured at launch",
                volumes(
                    json!([{ "name": "a", "configuredAtLaunch": true }, { "name": "b", "configuredAtLaunch": false }]),
                ),
                None,
            ),
            (
                "Only one volume is configured at launch",
                volumes(
                    json!([{ "name": "a", "configuredAtLaunch": true }, { "name": "b", "configuredAtLaunch": true }]),
                ),
                Some("only one volume may be configuredAtLaunch"),
            ),
            (
                "A confidential sandbox needs an attestation policy",
                json!({ "trustedExecutionConfiguration": { "isolationMode": "CONFIDENTIAL_SANDBOX" } }),
                Some("attestationPolicy: required"),
            ),
            (
                "Other sandboxes need no attestation policy",
                json!({ "trustedExecutionConfiguration": { "isolationMode": "ISOLATED_SANDBOX" } }),
                None,
            ),
        ],
    );
    updates::<TaskDefinition>(
        &one(json!({})),
        &[
            ("Anything but the family may change", json!({}), two(json!({})), None),
            ("The family may be written out", json!({}), json!({ "family": "web" }), None),
            ("The family may be left to the name", json!({ "family": "web" }), json!({}), None),
            ("A family is not renamed", json!({}), json!({ "family": "api" }), Some("cannot be renamed")),
            ("A family is not renamed", json!({ "family": "api" }), json!({}), Some("cannot be renamed")),
        ],
    );
}

#[test]
fn revisions() {
    let base = json!({ "family": "web", "revision": 1, "containerDefinitions": [container("app", &json!({}))] });
    let refusal = "a revision is immutable; change the TaskDefinition to make a new one";
    creates::<TaskDefinitionRevision>(
        &base,
        &[
            ("A revision names its family", json!({}), None),
            ("A revision names its family", json!({ "family": null }), Some("spec.family: required")),
            (
                "The rules of a task definition hold for its revisions",
                json!({ "containerDefinitions": [container("app", &json!({ "essential": false }))] }),
                Some("must be essential"),
            ),
        ],
    );
    updates::<TaskDefinitionRevision>(
        &base,
        &[
            ("A revision stays as it is", json!({}), json!({}), None),
            ("A revision is immutable", json!({}), json!({ "cpu": "256" }), Some(refusal)),
            ("A revision is immutable", json!({ "cpu": "256" }), json!({}), Some(refusal)),
            ("A revision is immutable", json!({}), json!({ "revision": 2 }), Some(refusal)),
        ],
    );
}

/// A service of that scheduling strategy with that deployment configuration.
fn percent(scheduling: &str, configuration: &Value) -> Value {
    json!({ "schedulingStrategy": scheduling, "deploymentConfiguration": configuration })
}

/// A capacity provider strategy of two items, each with a weight and a base.
fn bases(first: i32, second: i32) -> Value {
    json!([{ "capacityProvider": "a", "weight": 1, "base": first }, { "capacityProvider": "b", "base": second }])
}

#[test]
fn services() {
    creates::<Service>(
        &json!({ "taskDefinition": "web" }),
        &[
            ("A service needs a task definition", json!({}), None),
            ("A service needs a task definition", json!({ "taskDefinition": null }), Some("taskDefinition: required")),
            (
                "A service needs a task definition with the controller CODE_DEPLOY",
                json!({ "taskDefinition": null, "deploymentController": { "type": "CODE_DEPLOY" } }),
                Some("taskDefinition: required"),
            ),
            (
                "With the controller EXTERNAL the task sets have the task definition",
                json!({ "taskDefinition": null, "deploymentController": { "type": "EXTERNAL" } }),
                None,
            ),
            ("A service name has no dots", json!({ "@name": "web.v1" }), Some("spec.serviceName: the object's name")),
            ("A service may be named apart from the object", json!({ "@name": "w.v1", "serviceName": "w" }), None),
        ],
    );
}

#[test]
fn capacity_of_services() {
    let provider = |weights: Value| json!({ "capacityProviderStrategy": weights });
    creates::<Service>(
        &json!({ "taskDefinition": "web" }),
        &[
            ("launchType may stand alone", json!({ "launchType": "FARGATE" }), None),
            (
                "launchType and capacityProviderStrategy exclude each other",
                json!({ "launchType": "FARGATE", "capacityProviderStrategy": bases(0, 0) }),
                Some("launchType: cannot be combined with capacityProviderStrategy"),
            ),
            ("One provider needs no weight", provider(json!([{ "capacityProvider": "a" }])), None),
            (
                "Of several providers one needs a weight",
                provider(json!([{ "capacityProvider": "a" }, { "capacityProvider": "b", "weight": 1 }])),
                None,
            ),
            (
                "Of several providers one needs a weight",
                provider(json!([{ "capacityProvider": "a", "weight": 0 }, { "capacityProvider": "b" }])),
                Some("at least one needs a weight above 0"),
            ),
            ("Only one provider has a base", provider(bases(1, 0)), None),
            ("Only one provider has a base", provider(bases(1, 2)), Some("only one capacity provider may have a base")),
        ],
    );
}

#[test]
fn deployments_of_services() {
    let threshold = |kind: &str, value: i32| {
        let configuration = json!({ "type": kind, "value": value });
        let breaker = json!({ "enable": true, "rollback": false, "thresholdConfiguration": configuration });
        json!({ "deploymentConfiguration": { "deploymentCircuitBreaker": breaker } })
    };
    let early = |criteria: Value| json!({ "deploymentConfiguration": { "earlySuccessCriteria": criteria } });
    let blocked = "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments";
    creates::<Service>(
        &json!({ "taskDefinition": "web" }),
        &[
            (
                "A maximum of 100 needs a lower minimum",
                percent("REPLICA", &json!({ "maximumPercent": 100 })),
                Some(blocked),
            ),
            (
                "A maximum of 100 needs a lower minimum",
                percent("REPLICA", &json!({ "maximumPercent": 100, "minimumHealthyPercent": 100 })),
                Some(blocked),
            ),
            (
                "A maximum of 100 needs a lower minimum",
                percent("REPLICA", &json!({ "maximumPercent": 100, "minimumHealthyPercent": 99 })),
                None,
            ),
            ("The maximum defaults to 200", percent("REPLICA", &json!({ "minimumHealthyPercent": 100 })), None),
            (
                "A scheduling strategy defaults to REPLICA",
                json!({ "deploymentConfiguration": { "maximumPercent": 100 } }),
                Some(blocked),
            ),
            (
                "Only rolling deployments are bound by both percentages",
                percent("REPLICA", &json!({ "maximumPercent": 100, "strategy": "BLUE_GREEN" })),
                None,
            ),
            ("A failure threshold may be a percentage up to 100", threshold("BOUNDED_PERCENT", 100), None),
            (
                "A failure threshold may be a percentage up to 100",
                threshold("UNBOUNDED_PERCENT", 101),
                Some("1 to 100"),
            ),
            ("A failure threshold may be any number", threshold("COUNT", 101), None),
            ("Early success may be off", early(json!({ "enable": false })), None),
            (
                "Early success needs its criteria",
                early(json!({ "enable": true, "healthyPercent": 50 })),
                Some("healthyPercent and sourceServiceRevisionCleanup are required"),
            ),
            (
                "Early success needs its criteria",
                early(json!({ "enable": true, "healthyPercent": 50, "sourceServiceRevisionCleanup": "DEFERRED" })),
                None,
            ),
        ],
    );
}

#[test]
fn daemons() {
    let daemon = |member: &str, value: Value| json!({ "schedulingStrategy": "DAEMON", member: value });
    creates::<Service>(
        &json!({ "taskDefinition": "web" }),
        &[
            ("A daemon's maximum is 100", percent("DAEMON", &json!({ "maximumPercent": 100 })), None),
            (
                "A daemon's maximum is 100",
                percent("DAEMON", &json!({ "maximumPercent": 200 })),
                Some("must be 100 for"),
            ),
            ("A daemon's minimum is below 100", percent("DAEMON", &json!({ "minimumHealthyPercent": 99 })), None),
            (
                "A daemon's minimum is below 100",
                percent("DAEMON", &json!({ "minimumHealthyPercent": 100 })),
                Some("must be below 100 for schedulingStrategy DAEMON"),
            ),
            (
                "DAEMON needs the controller ECS",
                daemon("deploymentController", json!({ "type": "CODE_DEPLOY" })),
                Some("DAEMON works only with deploymentController.type ECS"),
            ),
            ("DAEMON needs the controller ECS", daemon("deploymentController", json!({ "type": "ECS" })), None),
            ("Fargate has no DAEMON", daemon("launchType", json!("FARGATE")), Some("cannot be scheduled as DAEMON")),
            ("Fargate has no DAEMON", daemon("launchType", json!("EC2")), None),
        ],
    );
}

#[test]
fn updates_of_services() {
    let daemon = json!({ "schedulingStrategy": "DAEMON" });
    updates::<Service>(
        &json!({ "taskDefinition": "web" }),
        &[
            ("A service is not renamed", json!({}), json!({ "serviceName": "api" }), Some("cannot be renamed")),
            ("The name may be written out", json!({}), json!({ "serviceName": "web" }), None),
            ("A service keeps its cluster", json!({}), json!({ "cluster": "other" }), Some("cannot move to another")),
            ("The cluster may be written out", json!({}), json!({ "cluster": "default" }), None),
            ("The scheduling strategy stays", json!({}), daemon.clone(), Some("schedulingStrategy: cannot change")),
            ("The scheduling strategy stays", daemon, json!({}), Some("schedulingStrategy: cannot change")),
            ("It may be written out", json!({}), json!({ "schedulingStrategy": "REPLICA" }), None),
            ("The launch type may change", json!({ "launchType": "EC2" }), json!({ "launchType": "FARGATE" }), None),
        ],
    );
}

#[test]
fn clusters() {
    let strategy = |items: Value| json!({ "defaultCapacityProviderStrategy": items });
    creates::<Cluster>(
        &json!({}),
        &[
            ("A cluster needs nothing", json!({}), None),
            ("A cluster name has no dots", json!({ "@name": "a.b" }), Some("spec.clusterName: the object's name")),
            ("Only one provider has a base", strategy(bases(1, 2)), Some("only one capacity provider may have a base")),
            (
                "Of several providers one needs a weight",
                strategy(json!([{ "capacityProvider": "a" }, { "capacityProvider": "b" }])),
                Some("at least one needs a weight above 0"),
            ),
        ],
    );
    updates::<Cluster>(
        &json!({}),
        &[
            ("A cluster is not renamed", json!({}), json!({ "clusterName": "b" }), Some("cannot be renamed")),
            ("The name may be written out", json!({}), json!({ "clusterName": "web" }), None),
        ],
    );
}

#[test]
fn capacity_providers() {
    let group = json!({ "autoScalingGroupArn": "arn" });
    let managed = json!({
        "infrastructureRoleArn": "arn",
        "instanceLaunchTemplate": { "ec2InstanceProfileArn": "arn", "networkConfiguration": {} },
    });
    creates::<CapacityProvider>(
        &json!({}),
        &[
            ("A provider needs nothing of AWS", json!({ "kubernetes": { "nodeSelector": { "pool": "a" } } }), None),
            ("A provider's name has no dots", json!({ "@name": "a.b" }), Some("spec.name: the object's name")),
            ("A provider is a group", json!({ "autoScalingGroupProvider": group }), None),
            (
                "A provider is a group or managed instances",
                json!({ "autoScalingGroupProvider": group, "managedInstancesProvider": managed }),
                Some("managedInstancesProvider: cannot be combined with autoScalingGroupProvider"),
            ),
        ],
    );
    updates::<CapacityProvider>(
        &json!({}),
        &[
            ("A provider is not renamed", json!({}), json!({ "name": "b" }), Some("cannot be renamed")),
            ("The name may be written out", json!({}), json!({ "name": "web" }), None),
        ],
    );
}
