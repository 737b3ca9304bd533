//! Properties over members that nobody would write so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::json;

use super::{app, spec};
use crate::api::TaskDefinitionSpec;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::{check, resolve};
use crate::domain::resolve::tests::{build, is_dns_label};

/// Text that some member could have, or any.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9:+-]{0,8}",
        "(a|b|app)(:[a-z_]{0,3})?",
        "(label|apparmor|no-new-privileges)[:=](user|type|true)?:?[a-z]{0,2}",
        "(attribute:[a-z.]{1,4}|agentConnected|task:group) (==|!=|in|>) [a-z0-9\\[\\]]{1,4}",
        "(type|addr|device)=?[:/a-z0-9.,]{0,9}",
        any::<String>(),
    ]
}

/// The members of [`definition`] as they may be.
const LEGAL: [&str; 18] = [
    "root|[1-9][0-9]{0,8}(:[0-9]{1,9})?",
    "b(:[a-z][a-z0-9.]{0,5}[a-z])?",
    "[a-zA-Z][a-zA-Z0-9-]{0,9}[a-z](\\.[a-z]{1,9}){0,2}",
    "no-new-privileges|apparmor:[a-z]{1,4}|label:(user|role|type|level):[a-z]{1,4}",
    "6[0-2][0-9]{3}-6[34][0-9]{3}",
    "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}",
    "10(\\.[1-9]){3}|fd00::[1-9a-f]",
    "[1-8]",
    "net\\.(core|ipv4)\\.[a-z_]{1,9}[a-z]",
    "[0-9]{1,9}",
    "/[a-z]{1,9}",
    "ro|rw|noexec|mode=700",
    "attribute:[a-z]{1,9}\\.[a-z]{1,9} (==|!=) [a-z0-9]{1,9}",
    "[a-zA-Z0-9_-]{1,255}",
    "addr=10(\\.[1-9]){3}(,rw|,nfsvers=4)?",
    "fs-[0-9a-f]{8,17}",
    "[a-z]{1,9}",
    "[a-z]{1,64}|[a-z0-9_][a-z0-9_-]{0,63}",
];

fn definition(texts: &[String], numbers: &[i32]) -> TaskDefinitionSpec {
    let [user, link, hostname, option, range, host, address, gpus, sysctl, value, path, mount_option, rest @ ..] =
        texts
    else {
        panic!("{texts:?}")
    };
    let [expression, volume, nfs, file_system, label, port_name] = rest else { panic!("{rest:?}") };
    let [port, host_port, tmpfs, shared_memory] = numbers else { panic!("{numbers:?}") };
    let container = json!({
        "user": user, "links": [link], "hostname": hostname, "dockerSecurityOptions": [option],
        "portMappings": [{"containerPortRange": range}, {"containerPort": port, "hostPort": host_port, "name": port_name}],
        "extraHosts": [{"hostname": host, "ipAddress": address}],
        "resourceRequirements": [{"type": "GPU", "value": gpus}],
        "systemControls": [{"namespace": sysctl, "value": value}],
        "mountPoints": [{"sourceVolume": volume, "containerPath": format!("/volume{path}")}],
        "linuxParameters": {
            "tmpfs": [{"containerPath": path, "size": tmpfs, "mountOptions": [mount_option]}],
            "sharedMemorySize": shared_memory,
        },
    });
    let change = app(
        &container,
        &[("b", json!({"volumesFrom": [{"sourceContainer": "app"}]}))],
        &json!({
            "placementConstraints": [{"type": "memberOf", "expression": expression}],
            "volumes": [
                {"name": volume, "dockerVolumeConfiguration": {"driverOpts": {"type": "nfs", "o": nfs, "device": format!(":{path}")}}},
                {"name": "..", "efsVolumeConfiguration": {"fileSystemId": file_system, "rootDirectory": path}},
            ],
            "kubernetes": {"nodeSelector": {"a": label}, "volumes": [{"name": label, "emptyDir": {}}]},
        }),
    );
    spec(&change)
}

/// The rules of the API server that a pod breaks.
fn broken(pod: &PodSpec) -> Vec<String> {
    let mut broken = Vec::new();
    let mut demand = |holds: bool, what: String| broken.extend((!holds).then_some(what));
    let volumes: Vec<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    demand(volumes.iter().collect::<BTreeSet<_>>().len() == volumes.len(), format!("a volume twice: {volumes:?}"));
    for name in &volumes {
        demand(is_dns_label(name), format!("the volume {name}"));
    }
    for Container { name, ports, volume_mounts, security_context, .. } in containers(pod) {
        demand(is_dns_label(name), format!("the container {name}"));
        for port in ports.iter().flatten() {
            let is_port = |number: i32| u16::try_from(number).is_ok_and(|number| number > 0);
            let is_name = |name: &String| name.len() <= 15 && is_dns_label(name) && name.contains(char::is_alphabetic);
            let fits = is_port(port.container_port) && port.host_port.is_none_or(is_port);
            demand(fits && port.name.as_ref().is_none_or(is_name), format!("{port:?}"));
        }
        let mounts: Vec<_> = volume_mounts.iter().flatten().collect();
        let paths: BTreeSet<_> = mounts.iter().map(|mount| &mount.mount_path).collect();
        demand(paths.len() == mounts.len(), format!("two mounts at one path: {mounts:?}"));
        demand(
            mounts.iter().all(|mount| volumes.contains(&mount.name.as_str())),
            format!("no such volume: {mounts:?}"),
        );
        let ids = security_context.iter().flat_map(|context| [context.run_as_user, context.run_as_group]);
        demand(ids.flatten().all(|id| i32::try_from(id).is_ok_and(|id| id >= 0)), format!("{security_context:?}"));
    }
    for alias in pod.host_aliases.iter().flatten() {
        demand(alias.ip.parse::<IpAddr>().is_ok(), format!("{alias:?}"));
    }
    demand(pod.hostname.as_deref().is_none_or(is_dns_label), format!("{:?}", pod.hostname));
    let is_subdomain = |name: &String| name.len() <= 64 && name.split('.').all(is_dns_label);
    demand(pod.hostname_override.as_ref().is_none_or(is_subdomain), format!("{:?}", pod.hostname_override));
    broken
}

fn containers(pod: &PodSpec) -> impl Iterator<Item = &Container> {
    pod.init_containers.iter().flatten().chain(&pod.containers)
}

proptest! {
    /// A revision is run whatever would be refused today.
    #[test]
    fn whatever_the_members_say_a_definition_becomes_a_pod(
        texts in proptest::collection::vec(text(), LEGAL.len()),
        numbers in proptest::collection::vec(any::<i32>(), 4),
    ) {
        let spec = definition(&texts, &numbers);
        check(&spec);
        prop_assert!(resolve(&spec, Features::of_version(33)).is_ok());
        prop_assert_eq!(containers(&build(&spec)).count(), 2);
    }

    #[test]
    fn a_definition_that_is_not_refused_becomes_a_pod_that_the_api_server_takes(
        texts in Vec::from(LEGAL.map(|legal| string_regex(legal).unwrap())),
        numbers in proptest::collection::vec(1..60_000, 4),
    ) {
        let spec = definition(&texts, &numbers);
        prop_assert_eq!(check(&spec), []);
        let pod = build(&spec);
        prop_assert_eq!(containers(&pod).count(), 2);
        prop_assert_eq!(broken(&pod), Vec::<String>::new());
    }
}
