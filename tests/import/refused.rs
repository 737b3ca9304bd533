//! What is refused, and with which words.

use longshore::import::import;
use serde_json::{Value, json};

use crate::{arn, import_one, problems, service, source, task_definition, with};

#[test]
fn two_lists_of_tags_are_one_too_many() {
    let tags = json!([{ "key": "a" }]);
    let definition = with(task_definition("web"), &json!({ "tags": tags }));
    assert_eq!(
        problems(&import_one("web.json", json!({ "taskDefinition": definition, "tags": tags }))),
        ["web.json: tags: taskDefinition has tags of its own; keep one of the two lists"]
    );
}

#[test]
fn what_the_schema_does_not_take_is_named_with_its_path() {
    let container = |more: &Value| with(json!({ "name": "app", "image": "nginx" }), more);
    let containers = |items: Value| json!({ "family": "web", "containerDefinitions": items });
    let one = |more: Value| containers(json!([container(&more)]));
    for (input, problem) in [
        (one(json!({ "artifacts": [] })), "containerDefinitions[0].artifacts: unknown member; remove it"),
        (
            one(json!({ "enviroment": [] })),
            "containerDefinitions[0].enviroment: unknown member; did you mean environment?",
        ),
        (one(json!({ "Cpu": 1 })), "containerDefinitions[0].Cpu: unknown member; did you mean cpu?"),
        (one(json!({ "cpu": "256" })), "containerDefinitions[0].cpu: expected an integer, found the string \"256\""),
        (one(json!({ "cpu": 0.5 })), "containerDefinitions[0].cpu: expected an integer, found the number 0.5"),
        (
            one(json!({ "cpu": -1 })),
            "containerDefinitions[0].cpu: expected an integer of at least 0, found the number -1",
        ),
        (
            one(json!({ "memory": 2_147_483_648_i64 })),
            "containerDefinitions[0].memory: expected an integer from 0 to 2147483647, found the number 2147483648",
        ),
        (
            one(json!({ "essential": "no" })),
            "containerDefinitions[0].essential: expected true or false, found the string \"no\"",
        ),
        (one(json!({ "command": "ls" })), "containerDefinitions[0].command: expected a list, found the string \"ls\""),
        (one(json!({ "command": ["ls", null] })), "containerDefinitions[0].command[1]: expected a string, found null"),
        (one(json!({ "healthCheck": [] })), "containerDefinitions[0].healthCheck: expected an object, found a list"),
        (one(json!({ "healthCheck": {} })), "containerDefinitions[0].healthCheck.command: required"),
        (one(json!({ "healthCheck": { "command": null } })), "containerDefinitions[0].healthCheck.command: required"),
        (
            one(json!({ "healthCheck": { "command": ["CMD", "true"], "interval": 301 } })),
            "containerDefinitions[0].healthCheck.interval: expected an integer from 5 to 300, found the number 301",
        ),
        (
            one(json!({ "logConfiguration": { "logDriver": "awslog" } })),
            "containerDefinitions[0].logConfiguration.logDriver: expected one of ",
        ),
        (
            one(json!({ "dockerLabels": { "a b": true } })),
            "containerDefinitions[0].dockerLabels[\"a b\"]: expected a string, found true",
        ),
        (containers(json!([])), "containerDefinitions: expected at least 1 item, found 0"),
        (json!({ "family": "web" }), "containerDefinitions: required"),
        (
            containers(json!([container(&json!({})), container(&json!({}))])),
            "containerDefinitions[1].name: \"app\" is the name of another item of the list already; give each its own",
        ),
        (
            with(task_definition("web"), &json!({ "memory": true })),
            "memory: expected an integer of 32 bits or a string, found true",
        ),
        (
            task_definition("my app"),
            "family: expected a string that matches ^[A-Za-z0-9_-]{1,255}$, found the string \"my app\"",
        ),
    ] {
        let import = import_one("x.json", &input);
        let [found] = problems(&import).try_into().unwrap_or_else(|found| panic!("{input}: {found:?}"));
        assert!(found.starts_with(&format!("x.json: {problem}")), "{input}: {found}");
        assert!(import.resources.is_empty());
    }
}

