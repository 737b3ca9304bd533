//! What the index makes of what the watch shows and of our own writes.

use serde_json::json;

use super::*;
use crate::api::labels;
use crate::api::names::TaskId;
use crate::domain::placement::resources::Resources;
use crate::domain::service::testing::{healthy_task, service_uid, task_key};

fn pod(slot: u32, version: u32) -> TaskPod {
    let fact = healthy_task(task_key(1, slot, 1));
    serde_json::from_value(json!({
        "metadata": {
            "name": fact.pod, "namespace": "n", "uid": format!("uid-{slot}"), "resourceVersion": version.to_string(),
            "labels": { labels::DEPLOYMENT: "1" },
            "annotations": { labels::SLOT: slot.to_string(), labels::ATTEMPT: "1", labels::TASK_DEFINITION: "web:1" },
            "ownerReferences": [{
                "apiVersion": crate::api::API_VERSION, "kind": "Service", "name": "web", "uid": service_uid().0, "controller": true,
            }],
        },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
    }))
    .unwrap()
}

fn stopping(mut pod: TaskPod) -> TaskPod {
    pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    pod
}

fn presences(index: &TaskIndex) -> Vec<Presence> {
    index.of(&service_uid()).tasks.iter().map(|task| task.presence).collect()
}

#[test]
fn a_write_in_flight_is_counted_until_the_watch_shows_it() {
    let (index, uid, key) = (TaskIndex::default(), service_uid(), task_key(1, 0, 1));
    let seen = pod(0, 1);
    let name = seen.reference().1;
    index.creating(&uid, &name, key);
    assert!(index.of(&uid).pending.creates.contains(&key));
    index.created(&uid, &name, Some(&Uid("uid-0".to_owned())), started(&name));
    index.apply(&seen, Timestamp::UNIX_EPOCH);
    assert!(index.of(&uid).pending.creates.is_empty());
    index.deleting(&uid, &name, &Uid("uid-0".to_owned()), StopCause::Scaling);
    index.apply(&pod(0, 2), Timestamp::UNIX_EPOCH);
    assert_eq!(index.of(&uid).pending.deletes.len(), 1, "an event of before the delete settles nothing");
    index.apply(&stopping(pod(0, 3)), Timestamp::UNIX_EPOCH);
    assert!(index.of(&uid).pending.deletes.is_empty());
    assert_eq!(index.of(&uid).tasks[0].stopped_for, Some(StopCause::Scaling));
}

#[test]
fn who_has_stopped_a_task_that_was_stopping_when_it_was_first_seen_is_not_known() {
    let (index, uid) = (TaskIndex::default(), service_uid());
    let stopped_for = || index.of(&uid).tasks[0].stopped_for.clone();
    index.apply(&stopping(pod(0, 1)), Timestamp::UNIX_EPOCH);
    assert_eq!(stopped_for(), Some(StopCause::Unknown));
    let index = TaskIndex::default();
    index.apply(&pod(0, 1), Timestamp::UNIX_EPOCH);
    index.apply(&stopping(pod(0, 2)), Timestamp::UNIX_EPOCH);
    assert_eq!(index.of(&uid).tasks[0].stopped_for, None, "not us");
}

#[test]
fn that_a_start_was_refused_is_told_of_also_if_that_was_while_another_refusal_was_told() {
    let (index, uid, deployment) = (TaskIndex::default(), service_uid(), DeploymentId(1));
    let refused = || index.of(&uid).unannounced.refused_starts.contains_key(&deployment);
    index.start_refused(&uid, deployment);
    let seen = index.of(&uid);
    index.start_refused(&uid, deployment);
    index.announced(&uid, &seen, &HashSet::new());
    assert!(refused(), "the second one is not told yet");
    index.announced(&uid, &index.of(&uid), &HashSet::new());
    assert!(!refused());
}

/// A kubelet takes turns: it tries, and waits before it tries again.
#[test]
fn a_start_fails_since_it_first_failed_in_the_same_way() {
    let index = TaskIndex::default();
    let mut since = BTreeMap::new();
    for (second, reason) in [
        (0, "ErrImagePull"),
        (10, "ImagePullBackOff"),
        (20, "ErrImagePull"),
        (30, "CreateContainerConfigError"),
        (40, "CreateContainerConfigError"),
        (50, "ImagePullBackOff"),
    ] {
        let mut seen = pod(0, second + 1);
        let statuses = json!([{ "name": "app", "state": { "waiting": { "reason": reason } } }]);
        seen.status = serde_json::from_value(json!({ "phase": "Pending", "containerStatuses": statuses })).unwrap();
        index.apply(&seen, Timestamp::from_second(second.into()).unwrap());
        let TaskState::Pending { failing: Some(failing) } = index.of(&service_uid()).tasks[0].state.clone() else {
            panic!("{reason} is a failing start");
        };
        since.insert(second, failing.since.map(Timestamp::as_second));
    }
    let expected = [(0, 0), (10, 0), (20, 0), (30, 30), (40, 30), (50, 50)];
    assert_eq!(since, expected.map(|(second, since)| (second, Some(since))).into());
}

