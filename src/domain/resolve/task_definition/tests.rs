//! What a task definition may not say, and where it is told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::TaskDefinitionSpec;
use crate::domain::resolve::Problem;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::{DeviationCode, check, resolve};

fn spec(change: &Value) -> TaskDefinitionSpec {
    let mut spec = json!({"containerDefinitions": [container("app", &json!({}))]});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn container(name: &str, more: &Value) -> Value {
    let mut container = json!({"name": name, "image": "i"});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container
}

fn containers(more: &[(&str, Value)]) -> Value {
    let containers: Vec<Value> = more.iter().map(|(name, more)| container(name, more)).collect();
    json!({"containerDefinitions": containers})
}

fn problems(change: &Value) -> Vec<String> {
    check(&spec(change)).iter().map(Problem::to_string).collect()
}

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
            "spec.containerDefinitions[app].dependsOn[0].containerName: there is no container \"log\" in this task definition",
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
    ]);
    let mut change = containers(&[("app", json!({"mountPoints": mounts}))]);
    change["volumes"] = json!([{"name": "a"}, {"name": "b"}]);
    assert_eq!(
        problems(&change),
        [
            "spec.containerDefinitions[app].mountPoints[1].containerPath: another volume is mounted at \"/data\" already",
            "spec.containerDefinitions[app].mountPoints[2].containerPath: say where the container finds the volume",
        ]
    );
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
    change["cpu"] = json!(-1);
    let found = problems(&change);
    let members: Vec<&str> = found.iter().filter_map(|problem| problem.split_once(": ")).map(|(at, _)| at).collect();
    assert_eq!(
        members,
        [
            "spec.containerDefinitions[app].name",
            "spec.containerDefinitions",
            "spec.containerDefinitions[app].mountPoints[0].sourceVolume",
            "spec.containerDefinitions[log].dependsOn",
            "spec.cpu",
            "spec.containerDefinitions[app].healthCheck.command",
        ]
    );
}

/// A definition of the container app with these members, and others.
fn app(more: &Value, others: &[(&str, Value)], task: &Value) -> Value {
    let first = [("app", more.clone())];
    let mut change = containers(&[&first[..], others].concat());
    change.as_object_mut().unwrap().extend(task.as_object().unwrap().clone());
    change
}

/// The deviations as `member Code`, or `member Code: detail`.
fn deviations(change: &Value, features: Features) -> Vec<String> {
    let resolved = resolve(&spec(change), features).unwrap();
    let shown = |deviation: &crate::domain::resolve::task_definition::Deviation| {
        let detail = if deviation.detail.is_empty() { String::new() } else { format!(": {}", deviation.detail) };
        format!("{} {}{detail}", deviation.member.replace("containerDefinitions", "c"), deviation.code.name())
    };
    resolved.verdict.deviations().iter().map(shown).collect()
}

