//! `longshore import`: what it takes, what it makes of it, and what it refuses with which words.

#![expect(clippy::unwrap_used, reason = "a test may fail this way")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use longshore::import::{Import, Kind, Source, import, yaml};
use serde_json::{Value, json};

fn source(file: &str, text: impl ToString) -> Source {
    let stem = file.split('.').next().map(str::to_owned);
    Source { file: file.to_owned(), stem, text: text.to_string() }
}

fn import_one(file: &str, text: impl ToString) -> Import {
    import(&[source(file, text)], None)
}

fn notes(import: &Import) -> Vec<String> {
    import.notes.iter().map(ToString::to_string).collect()
}

fn problems(import: &Import) -> Vec<String> {
    import.problems.iter().map(ToString::to_string).collect()
}

/// The printed documents, read back.
fn printed(import: &Import) -> Vec<Value> {
    assert_eq!(problems(import), Vec::<String>::new());
    serde_saphyr::from_multiple(&yaml(&import.resources).unwrap()).unwrap()
}

fn spec(import: &Import) -> Value {
    let documents = printed(import);
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents[0]["spec"].clone()
}

fn task_definition(family: &str) -> Value {
    json!({ "family": family, "containerDefinitions": [{ "name": "app", "image": "nginx:1.29" }] })
}

fn with(mut object: Value, more: &Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn service(more: &Value) -> Value {
    with(json!({ "serviceName": "web", "taskDefinition": "web" }), more)
}

fn arn(rest: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:123456789012:{rest}")
}

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
fn two_lists_of_tags_are_one_too_many() {
    let tags = json!([{ "key": "a" }]);
    let definition = with(task_definition("web"), &json!({ "tags": tags }));
    assert_eq!(
        problems(&import_one("web.json", json!({ "taskDefinition": definition, "tags": tags }))),
        ["web.json: tags: taskDefinition has tags of its own; keep one of the two lists"]
    );
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

/// A new folder with the given files.
fn folder(name: &str, files: &[(&str, String)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

fn longshore(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .arg("import")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_command_prints_resources_to_standard_output_and_notes_to_standard_error() {
    let described = with(task_definition("web"), &json!({ "revision": 7, "status": "ACTIVE" }));
    let folder = folder("notes", &[("web.json.template", json!({ "taskDefinition": described }).to_string())]);
    let output = longshore(&folder, &["--namespace", "shop", "web.json.template"], "");
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("\n  name: web\n  namespace: shop\nspec:\n"), "{}", text(&output.stdout));
    assert_eq!(
        text(&output.stderr),
        "web.json.template: taskDefinition: dropped revision, status (output of AWS, not input)\n"
    );
}

#[test]
fn the_command_names_the_nameless_after_the_file_up_to_its_first_dot() {
    let folder = folder("stem", &[("web.json.template", json!([{ "name": "app", "image": "nginx" }]).to_string())]);
    let output = longshore(&folder, &["web.json.template"], "");
    assert!(text(&output.stdout).contains("\n  name: web\n"), "{}", text(&output.stdout));
}

#[test]
fn the_command_prints_the_good_files_and_fails_for_the_bad_ones() {
    let bad = json!({ "family": "bad", "containerDefinitions": [{ "name": "app", "cpu": "256" }] });
    let folder = folder("mixed", &[("good.json", task_definition("good").to_string()), ("bad.json", bad.to_string())]);
    let output = longshore(&folder, &["missing.json", "bad.json", "good.json"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("---\napiVersion: ecs.longshore.dev/v1alpha1\nkind: TaskDefinition\n"));
    assert_eq!(text(&output.stdout).matches("---").count(), 1);
    let said: Vec<_> = text(&output.stderr).lines().collect();
    assert!(said[0].starts_with("missing.json: cannot be read: "), "{said:?}");
    assert_eq!(said[1], "bad.json: containerDefinitions[0].cpu: expected an integer, found the string \"256\"");
    assert_eq!(said[2], "longshore: 2 of 3 files not imported; mend what is told above and import again");
    assert_eq!(said.len(), 3, "{said:?}");
}

#[test]
fn the_command_reads_standard_input_which_has_no_name_to_give() {
    let folder = folder("stdin", &[]);
    let output = longshore(&folder, &["-"], &task_definition("web").to_string());
    assert!(output.status.success() && text(&output.stdout).contains("family: web"));
    let output = longshore(&folder, &["-"], r#"[{"name": "app", "image": "nginx", "cpu": "1"}]"#);
    assert_eq!(output.status.code(), Some(1));
    let said: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(said[0], "standard input: family: required, as there is no file name to name the TaskDefinition after");
    assert!(said[1].starts_with("standard input: [0].cpu: expected an integer"), "{said:?}");
}
