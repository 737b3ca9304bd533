//! What no pod can be.

use serde_json::{Value, json};

use super::{app, spec};
use crate::domain::resolve::task_definition::check;

/// Where a definition is refused, and what is said.
pub(super) fn refused_for(change: &Value) -> Vec<(String, String)> {
    let found = check(&spec(change)).into_iter();
    found.map(|problem| (problem.member.replace("containerDefinitions", "c"), problem.message)).collect()
}

/// Each for one member, and with this among what is said.
pub(super) fn are_refused(rows: &[(Value, &str, &str)]) {
    for (change, member, part) in rows {
        let found = refused_for(change);
        assert_eq!(found.iter().map(|(member, _)| member.as_str()).collect::<Vec<_>>(), [*member], "{change}");
        assert!(found[0].1.contains(part), "{}", found[0].1);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row a rule")]
fn what_a_pod_cannot_be_is_refused_at_the_member_that_asks_for_it() {
    let none = || json!({});
    let one = |more: Value| app(&more, &[], &json!({}));
    let task = |more: Value| app(&json!({}), &[], &more);
    let linux = |more: Value| app(&json!({"linuxParameters": more}), &[], &json!({}));
    let gpu = |more: Value| app(&json!({"resourceRequirements": [more]}), &[], &json!({}));
    let port = |mode: &str, more: Value| app(&json!({"portMappings": [more]}), &[], &json!({"networkMode": mode}));
    let ports = |list: &[Value]| one(json!({"portMappings": list}));
    let control =
        |name: &str, task: Value| app(&json!({"systemControls": [{"namespace": name, "value": "1"}]}), &[], &task);
    let rows: Vec<(Value, &str, &str)> = vec![
        (task(json!({"networkMode": "none"})), "networkMode", "NetworkPolicy"),
        (one(json!({"disableNetworking": true})), "c[app].disableNetworking", "share one network"),
        (app(&json!({"links": ["b"]}), &[("b", none())], &json!({"networkMode": "awsvpc"})), "c[app].links", "bridge"),
        (app(&json!({"hostname": "a"}), &[], &json!({"networkMode": "awsvpc"})), "c[app].hostname", "awsvpc"),
        (
            port("bridge", json!({"containerPortRange": "10-9"})),
            "c[app].portMappings[0].containerPortRange",
            "8000-8010",
        ),
        (
            port("bridge", json!({"containerPortRange": "9-10", "hostPort": 1})),
            "c[app].portMappings[0].hostPort",
            "remove it",
        ),
        (port("bridge", json!({"protocol": "tcp"})), "c[app].portMappings[0].containerPort", "from 1 to 65535"),
        (port("bridge", json!({"containerPort": 0})), "c[app].portMappings[0].containerPort", "from 1 to 65535"),
        (
            port("host", json!({"containerPortRange": "9-10"})),
            "c[app].portMappings[0].containerPortRange",
            "bridge and awsvpc",
        ),
        (
            port("bridge", json!({"containerPort": 80, "name": "-http"})),
            "c[app].portMappings[0].name",
            "does not begin with -",
        ),
        (
            app(
                &json!({"portMappings": [{"containerPort": 80, "name": "http"}]}),
                &[("b", json!({"portMappings": [{"containerPort": 81, "name": "http"}]}))],
                &none(),
            ),
            "c[b].portMappings[0].name",
            "give each its own",
        ),
        (
            ports(&[json!({"containerPort": 80, "hostPort": 8080}), json!({"containerPort": 81, "hostPort": 8080})]),
            "c[app].portMappings[1].hostPort",
            "the port 8080 of the node is the container \"app\"'s already",
        ),
        (
            app(
                &json!({"portMappings": [{"containerPort": 80}]}),
                &[("b", json!({"portMappings": [{"containerPort": 80}]}))],
                &json!({"networkMode": "host"}),
            ),
            "c[b].portMappings[0].containerPort",
            "the port 80 of the node",
        ),
        (
            ports(&[json!({"containerPort": 80}), json!({"containerPortRange": "80-81", "protocol": "udp"})]),
            "c[app].portMappings[1].containerPortRange",
            "in another mapping",
        ),
        (
            ports(&[json!({"containerPortRange": "80-90"}), json!({"containerPortRange": "90-91"})]),
            "c[app].portMappings[1].containerPortRange",
            "in another mapping",
        ),
        (
            ports(&[json!({"containerPortRange": "80-90"}), json!({"containerPort": 85})]),
            "c[app].portMappings[1].containerPort",
            "in another mapping",
        ),
        (
            ports(
                &(0..101)
                    .map(|n| json!({"containerPortRange": format!("{}-{}", 1000 + 2 * n, 1001 + 2 * n)}))
                    .collect::<Vec<_>>(),
            ),
            "c[app].portMappings",
            "101 ranges",
        ),
        (
            app(&json!({"links": ["db"]}), &[("b", none())], &none()),
            "c[app].links[0]",
            "no other container \"db\" in this task definition; name one",
        ),
        (app(&json!({"links": ["app"]}), &[("b", none())], &none()), "c[app].links[0]", "no other container \"app\""),
        (app(&json!({"links": ["b:"]}), &[("b", none())], &none()), "c[app].links[0]", "write name or name:alias"),
        (task(json!({"tags": [{"key": "AWS:team"}]})), "tags[0].key", "for AWS"),
        (task(json!({"tags": [{"key": "team", "value": "aws:blue"}]})), "tags[0].value", "for AWS"),
        (task(json!({"tags": [{"key": "a;b"}]})), "tags[0].key", "letters, digits, spaces"),
        (task(json!({"tags": [{"key": "Team"}, {"key": "team"}, {"key": "Team"}]})), "tags[2].key", "already"),
        (one(json!({"environment": [{"name": "A=B", "value": "1"}]})), "c[app].environment[0].name", "without ="),
        (
            one(json!({"dnsSearchDomains": ["a", "a_b"]})),
            "c[app].dnsSearchDomains[1]",
            "write letters, digits and hyphens",
        ),
        (
            one(json!({"dnsSearchDomains": (0..33).map(|n| format!("d{n}.example")).collect::<Vec<_>>()})),
            "c[app].dnsSearchDomains",
            "32 search domains",
        ),
        (
            app(&json!({"hostname": "a"}), &[("b", json!({"hostname": "b"}))], &none()),
            "c[b].hostname",
            "b differs from a of \"app\"",
        ),
        (
            app(&json!({"dnsServers": ["10.0.0.1"]}), &[("b", json!({"dnsServers": ["10.0.0.2"]}))], &none()),
            "c[b].dnsServers",
            "give all the same",
        ),
        (one(json!({"dnsServers": ["10.0.0.1", "dns"]})), "c[app].dnsServers[1]", "write for example 10.0.0.2"),
        (
            one(json!({"extraHosts": [{"hostname": "a_b", "ipAddress": "10.0.0.1"}]})),
            "c[app].extraHosts[0].hostname",
            "for example db.example.com",
        ),
        (
            one(json!({"extraHosts": [{"hostname": "a", "ipAddress": "b"}]})),
            "c[app].extraHosts[0].ipAddress",
            "write for example 10.0.0.2",
        ),
        (
            one(
                json!({"extraHosts": [{"hostname": "a", "ipAddress": "10.0.0.1"}, {"hostname": "a", "ipAddress": "10.0.0.2"}]}),
            ),
            "c[app].extraHosts[1]",
            "give it one address",
        ),
        (one(json!({"user": "node"})), "c[app].user", "not uid or uid:gid"),
        (
            linux(json!({"capabilities": {"add": ["CAP_CHOWN"]}})),
            "c[app].linuxParameters.capabilities.add",
            "without CAP_",
        ),
        (linux(json!({"devices": [{"hostPath": "/dev/fuse"}]})), "c[app].linuxParameters.devices[0]", "privileged"),
        (
            linux(json!({"tmpfs": [{"containerPath": "a", "size": 1}]})),
            "c[app].linuxParameters.tmpfs[0].containerPath",
            "not a path from the root",
        ),
        (
            linux(json!({"tmpfs": [{"containerPath": "/a", "size": 1, "mountOptions": ["ro", "fast"]}]})),
            "c[app].linuxParameters.tmpfs[0].mountOptions[1]",
            "remove it",
        ),
        (
            one(json!({"dockerSecurityOptions": ["seccomp:unconfined"]})),
            "c[app].dockerSecurityOptions[0]",
            "cannot be mapped",
        ),
        (
            one(
                json!({"ulimits": [{"name": "core", "softLimit": 0, "hardLimit": 0}, {"name": "nofile", "softLimit": 2, "hardLimit": 1}]}),
            ),
            "c[app].ulimits[1]",
            "above the hard limit",
        ),
        (one(json!({"credentialSpecs": ["credentialspec:a"]})), "c[app].credentialSpecs", "Windows"),
        (
            app(
                &json!({"systemControls": [{"namespace": "net.core.somaxconn", "value": "1024"}]}),
                &[],
                &json!({"kubernetes": {"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "512"}]}}}),
            ),
            "c[app].systemControls[0].value",
            "remove one of the two",
        ),
        (control("vm.swappiness", none()), "c[app].systemControls[0].namespace", "parameter of the node"),
        (
            control("net.core.somaxconn", json!({"networkMode": "host"})),
            "c[app].systemControls[0].namespace",
            "network mode host",
        ),
        (control("kernel.sem", json!({"ipcMode": "host"})), "c[app].systemControls[0].namespace", "IPC mode host"),
        (gpu(json!({"type": "GPU", "value": "ALL"})), "c[app].resourceRequirements[0].value", "not a number of GPUs"),
        (
            gpu(json!({"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 1}}})),
            "c[app].resourceRequirements[0].sharingStrategy",
            "a part of a GPU",
        ),
        (gpu(json!({"type": "NeuronDevice", "value": "ALL"})), "c[app].resourceRequirements[0].type", "Neuron"),
        (
            gpu(json!({"type": "InferenceAccelerator", "value": "a"})),
            "c[app].resourceRequirements[0].type",
            "discontinued",
        ),
        (
            task(json!({"inferenceAccelerators": [{"deviceName": "a", "deviceType": "b"}]})),
            "inferenceAccelerators",
            "discontinued",
        ),
        (
            task(json!({"trustedExecutionConfiguration": {"isolationMode": "ISOLATED_SANDBOX"}})),
            "trustedExecutionConfiguration.isolationMode",
            "runtimeClassName",
        ),
        (
            task(json!({"trustedExecutionConfiguration": {"isolationMode": "SHARED", "attestationPolicy": "a"}})),
            "trustedExecutionConfiguration.attestationPolicy",
            "nobody would check",
        ),
        (
            task(json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}})),
            "runtimePlatform.operatingSystemFamily",
            "Linux only",
        ),
        (
            task(json!({"placementConstraints": [{"type": "memberOf", "expression": "runningTasksCount == 1"}]})),
            "placementConstraints[0].expression",
            "no label of a node",
        ),
        (
            one(json!({"logConfiguration": {"logDriver": "awsfirelens"}})),
            "c[app].logConfiguration.logDriver",
            "log router",
        ),
        (
            app(
                &json!({"dependsOn": [{"containerName": "b", "condition": "SUCCESS"}]}),
                &[("b", json!({"essential": false, "restartPolicy": {"enabled": true}}))],
                &none(),
            ),
            "c[b].restartPolicy",
            "until the container has ended",
        ),
    ];
    are_refused(&rows);
}

#[test]
fn what_ecs_takes_is_not_refused_for_being_odd() {
    let one = |more: Value| app(&more, &[("b", json!({}))], &json!({}));
    for (sentence, change) in [
        (
            "two host ports lead to one container port",
            one(json!({"portMappings": [
                {"containerPort": 80, "hostPort": 8080}, {"containerPort": 80, "hostPort": 8081}
            ]})),
        ),
        ("ranges touch", one(json!({"portMappings": [{"containerPortRange": "1-2"}, {"containerPortRange": "3-4"}]}))),
        ("a port has a long name", one(json!({"portMappings": [{"containerPort": 80, "name": "0_".repeat(32)}]}))),
        ("a link has another name", one(json!({"links": ["b:database"]}))),
        (
            "a tag has no value",
            app(&json!({}), &[], &json!({"tags": [{"key": "équipe : a/b"}, {"key": "aws", "value": ""}]})),
        ),
        (
            "an empty path is none",
            app(&json!({}), &[], &json!({"volumes": [{"name": "a", "host": {"sourcePath": ""}}]})),
        ),
        (
            "a volume of Kubernetes has a place of its own, and labels have values or none",
            app(
                &json!({"linuxParameters": {"tmpfs": [{"containerPath": "/a", "size": 1}]}}),
                &[],
                &json!({"kubernetes": {
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "volumeMounts": [{"container": "app", "name": "v", "mountPath": "/a/b", "subPath": "c/d"}],
                    "labels": {"a": ""}, "annotations": {"Example.com/Team": "any thing"},
                }}),
            ),
        ),
        (
            "a volume has a name that another task's would have been made with",
            app(
                &json!({"linuxParameters": {"sharedMemorySize": 1}}),
                &[],
                &json!({"volumes": [{"name": "shared-memory"}, {"name": "tmpfs-0-app"}]}),
            ),
        ),
        ("a search domain ends in a dot", one(json!({"dnsSearchDomains": ["Example.com."]}))),
        (
            "a mount is at the root's own path",
            app(
                &json!({"mountPoints": [{"sourceVolume": "a", "containerPath": "/"}]}),
                &[],
                &json!({"volumes": [{"name": "a"}]}),
            ),
        ),
    ] {
        assert_eq!(refused_for(&change), [], "{sentence}");
    }
}

#[test]
fn fargate_takes_less() {
    let fargate = |container: Value, task: Value| {
        let mut all =
            json!({"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": 256, "memory": 512});
        all.as_object_mut().unwrap().extend(task.as_object().unwrap().clone());
        let found = refused_for(&app(&container, &[], &all));
        found.into_iter().map(|(member, _)| member).collect::<Vec<_>>()
    };
    let none = || json!({});
    let rows: Vec<(Vec<String>, &[&str])> = vec![
        (fargate(none(), none()), &[]),
        (fargate(none(), json!({"networkMode": "bridge"})), &["networkMode"]),
        (fargate(none(), json!({"memory": 4096})), &["memory"]),
        (fargate(none(), json!({"cpu": 300})), &["cpu"]),
        (fargate(none(), json!({"cpu": null})), &["cpu"]),
        (fargate(none(), json!({"memory": null})), &["memory"]),
        (fargate(none(), json!({"pidMode": "host"})), &["pidMode"]),
        (fargate(none(), json!({"pidMode": "task"})), &[]),
        (fargate(none(), json!({"ipcMode": "task"})), &["ipcMode"]),
        (
            fargate(none(), json!({"volumes": [{"name": "a", "host": {"sourcePath": "/a"}}]})),
            &["volumes[a].host.sourcePath"],
        ),
        (fargate(none(), json!({"volumes": [{"name": "a", "host": {}}]})), &[]),
        (fargate(json!({"privileged": true}), none()), &["c[app].privileged"]),
        (fargate(json!({"dnsServers": ["10.0.0.1"]}), none()), &["c[app].dnsServers"]),
        (
            fargate(
                json!({"linuxParameters": {"capabilities": {"add": ["SYS_PTRACE", "CHOWN"], "drop": ["KILL"]}}}),
                none(),
            ),
            &["c[app].linuxParameters.capabilities.add"],
        ),
        (
            fargate(json!({"linuxParameters": {"sharedMemorySize": 1}}), none()),
            &["c[app].linuxParameters.sharedMemorySize"],
        ),
        (fargate(json!({"stopTimeout": 121}), none()), &["c[app].stopTimeout"]),
        (fargate(json!({"stopTimeout": 120}), none()), &[]),
        (fargate(json!({"stopTimeout": 1}), none()), &[]),
        (fargate(json!({"startTimeout": 2}), none()), &[]),
        (
            fargate(json!({"logConfiguration": {"logDriver": "json-file"}}), none()),
            &["c[app].logConfiguration.logDriver"],
        ),
        (fargate(json!({"logConfiguration": {"logDriver": "awslogs"}}), none()), &[]),
    ];
    for (found, expected) in rows {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_port_may_have_two_protocols_and_a_port_of_the_node_that_is_drawn_by_lot_is_nobodys() {
    for ports in [
        json!([{"containerPort": 53, "hostPort": 53}, {"containerPort": 53, "hostPort": 53, "protocol": "udp"}]),
        json!([{"containerPort": 80, "hostPort": 0}, {"containerPort": 81, "hostPort": 0}]),
        json!([{"containerPort": 80, "hostPort": 8080}, {"containerPort": 80, "hostPort": 8081}]),
    ] {
        assert_eq!(refused_for(&app(&json!({"portMappings": ports}), &[], &json!({}))), [], "{ports}");
    }
}
