//! The index of tasks by the service that owns them. A change to one task costs work for its service only.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::api::names::{DeploymentId, RevisionName, TaskId, TaskKey, Uid};
use crate::domain::facts::{
    NodeTasks, PendingWrites, Presence, ServiceTasks, StopCause, TargetChange, TaskFact, TaskImages, Unannounced,
};
use crate::domain::task::{StartFailureKind, TaskState};
use crate::shell::cache::task_pod::TaskPod;
use crate::shell::cache::triggers::Urgency;
use crate::shell::written::is_newer;

/// How long a write may stay in flight before we look for ourselves what became of it.
const PENDING_FOR: Duration = Duration::from_secs(30);
/// How long to wait before looking what became of a write that got no clear answer.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// How long to wait before looking once more.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Every task pod by its owner, and our own writes that the watch has not shown yet.
#[derive(Debug, Default)]
pub struct TaskIndex {
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    services: HashMap<Uid, Tasks>,
    /// Which service a pod was a task of when it was last seen: a person may have changed what it says of itself.
    owners: HashMap<PodRef, Uid>,
}

/// A pod by namespace and name.
type PodRef = (String, String);

#[derive(Debug, Default)]
struct Tasks {
    /// Namespace and name of the `Service`.
    service: (String, String),
    pods: BTreeMap<String, Arc<TaskFact>>,
    gone: Vec<Arc<TaskFact>>,
    creating: HashMap<String, (TaskKey, InFlight)>,
    deleting: HashMap<Uid, Deleting>,
    unannounced: Unannounced,
    /// What the images of each deployment turned out to be when its first tasks ran.
    images: BTreeMap<DeploymentId, Vec<TaskImages>>,
    /// The service is gone: nobody will ask for what remains.
    orphaned: bool,
}

/// A delete in flight.
#[derive(Debug)]
struct Deleting {
    pod: String,
    cause: StopCause,
    in_flight: InFlight,
}

/// Since when a write is in flight.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    since: Instant,
    /// The API server gave no clear answer: waiting for the watch may be in vain.
    uncertain: bool,
}

impl InFlight {
    fn now() -> Self {
        Self { since: Instant::now(), uncertain: false }
    }

    fn is_overdue(&self) -> bool {
        self.uncertain || self.since.elapsed() > PENDING_FOR
    }
}

/// A write that has been in flight for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overdue {
    /// A create.
    Create {
        /// The pod.
        pod: String,
    },
    /// A delete.
    Delete {
        /// The pod.
        pod: String,
        /// Its uid.
        uid: Uid,
    },
}

impl Overdue {
    /// The pod that the write is about.
    pub fn pod(&self) -> &str {
        match self {
            Self::Create { pod } | Self::Delete { pod, .. } => pod,
        }
    }
}

impl TaskIndex {
    /// A pod was seen. One that does not say any more which task it is, or whose, is no task any more. Returns whether there may
    /// be something to do: not where a write of ours is shown and nothing else.
    pub fn apply(&self, pod: &TaskPod, now: Timestamp) -> Urgency {
        let reference = pod.reference();
        let mut index = self.lock();
        let (Some(owner), Some(mut fact)) = (pod.owner(), pod.fact()) else {
            index.forget(&reference);
            return Urgency::Now;
        };
        let service = Uid(owner.uid.clone());
        if index.owners.get(&reference).is_some_and(|before| *before != service) {
            index.forget(&reference);
        }
        index.owners.insert(reference.clone(), service.clone());
        let tasks = index.services.entry(service).or_default();
        tasks.service = (reference.0, owner.name.clone());
        let before = tasks.pods.get(&fact.pod).filter(|before| before.uid == fact.uid);
        if before.is_some_and(|before| is_newer(&before.resource_version, &fact.resource_version)) {
            return Urgency::Soon;
        }
        let created = tasks.creating.remove(&fact.pod).is_some();
        let asked = tasks.deleting.get(&fact.uid).map(|deleting| deleting.cause.clone());
        let stopping = asked.is_some();
        if fact.presence == Presence::Stopping {
            tasks.deleting.remove(&fact.uid);
        }
        fact.stopped_for = asked.or_else(|| before.and_then(|before| before.stopped_for.clone()));
        if let TaskState::Pending { failing: Some(failing) } = &mut fact.state {
            // A kubelet does not say since when something fails, only that it does.
            let known = || before.and_then(|before| failing_since(before, failing.kind));
            failing.since = failing.since.or_else(known).or(Some(now));
        }
        if let Some(before) = before.cloned() {
            tasks.unannounced.note_targets(&before, &fact);
        }
        let expected = match before {
            // A task that is being created counts as one that is pending.
            None => created && fact.presence == Presence::Present && fact.state == TaskState::Pending { failing: None },
            // One that is being deleted counts as gone.
            Some(before) => before.is_alike(&fact) || stopping,
        };
        tasks.learn_images(fact.key.deployment, pod);
        tasks.pods.insert(fact.pod.clone(), Arc::new(fact));
        if expected { Urgency::Soon } else { Urgency::Now }
    }

