//! What is taken, and what is made of it.

use longshore::import::{Kind, import, yaml};
use serde_json::{Value, json};

use crate::{arn, import_one, notes, printed, problems, service, source, spec, task_definition, with};

#[test]
fn the_input_of_each_operation_becomes_its_kind() {
    for (input, kind, name) in [
        (task_definition("web"), Kind::TaskDefinition, "web"),
        (service(&json!({})), Kind::Service, "web"),
        (json!({ "clusterName": "blue", "settings": [] }), Kind::Cluster, "blue"),
    ] {
        let import = import_one("x.json", &input);
        assert_eq!(spec(&import), input);
        assert_eq!((import.resources[0].kind, import.resources[0].name.as_str()), (kind, name));
        assert_eq!(notes(&import), Vec::<String>::new());
    }
}

#[test]
fn what_is_printed_reads_like_what_was_given_and_texts_that_look_like_numbers_stay_texts() {
    let text = r#"{"memory": "512", "cpu": 256, "family": "web", "containerDefinitions": [{"image": "nginx", "name": "app",
        "command": ["on", "1e3", "a\nb"], "environment": [{"value": "true", "name": "X"}]}]}"#;
    let import = import(&[source("x.json", text)], Some("shop"));
    assert_eq!(
        yaml(&import.resources).unwrap(),
        "---
apiVersion: ecs.longshore.dev/v1alpha1
kind: TaskDefinition
metadata:
  name: web
  namespace: shop
spec:
  memory: \"512\"
  cpu: 256
  family: web
  containerDefinitions:
  - image: nginx
    name: app
    command:
    - \"on\"
    - \"1e3\"
    - |-
      a
      b
    environment:
    - value: \"true\"
      name: X
"
    );
}

#[test]
fn the_answer_of_describe_task_definition_loses_what_is_output_and_gets_the_tags_beside_it() {
    let output = json!({
        "taskDefinitionArn": arn("task-definition/web:7"), "revision": 7, "status": "ACTIVE", "requiresAttributes": [],
        "compatibilities": ["EC2"], "registeredAt": 1_700_000_000.5, "registeredBy": "me",
    });
    let tags = json!([{ "key": "team", "value": "shop" }]);
    for own in [json!({}), json!({ "tags": [] })] {
        let definition = with(with(task_definition("web"), &output), &own);
        let import = import_one("web.json", json!({ "taskDefinition": definition, "tags": tags }));
        assert_eq!(spec(&import), with(task_definition("web"), &json!({ "tags": tags })));
        let [note] = notes(&import).try_into().unwrap();
        assert!(note.starts_with("web.json: taskDefinition: dropped "), "{note}");
        assert!(note.ends_with(" (output of AWS, not input)"), "{note}");
        for member in output.as_object().unwrap().keys() {
            assert!(note.contains(member), "{member} is not in {note}");
        }
    }
}

#[test]
fn the_answer_of_describe_services_becomes_services_that_follow_the_family_in_the_short_cluster() {
    let described = service(&json!({
        "serviceArn": arn("service/blue/web"), "clusterArn": arn("cluster/blue"), "status": "ACTIVE", "desiredCount": 3,
        "runningCount": 3, "pendingCount": 0, "taskDefinition": arn("task-definition/web-app:7"), "events": [],
        "deployments": [], "taskSets": [], "createdBy": "me", "platformFamily": "Linux", "currentServiceDeployment": "x",
    }));
    let import = import_one("s.json", json!({ "services": [described], "failures": [] }));
    assert_eq!(
        spec(&import),
        json!({ "serviceName": "web", "cluster": "blue", "desiredCount": 3, "taskDefinition": "web-app" })
    );
    let notes = notes(&import);
    assert_eq!(
        notes[..2],
        [
            format!(
                "s.json: services[0].taskDefinition: \"web-app\" instead of {}: the revision numbers of AWS do not exist here, so the newest revision is followed",
                arn("task-definition/web-app:7")
            ),
            "s.json: services[0].clusterArn: kept as cluster \"blue\"".to_owned(),
        ]
    );
    assert!(notes[2].starts_with("s.json: services[0]: dropped ") && notes[2].contains("taskSets"), "{}", notes[2]);
    assert_eq!(notes.len(), 3, "{notes:?}");
}

#[test]
fn a_service_of_the_default_cluster_names_none() {
    let import =
        import_one("s.json", json!({ "services": [service(&json!({ "clusterArn": arn("cluster/default") }))] }));
    assert_eq!(spec(&import), service(&json!({})));
    assert_eq!(notes(&import), ["s.json: services[0]: dropped clusterArn (output of AWS, not input)"]);
}

#[test]
fn a_revision_that_is_not_an_arn_is_kept_and_explained() {
    let import = import_one("s.json", service(&json!({ "taskDefinition": "web:7" })));
    assert_eq!(spec(&import)["taskDefinition"], "web:7");
    assert_eq!(
        notes(&import),
        [
            "s.json: taskDefinition: \"web:7\" is a revision as numbered here, not by AWS; write \"web\" to follow the newest"
        ]
    );
}

#[test]
fn input_that_answers_keep_in_the_primary_deployment_is_taken_from_there() {
    let connect = json!({ "enabled": true, "namespace": "shop" });
    let deployments = json!([
        { "status": "ACTIVE", "serviceConnectConfiguration": { "enabled": false } },
        { "status": "PRIMARY", "serviceConnectConfiguration": connect, "rolloutState": "COMPLETED" },
    ]);
    let import = import_one("s.json", json!({ "services": [service(&json!({ "deployments": deployments }))] }));
    assert_eq!(spec(&import), service(&json!({ "serviceConnectConfiguration": connect })));
    assert_eq!(
        notes(&import)[0],
        "s.json: services[0].deployments[1]: took serviceConnectConfiguration into the service"
    );
}

