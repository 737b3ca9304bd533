//! Bad input: one clear message where the person looks, and nothing else stops working.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use longshore::api::{TaskDefinition, TaskDefinitionRevision};
use serde_json::{Value, json};

use crate::namespace::{Namespace, reason, service, stderr, task_definition};

#[tokio::test]
async fn kubectl_says_what_is_wrong_with_what_the_api_server_can_judge() {
    let namespace = Namespace::new("refused").await;
    let mut unknown = task_definition("i");
    unknown["containerDefinitions"][0]["imagee"] = json!("i");
    let mut wrong_type = task_definition("i");
    wrong_type["containerDefinitions"][0]["cpu"] = json!("256");
    let mut no_essential = task_definition("i");
    no_essential["containerDefinitions"][0]["essential"] = json!(false);
    let rows: [(&str, Value, &[&str]); 5] = [
        ("TaskDefinition", unknown, &["unknown field", "spec.containerDefinitions[0].imagee"]),
        ("TaskDefinition", wrong_type, &["spec.containerDefinitions[0].cpu", "must be of type integer"]),
        ("TaskDefinition", no_essential, &["essential"]),
        ("Service", service("web", 2, 100, 100), &["Both maximumPercent and minimumHealthyPercent cannot be 100"]),
        ("Service", json!({ "desiredCount": 1 }), &["taskDefinition"]),
    ];
    for (kind, spec, said) in rows {
        let output = namespace.try_apply(kind, "web", &spec);
        assert!(!output.status.success(), "{spec} was taken");
        for part in said {
            assert!(stderr(&output).contains(part), "{}", stderr(&output));
        }
    }
}

#[tokio::test]
async fn a_condition_says_what_is_wrong_with_the_rest_and_nothing_else_stops_working() {
    let namespace = Namespace::new("stalled").await;
    namespace.apply_default_cluster();
    let depends = |on: &str| json!([{ "containerName": on, "condition": "START" }]);
    let cycle = json!({ "containerDefinitions": [
        { "name": "app", "image": "i", "memory": 64 },
        { "name": "a", "image": "i", "memory": 64, "dependsOn": depends("b") },
        { "name": "b", "image": "i", "memory": 64, "dependsOn": depends("a") },
    ] });
    let mut large = task_definition("i");
    large["containerDefinitions"][0]["environment"] = json!([{ "name": "LARGE", "value": "x".repeat(65 * 1024) }]);
    let mut bad_size = task_definition("i");
    bad_size["cpu"] = json!("much");
    for (name, spec, said) in
        [("cycle", cycle, "a -> b -> a"), ("large", large, "64 KiB"), ("bad-size", bad_size, "spec.cpu: \"much\"")]
    {
        namespace.apply("TaskDefinition", name, &spec);
        let definition = namespace
            .until::<TaskDefinition>(name, "Stalled", |definition| {
                definition.status.as_ref().is_some_and(|status| reason(&status.conditions) == "InvalidTaskDefinition")
            })
            .await;
        let message = &definition.status.unwrap().conditions[0].message;
        assert!(message.contains(said), "{message}");
    }
    namespace.apply_task_definition("web", "stalled:1");
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_steady("web", "web:1").await;
}

#[tokio::test]
async fn a_pod_that_the_api_server_refuses_is_a_condition_with_its_words() {
    let namespace = Namespace::new("quota").await;
    namespace.kubectl(&["create", "quota", "none", "--hard=pods=1"]);
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "quota:1");
    namespace.apply_service("web", 2, 100, 200);
    let message = namespace.until_reason("web", "WriteRefused").await;
    assert!(message.contains("exceeded quota"), "{message}");
    namespace.kubectl(&["delete", "quota", "none"]);
    namespace.until_steady("web", "web:1").await;
}

