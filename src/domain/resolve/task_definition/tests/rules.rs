//! The rules on names, sizes and references.

use serde_json::{Value, json};

use super::{containers, problems, spec};

#[test]
fn a_definition_that_breaks_a_rule_says_where_and_what_to_do() {
    let not_essential = json!({"essential": false});
    let mount = |volume: &str, path: &str| json!({"sourceVolume": volume, "containerPath": path});
    let probe = |command: &[&str]| containers(&[("app", json!({"healthCheck": {"command": command}}))]);
    let bad_probe = "spec.containerDefinitions[app].healthCheck.command: must start with CMD or CMD-SHELL and go on with the command, \
                     for example [\"CMD-SHELL\", \"curl -f http://localhost/\"]";
    for (rule, change, expected) in [
        (
            "all tasks have at least one essential container",
            containers(&[("app", not_essential.clone()), ("log", not_essential)]),
            "spec.containerDefinitions: at least one container must be essential; remove essential: false from one",
        ),
        (
            "a container has a name of its own",
            containers(&[("app", json!({})), ("log", json!({})), ("app", json!({}))]),
            "spec.containerDefinitions[app].name: the name is used twice; give each its own",
        ),
        (
            "a volume has a name of its own",
            json!({"volumes": [{"name": "data"}, {"name": "data", "host": {"sourcePath": "/data"}}]}),
            "spec.volumes[data].name: the name is used twice; give each its own",
        ),
        (
            "a mount point names a volume of the task",
            containers(&[("app", json!({"mountPoints": [mount("data", "/data")]}))]),
            "spec.containerDefinitions[app].mountPoints[0].sourceVolume: there is no volume \"data\"; add it to volumes",
        ),
        (
            "a mount point has a volume",
            containers(&[("app", json!({"mountPoints": [{"containerPath": "/data"}]}))]),
            "spec.containerDefinitions[app].mountPoints[0].sourceVolume: name one of volumes",
        ),
        (
            "a health check is a command for the container or for its shell",
            probe(&["curl", "-f", "http://localhost/"]),
            bad_probe,
        ),
        ("a health check has a command", probe(&["CMD"]), bad_probe),
        ("a health check is not turned off", probe(&["NONE", "anything"]), bad_probe),
        ("a health check is not empty", probe(&[]), bad_probe),
        (
            "cpu is units or vCPU",
            json!({"cpu": "half"}),
            "spec.cpu: \"half\" is not a number of CPU units; write for example 512 or \"0.5 vCPU\"",
        ),
        (
            "memory is MiB or GB",
            json!({"memory": "512Mi"}),
            "spec.memory: \"512Mi\" is not an amount of memory in MiB; write for example 1024 or \"1 GB\"",
        ),
        (
            "a container depends on another of the task",
            containers(&[("app", json!({"dependsOn": [{"containerName": "log", "condition": "START"}]}))]),
            "spec.containerDefinitions[app].dependsOn[0].containerName: there is no container \"log\" in this task definition; name one of it, or add it",
        ),
    ] {
        assert_eq!(problems(&change), [expected], "{rule}");
    }
}

#[test]
fn a_container_mounts_one_volume_at_a_place_and_says_which_place() {
    let mounts = json!([
        {"sourceVolume": "a", "containerPath": "/data"},
        {"sourceVolume": "b", "containerPath": "/data", "readOnly": true},
        {"sourceVolume": "b"},
        {"sourceVolume": "b", "containerPath": "data"},
        {"sourceVolume": "b", "containerPath": "/da:ta"},
        {"sourceVolume": "b", "containerPath": ""},
    ]);
    let mut change = containers(&[("app", json!({"mountPoints": mounts}))]);
    change["volumes"] = json!([{"name": "a"}, {"name": "b"}]);
    assert_eq!(
        problems(&change),
        [
            "spec.containerDefinitions[app].mountPoints[2].containerPath: say where the container finds the volume",
            "spec.containerDefinitions[app].mountPoints[3].containerPath: \"data\" is not a path from the root, without colons; \
             write for example /data",
            "spec.containerDefinitions[app].mountPoints[4].containerPath: \"/da:ta\" is not a path from the root, without colons; \
             write for example /data",
            "spec.containerDefinitions[app].mountPoints[5].containerPath: \"\" is not a path from the root, without colons; write \
             for example /data",
            "spec.containerDefinitions[app].mountPoints[1].containerPath: \"/data\" is the place of mountPoints[0].containerPath \
             already; give each its own",
        ]
    );
}

