//! Every deviation, and what is none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{app, spec};
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::{Deviation, DeviationCode, MEMBERS, Treatment, resolve};

/// The deviations as `member Code`, or `member Code: detail`.
fn deviations(change: &Value, features: Features) -> Vec<String> {
    verdict(change, features).iter().map(shown).collect()
}

fn verdict(change: &Value, features: Features) -> Vec<Deviation> {
    let resolved = resolve(&spec(change), features).unwrap();
    for Deviation { code, member, detail: _ } in resolved.verdict.deviations() {
        let place = in_table(member);
        let has_row = codes_of_table().any(|(path, listed)| listed == *code && is_at_or_below(path, &place));
        assert!(has_row, "the table of members has no {code:?} at or below {place}");
    }
    resolved.verdict.deviations().to_vec()
}

fn shown(deviation: &Deviation) -> String {
    let detail = if deviation.detail.is_empty() { String::new() } else { format!(": {}", deviation.detail) };
    format!("{} {}{detail}", deviation.member.replace("containerDefinitions", "c"), deviation.code.name())
}

/// `containerDefinitions[app].links[0]` as the table has it: `containerDefinitions[].links`, and `[]` behind it where it is a list
/// of objects.
fn in_table(member: &str) -> String {
    let steps = member
        .split('.')
        .map(|step| step.split_once('[').map_or_else(|| step.to_owned(), |(list, _)| format!("{list}[]")));
    let path = steps.collect::<Vec<_>>().join(".");
    let is_leaf = |path: &str| MEMBERS.iter().any(|member| member.path == path);
    path.strip_suffix("[]").filter(|path| is_leaf(path)).unwrap_or(&path).to_owned()
}

fn is_at_or_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Each deviation that the table of members names, with the member at which it does.
fn codes_of_table() -> impl Iterator<Item = (&'static str, DeviationCode)> {
    MEMBERS.iter().flat_map(|member| {
        let codes = match member.treatment {
            Treatment::Deviates(codes) => codes,
            Treatment::Mapped | Treatment::Refused | Treatment::NotImplemented => &[],
        };
        codes.iter().map(|code| (member.path, *code))
    })
}

