//! Rolling updates, judged by every event of a recorded watch.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use longshore::api::RolloutState;
use longshore_test_cluster::{Behaviour, Objects, PodRecorder, Pods};

use crate::namespace::Namespace;

/// Floor, ceiling and identity at every event.
pub(crate) fn assert_kept(recorder: &PodRecorder, floor: usize, ceiling: usize) {
    let mut full = recorder.initial().values().filter(|pod| is_healthy(pod)).count() >= floor;
    let mut events = 0;
    recorder
        .replay(|pods: &Objects<Pod>, event| {
            events += 1;
            let active = pods.values().filter(|pod| is_active(pod)).count();
            let healthy = pods.values().filter(|pod| is_healthy(pod)).count();
            full |= healthy >= floor;
            let at = event.resource_version;
            assert!(active <= ceiling, "{active} tasks at {at}, and the ceiling is {ceiling}");
            assert!(!full || healthy >= floor, "{healthy} healthy tasks at {at}, and the floor is {floor}");
            let mut slots = BTreeMap::new();
            for pod in pods.values().filter(|pod| is_active(pod)) {
                let twin = slots.insert(slot(pod), pod.metadata.name.clone());
                assert_eq!(twin, None, "two tasks in one slot at {at}: {:?}", pod.metadata.name);
            }
        })
        .unwrap();
    assert!(events > 0 && full, "nothing was recorded");
}

/// RUNNING or PENDING: neither ended nor being stopped.
pub(crate) fn is_active(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_healthy(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = |type_: &str, status: &str| type_ == "Ready" && status == "True";
    is_active(pod) && conditions.into_iter().flatten().any(|condition| ready(&condition.type_, &condition.status))
}

fn slot(pod: &Pod) -> (Option<String>, Option<String>) {
    let label = |key| pod.metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
    let annotation = |key| pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned();
    (label("ecs.longshore.dev/deployment"), annotation("ecs.longshore.dev/slot"))
}

async fn keeps_floor_and_ceiling(
    name: &str,
    (desired, minimum, maximum): (u32, u32, u32),
    floor: usize,
    ceiling: usize,
) {
    let namespace = Namespace::new(name).await;
    let image = format!("{name}:2");
    let slow = Behaviour::ReadyAfter(Duration::from_millis(700));
    namespace.cluster.behave(&Pods::image(&image), slow).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", &format!("{name}:1"));
    namespace.apply_service("web", desired, minimum, maximum);
    namespace.until_steady("web", "web:1").await;

    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", &image);
    let status = namespace.until_steady("web", "web:2").await;
    recorder.catch_up().await.unwrap();
    assert_kept(&recorder, floor, ceiling);

    assert_eq!(status.deployments.len(), 1);
    assert_eq!(status.deployments[0].rollout_state, Some(RolloutState::Completed));
    assert_eq!(status.running_count, i32::try_from(desired).ok());
    let replaced = namespace.pods().await;
    assert_eq!(replaced.iter().filter(|pod| is_active(pod)).count(), usize::try_from(desired).unwrap());
    assert!(replaced.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_ref() == Some(&image)));
}

#[tokio::test]
async fn start_first_at_100_200() {
    keeps_floor_and_ceiling("start-first", (4, 100, 200), 4, 8).await;
}

#[tokio::test]
async fn stop_first_at_50_100() {
    keeps_floor_and_ceiling("stop-first", (4, 50, 100), 2, 4).await;
}

#[tokio::test]
async fn both_at_once_at_75_125_with_the_floor_rounded_up_and_the_ceiling_down() {
    keeps_floor_and_ceiling("both", (10, 75, 125), 8, 12).await;
}

#[tokio::test]
async fn a_percentage_that_leaves_no_room_stalls_and_says_so_and_a_wider_one_heals_it() {
    let namespace = Namespace::new("blocked").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "blocked:1");
    namespace.apply_service("web", 3, 100, 125);
    namespace.until_steady("web", "web:1").await;
    namespace.apply_task_definition("web", "blocked:2");
    let message = namespace.until_reason("web", "DeploymentBlocked").await;
    assert!(message.contains("Update the minimumHealthyPercent or maximumPercent value and try again."), "{message}");
    namespace.apply_service("web", 3, 100, 200);
    namespace.until_steady("web", "web:2").await;
}

#[tokio::test]
async fn replacing_n_tasks_costs_2n_writes_and_a_handful_more() {
    let namespace = Namespace::new("cost").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "cost:1");
    namespace.apply_service("web", 40, 75, 125);
    namespace.until_steady("web", "web:1").await;
    let before = namespace.writes().await.len();
    namespace.apply_task_definition("web", "cost:2");
    namespace.until_steady("web", "web:2").await;
    // The last status write has not brought its events and the cluster's counts yet.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let writes = namespace.writes().await.len() - before;
    println!("replacing 40 tasks took {writes} writes");
    assert!((80..=110).contains(&writes), "{writes} writes for 40 tasks");
}