#[test]
fn no_volume_hides_another_one_at_its_place() {
    let at = |path: &str| json!({"sourceVolume": "a", "containerPath": path});
    let tmpfs = |path: &str| json!({"containerPath": path, "size": 1});
    let told = |more: Value, ipc_mode: Option<&str>| {
        let mut change = containers(&[("app", more), ("log", json!({"linuxParameters": {"sharedMemorySize": 64}}))]);
        change["volumes"] = json!([{"name": "a"}]);
        change["ipcMode"] = json!(ipc_mode);
        problems(&change)
    };
    for (rule, container, ipc_mode, expected) in [
        (
            "a tmpfs",
            json!({"linuxParameters": {"tmpfs": [tmpfs("/run")]}, "mountPoints": [at("/run/")]}),
            None,
            vec!["mountPoints[0].containerPath: \"/run/\" is the place of linuxParameters.tmpfs[0].containerPath"],
        ),
        (
            "a second tmpfs",
            json!({"linuxParameters": {"tmpfs": [tmpfs("/run"), tmpfs("/run")]}}),
            None,
            vec![
                "linuxParameters.tmpfs[1].containerPath: \"/run\" is the place of linuxParameters.tmpfs[0].containerPath",
            ],
        ),
        (
            "shared memory",
            json!({"linuxParameters": {"sharedMemorySize": 64, "tmpfs": [tmpfs("/run")]}, "mountPoints": [at("/dev/shm")]}),
            Some("none"),
            vec!["mountPoints[0].containerPath: \"/dev/shm\" is the place of linuxParameters.sharedMemorySize"],
        ),
        (
            "shared memory of the node",
            json!({"linuxParameters": {"sharedMemorySize": 64}, "mountPoints": [at("/dev/shm")]}),
            Some("host"),
            vec![],
        ),
        (
            "shared memory that another container asks for",
            json!({"mountPoints": [at("/dev/shm")]}),
            Some("task"),
            vec![],
        ),
        ("a directory of another one's", json!({"mountPoints": [at("/data"), at("/data/more")]}), None, vec![]),
    ] {
        let expected: Vec<String> = expected
            .iter()
            .map(|problem| format!("spec.containerDefinitions[app].{problem} already; give each its own"))
            .collect();
        assert_eq!(told(container, ipc_mode), expected, "{rule}");
    }
}

#[test]
fn the_containers_of_a_task_ask_for_no_more_than_the_task_has() {
    let two = |one: Value, other: Value, cpu: &str, memory: &str| {
        let mut change = containers(&[("app", one), ("log", other)]);
        change["cpu"] = json!(cpu);
        change["memory"] = json!(memory);
        problems(&change)
    };
    for (rule, found, expected) in [
        (
            "the cpu of all containers fits into that of the task",
            two(json!({"cpu": 256}), json!({"cpu": 257}), "512", "1024"),
            vec!["spec.cpu: the containers ask for 513 units together, and the task has 512; raise it"],
        ),
        ("all of it may be given out", two(json!({"cpu": 256}), json!({"cpu": 256}), "512", "1024"), vec![]),
        (
            "the memory set aside for all containers fits into that of the task",
            two(json!({"memoryReservation": 600}), json!({"memory": 500}), "512", "1 GB"),
            vec!["spec.memory: the containers set 1100 MiB aside together, and the task has 1024; raise it"],
        ),
        (
            "memoryReservation is what is set aside where there are both",
            two(json!({"memoryReservation": 500, "memory": 1024}), json!({"memoryReservation": 524}), "512", "1 GB"),
            vec![],
        ),
        (
            "a container is killed before the task has no memory left",
            two(json!({"memoryReservation": 1, "memory": 1025}), json!({}), "512", "1 GB"),
            vec!["spec.containerDefinitions[app].memory: 1025 MiB are more than the 1024 MiB of the task; lower it"],
        ),
    ] {
        assert_eq!(found, expected, "{rule}");
    }
}

#[test]
fn a_definition_is_64_kib_of_json_at_most() {
    let sized = |bytes: usize| {
        let change = |value: String| containers(&[("app", json!({"environment": [{"name": "E", "value": value}]}))]);
        let empty = serde_json::to_string(&spec(&change(String::new()))).unwrap().len();
        problems(&change("x".repeat(bytes - empty)))
    };
    assert_eq!(sized(65_536), [""; 0]);
    assert_eq!(
        sized(65_537),
        [
            "spec.containerDefinitions: the task definition is 65537 bytes of JSON and may be 65536 (64 KiB) at most; move large \
             values into files or secrets"
        ]
    );
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_a_registration() {
    let mut change = containers(&[
        ("app", json!({"essential": false, "healthCheck": {"command": ["true"]}})),
        ("app", json!({"essential": false, "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]})),
        ("log", json!({"essential": false, "dependsOn": [{"containerName": "log", "condition": "START"}]})),
    ]);
    change["containerDefinitions"][0]["environmentFiles"] =
        json!([{"value": "arn:aws:s3:::bucket/app.txt", "type": "s3"}]);
    change["containerDefinitions"][0]["environment"] = json!([{"name": ""}]);
    change["containerDefinitions"][0]["links"] = json!(["db"]);
    change["containerDefinitions"][0]["portMappings"] = json!([{"containerPort": 0, "name": "-"}]);
    change["containerDefinitions"][0]["dnsServers"] = json!(["dns"]);
    change["containerDefinitions"][0]["user"] = json!("node");
    change["volumes"] = json!([{"name": "efs", "efsVolumeConfiguration": {
        "fileSystemId": "fs-1", "authorizationConfig": {"iam": "ENABLED"},
    }}]);
    change["cpu"] = json!(-1);
    let found = problems(&change);
    let members: Vec<&str> = found.iter().filter_map(|problem| problem.split_once(": ")).map(|(at, _)| at).collect();
    assert_eq!(
        members,
        [
            "spec.containerDefinitions[app].name",
            "spec.containerDefinitions[app].portMappings[0].name",
            "spec.containerDefinitions[app].environment[0].name",
            "spec.containerDefinitions",
            "spec.containerDefinitions[app].links[0]",
            "spec.containerDefinitions[app].mountPoints[0].sourceVolume",
            "spec.containerDefinitions[log].dependsOn",
            "spec.containerDefinitions[app].portMappings[0].containerPort",
            "spec.cpu",
            "spec.containerDefinitions[app].healthCheck.command",
            "spec.volumes[efs].efsVolumeConfiguration.transitEncryption",
            "spec.containerDefinitions[app].environmentFiles[0].value",
            "spec.containerDefinitions[app].dnsServers[0]",
            "spec.containerDefinitions[app].user",
        ]
    );
}