#[test]
fn what_the_operator_will_refuse_is_told_and_imported_as_a_patch_may_mend_it() {
    let fsx = json!({ "fileSystemId": "fs-1", "rootDirectory": "\\data", "authorizationConfig": { "credentialsParameter": "a", "domain": "b" } });
    let volumes = json!([{ "name": "data", "fsxWindowsFileServerVolumeConfiguration": fsx }]);
    let definition = with(task_definition("web"), &json!({ "volumes": volumes }));
    let import = import_one("web.json", json!({ "taskDefinition": definition }));
    assert_eq!(spec(&import), definition);
    let [note] = notes(&import).try_into().unwrap();
    let place = "web.json: taskDefinition.volumes[data].fsxWindowsFileServerVolumeConfiguration: the operator will refuse this: ";
    assert!(note.starts_with(place) && note.contains("spec.kubernetes.volumes"), "{note}");
}

#[test]
fn what_aws_did_not_find_is_told() {
    let failures = json!([{ "arn": arn("service/blue/gone"), "reason": "MISSING" }]);
    let import = import_one("s.json", json!({ "services": [service(&json!({}))], "failures": failures }));
    let expected = format!("s.json: failures[0]: AWS did not answer for {}: MISSING", arn("service/blue/gone"));
    assert_eq!(notes(&import), [expected]);
}

#[test]
fn the_answer_of_describe_clusters_becomes_clusters() {
    let described = json!({ "clusterArn": arn("cluster/blue"), "clusterName": "blue", "status": "ACTIVE",
        "activeServicesCount": 1, "runningTasksCount": 1, "pendingTasksCount": 0, "statistics": [],
        "registeredContainerInstancesCount": 0, "capacityProviders": ["FARGATE"] });
    let import = import_one("c.json", json!({ "clusters": [described], "failures": [] }));
    assert_eq!(spec(&import), json!({ "clusterName": "blue", "capacityProviders": ["FARGATE"] }));
}

#[test]
fn a_list_may_hold_any_of_them() {
    let list = json!([
        task_definition("a"), { "taskDefinition": task_definition("b") }, service(&json!({})), { "clusterName": "c" }
    ]);
    let import = import_one("all.json", list);
    let names: Vec<_> = printed(&import)
        .iter()
        .map(|document| {
            format!("{}/{}", document["kind"].as_str().unwrap(), document["metadata"]["name"].as_str().unwrap())
        })
        .collect();
    assert_eq!(names, ["TaskDefinition/a", "TaskDefinition/b", "Service/web", "Cluster/c"]);
}

#[test]
fn a_bare_list_of_containers_is_a_task_definition_named_after_the_file() {
    let containers = json!([{ "name": "app", "image": "nginx" }, { "name": "log", "image": "fluent-bit" }]);
    let import = import_one("web.json", &containers);
    assert_eq!(spec(&import), json!({ "containerDefinitions": containers }));
    assert_eq!(import.resources[0].name, "web");
    assert_eq!(notes(&import), ["web.json: the TaskDefinition is named web after the file, as family is not given"]);
    assert_eq!(
        problems(&import_one("web.json", json!([{ "name": "app", "cpu": "256" }]))),
        ["web.json: [0].cpu: expected an integer, found the string \"256\""]
    );
}

#[test]
fn the_object_has_the_name_that_ecs_knows_as_kubernetes_takes_it() {
    let import = import_one("x.json", task_definition("Web_App"));
    let name = longshore::api::names::dns_label("Web_App", 63);
    assert_eq!(spec(&import)["family"], "Web_App");
    assert_eq!(import.resources[0].name, name);
    assert_eq!(
        notes(&import),
        [format!("x.json: the object is named {name}, as \"Web_App\" is not a DNS name; family stays")]
    );
}

#[test]
fn an_empty_name_is_no_name() {
    let import = import_one("web.json", task_definition(""));
    assert_eq!(spec(&import).get("family"), None);
    assert_eq!(import.resources[0].name, "web");
    assert_eq!(
        notes(&import),
        [
            "web.json: dropped family (empty)",
            "web.json: the TaskDefinition is named web after the file, as family is not given",
        ]
    );
}

#[test]
fn a_cluster_without_a_name_is_default_as_in_ecs() {
    let import = import_one("blue.json", json!({ "capacityProviders": ["FARGATE"] }));
    assert_eq!(import.resources[0].name, "default");
}

#[test]
fn nulls_are_dropped_and_told_with_their_place() {
    let mut definition = task_definition("web");
    definition["pidMode"] = Value::Null;
    definition["containerDefinitions"][0]["ulimits"] = Value::Null;
    definition["containerDefinitions"][0]["cpu"] = Value::Null;
    definition["containerDefinitions"][0]["dockerLabels"] = json!({ "a": "b", "com.example.x": null });
    let import = import_one("web.json", definition);
    let mut expected = task_definition("web");
    expected["containerDefinitions"][0]["dockerLabels"] = json!({ "a": "b" });
    assert_eq!(spec(&import), expected);
    assert_eq!(
        notes(&import),
        [
            "web.json: containerDefinitions[0].dockerLabels: dropped com.example.x (null)",
            "web.json: containerDefinitions[0]: dropped cpu, ulimits (null)",
            "web.json: dropped pidMode (null)",
        ]
    );
}
