//! What `desiredCount`, `minimumHealthyPercent` and `maximumPercent` make of an update.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use longshore::api::RolloutState;
use longshore_test_cluster::{Behaviour, PodRecorder, Pods};
use serde_json::json;

use crate::judge::{Extent, assert_kept, is_active, runs};
use crate::namespace::{Namespace, service};

/// ECS's sentence for an update that cannot begin.
const BLOCKED: &str = "was unable to stop or start tasks during a deployment because of the service deployment \
                       configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";

/// A desired count with its two percentages.
type Row = (u32, u32, u32);

fn name((desired, minimum, maximum): Row) -> String {
    format!("web-{desired}-{minimum}-{maximum}")
}

fn apply(namespace: &Namespace, row: Row, (desired, minimum, maximum): Row) {
    namespace.apply("Service", &name(row), &service("web", desired, minimum, maximum));
}

async fn record(namespace: &Namespace, row: Row) -> PodRecorder {
    let selected = ListParams::default().labels(&format!("ecs.longshore.dev/service={}", name(row)));
    PodRecorder::start(namespace.api::<Pod>(), selected).await.unwrap()
}

#[tokio::test]
async fn minimum_healthy_percent_rounds_up_and_maximum_percent_down_and_an_update_keeps_to_both() {
    // (desired count, minimum, maximum) -> (floor, ceiling): a deployment makes use of all the room between them.
    let rows: [(Row, (usize, usize)); 8] = [
        ((1, 100, 200), (1, 2)),
        ((1, 0, 100), (0, 1)),
        ((4, 50, 100), (2, 4)),
        ((4, 100, 200), (4, 8)),
        ((10, 75, 125), (8, 12)),
        ((10, 100, 150), (10, 15)),
        ((10, 50, 200), (5, 20)),
        ((0, 100, 200), (0, 0)),
    ];
    let namespace = Namespace::new("feasible").await;
    let slow = Behaviour::ReadyAfter(Duration::from_millis(700));
    namespace.cluster.behave(&Pods::image("feasible:2"), slow).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "feasible:1");
    let mut recorders = Vec::new();
    for (row, _) in rows {
        apply(&namespace, row, row);
    }
    for (row, _) in rows {
        namespace.until_steady(&name(row), "web:1").await;
        recorders.push(record(&namespace, row).await);
    }
    namespace.apply_task_definition("web", "feasible:2");
    for ((row, (floor, ceiling)), recorder) in rows.into_iter().zip(recorders) {
        let status = namespace.until_steady(&name(row), "web:2").await;
        // The old deployment is told of until the last of its pods has gone.
        let alone = |status: &longshore::api::ServiceStatus| status.deployments.len() == 1;
        namespace.until_service(&name(row), "one deployment", alone).await;
        assert_eq!(status.deployments[0].rollout_state, Some(RolloutState::Completed), "{row:?}");
        assert_eq!(status.running_count, i32::try_from(row.0).ok(), "{row:?}");
        recorder.catch_up().await.unwrap();
        let left = recorder.objects();
        let active: Vec<_> = left.values().filter(|pod| is_active(pod)).collect();
        assert!(active.iter().all(|pod| runs(pod, "feasible:2")), "{row:?}");
        assert_eq!(active.len(), usize::try_from(row.0).unwrap(), "{row:?}");
        if row.0 == 0 {
            assert!(recorder.events().unwrap().is_empty());
        } else {
            let Extent { least_healthy, most_active } = assert_kept(&recorder, floor, ceiling);
            assert_eq!(most_active, ceiling, "{row:?}");
            // With room for all new tasks the old ones go as those become healthy, or earlier: whichever is the faster.
            let stops_first = ceiling < 2 * usize::try_from(row.0).unwrap();
            assert!(!stops_first || least_healthy == floor, "{row:?}: {least_healthy} healthy at the least");
        }
    }
}

#[tokio::test]
async fn a_configuration_that_leaves_no_room_says_to_update_it_and_a_wider_one_heals_it() {
    let rows: [(Row, Row); 4] = [
        ((1, 100, 150), (1, 100, 200)),
        ((1, 50, 100), (1, 0, 100)),
        ((2, 75, 100), (2, 50, 100)),
        ((3, 100, 125), (3, 100, 134)),
    ];
    let namespace = Namespace::new("infeasible").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "infeasible:1");
    for (row, _) in rows {
        apply(&namespace, row, row);
    }
    for (row, _) in rows {
        namespace.until_steady(&name(row), "web:1").await;
    }
    let recorder = namespace.record().await;
    namespace.apply_task_definition("web", "infeasible:2");
    for (row, _) in rows {
        let name = name(row);
        let message = namespace.until_reason(&name, "DeploymentBlocked").await;
        assert_eq!(message, format!("(service {name}) {BLOCKED}"));
        let told = |status: &longshore::api::ServiceStatus| status.events[0].message == message;
        namespace.until_service(&name, "the event", told).await;
        namespace.until_event(&name, ("Warning", "DeploymentBlocked"), &message).await;
    }
    recorder.catch_up().await.unwrap();
    assert!(recorder.events().unwrap().is_empty(), "no task was touched");
    for (row, wider) in rows {
        let recorder = record(&namespace, row).await;
        apply(&namespace, row, wider);
        namespace.until_steady(&name(row), "web:2").await;
        recorder.catch_up().await.unwrap();
        let (desired, minimum, maximum) = wider;
        let count = |tasks: u32| usize::try_from(tasks).unwrap();
        assert_kept(&recorder, count((desired * minimum).div_ceil(100)), count(desired * maximum / 100));
    }
}

#[tokio::test]
async fn a_wider_configuration_is_no_new_deployment() {
    let namespace = Namespace::new("wider").await;
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", "wider:1");
    namespace.apply_service("web", 1, 100, 150);
    let before = namespace.until_steady("web", "web:1").await;
    let mut wider = service("web", 1, 100, 200);
    wider["kubernetes"] = json!({ "healthyAfterSeconds": 1 });
    namespace.apply("Service", "web", &wider);
    let after = namespace.until_steady("web", "web:1").await;
    assert_eq!(before.deployments[0].id, after.deployments[0].id);
}
