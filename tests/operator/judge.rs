//! ECS's rules, judged at every event of a recorded watch.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use longshore::api::Service;
use longshore_test_cluster::{Change, Objects, PodRecorder, Recorded, Recorder};

/// How far a service went within its bounds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The fewest healthy tasks.
    pub(crate) least_healthy: usize,
    /// The most RUNNING and PENDING tasks.
    pub(crate) most_active: usize,
}

/// Floor, ceiling and identity at every event.
pub(crate) fn assert_kept(recorder: &PodRecorder, floor: usize, ceiling: usize) -> Extent {
    let mut full = count(recorder.initial(), is_healthy) >= floor;
    let mut extent = Extent { least_healthy: usize::MAX, most_active: 0 };
    let mut events = 0;
    recorder
        .replay(|pods, event| {
            events += 1;
            extent.most_active = extent.most_active.max(assert_ceiling(pods, event, ceiling));
            let healthy = count(pods, is_healthy);
            full |= healthy >= floor;
            extent.least_healthy = extent.least_healthy.min(healthy);
            let at = event.resource_version;
            assert!(!full || healthy >= floor, "{healthy} healthy tasks at {at}, and the floor is {floor}");
        })
        .unwrap();
    assert!(events > 0 && full, "nothing was recorded");
    extent
}

/// The same for tasks that fail: what they do to the floor nobody can help, but no healthy one is stopped below it.
pub(crate) fn assert_stops_kept(recorder: &PodRecorder, floor: usize, ceiling: usize) {
    let mut before = recorder.initial().clone();
    let mut events = 0;
    recorder
        .replay(|pods, event| {
            events += 1;
            assert_ceiling(pods, event, ceiling);
            assert_stop(&before, pods, event, floor);
            before.clone_from(pods);
        })
        .unwrap();
    assert!(events > 0, "nothing was recorded");
}

/// The same for a service whose bounds a person changes: what is stopped keeps the floor and what is started the ceiling that
/// are in force then. From a change until status tells that it was seen that is either, the old ones or the new ones.
pub(crate) fn assert_kept_as_changed(recorder: &PodRecorder, services: &Recorder<Service>) {
    let versions: Vec<_> = services.initial().values().map(|service| (0, service.clone())).collect();
    let later = services.events().unwrap().into_iter().map(|event| (event.resource_version, event.object));
    let versions: Vec<_> = versions.into_iter().chain(later).collect();
    let mut before = recorder.initial().clone();
    let (mut started, mut stopped) = (0, 0);
    recorder
        .replay(|pods, event| {
            let (floor, ceiling) = in_force(&versions, event.resource_version);
            assert_one_task_a_slot(pods, event);
            if event.change == Change::Added {
                started += 1;
                assert_ceiling(pods, event, ceiling);
            }
            stopped += usize::from(assert_stop(&before, pods, event, floor));
            before.clone_from(pods);
        })
        .unwrap();
    assert!(started > 0 && stopped > 0, "{started} tasks were started and {stopped} stopped");
}

/// Floor and ceiling at a point of the record: the widest of those that the operator may still go by.
fn in_force(versions: &[(u64, Service)], at: u64) -> (usize, usize) {
    let past = || versions.iter().filter(|(version, _)| *version <= at).map(|(_, service)| service);
    let observed = past().filter_map(|service| service.status.as_ref()?.observed_generation).max();
    let bounds = past().filter(|service| service.metadata.generation >= observed).map(|service| {
        let configuration = service.spec.deployment_configuration.clone().unwrap_or_default();
        let percent = |percent: Option<i32>| usize::try_from(percent.unwrap()).unwrap();
        let desired = usize::try_from(service.spec.desired_count).unwrap();
        let floor = (desired * percent(configuration.minimum_healthy_percent)).div_ceil(100);
        (floor, desired * percent(configuration.maximum_percent) / 100)
    });
    bounds.reduce(|widest, bounds| (widest.0.min(bounds.0), widest.1.max(bounds.1))).unwrap()
}

/// The pods that were created, in order.
pub(crate) fn created(recorder: &PodRecorder) -> Vec<Pod> {
    let events = recorder.events().unwrap().into_iter();
    events.filter(|event| event.change == Change::Added).map(|event| event.object).collect()
}

/// The place in the record of the first event that `wanted` picks.
pub(crate) fn first(recorder: &PodRecorder, wanted: impl Fn(&Recorded<Pod>) -> bool) -> Option<usize> {
    recorder.events().unwrap().iter().position(wanted)
}

/// RUNNING or PENDING: neither ended nor being stopped.
pub(crate) fn is_active(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a task whose definition has a health check counts towards the floor.
pub(crate) fn is_healthy(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = |type_: &str, status: &str| type_ == "Ready" && status == "True";
    is_active(pod) && conditions.into_iter().flatten().any(|condition| ready(&condition.type_, &condition.status))
}

/// Whether a task runs an image.
pub(crate) fn runs(pod: &Pod, image: &str) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.containers[0].image.as_deref() == Some(image))
}

/// The uids of the tasks that are active, in order.
pub(crate) fn uids(pods: &[Pod]) -> Vec<String> {
    let mut uids: Vec<_> =
        pods.iter().filter(|pod| is_active(pod)).filter_map(|pod| pod.metadata.uid.clone()).collect();
    uids.sort_unstable();
    uids
}

/// Whether the event is the stop of a healthy task, which must leave as many as the floor asks for.
fn assert_stop(before: &Objects<Pod>, after: &Objects<Pod>, event: &Recorded<Pod>, floor: usize) -> bool {
    let key = |pod: &Pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    let was_healthy = before.values().any(|pod| key(pod) == key(&event.object) && is_healthy(pod));
    let stopped = event.change == Change::Deleted || event.object.metadata.deletion_timestamp.is_some();
    let (healthy, at) = (count(after, is_healthy), event.resource_version);
    assert!(
        !(was_healthy && stopped) || healthy >= floor,
        "a stop at {at} leaves {healthy} healthy tasks, and the floor is {floor}"
    );
    was_healthy && stopped
}

/// Returns how many tasks there are.
fn assert_ceiling(pods: &Objects<Pod>, event: &Recorded<Pod>, ceiling: usize) -> usize {
    let active = count(pods, is_active);
    assert!(active <= ceiling, "{active} tasks at {}, and the ceiling is {ceiling}", event.resource_version);
    assert_one_task_a_slot(pods, event);
    active
}

fn assert_one_task_a_slot(pods: &Objects<Pod>, event: &Recorded<Pod>) {
    let mut slots = BTreeMap::new();
    for pod in pods.values().filter(|pod| is_active(pod)) {
        let twin = slots.insert(slot(pod), pod.metadata.name.clone());
        assert_eq!(twin, None, "two tasks in one slot at {}: {:?}", event.resource_version, pod.metadata.name);
    }
}

fn count(pods: &Objects<Pod>, which: impl Fn(&Pod) -> bool) -> usize {
    pods.values().filter(|pod| which(pod)).count()
}

fn slot(pod: &Pod) -> (Option<String>, Option<String>) {
    let label = |key| pod.metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
    let annotation = |key| pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned();
    (label("ecs.longshore.dev/deployment"), annotation("ecs.longshore.dev/slot"))
}