#[tokio::test]
async fn members_that_have_no_effect_yet_are_named_on_the_object() {
    let namespace = Namespace::new("named").await;
    namespace.apply_default_cluster();
    let mut definition = task_definition("named:1");
    definition["containerDefinitions"][0]["portMappings"] = json!([{ "containerPort": 80, "appProtocol": "http" }]);
    namespace.apply("TaskDefinition", "web", &definition);
    let named = |conditions: &[Condition], member: &str| {
        conditions.iter().any(|condition| condition.type_ == "NotImplemented" && condition.message.contains(member))
    };
    namespace
        .until::<TaskDefinition>("web", "NotImplemented", |definition| {
            definition.status.as_ref().is_some_and(|status| named(&status.conditions, "appProtocol"))
        })
        .await;
    namespace.apply("Service", "web", &json!({ "taskDefinition": "web", "enableExecuteCommand": true }));
    let status = namespace.until_steady("web", "web:1").await;
    assert!(named(&status.conditions, "spec.enableExecuteCommand"));
}

#[tokio::test]
async fn what_is_not_as_on_ecs_is_told_on_the_revision_and_refused_where_it_is_to_be_exact() {
    let namespace = Namespace::new("verdict").await;
    let mut definition = task_definition("verdict:1");
    definition["executionRoleArn"] = json!("arn:aws:iam::123456789012:role/pull");
    namespace.apply("TaskDefinition", "web", &definition);
    let told = |conditions: &[Condition]| {
        let said = |condition: &Condition| condition.message.contains("spec.executionRoleArn");
        conditions.iter().any(|condition| condition.type_ == "Exact" && condition.status == "False" && said(condition))
    };
    namespace
        .until::<TaskDefinitionRevision>("web-1", "Exact=False", |revision| {
            revision.status.as_ref().is_some_and(|status| told(&status.conditions))
        })
        .await;
    let table = namespace.kubectl(&["get", "tdr", "web-1"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("EXACT") && table.contains("False"), "{table}");

    definition["kubernetes"] = json!({ "strict": true });
    namespace.apply("TaskDefinition", "exact", &definition);
    let refused = namespace
        .until::<TaskDefinition>("exact", "Stalled", |definition| {
            definition.status.as_ref().is_some_and(|status| reason(&status.conditions) == "InvalidTaskDefinition")
        })
        .await;
    let message = &refused.status.unwrap().conditions[0].message;
    assert!(message.contains("ExecutionRoleUnused"), "{message}");
}

#[tokio::test]
async fn an_object_that_cannot_be_read_says_so_and_hurts_no_other() {
    // A change of the schema breaks off every watch of the kind: nobody else is to suffer from it.
    let namespace = Namespace::alone("unreadable").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "unreadable:1");
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/platformVersion/type";
    let set_type = |type_: &str| {
        let patch = format!(r#"[{{"op": "replace", "path": "{schema}", "value": "{type_}"}}]"#);
        let crd = "services.ecs.longshore.dev";
        let patched = namespace.kubectl(&["patch", "crd", crd, "--type=json", "--patch", &patch]);
        assert!(patched.status.success(), "{}", stderr(&patched));
    };
    // What an older version of the schema let in.
    set_type("integer");
    let odd = json!({ "taskDefinition": "web", "platformVersion": 5 });
    let started = std::time::Instant::now();
    while !namespace.try_apply("Service", "odd", &odd).status.success() {
        assert!(started.elapsed().as_secs() < 30, "the schema is not in force");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    set_type("string");
    namespace.apply_service("web", 1, 100, 200);
    namespace.until_steady("web", "web:1").await;
    let said = || {
        let message = "jsonpath={.status.conditions[?(@.type=='Stalled')].message}";
        let got = namespace.kubectl(&["get", "esvc", "odd", "--output", message]);
        String::from_utf8_lossy(&got.stdout).into_owned()
    };
    while !said().contains("the stored object cannot be read") {
        assert!(started.elapsed().as_secs() < 60, "{:?}\n{}", said(), namespace.log());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    namespace.apply("Service", "odd", &json!({ "taskDefinition": "web" }));
    namespace.until_steady("odd", "web:1").await;
}