#[test]
fn the_rules_of_the_definitions_are_told_with_the_path_of_the_member_they_speak_of() {
    let mut reserved = task_definition("web");
    reserved["containerDefinitions"][0]["memory"] = json!(128);
    reserved["containerDefinitions"][0]["memoryReservation"] = json!(256);
    let mut inessential = task_definition("web");
    inessential["containerDefinitions"][0]["essential"] = json!(false);
    for (input, problem) in [
        (service(&json!({ "deploymentConfiguration": { "maximumPercent": 100 } })), "deploymentConfiguration: "),
        (
            service(&json!({ "schedulingStrategy": "DAEMON", "deploymentConfiguration": { "maximumPercent": 200 } })),
            "deploymentConfiguration.maximumPercent: ",
        ),
        (json!({ "serviceName": "web" }), "taskDefinition: required "),
        (json!({ "taskDefinition": reserved, "tags": [] }), "taskDefinition.containerDefinitions[0].memory: "),
        (json!([inessential]), "[0].containerDefinitions: "),
        (json!([{ "name": "a", "image": "b", "essential": false }]), "at least one container must be essential; "),
    ] {
        let [found] = problems(&import_one("x.json", &input)).try_into().unwrap();
        assert!(found.starts_with(&format!("x.json: {problem}")), "{input}: {found}");
    }
}

#[test]
fn an_arn_that_is_no_task_definition_is_refused() {
    let [found] =
        problems(&import_one("x.json", service(&json!({ "taskDefinition": arn("cluster/web") })))).try_into().unwrap();
    assert!(found.starts_with("x.json: taskDefinition: ") && found.contains("is not a task definition"), "{found}");
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let mut definition = task_definition("web");
    definition["networkMode"] = json!("vpc");
    definition["containerDefinitions"][0]["cpu"] = json!("1");
    definition["volumes"] = json!([{}]);
    let paths: Vec<_> = problems(&import_one("x.json", json!([definition, "text", { "serviceName": 1 }])))
        .iter()
        .map(|problem| problem.split(": ").nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(
        paths,
        ["[1]", "[0].containerDefinitions[0].cpu", "[0].networkMode", "[0].volumes[0].name", "[2].serviceName"]
    );
}

#[test]
fn what_is_not_ecs_json_is_refused() {
    for (text, problem) in [
        ("{\n  \"family\": \"web\",\n  {{ containers }}\n}", "line 3, column 3: not JSON: key must be a string"),
        ("{\"family\": \"web\"} // old", "line 1, column 19: not JSON: trailing characters"),
        ("", "line 1, column 0: not JSON: EOF while parsing a value"),
        (
            "{\"family\": \"a\",\n \"family\": \"b\"}",
            "line 2, column 9: the member \"family\" stands here twice; keep one of them",
        ),
        ("{}", "neither a task definition (containerDefinitions), a service ("),
        ("[]", "an empty list; there is nothing to import"),
        ("{\"services\": [], \"failures\": []}", "services: an empty list; there is nothing to import"),
        ("3", "expected an object, found the number 3"),
        ("[{\"family\": \"web\"}, 3]", "[1]: expected an object, found the number 3"),
        ("{\"services\": [3]}", "services[0]: expected an object, found the number 3"),
    ] {
        let found = problems(&import_one("x.json", text));
        assert!(found[0].starts_with(&format!("x.json: {problem}")), "{text}: {found:?}");
    }
}

#[test]
fn a_file_is_imported_whole_or_not_at_all_and_does_not_keep_others_from_it() {
    let sources = [
        source("bad.json", json!([task_definition("one"), { "serviceName": 1 }])),
        source("good.json", task_definition("one")),
    ];
    let import = import(&sources, None);
    assert_eq!(import.refused, 1);
    assert_eq!(import.resources.iter().map(|resource| resource.name.as_str()).collect::<Vec<_>>(), ["one"]);
}

#[test]
fn two_of_a_kind_with_one_name_are_one_too_many() {
    let definition = task_definition("web");
    let sources = [
        source("a.json", &definition),
        source("b.json", json!([service(&json!({})), definition])),
        source("c.json", "[]"),
    ];
    let found = import(&sources, None);
    assert_eq!(found.resources.len(), 1);
    assert_eq!(
        problems(&found)[0],
        "b.json: [1]: a second TaskDefinition named web, after the one in a.json; rename one of them, or import them apart"
    );
    let twice = import_one("a.json", json!([definition, definition]));
    assert_eq!((twice.resources.len(), twice.refused, twice.problems.len()), (0, 1, 1));
}