    /// A pod is gone. Returns whether there may be something to do: not where we have stopped it ourselves.
    pub fn delete(&self, pod: &TaskPod) -> Urgency {
        let reference = pod.reference();
        let mut index = self.lock();
        if let Some(owner) = pod.owner() {
            // A pod that came and went between two events was never entered, but may be in flight.
            index.owners.entry(reference.clone()).or_insert_with(|| Uid(owner.uid.clone()));
        }
        index.forget(&reference);
        let service = pod.owner().and_then(|owner| index.services.get(&Uid(owner.uid.clone())));
        let gone = service.and_then(|tasks| tasks.gone.last()).filter(|gone| gone.pod == reference.1);
        // The task of a node waits until the one before it has gone from there.
        let expected = gone.is_some_and(|gone| gone.stopped_for.is_some() && gone.pinned_to.is_none());
        if expected { Urgency::Soon } else { Urgency::Now }
    }

    /// A watch has begun anew and has listed all there is: the others are gone. Returns namespace and name of the services
    /// that lost one, which no event tells of.
    #[must_use]
    pub fn retain(&self, listed: &HashSet<PodRef>) -> Vec<(String, String)> {
        let mut index = self.lock();
        let missing: Vec<PodRef> = index.owners.keys().filter(|known| !listed.contains(*known)).cloned().collect();
        let forgotten = missing.iter().filter_map(|pod| index.forget(pod));
        forgotten.collect::<HashSet<_>>().into_iter().collect()
    }

    /// What a plan for a service is to know.
    pub fn of(&self, service: &Uid) -> ServiceTasks {
        let index = self.lock();
        let Some(tasks) = index.services.get(service) else { return ServiceTasks::default() };
        ServiceTasks {
            tasks: tasks.pods.values().chain(&tasks.gone).cloned().collect(),
            pending: PendingWrites {
                creates: tasks.creating.values().map(|(key, _)| *key).collect(),
                deletes: tasks.deleting.keys().cloned().collect(),
            },
            unannounced: tasks.unannounced.clone(),
            images: tasks.images.clone(),
        }
    }

    /// Namespaces and names of the services that have tasks on a node.
    pub fn services_on(&self, node: &str) -> Vec<(String, String)> {
        let index = self.lock();
        let is_on = |tasks: &&Tasks| tasks.pods.values().any(|task| task.node.as_deref() == Some(node));
        index.services.values().filter(is_on).map(|tasks| tasks.service.clone()).collect()
    }

    /// What runs on each node. `group` is the task group of a service's tasks, by namespace and name of its object.
    pub fn on_nodes(&self, group: impl Fn(&str, &str) -> String) -> BTreeMap<String, NodeTasks> {
        let index = self.lock();
        let mut nodes: BTreeMap<String, NodeTasks> = BTreeMap::new();
        for tasks in index.services.values() {
            let group = group(&tasks.service.0, &tasks.service.1);
            for task in tasks.pods.values() {
                let Some(node) = task.node.as_deref() else { continue };
                if !nodes.contains_key(node) {
                    nodes.insert(node.to_owned(), NodeTasks::default());
                }
                let Some(on_node) = nodes.get_mut(node) else { continue };
                if !on_node.task_groups.contains(&group) {
                    on_node.task_groups.insert(group.clone());
                }
                on_node.tasks = on_node.tasks.saturating_add(1);
                on_node.has_replicas |= task.pinned_to.is_none();
                if task.presence == Presence::Present && !tasks.deleting.contains_key(&task.uid) {
                    on_node.reserved = on_node.reserved.plus(task.reserves);
                }
            }
        }
        nodes
    }

    /// The revisions that the tasks of a service run.
    pub fn revisions(&self, service: &Uid) -> HashSet<RevisionName> {
        let index = self.lock();
        let tasks = index.services.get(service).into_iter().flat_map(|tasks| tasks.pods.values());
        tasks.map(|task| task.revision.clone()).collect()
    }

