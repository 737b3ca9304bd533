//! Properties over specs that nobody would write.

#![expect(clippy::arithmetic_side_effects, reason = "a test may fail this way")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::api::names::{DeploymentId, RevisionName, TaskKey, Uid, dns_label, label_value};
use crate::api::{ContainerCondition, TaskDefinitionSpec};
use crate::domain::pod::{self, ServiceOwner};
use crate::domain::resolve::canonical_json;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::size::{CpuUnits, MiB};
use crate::domain::resolve::task_definition::{check, normalise, resolve};
use crate::domain::service::Start;

/// A name of few, so that references meet, or any.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[aB_]", 1 => "[a-zA-Z0-9_-]{0,80}", 1 => any::<String>()]
}

fn size() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(|number| json!(number)),
        "[-+.0-9]{0,6} ?(vCPU|VCPU|GB|gb|)".prop_map(|text| json!(text)),
        any::<String>().prop_map(|text| json!(text)),
    ]
}

fn container() -> impl Strategy<Value = Value> {
    let condition = prop_oneof![Just("START"), Just("COMPLETE"), Just("SUCCESS"), Just("HEALTHY")];
    let depends_on = vec((name(), condition), 0..3).prop_map(|list| {
        list.into_iter().map(|(name, condition)| json!({"containerName": name, "condition": condition})).collect()
    });
    let port = (of(any::<i32>()), of(any::<i32>()), of(prop_oneof![Just("tcp"), Just("udp")]));
    let ports = vec(port, 0..3).prop_map(|list| {
        let port =
            |(port, host_port, protocol)| json!({"containerPort": port, "hostPort": host_port, "protocol": protocol});
        list.into_iter().map(port).collect()
    });
    let mount = (of(name()), of("/[ab]"), of(any::<bool>()));
    let mounts = vec(mount, 0..3).prop_map(|list| {
        let mount = |(volume, path, read)| json!({"sourceVolume": volume, "containerPath": path, "readOnly": read});
        list.into_iter().map(mount).collect()
    });
    let command = vec(prop_oneof![Just("CMD".to_owned()), Just("CMD-SHELL".to_owned()), any::<String>()], 0..3);
    let health_check = of((command, of(any::<i32>()), of(any::<i32>()))).prop_map(|check| {
        check.map(|(command, interval, retries)| json!({"command": command, "interval": interval, "retries": retries}))
    });
    let environment = vec((name(), of(any::<String>())), 0..4)
        .prop_map(|list| list.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect());
    let numbers = (of(any::<i32>()), of(any::<i32>()), of(any::<i32>()), of(any::<i32>()));
    (name(), of(any::<bool>()), depends_on, ports, mounts, health_check, environment, numbers).prop_map(
        |(name, essential, depends_on, ports, mounts, health_check, environment, (cpu, memory, reservation, stop))| {
            let (depends_on, ports): (Value, Value) = (depends_on, ports);
            let (mounts, environment): (Value, Value) = (mounts, environment);
            json!({
                "name": name, "essential": essential, "dependsOn": depends_on, "portMappings": ports,
                "mountPoints": mounts, "healthCheck": health_check, "environment": environment, "cpu": cpu,
                "memory": memory, "memoryReservation": reservation, "stopTimeout": stop,
            })
        },
    )
}

fn spec() -> impl Strategy<Value = TaskDefinitionSpec> {
    let host = prop_oneof![Just(Value::Null), Just(json!({})), Just(json!({"sourcePath": "/data"}))];
    let volumes = vec((name(), host).prop_map(|(name, host)| json!({"name": name, "host": host})), 0..3);
    let mode = of(prop_oneof![Just("awsvpc"), Just("bridge"), Just("host")]);
    (of(name()), of(size()), of(size()), mode, vec(container(), 0..4), volumes).prop_map(
        |(family, cpu, memory, mode, containers, volumes)| {
            let spec = json!({
                "family": family, "cpu": cpu, "memory": memory, "networkMode": mode,
                "containerDefinitions": containers, "volumes": volumes,
            });
            serde_json::from_value(spec).unwrap()
        },
    )
}

