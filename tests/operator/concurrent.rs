//! More than one thing at a time.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use longshore::api::ServiceDeploymentStatus::{Stopped, Successful};
use longshore::api::{Service, ServiceStatus};
use longshore_test_cluster::{Behaviour, PodRecorder, Pods, Recorder};

use crate::judge::{assert_kept, assert_kept_as_changed, is_active, runs};
use crate::namespace::Namespace;

/// A service of revision 1 in a namespace whose later images, `:2` to `:4`, start slowly.
async fn steady(name: &str, (desired, minimum, maximum): (u32, u32, u32), start: Duration) -> Namespace {
    let namespace = Namespace::new(name).await;
    let images = [2, 3, 4].map(|version| format!("{name}:{version}")).to_vec();
    namespace.cluster.behave(&Pods::Image(images), Behaviour::ReadyAfter(start)).await.unwrap();
    namespace.apply_default_cluster();
    namespace.apply_task_definition("web", &format!("{name}:1"));
    namespace.apply_service("web", desired, minimum, maximum);
    namespace.until_steady("web", "web:1").await;
    namespace
}

/// Waits until so many tasks run an image.
async fn until_started(recorder: &PodRecorder, image: &str, count: usize) {
    let limit = Duration::from_mins(1);
    let is_new = |pod: &&Pod| is_active(pod) && runs(pod, image);
    recorder.until(image, limit, |pods| pods.values().filter(is_new).count() >= count).await.unwrap();
}

/// A service of 4 tasks goes to 8 and then to 3 in the middle of a deployment.
async fn scales(name: &str, to: impl Fn(&Namespace, u32)) {
    let namespace = steady(name, (4, 100, 200), Duration::from_millis(1500)).await;
    let recorder = namespace.record().await;
    let services = Recorder::<Service>::start(namespace.api(), ListParams::default()).await.unwrap();
    namespace.apply_task_definition("web", &format!("{name}:2"));
    until_started(&recorder, &format!("{name}:2"), 1).await;
    to(&namespace, 8);
    until_started(&recorder, &format!("{name}:2"), 8).await;
    to(&namespace, 3);
    let status = namespace.until_steady("web", "web:2").await;
    services.catch_up().await.unwrap();
    recorder.catch_up().await.unwrap();
    assert_kept_as_changed(&recorder, &services);
    assert_eq!(status.service_deployments.len(), 2, "a change of the desired count is no new deployment");
    assert_eq!(namespace.pods().await.iter().filter(|pod| is_active(pod)).count(), 3);
}

#[tokio::test]
async fn a_write_to_scale_in_the_middle_of_a_deployment_keeps_the_bounds_of_each_desired_count() {
    scales("scaled", |namespace, desired| namespace.scale("web", desired)).await;
}

#[tokio::test]
async fn another_desired_count_in_the_middle_of_a_deployment_keeps_the_bounds_of_each() {
    scales("scaled-by-apply", |namespace, desired| namespace.apply_service("web", desired, 100, 200)).await;
}

#[tokio::test]
async fn a_second_and_a_third_update_take_over_a_deployment_in_progress() {
    let namespace = steady("taken-over", (8, 75, 125), Duration::from_millis(1500)).await;
    let recorder = namespace.record().await;
    for version in [2, 3] {
        let image = format!("taken-over:{version}");
        namespace.apply_task_definition("web", &image);
        until_started(&recorder, &image, 1).await;
        let revision = format!("web:{version}");
        let taken_up = |status: &ServiceStatus| status.task_definition.as_deref() == Some(revision.as_str());
        namespace.until_service("web", "the deployment on record", taken_up).await;
    }
    namespace.apply_task_definition("web", "taken-over:4");
    let status = namespace.until_steady("web", "web:4").await;
    recorder.catch_up().await.unwrap();
    assert_kept(&recorder, 6, 10);
    let history: Vec<_> = status.service_deployments.iter().map(|past| (past.ordinal, past.status)).collect();
    assert_eq!(history, [(4, Successful), (3, Stopped), (2, Stopped), (1, Successful)]);
    assert!(namespace.pods().await.iter().filter(|pod| is_active(pod)).all(|pod| runs(pod, "taken-over:4")));
}

#[tokio::test]
async fn two_operators_at_once_share_a_deployment_start_no_task_twice_and_keep_floor_and_ceiling() {
    let namespace = steady("two-leaders", (16, 75, 125), Duration::from_millis(300)).await;
    let first = namespace.writes().await;
    let account = "longshore-system:second";
    namespace.must(&["create", "serviceaccount", "second", "--namespace=longshore-system"]);
    for role in ["longshore", "longshore-capacity"] {
        let (binding, role) = (format!("second-{role}"), format!("--clusterrole={role}"));
        namespace.must(&["create", "clusterrolebinding", &binding, &role, &format!("--serviceaccount={account}")]);
    }
    let access = namespace.cluster.service_account("longshore-system", "second").await.unwrap();
    let mut second = namespace.run_operator(&access.kubeconfig, &[]);
    let recorder = namespace.record().await;
    // An operator writes nothing to a service that is steady: its Lists tell when the second one has begun.
    until_ready(&namespace, &access.user).await;
    namespace.apply_task_definition("web", "two-leaders:2");
    namespace.until_steady("web", "web:2").await;
    recorder.catch_up().await.unwrap();
    second.kill().unwrap();
    second.wait().unwrap();
    assert_kept(&recorder, 12, 20);
    let tasks = |writes: &[longshore_test_cluster::AuditRecord]| {
        writes.iter().filter(|write| write.resource == "pods" && write.succeeded()).count()
    };
    let by_first = tasks(&namespace.writes().await[first.len()..]);
    let by_second = tasks(&namespace.writes_of(&access.user).await);
    println!("of the writes to tasks {by_first} were the first operator's and {by_second} the second's");
    assert!(by_first > 0 && by_second > 0, "{by_first} and {by_second}");
}

/// Waits until an operator has listed the services, and a little longer for its other watches: the one of pods, which streams, is
/// in the audit log only once it ends.
async fn until_ready(namespace: &Namespace, user: &str) {
    let started = std::time::Instant::now();
    loop {
        let records = namespace.cluster.audit().await.unwrap();
        if records.iter().any(|record| record.user == user && record.resource == "services" && record.succeeded()) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the second operator does not begin\n{}", namespace.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
}
