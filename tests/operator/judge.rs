//! ECS's rules, judged at every event of a recorded watch.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use longshore_test_cluster::{Change, Objects, PodRecorder, Recorded};

/// Floor, ceiling and identity at every event. Returns the most tasks that there were at once.
pub(crate) fn assert_kept(recorder: &PodRecorder, floor: usize, ceiling: usize) -> usize {
    let mut full = count(recorder.initial(), is_healthy) >= floor;
    let mut most = 0;
    let mut events = 0;
    recorder
        .replay(|pods, event| {
            events += 1;
            most = most.max(assert_ceiling(pods, event, ceiling));
            let healthy = count(pods, is_healthy);
            full |= healthy >= floor;
            let at = event.resource_version;
            assert!(!full || healthy >= floor, "{healthy} healthy tasks at {at}, and the floor is {floor}");
        })
        .unwrap();
    assert!(events > 0 && full, "nothing was recorded");
    most
}

/// The same for tasks that fail: what they do to the floor nobody can help, but no healthy one is stopped below it.
pub(crate) fn assert_stops_kept(recorder: &PodRecorder, floor: usize, ceiling: usize) {
    let mut before = recorder.initial().clone();
    let mut events = 0;
    recorder
        .replay(|pods, event| {
            events += 1;
            assert_ceiling(pods, event, ceiling);
            let key = (event.object.metadata.namespace.clone(), event.object.metadata.name.clone());
            let was_healthy = before
                .values()
                .any(|pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone()) == key && is_healthy(pod));
            let stopped = event.change == Change::Deleted || event.object.metadata.deletion_timestamp.is_some();
            let healthy = count(pods, is_healthy);
            let at = event.resource_version;
            assert!(
                !(was_healthy && stopped) || healthy >= floor,
                "a stop at {at} leaves {healthy} healthy tasks, and the floor is {floor}"
            );
            before.clone_from(pods);
        })
        .unwrap();
    assert!(events > 0, "nothing was recorded");
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

/// Returns how many tasks there are.
fn assert_ceiling(pods: &Objects<Pod>, event: &Recorded<Pod>, ceiling: usize) -> usize {
    let at = event.resource_version;
    let active = count(pods, is_active);
    assert!(active <= ceiling, "{active} tasks at {at}, and the ceiling is {ceiling}");
    let mut slots = BTreeMap::new();
    for pod in pods.values().filter(|pod| is_active(pod)) {
        let twin = slots.insert(slot(pod), pod.metadata.name.clone());
        assert_eq!(twin, None, "two tasks in one slot at {at}: {:?}", pod.metadata.name);
    }
    active
}

fn count(pods: &Objects<Pod>, which: impl Fn(&Pod) -> bool) -> usize {
    pods.values().filter(|pod| which(pod)).count()
}

fn slot(pod: &Pod) -> (Option<String>, Option<String>) {
    let label = |key| pod.metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
    let annotation = |key| pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned();
    (label("ecs.longshore.dev/deployment"), annotation("ecs.longshore.dev/slot"))
}
