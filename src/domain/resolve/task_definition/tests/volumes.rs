//! Which volumes a task cannot have, and what `spec.kubernetes` cannot say.

use serde_json::{Value, json};

use super::refused::{are_refused, refused_for};
use super::{app, spec};
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::resolve;
use crate::domain::resolve::task_definition::volumes::VolumeSource;

#[test]
#[expect(clippy::too_many_lines, reason = "a row a rule")]
fn volumes_that_no_pod_has_are_refused() {
    let none = || json!({});
    let one = |more: Value| app(&more, &[], &json!({}));
    let volume = |more: Value| app(&json!({}), &[], &json!({"volumes": [more]}));
    let rows: Vec<(Value, &str, &str)> = vec![
        (
            volume(json!({"name": "a", "s3filesVolumeConfiguration": {"fileSystemArn": "b"}})),
            "volumes[a].s3filesVolumeConfiguration",
            "spec.kubernetes.volumes",
        ),
        (
            volume(json!({"name": "a", "fsxWindowsFileServerVolumeConfiguration": {
                "fileSystemId": "b", "rootDirectory": "c", "authorizationConfig": {"credentialsParameter": "d", "domain": "e"},
            }})),
            "volumes[a].fsxWindowsFileServerVolumeConfiguration",
            "a volume named \"a\" in spec.kubernetes.volumes",
        ),
        (
            volume(json!({"name": "a", "configuredAtLaunch": true, "host": {"sourcePath": "/data"}})),
            "volumes[a].configuredAtLaunch",
            "the other configuration",
        ),
        (
            volume(json!({"name": "a", "dockerVolumeConfiguration": {"driverOpts": {"type": "none", "device": "/a"}}})),
            "volumes[a].dockerVolumeConfiguration",
            "type none with bind in o",
        ),
        (
            volume(json!({
                "name": "a",
                "dockerVolumeConfiguration": {"driverOpts": {"type": "none", "o": "bind,ro", "device": "/a"}},
            })),
            "volumes[a].dockerVolumeConfiguration",
            "all of the driver local and without ro",
        ),
        (
            volume(json!({
                "name": "a",
                "dockerVolumeConfiguration": {"driverOpts": {"type": "nfs", "o": "addr=10.0.0.1, ro", "device": ":/a"}},
            })),
            "volumes[a].dockerVolumeConfiguration",
            "all of the driver local and without ro",
        ),
        (
            volume(json!({
                "name": "a",
                "dockerVolumeConfiguration": {"driverOpts": {"type": "nfs", "o": "addr=10.0.0.1", "device": "a"}},
            })),
            "volumes[a].dockerVolumeConfiguration",
            ":/path in device",
        ),
        (
            volume(json!({
                "name": "a",
                "dockerVolumeConfiguration": {"driverOpts": {"type": "none", "o": "bind", "device": "/srv/../a"}},
            })),
            "volumes[a].dockerVolumeConfiguration.driverOpts",
            "goes up by ..",
        ),
        (
            volume(json!({"name": "a", "host": {"sourcePath": "/srv/../a"}})),
            "volumes[a].host.sourcePath",
            "goes up by ..",
        ),
        (volume(json!({"name": "a", "host": {"sourcePath": "C:\\a"}})), "volumes[a].host.sourcePath", "run on Linux"),
        (
            volume(json!({"name": "a", "dockerVolumeConfiguration": {"driver": "rexray/ebs"}})),
            "volumes[a].dockerVolumeConfiguration",
            "spec.kubernetes.volumes",
        ),
        (
            volume(json!({"name": "a", "efsVolumeConfiguration": {
                "fileSystemId": "b", "rootDirectory": "/c", "transitEncryption": "ENABLED", "authorizationConfig": {"accessPointId": "d"},
            }})),
            "volumes[a].efsVolumeConfiguration.rootDirectory",
            "root of its own",
        ),
        (
            volume(
                json!({"name": "a", "efsVolumeConfiguration": {"fileSystemId": "b", "authorizationConfig": {"iam": "ENABLED"}}}),
            ),
            "volumes[a].efsVolumeConfiguration.transitEncryption",
            "ENABLED",
        ),
        (
            app(
                &json!({"linuxParameters": {"tmpfs": [{"containerPath": "/a", "size": 1}]}}),
                &[],
                &json!({"volumes": [{"name": "tmpfs-0-app"}]}),
            ),
            "volumes[tmpfs-0-app].name",
            "made for containerDefinitions[app].linuxParameters.tmpfs[0]",
        ),
        (
            app(
                &json!({"linuxParameters": {"sharedMemorySize": 1}}),
                &[],
                &json!({"kubernetes": {"volumes": [{"name": "shared-memory-app", "emptyDir": {}}]}}),
            ),
            "kubernetes.volumes[0].name",
            "made for containerDefinitions[app].linuxParameters.sharedMemorySize",
        ),
        (
            one(json!({"volumesFrom": [{"sourceContainer": "b"}]})),
            "c[app].volumesFrom[0].sourceContainer",
            "name one of it, or add it",
        ),
        (
            app(
                &json!({"volumesFrom": [{"sourceContainer": "b"}]}),
                &[
                    ("b", json!({"volumesFrom": [{"sourceContainer": "c"}]})),
                    ("c", json!({"volumesFrom": [{"sourceContainer": "c"}]})),
                ],
                &none(),
            ),
            "c[c].volumesFrom[0].sourceContainer",
            "no other container \"c\"",
        ),
    ];
    are_refused(&rows);
}