/// Every deviation with a definition that has it. Beside it, what must not deviate.
#[test]
#[expect(clippy::too_many_lines, reason = "a row a deviation")]
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
    let pulls = |image: &str, credentials: &str| json!({"image": image, "repositoryCredentials": {"credentialsParameter": credentials}});
    let docker =
        |more: Value| app(&none(), &[], &json!({"volumes": [{"name": "a", "dockerVolumeConfiguration": more}]}));
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
                "c[app].stopTimeout StopTimeoutShared",
                "c[b].stopTimeout StopTimeoutShared",
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
        (
            app(&waits(&[("a", "START")]), &[("a", optional(none()))], &awsvpc),
            &["c[a] SidecarRestarts", "c[app].stopTimeout StopTimeoutShared", "c[a].stopTimeout StopTimeoutShared"],
        ),
        (
            app(
                &waits(&[("a", "START")]),
                &[("a", restart(json!({"enabled": true, "ignoredExitCodes": [0]})))],
                &awsvpc,
            ),
            &[
                "c[a].restartPolicy RestartBackOff",
                "c[a].restartPolicy.ignoredExitCodes SidecarRestarts",
                "c[app].stopTimeout StopTimeoutShared",
                "c[a].stopTimeout StopTimeoutShared",
            ],
        ),
        (app(&restart(json!({"enabled": true})), &[], &none()), &["c[app].restartPolicy RestartBackOff"]),
        (app(&restart(json!({"enabled": false})), &[], &none()), &[]),
        (
            app(&json!({"stopTimeout": 60}), &[("b", json!({"stopTimeout": 10}))], &awsvpc),
            &["c[b].stopTimeout StopTimeoutShared"],
        ),
        (
            app(&waits(&[("a", "START")]), &[("a", restart(json!({"enabled": true})))], &awsvpc),
            &[
                "c[a].restartPolicy RestartBackOff",
                "c[app].stopTimeout StopTimeoutShared",
                "c[a].stopTimeout StopTimeoutShared",
            ],
        ),
        (app(&none(), &[("a", optional(none()))], &awsvpc), &["c[a] CompletedNotReady"]),
        (
            app(&none(), &[("a", optional(restart(json!({"enabled": true, "ignoredExitCodes": [0]}))))], &awsvpc),
            &[
                "c[a].restartPolicy RestartBackOff",
                "c[a].restartPolicy.restartAttemptPeriod EarlyExitRestarted",
                "c[a] CompletedNotReady",
            ],
        ),
        (
            app(&checked, &[("a", optional(waits(&[("app", "HEALTHY")])))], &awsvpc),
            &[
                "c[app] SidecarRestarts",
                "c[a] EndsWithoutEssential",
                "c[a].stopTimeout StopTimeoutShared",
                "c[app].stopTimeout StopTimeoutShared",
            ],
        ),
        (
            app(&none(), &[("a", optional(waits(&[("app", "START")])))], &awsvpc),
            &["c[app] StopOrderLost", "c[a] CompletedNotReady"],
        ),
        (
            app(&none(), &[("a", optional(checked.clone())), ("b", optional(waits(&[("a", "HEALTHY")])))], &awsvpc),
            &[
                "c[app] StartSerialized: a",
                "c[a] InitExtraBlock",
                "c[a] SidecarRestarts",
                "c[b] CompletedNotReady",
                "c[app].stopTimeout StopTimeoutShared",
                "c[b].stopTimeout StopTimeoutShared",
                "c[a].stopTimeout StopTimeoutShared",
            ],
        ),
        (
            app(&none(), &[("a", optional(checked.clone()))], &awsvpc),
            &["c[a].healthCheck NonEssentialHealthNotProbed", "c[a] CompletedNotReady"],
        ),
        (
            app(&waits(&[("a", "HEALTHY")]), &[("a", optional(checked))], &awsvpc),
            &["c[a] SidecarRestarts", "c[app].stopTimeout StopTimeoutShared", "c[a].stopTimeout StopTimeoutShared"],
        ),
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
            app(&json!({"portMappings": [{"containerPort": 80, "hostPort": 8080}]}), &[], &awsvpc),
            &["c[app].portMappings[0].hostPort HostPortIgnored"],
        ),
        (
            app(
                &json!({"portMappings": [{"containerPort": 80}]}),
                &[("b", json!({"portMappings": [{"containerPort": 80}]}))],
                &awsvpc,
            ),
            &["c[b].portMappings[0].containerPort PortUsedTwice: app"],
        ),
        (
            app(&none(), &[], &json!({"proxyConfiguration": {"containerName": "app"}})),
            &["proxyConfiguration ProxyIgnored"],
        ),
        (
            app(&json!({"links": ["b:b_1"]}), &[("b", restart(json!({"enabled": true})))], &none()),
            &[
                "c[b].restartPolicy RestartBackOff",
                "c[app].stopTimeout StopTimeoutShared",
                "c[b].stopTimeout StopTimeoutShared",
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
        (
            app(
                &json!({
                    "hostname": "web", "extraHosts": [{"hostname": "db", "ipAddress": "10.0.0.1"}],
                    "dnsSearchDomains": ["example.com"],
                }),
                &[("b", none())],
                &none(),
            ),
            &[
                "networkMode SharedNetwork",
                "c[app].hostname PodWide",
                "c[app].extraHosts PodWide",
                "c[app].dnsSearchDomains PodWide",
            ],
        ),
        (app(&none(), &[], &json!({"volumes": [{"name": "a"}]})), &["volumes[a] NoCopyUp"]),
        (app(&none(), &[], &json!({"volumes": [{"name": "a", "host": {"sourcePath": "/a"}}]})), &[]),
        (
            app(&none(), &[], &json!({"volumes": [{"name": "a", "host": {"sourcePath": "./a"}}]})),
            &["volumes[a].host.sourcePath RelativePath"],
        ),
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
            docker(json!({"scope": "shared", "driver": "rexray/ebs"})),
            &["volumes[a].dockerVolumeConfiguration ClaimNeeded: a, for a volume of the driver rexray/ebs"],
        ),
        (
            docker(json!({"scope": "shared", "driverOpts": {"type": "cifs", "o": "password=x", "device": "//a/b"}})),
            &[
                "volumes[a].dockerVolumeConfiguration ClaimNeeded: a, for a volume of the driver local with the options device,o,type",
            ],
        ),
        (
            docker(json!({"driverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=100m,uid=1000, mode=700"}})),
            &["volumes[a].dockerVolumeConfiguration.driverOpts VolumeOptionsIgnored: uid,mode"],
        ),
        (
            docker(json!({"driverOpts": {"type": "tmpfs", "o": "size=50%"}})),
            &["volumes[a].dockerVolumeConfiguration.driverOpts VolumeOptionsIgnored: size"],
        ),
        (
            docker(json!({"driverOpts": {"type": "nfs", "device": ":/a", "o": "nfsvers=4.1,addr=10.0.0.1,rw"}})),
            &["volumes[a].dockerVolumeConfiguration.driverOpts VolumeOptionsIgnored: nfsvers"],
        ),
        (
            docker(json!({"driverOpts": {"type": "nfs", "device": "10.0.0.1:/a", "o": "addr=10.0.0.1,soft"}})),
            &["volumes[a].dockerVolumeConfiguration.driverOpts VolumeOptionsIgnored: soft"],
        ),
        (
            docker(json!({"driverOpts": {"type": "none", "device": "/a", "o": "bind", "copy": "no"}})),
            &["volumes[a].dockerVolumeConfiguration.driverOpts VolumeOptionsIgnored: copy"],
        ),
        (docker(json!({"driverOpts": {"type": "none", "device": "/a", "o": "bind,rw"}})), &[]),
        (docker(json!({"driverOpts": {"type": "nfs", "device": "/a/../b", "o": "addr=10.0.0.1"}})), &[]),
        (
            app(
                &none(),
                &[],
                &json!({"volumes": [{"name": "a", "efsVolumeConfiguration": {
                    "fileSystemId": "fs-1", "transitEncryption": "ENABLED", "transitEncryptionPort": 3049,
                    "authorizationConfig": {"iam": "ENABLED"},
                }}]}),
            ),
            &[
                "volumes[a].efsVolumeConfiguration ClaimNeeded: fs-1-6dea3db1eb6e8c8d729e4cb5c59d7b96, for a PersistentVolume of the CSI driver \
                 efs.csi.aws.com with volumeHandle fs-1 and encryptInTransit true, and the mount options tlsport=3049,iam",
                "volumes[a].efsVolumeConfiguration.authorizationConfig.iam IamOfNode",
            ],
        ),
        (
            app(&none(), &[], &json!({"volumes": [{"name": "a", "configuredAtLaunch": true}]})),
            &["volumes[a].configuredAtLaunch StorageClassNeeded"],
        ),
        (
            app(&json!({"volumesFrom": [{"sourceContainer": "b"}]}), &[("b", none())], &awsvpc),
            &["c[app].volumesFrom[0] ImageVolumesNotShared", "c[b] StopOrderLost"],
        ),
        (
            app(
                &json!({"linuxParameters": {"tmpfs": [{"containerPath": "/a", "size": 1, "mountOptions": ["ro", "noexec", "mode=700", "suid"]}]}}),
                &[],
                &none(),
            ),
            &["c[app].linuxParameters.tmpfs[0].mountOptions TmpfsOptionsIgnored: noexec,mode=700,nodev"],
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
        (
            app(
                &json!({"user": "", "hostname": ""}),
                &[],
                &json!({"taskRoleArn": "", "executionRoleArn": "", "cpu": ""}),
            ),
            &[],
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
            app(
                &json!({"logConfiguration": {
                    "logDriver": "json-file", "options": {"max-size": "1m"},
                    "secretOptions": [{"name": "labels", "valueFrom": "k8s://secret/log/labels"}],
                }}),
                &[],
                &none(),
            ),
            &[
                "c[app].logConfiguration.options LogOptionsIgnored: max-size",
                "c[app].logConfiguration.secretOptions LogOptionsIgnored",
            ],
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
                "c[app].stopTimeout StopTimeoutShared",
                "c[router].stopTimeout StopTimeoutShared",
            ],
        ),
        (
            app(&json!({"environment": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}), &[], &none()),
            &["c[app].environment RepeatedVariable: A"],
        ),
        (
            app(&json!({"image": "ghcr.io/Shop/web:1"}), &[], &none()),
            &["c[app].image ImageNameInvalid: \"ghcr.io/Shop/web:1\" has upper-case letters in its repository"],
        ),
        (app(&json!({"image": null}), &[], &none()), &["c[app].image ImageMissing"]),
        (
            app(&pulls("web:1", "one"), &[("b", pulls("docker.io/library/web:2", "two"))], &awsvpc),
            &["c[b].repositoryCredentials.credentialsParameter CredentialsMixed: app"],
        ),
        (app(&pulls("org/web", "one"), &[("b", pulls("org/web", "one"))], &awsvpc), &[]),
        (app(&pulls("org/web", "one"), &[("b", pulls("org/web2", "two"))], &awsvpc), &[]),
        (app(&pulls("org/web", "one"), &[("b", json!({"image": "org/web"}))], &awsvpc), &[]),
    ];
    let mut found = BTreeSet::new();
    for (change, expected) in rows {
        let verdict = verdict(&change, Features::ALL);
        assert_eq!(verdict.iter().map(shown).collect::<Vec<_>>(), expected, "{change}");
        found.extend(verdict.into_iter().map(|deviation| (in_table(&deviation.member), deviation.code)));
    }
    let elsewhere =
        [DeviationCode::TaskSizeNotEnforced, DeviationCode::RestartPolicyIgnored, DeviationCode::RefusedToday];
    let is_shown = |path: &str, code| found.iter().any(|(place, shown)| *shown == code && is_at_or_below(path, place));
    let surplus = codes_of_table().filter(|(path, code)| !elsewhere.contains(code) && !is_shown(path, *code));
    assert_eq!(surplus.collect::<Vec<_>>(), [], "what the table of members says has no row here");
    for code in DeviationCode::ALL.iter().filter(|code| !elsewhere.contains(code)) {
        assert!(found.iter().any(|(_, shown)| shown == code), "{code:?} has no row");
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