/// Something that happens to the one task there is.
type Change = fn(&TaskIndex);

#[test]
fn a_task_that_ceases_to_serve_without_being_asked_to_makes_plans_of_before_outdated() {
    let uid = service_uid();
    let not_ready = |pod: TaskPod| -> TaskPod {
        let mut pod = serde_json::to_value(pod).unwrap();
        pod["status"]["conditions"] = json!([]);
        serde_json::from_value(pod).unwrap()
    };
    let rows: [(&str, Change, u64); 6] = [
        ("nothing has happened", |_| (), 0),
        ("it is seen again", |index| assert_eq!(index.apply(&pod(0, 2), Timestamp::UNIX_EPOCH), Urgency::Soon), 0),
        (
            "somebody stops it",
            |index| assert_eq!(index.apply(&stopping(pod(0, 2)), Timestamp::UNIX_EPOCH), Urgency::Now),
            1,
        ),
        ("it is gone", |index| assert_eq!(index.delete(&pod(0, 2)), Urgency::Now), 1),
        ("a new list lacks it", |index| assert_eq!(index.retain(&HashSet::new()).len(), 1), 1),
        (
            "we have stopped it",
            |index| {
                let seen = pod(0, 2);
                index.deleting(&service_uid(), &seen.reference().1, &Uid("uid-0".to_owned()), StopCause::Scaling);
                index.apply(&stopping(seen), Timestamp::UNIX_EPOCH);
                index.delete(&pod(0, 3));
            },
            0,
        ),
    ];
    for (sentence, change, expected) in rows {
        let index = TaskIndex::default();
        index.apply(&pod(0, 1), Timestamp::UNIX_EPOCH);
        change(&index);
        assert_eq!((index.losses(&uid), index.of(&uid).losses), (expected, expected), "{sentence}");
    }
    let index = TaskIndex::default();
    index.apply(&pod(0, 1), Timestamp::UNIX_EPOCH);
    index.apply(&not_ready(pod(0, 2)), Timestamp::UNIX_EPOCH);
    index.apply(&pod(0, 3), Timestamp::UNIX_EPOCH);
    assert_eq!(index.losses(&uid), 1, "it has come back, but is another healthy task than it was");
}

fn started(pod: &str) -> TaskChange {
    TaskChange { task: TaskId::of_pod(pod), zone: None }
}

/// The pod that has had the name before.
fn former(pod: TaskPod) -> TaskPod {
    let mut pod = pod;
    pod.metadata.uid = Some("former".to_owned());
    pod
}

#[test]
fn what_a_late_watch_shows_of_a_pod_that_has_left_its_name_settles_no_create_of_the_next_one() {
    let (index, uid, key, now) = (TaskIndex::default(), service_uid(), task_key(1, 0, 1), Timestamp::UNIX_EPOCH);
    let name = pod(0, 1).reference().1;
    let is_creating = || index.of(&uid).pending.creates.contains(&key);
    index.creating(&uid, &name, key);
    index.apply(&former(pod(0, 1)), now);
    assert!(is_creating(), "it may be the one that is being created, or not");
    index.created(&uid, &name, Some(&Uid("uid-0".to_owned())), started(&name));
    index.apply(&former(pod(0, 2)), now);
    index.delete(&former(pod(0, 3)));
    assert!(is_creating(), "it is not");
    let lost = index.retain(&HashSet::new());
    assert!(is_creating() && lost.is_empty(), "a list may be from before it was made");
    index.apply(&pod(0, 5), now);
    assert!(!is_creating());
}

/// What the watch shows at a moment.
type Shown = fn(&TaskIndex, Timestamp);

