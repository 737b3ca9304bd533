//! What is read back of a pod that was built for a task. Containers go by their names in the pod there, and by those that the task
//! definition gives them everywhere else: here no two are alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::api::ContainerImage;
use crate::api::names::{DeploymentId, RevisionName, TaskKey, Uid};
use crate::domain::pod::{self, ServiceOwner};
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::resolve;
use crate::domain::service::Start;
use crate::domain::task::{Awaited, AwaitedState, RestartPolicy, TaskState};
use crate::shell::cache::task_pod::TaskPod;

/// `Web_API` waits for the success of `Migrate_DB` and for a HEALTHY `log_`.
fn built(images: Vec<ContainerImage>) -> Pod {
    let spec = json!({ "containerDefinitions": [
        {
            "name": "Web_API",
            "image": "web:1",
            "healthCheck": { "command": ["CMD", "true"], "startPeriod": 10 },
            "restartPolicy": { "enabled": true, "ignoredExitCodes": [7], "restartAttemptPeriod": 60 },
            "dependsOn": [
                { "containerName": "Migrate_DB", "condition": "SUCCESS" },
                { "containerName": "log_", "condition": "HEALTHY" },
            ],
        },
        { "name": "log_", "image": "log:1", "healthCheck": { "command": ["CMD", "true"] }, "startTimeout": 61 },
        { "name": "Migrate_DB", "image": "migrate:1", "essential": false, "startTimeout": 62 },
    ]});
    let owner = ServiceOwner {
        object_name: "web".to_owned(),
        namespace: "shop".to_owned(),
        uid: Uid("6f2c2f0e-5a0e-4d53-9d5c-2a8f7c1f3b11".to_owned()),
        cluster: "default".to_owned(),
        deregistration_delay: 0,
        service_accounts: BTreeMap::new(),
        volume_configurations: Vec::new(),
    };
    let key = TaskKey { deployment: DeploymentId(1), slot: 0, attempt: 1 };
    let revision = RevisionName { family: "web".parse().unwrap(), number: 1 };
    let start = Start {
        key,
        revision,
        images: images.into(),
        secrets: Arc::default(),
        node: None,
        zone: None,
        on_freed_place: false,
    };
    pod::build(&resolve(&serde_json::from_value(spec).unwrap(), Features::ALL).unwrap(), &owner, &start)
}

/// The names and images of a pod's containers.
fn images(pod: &Pod) -> Vec<(String, String)> {
    let spec = pod.spec.as_ref().unwrap();
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    containers.map(|container| (container.name.clone(), container.image.clone().unwrap())).collect()
}

/// The pod as a kubelet leaves it that has found its images. `members` are those of the status of the container of `image`.
fn kept(image: &str, members: &Value) -> TaskPod {
    let mut pod = built(Vec::new());
    pod.metadata.uid = Some("uid".to_owned());
    let status = |(name, of_container): (String, String)| {
        let mut status = json!({ "name": name, "imageID": format!("example.com/app@sha256:{of_container}") });
        if of_container == image {
            status.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        }
        status
    };
    let mut statuses: Vec<Value> = images(&pod).into_iter().map(status).collect();
    let main = statuses.split_off(pod.spec.as_ref().unwrap().init_containers.iter().flatten().count());
    let mut pod = serde_json::to_value(pod).unwrap();
    pod["status"] = json!({ "phase": "Running", "initContainerStatuses": statuses, "containerStatuses": main });
    serde_json::from_value(pod).unwrap()
}

#[test]
fn what_a_pod_says_of_its_containers_is_about_those_of_the_task_definition() {
    let status = kept("web:1", &json!({})).pod_status();
    let awaited = |until, seconds| Some(Awaited { by: vec!["Web_API".to_owned()], until, seconds: Some(seconds) });
    let restart = || Some(RestartPolicy { ignored_exit_codes: vec![7], restart_attempt_period: 60 });
    let found: Vec<_> =
        status.containers.into_iter().map(|it| (it.name, it.essential, it.restart, it.awaited)).collect();
    let expected = [
        ("log_".to_owned(), true, None, awaited(AwaitedState::Healthy, 61)),
        ("Migrate_DB".to_owned(), false, None, awaited(AwaitedState::Ended, 62)),
        ("Web_API".to_owned(), true, restart(), None),
    ];
    assert_eq!(found, expected);
    let deadlines = [("Web_API", 118), ("log_", 108)];
    let deadlines = deadlines.map(|(name, seconds)| (name.to_owned(), SignedDuration::from_secs(seconds)));
    assert_eq!(status.health_check_deadlines, deadlines.into());
}

/// "The container must run for restartAttemptPeriod … before a restart can be attempted"; here it is 60 seconds.
#[test]
fn a_task_ends_with_a_run_of_its_essential_container_that_ecs_follows_by_no_restart() {
    let run = |code: i32, seconds: u32| {
        let (started, finished) =
            ("2026-01-01T00:00:00Z", format!("2026-01-01T00:{:02}:{:02}Z", seconds / 60, seconds % 60));
        json!({ "terminated": { "exitCode": code, "startedAt": started, "finishedAt": finished } })
    };
    let running = || json!({ "running": { "startedAt": "2026-01-01T00:05:00Z" } });
    let restarted = |last: Value| json!({ "restartCount": 1, "lastState": last, "state": running() });
    for (sentence, members, exit_code) in [
        ("it runs", json!({ "state": running() }), None),
        ("it runs again after a run of the whole period", restarted(run(1, 60)), None),
        ("after a shorter one", restarted(run(1, 59)), Some(1)),
        (
            "after a run of which nothing but its end is known",
            restarted(json!({ "terminated": { "exitCode": 1 } })),
            None,
        ),
        ("after an exit code to be ignored", restarted(run(7, 60)), Some(7)),
        ("it has exited, and is to be started again", json!({ "state": run(1, 60) }), None),
        ("it has exited early", json!({ "state": run(1, 59) }), Some(1)),
    ] {
        let ended = match kept("web:1", &members).fact().unwrap().state {
            TaskState::Stopped(end) => end.containers,
            TaskState::Pending { .. } | TaskState::Running(_) => Vec::new(),
        };
        let found: Vec<_> = ended.iter().map(|exit| (exit.name.as_str(), exit.exit_code)).collect();
        let expected: Vec<_> = exit_code.map(|code| ("Web_API", Some(code))).into_iter().collect();
        assert_eq!(found, expected, "{sentence}");
    }
}

#[test]
fn the_digests_that_one_task_tells_pin_the_images_of_the_next() {
    let told = kept("web:1", &json!({})).images().unwrap().digests;
    let pinned = |name: &str, image: &str| ContainerImage {
        container_name: name.to_owned(),
        image: image.to_owned(),
        image_digest: told[name].clone().unwrap(),
    };
    let pinned = [("Web_API", "web:1"), ("log_", "log:1"), ("Migrate_DB", "migrate:1")].map(|(n, i)| pinned(n, i));
    let next: Vec<_> = images(&built(pinned.into())).into_iter().map(|(_, image)| image).collect();
    assert_eq!(next, ["log:1@sha256:log:1", "migrate:1@sha256:migrate:1", "web:1@sha256:web:1"]);
}