/// More members of a container.
fn members() -> impl Strategy<Value = Value> {
    let port = (1..=i32::from(u16::MAX), prop_oneof![Just("tcp"), Just("udp")], of("[a-z0-9_][a-z0-9_-]{0,20}"));
    let variable = ("[a-z_.-]{1,5}", any::<String>());
    let secret = "k8s://secret/[a-z]{1,5}/[a-zA-Z_-][a-zA-Z._-]{0,5}";
    let tmpfs = (1..100_i32, prop_oneof![Just("ro"), Just("rw"), Just("noexec")]);
    let restart = (any::<bool>(), vec(0..256_i32, 0..3), of(60..=1800_i32));
    (vec(port, 0..3), vec(variable, 0..4), vec(secret, 0..3), vec(tmpfs, 0..2), of(restart)).prop_map(
        |(ports, environment, secrets, tmpfs, restart)| {
            let port = |(number, protocol, name): &(i32, &str, Option<String>)| {
                json!({"containerPort": number, "protocol": protocol, "name": name})
            };
            let secrets = secrets.iter().enumerate().map(|(n, from)| json!({"name": format!("SECRET_{n}"), "valueFrom": from}));
            let tmpfs = tmpfs.iter().enumerate().map(|(n, (size, option))| {
                json!({"containerPath": format!("/tmpfs/{n}"), "size": size, "mountOptions": [option]})
            });
            let restart = restart.map(|(enabled, codes, period)| {
                json!({"enabled": enabled, "ignoredExitCodes": codes, "restartAttemptPeriod": period})
            });
            json!({
                "portMappings": ports.iter().map(port).collect::<Value>(),
                "environment": environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>(),
                "secrets": secrets.collect::<Value>(),
                "linuxParameters": {"tmpfs": tmpfs.collect::<Value>()}, "restartPolicy": restart,
            })
        },
    )
}

/// A definition that keeps the rules: of what is drawn at random, the references and conditions that break one are bent.
fn legal() -> impl Strategy<Value = TaskDefinitionSpec> {
    const NAMES: [&str; 5] =
        ["app", "App", "log_", "-", "a-name-of-sixty-four-characters-0123456789-0123456789-0123456789"];
    const VOLUMES: [&str; 2] = ["data", "Scratch"];
    const CONDITIONS: [&str; 4] = ["START", "COMPLETE", "SUCCESS", "HEALTHY"];
    let dependencies = vec((1..5_usize, 0..4_usize), 0..3);
    let numbers = (of(0..200_i32), of(1..200_i32));
    let container = (any::<bool>(), any::<bool>(), dependencies, numbers, vec(0..2_usize, 0..3), members());
    let mode = of(prop_oneof![Just("awsvpc"), Just("bridge")]);
    (vec(container, 1..=5), 0..5_usize, mode).prop_map(|(drawn, rotation, mode)| {
        let last = drawn.len() - 1;
        let essential = |n: usize| n == last || drawn[n].0;
        let container = |n: usize| {
            let (_, checked, dependencies, (cpu, stop_timeout), mounts, members) = &drawn[n];
            let dependencies = dependencies.iter().filter(|(distance, _)| *distance <= n).map(|(distance, condition)| {
                let target = n - distance;
                let condition = match CONDITIONS[*condition] {
                    "COMPLETE" | "SUCCESS" if essential(target) => "START",
                    "HEALTHY" if !drawn[target].1 => "START",
                    condition => condition,
                };
                json!({"containerName": NAMES[target], "condition": condition})
            });
            let mounts = mounts.iter().enumerate().map(|(n, volume)| {
                json!({"sourceVolume": VOLUMES[*volume], "containerPath": format!("/{n}")})
            });
            let mut container = json!({
                "name": NAMES[n], "essential": essential(n), "cpu": cpu, "stopTimeout": stop_timeout,
                "healthCheck": checked.then(|| json!({"command": ["CMD", "true"]})),
                "dependsOn": dependencies.collect::<Value>(), "mountPoints": mounts.collect::<Value>(),
            });
            container.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            for (m, port) in container["portMappings"].as_array_mut().unwrap().iter_mut().enumerate() {
                port["name"] = port["name"].as_str().map(|name| format!("{name}-{n}-{m}")).into();
            }
            if !essential(n) {
                // It may be one that has to end.
                container["restartPolicy"] = Value::Null;
            }
            container
        };
        let mut containers: Vec<Value> = (0..drawn.len()).map(container).collect();
        containers.rotate_left(rotation % drawn.len());
        let spec = json!({
            "cpu": 1024, "networkMode": mode, "containerDefinitions": containers, "volumes": [{"name": "data"}, {"name": "Scratch"}],
        });
        serde_json::from_value(spec).unwrap()
    })
}