#[test]
fn a_create_that_the_watch_has_shown_before_the_answer_is_settled_by_the_answer() {
    let (uid, key, now) = (service_uid(), task_key(1, 0, 1), Timestamp::UNIX_EPOCH);
    let name = pod(0, 1).reference().1;
    let made = Uid("uid-0".to_owned());
    let rows: [(&str, Shown, bool); 3] = [
        ("it was shown", |index, now| assert_eq!(index.apply(&pod(0, 1), now), Urgency::Now), false),
        (
            "it was shown, and its end",
            |index, now| {
                index.apply(&pod(0, 1), now);
                index.delete(&pod(0, 2));
            },
            false,
        ),
        ("another one was", |index, now| assert_eq!(index.apply(&former(pod(0, 1)), now), Urgency::Now), true),
    ];
    for (sentence, show, in_flight) in rows {
        let index = TaskIndex::default();
        index.creating(&uid, &name, key);
        show(&index, now);
        index.created(&uid, &name, Some(&made), started(&name));
        assert_eq!(!index.of(&uid).pending.creates.is_empty(), in_flight, "{sentence}");
    }
    let index = TaskIndex::default();
    index.apply(&pod(0, 1), now);
    index.creating(&uid, &name, key);
    index.created(&uid, &name, Some(&made), started(&name));
    assert!(index.of(&uid).pending.creates.is_empty(), "it was there before we tried");
    index.creating(&uid, &name, key);
    index.created(&uid, &name, None, started(&name));
    assert_eq!(
        index.overdue(&uid),
        [Overdue::Create { pod: name.clone() }],
        "an answer that does not say what it has made"
    );
    index.looked(&uid, &Overdue::Create { pod: name }, Some((&made, false)));
    assert!(index.of(&uid).pending.creates.is_empty(), "a look finds what the watch has shown");
}

#[test]
fn a_pod_that_a_new_list_lacks_is_gone_and_its_service_is_told() {
    let index = TaskIndex::default();
    index.apply(&pod(0, 1), Timestamp::UNIX_EPOCH);
    index.apply(&pod(1, 1), Timestamp::UNIX_EPOCH);
    let told = index.retain(&HashSet::from([pod(1, 1).reference()]));
    assert_eq!(told, [("n".to_owned(), "web".to_owned())]);
    let mut presences = presences(&index);
    presences.sort_by_key(|presence| *presence == Presence::Gone);
    assert_eq!(presences, [Presence::Present, Presence::Gone]);
}

#[test]
fn a_pod_that_no_longer_says_which_task_it_is_is_none() {
    let index = TaskIndex::default();
    for change in
        [|pod: &mut TaskPod| pod.metadata.owner_references = None, |pod: &mut TaskPod| pod.metadata.annotations = None]
    {
        let mut seen = pod(0, 1);
        index.apply(&seen, Timestamp::UNIX_EPOCH);
        change(&mut seen);
        index.apply(&seen, Timestamp::UNIX_EPOCH);
        assert!(presences(&index).iter().all(|presence| *presence == Presence::Gone));
    }
}

#[test]
fn there_is_no_hurry_where_a_write_of_ours_is_shown_and_nothing_else() {
    let pending = |mut pod: TaskPod| {
        pod.status = serde_json::from_value(json!({ "phase": "Pending" })).unwrap();
        pod
    };
    let bound = |mut pod: TaskPod| {
        pod.spec = serde_json::from_value(json!({ "nodeName": "node-1" })).unwrap();
        pod
    };
    let (index, uid, now) = (TaskIndex::default(), service_uid(), Timestamp::UNIX_EPOCH);
    let name = pod(0, 1).metadata.name.unwrap();
    index.creating(&uid, &name, task_key(1, 0, 1));
    assert_eq!(index.apply(&pending(pod(0, 1)), now), Urgency::Soon, "a task that we have started is there");
    assert_eq!(index.apply(&pending(pod(1, 1)), now), Urgency::Now, "and one that we have not");
    assert_eq!(index.apply(&bound(pending(pod(0, 2))), now), Urgency::Soon, "a task gets its node");
    assert_eq!(index.apply(&bound(pod(0, 3)), now), Urgency::Now, "a task runs");
    assert_eq!(index.apply(&stopping(pod(1, 2)), now), Urgency::Now, "somebody stops a task");
    index.deleting(&uid, &name, &Uid("uid-0".to_owned()), StopCause::Scaling);
    assert_eq!(index.apply(&stopping(bound(pod(0, 4))), now), Urgency::Soon, "a task that we stop is stopping");
    assert_eq!(index.delete(&pod(0, 4)), Urgency::Soon, "and gone");
    assert_eq!(index.delete(&pod(1, 2)), Urgency::Now);
}

#[test]
fn an_older_version_never_replaces_a_newer_one() {
    let index = TaskIndex::default();
    index.apply(&stopping(pod(0, 9)), Timestamp::UNIX_EPOCH);
    index.apply(&pod(0, 8), Timestamp::UNIX_EPOCH);
    assert_eq!(presences(&index), [Presence::Stopping]);
}