#[test]
fn what_spec_kubernetes_says_and_no_pod_takes_is_refused() {
    let task = |more: Value| app(&json!({}), &[], &more);
    // Beside a container b that has a volume at /of-b.
    let extra_mount = |container: Value, mounts: Value| {
        let mut mounts = mounts;
        for mount in mounts.as_array_mut().unwrap() {
            mount["container"] = json!("app");
            mount["name"] = json!("extra");
        }
        let b = json!({"mountPoints": [{"sourceVolume": "b", "containerPath": "/of-b"}]});
        let kubernetes = json!({"volumes": [{"name": "extra", "emptyDir": {}}], "volumeMounts": mounts});
        app(&container, &[("b", b)], &json!({"volumes": [{"name": "b"}], "kubernetes": kubernetes}))
    };
    let rows: Vec<(Value, &str, &str)> = vec![
        (
            task(json!({"kubernetes": {"labels": {"ecs.longshore.dev/x": "y"}}})),
            "kubernetes.labels",
            "set by Longshore",
        ),
        (
            task(json!({"kubernetes": {"securityContext": {"fsgroup": 1}}})),
            "kubernetes.securityContext",
            "fsgroup; remove it",
        ),
        (
            task(json!({"kubernetes": {"volumeMounts": [{"container": "app", "name": "a", "mountPath": "/a"}]}})),
            "kubernetes.volumeMounts[0].name",
            "add it there",
        ),
        (
            extra_mount(json!({}), json!([{"mountPath": "etc/web"}])),
            "kubernetes.volumeMounts[0].mountPath",
            "\"etc/web\"",
        ),
        (
            extra_mount(json!({}), json!([{"mountPath": "/a", "subPath": "../b"}])),
            "kubernetes.volumeMounts[0].subPath",
            "inside of the volume",
        ),
        (
            extra_mount(json!({}), json!([{"mountPath": "/a"}, {"mountPath": "/b"}, {"mountPath": "/a/"}])),
            "kubernetes.volumeMounts[2].mountPath",
            "the place of kubernetes.volumeMounts[0] already",
        ),
        (
            extra_mount(
                json!({"linuxParameters": {"tmpfs": [{"containerPath": "/a", "size": 1}]}}),
                json!([{"mountPath": "/a"}]),
            ),
            "kubernetes.volumeMounts[0].mountPath",
            "the place of the volume \"tmpfs-0-app\" already",
        ),
        (
            extra_mount(json!({"volumesFrom": [{"sourceContainer": "b"}]}), json!([{"mountPath": "/of-b"}])),
            "kubernetes.volumeMounts[0].mountPath",
            "the place of the volume \"b\" already",
        ),
        (task(json!({"kubernetes": {"labels": {"a b": "c"}}})), "kubernetes.labels", "\"a b\" is not a key"),
        (task(json!({"kubernetes": {"labels": {"a": "b c"}}})), "kubernetes.labels", "the value \"b c\" of a"),
        (
            task(json!({"kubernetes": {"nodeSelector": {"a": "b/c"}}})),
            "kubernetes.nodeSelector",
            "the value \"b/c\" of a",
        ),
        (
            task(json!({"kubernetes": {"annotations": {"a/b/c": "d"}}})),
            "kubernetes.annotations",
            "\"a/b/c\" is not a key",
        ),
        (
            task(
                json!({"kubernetes": {"nodeSelector": {"kubernetes.io/arch": "amd64"}}, "runtimePlatform": {"cpuArchitecture": "ARM64"}}),
            ),
            "kubernetes.nodeSelector",
            "by runtimePlatform",
        ),
    ];
    are_refused(&rows);
}

#[test]
fn containers_that_take_each_other_s_volumes_are_refused_each() {
    let from = |name: &str| json!({"volumesFrom": [{"sourceContainer": name}]});
    let found = refused_for(&app(&from("b"), &[("b", from("c")), ("c", from("app")), ("d", from("app"))], &json!({})));
    let members: Vec<&str> = found.iter().map(|(member, _)| member.as_str()).collect();
    assert_eq!(members, ["app", "b", "c"].map(|name| format!("c[{name}].volumesFrom[0].sourceContainer")));
    assert_eq!(found[0].1, "\"b\" takes the volumes of \"app\", be it by others; remove one of the two");
}

/// "device" is what `mount` takes: the server and its path, the path behind a colon, or the path alone.
#[test]
fn the_path_of_an_nfs_volume_is_what_follows_the_server() {
    for (device, path) in [(":/a", "/a"), ("10.0.0.1:/a/b", "/a/b"), ("[fd00::1]:/a", "/a"), ("/a/../b", "/a/../b")] {
        let docker = json!({"driverOpts": {"type": "nfs", "o": "addr=10.0.0.1", "device": device}});
        let definition =
            app(&json!({}), &[], &json!({"volumes": [{"name": "a", "dockerVolumeConfiguration": docker}]}));
        let resolved = resolve(&spec(&definition), Features::ALL).unwrap();
        let expected = VolumeSource::Nfs { server: "10.0.0.1".to_owned(), path: path.to_owned() };
        assert_eq!(resolved.volumes[0].source, expected, "{device}");
        assert!(refused_for(&definition).is_empty(), "{device}");
    }
}