/// Any JSON, of few names and numbers, so that two are often equal.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1..2_i64).prop_map(Value::from),
        "[a\"\\\\é]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[ab:,]{0,2}", inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

pub(super) fn is_dns_label(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 63 && text.chars().all(legal) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_label_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= 63 && text.chars().all(legal) && edge(text.chars().next()) && edge(text.chars().next_back())
}

/// The pod of a definition that no rule keeps from having one.
pub(super) fn build(spec: &TaskDefinitionSpec) -> PodSpec {
    let owner = ServiceOwner {
        object_name: "web".to_owned(),
        namespace: "shop".to_owned(),
        uid: Uid("uid".to_owned()),
        cluster: "default".to_owned(),
        deregistration_delay: 0,
        service_accounts: BTreeMap::new(),
        volume_configurations: Vec::new(),
    };
    let key = TaskKey { deployment: DeploymentId(1), slot: 0, attempt: 1 };
    let revision = RevisionName { family: "web".parse().unwrap(), number: 1 };
    pod::build(
        &resolve(spec, Features::ALL).unwrap(),
        &owner,
        &Start {
            key,
            revision,
            images: Vec::new().into(),
            secrets: Arc::default(),
            node: None,
            zone: None,
            on_freed_place: false,
        },
    )
    .spec
    .unwrap()
}