    /// Status tells of all that `seen` told, except of the tasks in `untold`: what is gone can be forgotten, and what was done
    /// need not be told again.
    pub fn announced(&self, service: &Uid, seen: &ServiceTasks, untold: &HashSet<TaskId>) {
        let mut index = self.lock();
        let Some(tasks) = index.services.get_mut(service) else { return };
        let is_told = |task: &&Arc<TaskFact>| task.presence == Presence::Gone && !untold.contains(&task.task_id());
        let told: HashSet<&Uid> = seen.tasks.iter().filter(is_told).map(|task| &task.uid).collect();
        tasks.gone.retain(|task| !told.contains(&task.uid));
        let left: HashSet<DeploymentId> =
            tasks.pods.values().chain(&tasks.gone).map(|task| task.key.deployment).collect();
        tasks.images.retain(|deployment, _| left.contains(deployment));
        let started: HashSet<&TaskId> = seen.unannounced.started.iter().collect();
        tasks.unannounced.started.retain(|task| !started.contains(task));
        let stopped: HashSet<&TaskId> = seen.unannounced.stopped.iter().collect();
        tasks.unannounced.stopped.retain(|task| !stopped.contains(task));
        let registered: HashSet<&TargetChange> = seen.unannounced.registered.iter().collect();
        tasks.unannounced.registered.retain(|change| !registered.contains(change));
        let deregistered: HashSet<&TargetChange> = seen.unannounced.deregistered.iter().collect();
        tasks.unannounced.deregistered.retain(|change| !deregistered.contains(change));
    }

    /// A service is gone; its pods are going.
    pub fn remove_service(&self, service: &Uid) {
        let mut index = self.lock();
        if let Some(tasks) = index.services.get_mut(service) {
            tasks.orphaned = true;
            index.drop_if_empty(service);
        }
    }

    /// A create is about to be sent.
    pub fn creating(&self, service: &Uid, pod: &str, key: TaskKey) {
        let mut index = self.lock();
        let tasks = index.services.entry(service.clone()).or_default();
        tasks.creating.insert(pod.to_owned(), (key, InFlight::now()));
    }

    /// A create has succeeded: it will be told of.
    pub fn created(&self, service: &Uid, task: TaskId) {
        self.lock().services.entry(service.clone()).or_default().unannounced.started.push(task);
    }

    /// A create has certainly not happened.
    pub fn not_created(&self, service: &Uid, pod: &str) {
        self.lock().services.entry(service.clone()).or_default().creating.remove(pod);
    }

    /// A delete is about to be sent.
    pub fn deleting(&self, service: &Uid, pod: &str, uid: &Uid, cause: StopCause) {
        let mut index = self.lock();
        let tasks = index.services.entry(service.clone()).or_default();
        tasks.deleting.insert(uid.clone(), Deleting { pod: pod.to_owned(), cause, in_flight: InFlight::now() });
    }

    /// A stop has succeeded: it will be told of.
    pub fn stopped(&self, service: &Uid, task: TaskId) {
        self.lock().services.entry(service.clone()).or_default().unannounced.stopped.push(task);
    }

    /// A delete has certainly not happened.
    pub fn not_deleted(&self, service: &Uid, uid: &Uid) {
        self.lock().services.entry(service.clone()).or_default().deleting.remove(uid);
    }

    /// A write got no clear answer: the next pass is to look what became of it.
    pub fn uncertain(&self, service: &Uid, pod: &str) {
        let mut index = self.lock();
        let tasks = index.services.entry(service.clone()).or_default();
        if let Some((_, in_flight)) = tasks.creating.get_mut(pod) {
            in_flight.uncertain = true;
        }
        for deleting in tasks.deleting.values_mut().filter(|deleting| deleting.pod == pod) {
            deleting.in_flight.uncertain = true;
        }
    }

    /// Whether a task was asked to stop, and the API server has not said clearly whether it will: it may run on.
    pub fn is_stop_uncertain(&self, service: &Uid) -> bool {
        let index = self.lock();
        let mut deleting = index.services.get(service).into_iter().flat_map(|tasks| tasks.deleting.values());
        deleting.any(|deleting| deleting.in_flight.uncertain)
    }

    /// Writes that have been in flight for too long: the watch may have missed what became of them.
    pub fn overdue(&self, service: &Uid) -> Vec<Overdue> {
        let index = self.lock();
        let Some(tasks) = index.services.get(service) else { return Vec::new() };
        let creates = tasks.creating.iter().filter(|(_, (_, in_flight))| in_flight.is_overdue());
        let creates = creates.map(|(pod, _)| Overdue::Create { pod: pod.clone() });
        let deletes = tasks.deleting.iter().filter(|(_, deleting)| deleting.in_flight.is_overdue());
        let delete =
            |(uid, deleting): (&Uid, &Deleting)| Overdue::Delete { pod: deleting.pod.clone(), uid: uid.clone() };
        creates.chain(deletes.map(delete)).collect()
    }