#[test]
fn a_look_settles_a_create_that_did_not_happen_and_leaves_what_is_there_to_the_watch() {
    let (index, uid) = (TaskIndex::default(), service_uid());
    index.creating(&uid, "a", task_key(1, 0, 1));
    index.creating(&uid, "b", task_key(1, 1, 1));
    assert_eq!(index.overdue(&uid), []);
    index.uncertain(&uid, "a");
    index.uncertain(&uid, "b");
    assert_eq!(index.overdue(&uid).len(), 2);
    index.looked(&uid, &Overdue::Create { pod: "a".to_owned() }, None);
    index.looked(&uid, &Overdue::Create { pod: "b".to_owned() }, Some((&Uid("x".to_owned()), false)));
    assert_eq!(index.of(&uid).pending.creates.len(), 1);
    assert!(index.of(&uid).tasks.is_empty() && index.overdue(&uid).is_empty());
}

#[test]
fn what_status_does_not_tell_of_is_kept() {
    let (index, uid) = (TaskIndex::default(), service_uid());
    index.apply(&pod(0, 1), Timestamp::UNIX_EPOCH);
    index.delete(&pod(0, 1));
    let seen = index.of(&uid);
    index.announced(&uid, &seen, &HashSet::from([seen.tasks[0].task_id()]));
    assert_eq!(presences(&index), [Presence::Gone]);
    index.announced(&uid, &seen, &HashSet::new());
    assert!(index.of(&uid).tasks.is_empty());
}

#[test]
fn the_digests_of_a_deployment_are_forgotten_with_its_last_pod() {
    let (index, uid) = (TaskIndex::default(), service_uid());
    let mut seen = pod(0, 1);
    seen.status = serde_json::from_value(json!({
        "phase": "Running", "containerStatuses": [{ "name": "app", "imageID": "example.com/app@sha256:1" }],
    }))
    .unwrap();
    index.apply(&seen, Timestamp::UNIX_EPOCH);
    index.announced(&uid, &index.of(&uid), &HashSet::new());
    assert_eq!(index.of(&uid).images[&DeploymentId(1)][0].digests["app"].as_deref(), Some("sha256:1"));
    index.delete(&seen);
    index.announced(&uid, &index.of(&uid), &HashSet::new());
    assert!(index.of(&uid).images.is_empty());
}

#[test]
fn tasks_are_asked_for_their_digests_until_one_tells_them_all_or_three_have_not() {
    let images = |ids: &[&str]| {
        let index = TaskIndex::default();
        for (slot, id) in (0..).zip(ids) {
            let mut seen = pod(slot, 1);
            let statuses = json!([{ "name": "app", "imageID": id }]);
            seen.status = serde_json::from_value(json!({ "containerStatuses": statuses })).unwrap();
            index.apply(&seen, Timestamp::UNIX_EPOCH);
        }
        index.of(&service_uid()).images.get(&DeploymentId(1)).map_or(0, Vec::len)
    };
    assert_eq!(images(&["", "", ""]), 0, "a runtime that tells nothing");
    assert_eq!(images(&["sha256:local", "example.com/app@sha256:1", "example.com/app@sha256:2"]), 2);
    assert_eq!(images(&["sha256:local"; 5]), 3);
}

#[test]
fn task_groups_and_reservations_are_those_of_the_tasks_that_stay_on_a_node() {
    let (index, uid) = (TaskIndex::default(), service_uid());
    for slot in 0..3 {
        let mut seen = pod(slot, 1);
        let container = json!({ "resources": { "requests": { "cpu": "250m", "memory": "1Mi" } } });
        seen.spec = serde_json::from_value(json!({ "nodeName": "a", "containers": [container] })).unwrap();
        let seen = if slot == 1 { stopping(seen) } else { seen };
        index.apply(&seen, Timestamp::UNIX_EPOCH);
    }
    index.deleting(&uid, "any", &Uid("uid-2".to_owned()), StopCause::Scaling);
    let nodes = index.on_nodes(|namespace, object| format!("service:{namespace}-{object}"));
    assert_eq!(nodes["a"].task_groups, ["service:n-web".to_owned()].into());
    assert_eq!((nodes["a"].tasks, nodes["a"].reserved), (3, Resources { cpu: 250, memory: 1 << 20 }));
}

#[test]
fn nothing_is_left_of_a_service_that_is_gone_once_its_last_pod_is() {
    let index = TaskIndex::default();
    index.apply(&pod(0, 1), Timestamp::UNIX_EPOCH);
    index.remove_service(&service_uid());
    index.delete(&pod(0, 1));
    assert!(index.lock().services.is_empty() && index.lock().owners.is_empty());
}