proptest! {
    #[test]
    fn what_is_registered_of_a_legal_definition_runs_as_what_was_written(spec in legal()) {
        prop_assert_eq!(build(&normalise(&spec, "web")), build(&spec));
    }

    #[test]
    fn any_definition_is_resolved_or_refused_alike_before_and_after_it_is_registered(spec in spec()) {
        let normal = normalise(&spec, "web");
        prop_assert_eq!(resolve(&normal, Features::ALL), resolve(&spec, Features::ALL));
        prop_assert_eq!(normalise(&normal, "other"), normal);
    }

    #[test]
    fn a_definition_that_keeps_the_rules_has_a_pod_with_each_container_once(spec in legal()) {
        prop_assert_eq!(check(&spec), []);
        let pod = build(&spec);
        let containers: Vec<_> = pod.init_containers.iter().flatten().chain(&pod.containers).collect();
        let names: BTreeSet<&str> = containers.iter().map(|container| container.name.as_str()).collect();
        prop_assert!(names.iter().all(|name| is_dns_label(name)), "{:?}", names);
        let declared: BTreeSet<String> = spec.container_definitions.iter().map(|c| dns_label(&c.name, 63)).collect();
        prop_assert_eq!(containers.len(), declared.len());
        prop_assert!(names.iter().all(|name| declared.contains(*name)));
        prop_assert!(!pod.containers.is_empty(), "a pod has a container that is not an init container");
    }

    #[test]
    fn kubernetes_starts_no_container_before_those_that_ecs_makes_it_wait_for(spec in legal()) {
        let pod = build(&spec);
        let init: Vec<_> = pod.init_containers.iter().flatten().collect();
        let place = |name: &str| init.iter().position(|container| container.name == dns_label(name, 63));
        for container in &spec.container_definitions {
            for dependency in &container.depends_on {
                let target = place(&dependency.container_name).expect("what is waited for is started first");
                prop_assert!(place(&container.name).is_none_or(|place| target < place));
                let (sidecar, gate) = (init[target].restart_policy.is_some(), init[target].startup_probe.is_some());
                match dependency.condition {
                    ContainerCondition::Start => {}
                    ContainerCondition::Complete | ContainerCondition::Success => prop_assert!(!sidecar),
                    ContainerCondition::Healthy => prop_assert!(!sidecar || gate),
                }
            }
        }
    }

    #[test]
    fn a_size_is_read_as_it_is_written_in_units_or_as_a_decimal_number_of_vcpu_or_gb(
        number in 1..=i32::MAX,
        thousandths in 1..4_000_000_u32,
        space in " ?",
        (vcpu, gb) in ("[vV][cC][pP][uU]", "[gG][bB]"),
    ) {
        let units = number.unsigned_abs();
        for size in [IntOrString::Int(number), IntOrString::String(number.to_string())] {
            prop_assert_eq!((CpuUnits::parse(&size), MiB::parse(&size)), (Ok(CpuUnits(units)), Ok(MiB(units))));
        }
        let decimal = |unit: &str| {
            IntOrString::String(format!("{}.{:03}{space}{unit}", thousandths / 1000, thousandths % 1000))
        };
        let units = u32::try_from(u64::from(thousandths) * 1024 / 1000).unwrap();
        let read = (CpuUnits::parse(&decimal(&vcpu)), MiB::parse(&decimal(&gb)));
        prop_assert_eq!(read, (Ok(CpuUnits(units)), Ok(MiB(units))));
        prop_assert!(CpuUnits::parse(&decimal(&gb)).is_err() && MiB::parse(&decimal(&vcpu)).is_err());
    }

    #[test]
    fn whatever_stands_for_a_size_is_one_that_is_not_zero_or_is_refused(size in size()) {
        let size: IntOrString = serde_json::from_value(size).unwrap();
        let (cpu, memory) = (CpuUnits::parse(&size), MiB::parse(&size));
        prop_assert!(cpu.map_or_else(|problem| problem.member == "cpu", |cpu| cpu.0 > 0), "{size:?}");
        prop_assert!(memory.map_or_else(|problem| problem.member == "memory", |memory| memory.0 > 0), "{size:?}");
    }

    #[test]
    fn two_values_have_one_text_exactly_when_they_are_equal(one in any_json(), other in any_json()) {
        prop_assert_eq!(canonical_json(&one) == canonical_json(&other), one == other);
        prop_assert_eq!(serde_json::from_str::<Value>(&canonical_json(&one)).unwrap(), one);
    }

    #[test]
    fn the_order_in_which_members_were_written_does_not_show(members in vec(("[a-f]", any_json()), 0..6)) {
        let unique: BTreeMap<String, Value> = members.into_iter().collect();
        let written: Map<String, Value> = unique.clone().into_iter().collect();
        let reversed: Map<String, Value> = unique.into_iter().rev().collect();
        prop_assert_eq!(canonical_json(&Value::Object(written)), canonical_json(&Value::Object(reversed)));
    }

    #[test]
    fn any_name_has_a_dns_label_and_a_label_value(name in name(), max in 9..=63_usize) {
        let label = dns_label(&name, max);
        prop_assert!(is_dns_label(&label) && label.len() <= max, "{label:?}");
        let value = label_value(&name);
        prop_assert!(is_label_value(&value), "{value:?}");
        if is_label_value(&name) {
            prop_assert_eq!(value, name);
        }
    }
}