    /// How soon to look what became of a write in flight.
    pub fn overdue_in(&self, service: &Uid) -> Option<Duration> {
        let index = self.lock();
        let tasks = index.services.get(service)?;
        let fresh = |in_flight: &InFlight| in_flight.uncertain && in_flight.since.elapsed() < LOOK_AGAIN;
        let creates = tasks.creating.values().map(|(_, in_flight)| in_flight);
        let in_flight = || creates.clone().chain(tasks.deleting.values().map(|deleting| &deleting.in_flight));
        if in_flight().any(fresh) {
            return Some(LOOK_SOON);
        }
        let first = in_flight().map(|in_flight| in_flight.since).min();
        let wait = first.map(|since| PENDING_FOR.saturating_sub(since.elapsed()));
        wait.map(|wait| if wait.is_zero() { LOOK_AGAIN } else { wait.saturating_add(Duration::from_millis(1)) })
    }

    /// What a read of an overdue write's pod has shown: its uid, and whether it is being deleted. A read settles only what the
    /// watch cannot tell any more; what is there, the watch will show, in order.
    pub fn looked(&self, service: &Uid, overdue: &Overdue, found: Option<(&Uid, bool)>) {
        let mut index = self.lock();
        let tasks = index.services.entry(service.clone()).or_default();
        match (overdue, found) {
            (Overdue::Create { pod }, None) => {
                tasks.creating.remove(pod);
            }
            (Overdue::Create { pod }, Some(_)) => {
                if let Some((_, in_flight)) = tasks.creating.get_mut(pod) {
                    *in_flight = InFlight::now();
                }
            }
            (Overdue::Delete { uid, .. }, Some((found, true))) if found == uid => {
                if let Some(deleting) = tasks.deleting.get_mut(uid) {
                    deleting.in_flight = InFlight::now();
                }
            }
            (Overdue::Delete { uid, .. }, Some((found, false))) if found == uid => {
                tasks.deleting.remove(uid);
            }
            (Overdue::Delete { pod, uid }, _) => {
                let held = tasks.pods.get(pod).is_some_and(|fact| fact.uid == *uid);
                let reference = (tasks.service.0.clone(), pod.clone());
                if held {
                    index.forget(&reference);
                } else {
                    tasks.deleting.remove(uid);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // No caller panics while it holds the lock, and a half-made change to one service could not hurt another.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since when a task fails, if it did so in the same way before.
fn failing_since(before: &TaskFact, kind: StartFailureKind) -> Option<Timestamp> {
    match &before.state {
        TaskState::Pending { failing } => failing.as_ref().filter(|failing| failing.kind == kind)?.since,
        TaskState::Running(_) | TaskState::Stopped(_) => None,
    }
}

impl Tasks {
    /// Enters what a pod tells of its deployment's images, as long as that is not known.
    fn learn_images(&mut self, deployment: DeploymentId, pod: &TaskPod) {
        let known = self.images.get(&deployment).map_or(&[][..], Vec::as_slice);
        if known.len() >= TaskImages::ATTEMPTS_MAX || known.iter().any(TaskImages::are_complete) {
            return;
        }
        if let Some(images) = pod.images().filter(|images| known.iter().all(|known| known.task != images.task)) {
            self.images.entry(deployment).or_default().push(images);
        }
    }
}

impl Index {
    /// Enters a pod as gone. Returns namespace and name of its service.
    fn forget(&mut self, pod: &PodRef) -> Option<(String, String)> {
        let service = self.owners.remove(pod)?;
        let tasks = self.services.get_mut(&service)?;
        tasks.creating.remove(&pod.1);
        tasks.deleting.retain(|uid, deleting| {
            deleting.pod != pod.1 || tasks.pods.get(&pod.1).is_some_and(|fact| fact.uid == *uid)
        });
        if let Some(fact) = tasks.pods.remove(&pod.1) {
            let asked = tasks.deleting.remove(&fact.uid).map(|deleting| deleting.cause);
            let stopped_for = asked.or_else(|| fact.stopped_for.clone());
            let gone = TaskFact { presence: Presence::Gone, stopped_for, ..(*fact).clone() };
            tasks.unannounced.note_targets(&fact, &gone);
            tasks.gone.push(Arc::new(gone));
        }
        let reference = tasks.service.clone();
        self.drop_if_empty(&service);
        Some(reference)
    }

    fn drop_if_empty(&mut self, service: &Uid) {
        if self.services.get(service).is_some_and(|tasks| tasks.orphaned && tasks.pods.is_empty()) {
            self.services.remove(service);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::labels;
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
        for change in [
            |pod: &mut TaskPod| pod.metadata.owner_references = None,
            |pod: &mut TaskPod| pod.metadata.annotations = None,
        ] {
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
}