/// Every deviation with a definition that has it. Beside it, what must not deviate.
#[test]
fn the_verdict_names_each_member_that_is_not_as_on_ecs_and_no_other() {
    let none = || json!({});
    let optional = |more: Value| {
        let mut container = json!({"essential": false});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        container
    };
    let awsvpc = json!({"networkMode": "awsvpc"});
    let waits = |list: &[(&str, &str)]| {
        let item = |(name, condition): &(&str, &str)| json!({"containerName": name, "condition": condition});
        json!({"dependsOn": list.iter().map(item).collect::<Vec<_>>()})
    };
    let checked = json!({"healthCheck": {"command": ["CMD", "true"]}});
    let restart = |more: Value| json!({"restartPolicy": more});
    let rows: Vec<(Value, &[&str])> = vec![
        (app(&none(), &[], &none()), &[]),
        (
            app(&waits(&[("a", "SUCCESS")]), &[("a", optional(none())), ("b", optional(none()))], &awsvpc),
            &["c[b] StartSerialized: a", "c[b] CompletedNotReady"],
        ),
        (
            app(
                &waits(&[("a", "SUCCESS"), ("b", "START")]),
                &[("a", optional(none())), ("b", optional(json!({"restartPolicy": {"enabled": true}})))],
                &awsvpc,
            ),
            &[
                "c[b].restartPolicy RestartBackOff",
                "c[b].restartPolicy.restartAttemptPeriod EarlyExitRestarted",
                "c[b] StartSerialized: a",
            ],
        ),
        (
            app(&waits(&[("a", "SUCCESS")]), &[("a", optional(none())), ("b", waits(&[("a", "START")]))], &awsvpc),
            &["c[b].dependsOn[0] StartImpliesComplete"],
        ),
        (
            app(&waits(&[("a", "COMPLETE")]), &[("a", optional(none()))], &awsvpc),
            &["c[app].dependsOn[0].condition CompleteMasked"],
        ),
        (
            app(&none(), &[("a", optional(none())), ("b", optional(waits(&[("a", "SUCCESS")])))], &awsvpc),
            &["c[app] StartSerialized: a", "c[a] InitExtraBlock", "c[b] CompletedNotReady"],
        ),
        (app(&waits(&[("a", "START")]), &[("a", optional(none()))], &awsvpc), &["c[a] SidecarRestarts"]),
        (
            app(
                &waits(&[("a", "START")]),
                &[("a", restart(json!({"enabled": true, "ignoredExitCodes": [0]})))],
                &awsvpc,
            ),
            &["c[a].restartPolicy RestartBackOff", "c[a].restartPolicy.ignoredExitCodes SidecarRestarts"],
        ),
        (app(&restart(json!({"enabled": true})), &[], &none()), &["c[app].restartPolicy RestartBackOff"]),
        (app(&restart(json!({"enabled": false})), &[], &none()), &[]),
        (
            app(&json!({"stopTimeout": 60}), &[("b", json!({"stopTimeout": 10}))], &awsvpc),
            &["c[b].stopTimeout StopTimeoutShared"],
        ),
        (app(&none(), &[("a", optional(none()))], &awsvpc), &["c[a] CompletedNotReady"]),
        (
            app(&none(), &[("a", optional(checked.clone()))], &awsvpc),
            &["c[a].healthCheck NonEssentialHealthNotProbed", "c[a] CompletedNotReady"],
        ),
        (app(&waits(&[("a", "HEALTHY")]), &[("a", optional(checked))], &awsvpc), &["c[a] SidecarRestarts"]),
        (
            app(&none(), &[], &json!({"ephemeralStorage": {"sizeInGiB": 30}})),
            &["ephemeralStorage EphemeralStorageEvicts"],
        ),
        (app(&none(), &[("b", none())], &none()), &["networkMode SharedNetwork"]),
        (app(&none(), &[("b", none())], &awsvpc), &[]),
        (
            app(&json!({"portMappings": [{"containerPortRange": "1-101"}]}), &[], &none()),
            &["c[app].portMappings[0].containerPortRange PortRangeNotListed"],
        ),
        (app(&json!({"portMappings": [{"containerPortRange": "1-100"}]}), &[], &none()), &[]),
        (
            app(&json!({"links": ["b:b_1"]}), &[("b", restart(json!({"enabled": true})))], &none()),
            &[
                "c[b].restartPolicy RestartBackOff",
                "networkMode SharedNetwork",
                "c[app].links[0] LinksWithoutEnvironment",
                "c[app].links[0] LinkNotResolved: b_1",
            ],
        ),
        (app(&json!({"hostname": "web"}), &[], &json!({"networkMode": "host"})), &["c[app].hostname HostnameIgnored"]),
        (app(&json!({"hostname": "web.example.com"}), &[], &none()), &[]),
        (app(&json!({"hostname": "Web_1"}), &[], &none()), &["c[app].hostname HostnameIgnored"]),
        (
            app(&json!({"dnsServers": ["10.0.0.1"]}), &[("b", none())], &json!({"networkMode": "host"})),
            &["c[app].dnsServers PodWide"],
        ),
        (app(&none(), &[], &json!({"volumes": [{"name": "a"}]})), &["volumes[a] NoCopyUp"]),
        (app(&none(), &[], &json!({"volumes": [{"name": "a", "host": {"sourcePath": "/a"}}]})), &[]),
        (
            app(
                &none(),
                &[],
                &json!({"volumes": [{"name": "a", "dockerVolumeConfiguration": {"scope": "shared", "labels": {"x": "y"}}}]}),
            ),
            &[
                "volumes[a].dockerVolumeConfiguration.labels VolumeLabelsIgnored",
                "volumes[a].dockerVolumeConfiguration ClaimNeeded: a",
            ],
        ),
        (
            app(
                &none(),
                &[],
                &json!({"volumes": [{"name": "a", "efsVolumeConfiguration": {
                    "fileSystemId": "fs-1", "transitEncryption": "ENABLED", "authorizationConfig": {"iam": "ENABLED"},
                }}]}),
            ),
            &[
                "volumes[a].efsVolumeConfiguration ClaimNeeded: fs-1-44902f7d64fc327950f9f9e876e877eb, for a PersistentVolume of the CSI driver \
                 efs.csi.aws.com with volumeHandle fs-1 and encryptInTransit true",
                "volumes[a].efsVolumeConfiguration.authorizationConfig.iam IamOfNode",
            ],
        ),
        (
            app(&none(), &[], &json!({"volumes": [{"name": "a", "configuredAtLaunch": true}]})),
            &["volumes[a].configuredAtLaunch StorageClassNeeded"],
        ),
        (
            app(&json!({"volumesFrom": [{"sourceContainer": "b"}]}), &[("b", none())], &awsvpc),
            &["c[app].volumesFrom[0] ImageVolumesNotShared"],
        ),
        (
            app(
                &json!({"linuxParameters": {"tmpfs": [{"containerPath": "/a", "size": 1, "mountOptions": ["ro", "noexec", "mode=700"]}]}}),
                &[],
                &none(),
            ),
            &["c[app].linuxParameters.tmpfs[0].mountOptions TmpfsOptionsIgnored: noexec,mode=700"],
        ),
        (
            app(&json!({"ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}]}), &[], &none()),
            &["c[app].ulimits UlimitsIgnored"],
        ),
        (
            app(&json!({"linuxParameters": {"maxSwap": 1, "swappiness": 2, "initProcessEnabled": true}}), &[], &none()),
            &[
                "c[app].linuxParameters.initProcessEnabled InitProcessIgnored",
                "c[app].linuxParameters.maxSwap SwapIgnored",
                "c[app].linuxParameters.swappiness SwapIgnored",
            ],
        ),
        (
            app(&json!({"linuxParameters": {"initProcessEnabled": true}}), &[], &json!({"pidMode": "task"})),
            &["pidMode PidOneIsPause"],
        ),
        (app(&none(), &[], &json!({"ipcMode": "none"})), &["ipcMode IpcNamespaceShared"]),
        (
            app(&json!({"systemControls": [{"namespace": "net.core.somaxconn", "value": "1"}]}), &[], &none()),
            &["c[app].systemControls[0] UnsafeSysctl: net.core.somaxconn"],
        ),
        (
            app(
                &json!({"systemControls": [{"namespace": "net.ipv4.tcp_syncookies", "value": "1"}]}),
                &[("b", none())],
                &awsvpc,
            ),
            &["c[app].systemControls[0] PodWide"],
        ),
        (app(&json!({"dockerLabels": {"a": "b"}}), &[], &none()), &["c[app].dockerLabels DockerLabelsAreAnnotations"]),
        (
            app(&none(), &[], &json!({"taskRoleArn": "a", "executionRoleArn": "b", "enableFaultInjection": true})),
            &[
                "taskRoleArn TaskRoleByServiceAccount",
                "executionRoleArn ExecutionRoleUnused",
                "enableFaultInjection FaultInjectionIgnored",
            ],
        ),
        (app(&none(), &[], &json!({"taskRoleArn": "a", "kubernetes": {"serviceAccountName": "b"}})), &[]),
        (
            app(
                &json!({"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "web"}}}),
                &[],
                &none(),
            ),
            &["c[app].logConfiguration LogsNotShipped: web"],
        ),
        (
            app(&json!({"logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}}}), &[], &none()),
            &["c[app].logConfiguration.options LogOptionsIgnored: max-size"],
        ),
        (app(&json!({"logConfiguration": {"logDriver": "json-file"}}), &[], &none()), &[]),
        (
            app(
                &json!({"logConfiguration": {"logDriver": "awsfirelens"}}),
                &[(
                    "router",
                    json!({"firelensConfiguration": {"type": "fluentbit"}, "restartPolicy": {"enabled": true}}),
                )],
                &awsvpc,
            ),
            &[
                "c[app].logConfiguration FirelensNotRouted",
                "c[router].restartPolicy RestartBackOff",
                "c[router].firelensConfiguration FirelensNotRouted",
            ],
        ),
        (
            app(&json!({"environment": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}), &[], &none()),
            &["c[app].environment RepeatedVariable: A"],
        ),
    ];
    let mut found = BTreeSet::new();
    for (change, expected) in rows {
        let deviations = deviations(&change, Features::ALL);
        assert_eq!(deviations, expected, "{change}");
        found.extend(
            deviations.iter().filter_map(|text| Some(text.split(' ').nth(1)?.trim_end_matches(':').to_owned())),
        );
    }
    let elsewhere =
        [DeviationCode::TaskSizeNotEnforced, DeviationCode::RestartPolicyIgnored, DeviationCode::RefusedToday];
    for code in DeviationCode::ALL.iter().filter(|code| !elsewhere.contains(code)) {
        assert!(found.contains(code.name()), "{code:?} has no row");
    }
}

#[test]
fn what_an_older_kubernetes_cannot_express_is_a_deviation() {
    let older = Features::of_version(33);
    let restart = json!({"restartPolicy": {"enabled": true}});
    assert_eq!(deviations(&app(&restart, &[], &json!({})), older), ["c[app].restartPolicy RestartPolicyIgnored"]);
    let sized = json!({"cpu": 512, "memory": 1024, "networkMode": "awsvpc"});
    assert_eq!(
        deviations(&app(&json!({}), &[], &sized), older),
        [""; 0],
        "one container can have the size of its task"
    );
    let two = app(
        &json!({"cpu": 64, "memoryReservation": 128, "memory": 256}),
        &[("b", json!({"cpu": 64, "memory": 128}))],
        &sized,
    );
    assert_eq!(deviations(&two, older), ["cpu TaskSizeNotEnforced", "memory TaskSizeNotEnforced"]);
    let resolved = resolve(&spec(&two), older).unwrap();
    let app = &resolved.main[0];
    assert_eq!((app.cpu.map(|cpu| cpu.0), app.memory_reservation.map(|memory| memory.0)), (Some(448), Some(256)));
    assert_eq!(
        deviations(&self::app(&json!({"hostname": "a.b"}), &[], &json!({})), older),
        ["c[app].hostname HostnameIgnored"]
    );
}
