//! The index of tasks by the service that owns them. A change to one task costs work for its service only.

mod in_flight;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::names::{DeploymentId, RevisionName, TaskId, TaskKey, Uid};
use crate::domain::facts::{
    NodeTasks, Presence, ServiceTasks, StopCause, TargetChange, TaskChange, TaskFact, TaskImages, Unannounced,
};
use crate::domain::task::{StartFailureKind, TaskState};
use crate::shell::cache::task_pod::TaskPod;
use crate::shell::cache::triggers::Urgency;
use crate::shell::written::is_newer;
use in_flight::WritesInFlight;

pub use in_flight::Overdue;

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
    writes: WritesInFlight,
    losses: u64,
    unannounced: Unannounced,
    /// What the images of each deployment turned out to be when its first tasks ran.
    images: BTreeMap<DeploymentId, Vec<TaskImages>>,
    /// The service is gone: nobody will ask for what remains.
    orphaned: bool,
}

impl TaskIndex {
    /// A pod was seen. One that does not say any more which task it is, or whose, is no task any more. Returns whether there may
    /// be something to do: not where a write of ours is shown and nothing else.
    pub fn apply(&self, pod: &TaskPod, now: Timestamp) -> Urgency {
        let reference = pod.reference();
        let mut index = self.lock();
        let (Some(owner), Some(mut fact)) = (pod.owner(), pod.fact()) else {
            index.forget(&reference, pod.metadata.uid.as_deref());
            return Urgency::Now;
        };
        let service = Uid(owner.uid.clone());
        if index.owners.get(&reference).is_some_and(|before| *before != service) {
            index.forget(&reference, None);
        }
        index.owners.insert(reference.clone(), service.clone());
        let tasks = index.tasks(&service);
        tasks.service = (reference.0, owner.name.clone());
        let before = tasks.pods.get(&fact.pod).filter(|before| before.uid == fact.uid);
        if before.is_some_and(|before| is_newer(&before.resource_version, &fact.resource_version)) {
            return Urgency::Soon;
        }
        let created = tasks.writes.show(&fact.pod, &fact.uid);
        let asked = tasks.writes.stop_cause(&fact.uid).cloned();
        let stopping = asked.is_some();
        if fact.presence == Presence::Stopping {
            tasks.writes.settle_delete(&fact.uid);
        }
        let unknown = || (before.is_none() && fact.presence == Presence::Stopping).then_some(StopCause::Unknown);
        fact.stopped_for = asked.or_else(|| before.and_then(|before| before.stopped_for.clone())).or_else(unknown);
        if let TaskState::Pending { failing: Some(failing) } = &mut fact.state {
            // A kubelet does not say since when something fails, only that it does.
            let known = || before.and_then(|before| failing_since(before, failing.kind));
            failing.since = failing.since.or_else(known).or(Some(now));
        }
        let is_lost = !stopping && !fact.is_serving() && before.is_some_and(|before| before.is_serving());
        tasks.losses = tasks.losses.saturating_add(u64::from(is_lost));
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
        index.forget(&reference, pod.metadata.uid.as_deref());
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
        let forgotten = missing.iter().filter_map(|pod| index.forget(pod, None));
        forgotten.collect::<HashSet<_>>().into_iter().collect()
    }

    /// What a plan for a service is to know.
    pub fn of(&self, service: &Uid) -> ServiceTasks {
        let index = self.lock();
        let Some(tasks) = index.services.get(service) else { return ServiceTasks::default() };
        ServiceTasks {
            tasks: tasks.pods.values().chain(&tasks.gone).cloned().collect(),
            pending: tasks.writes.pending(),
            losses: tasks.losses,
            unannounced: tasks.unannounced.clone(),
            images: tasks.images.clone(),
        }
    }

    /// How many tasks of a service have ceased to serve without being asked to by us.
    pub fn losses(&self, service: &Uid) -> u64 {
        self.lock().services.get(service).map_or(0, |tasks| tasks.losses)
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
                if task.presence == Presence::Present && tasks.writes.stop_cause(&task.uid).is_none() {
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
        let started: HashSet<&TaskChange> = seen.unannounced.started.iter().collect();
        tasks.unannounced.started.retain(|task| !started.contains(task));
        let stopped: HashSet<&TaskChange> = seen.unannounced.stopped.iter().collect();
        tasks.unannounced.stopped.retain(|task| !stopped.contains(task));
        let refused = &seen.unannounced.refused_zones;
        tasks.unannounced.refused_zones.retain(|zone, _| !refused.contains_key(zone));
        let refused = &seen.unannounced.refused_starts;
        tasks.unannounced.refused_starts.retain(|deployment, times| refused.get(deployment) != Some(times));
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
        self.lock().tasks(service).writes.create(pod, key);
    }

    /// A create has succeeded: it will be told of.
    pub fn created(&self, service: &Uid, pod: &str, uid: Option<&Uid>, task: TaskChange) {
        let mut index = self.lock();
        let tasks = index.tasks(service);
        match uid {
            Some(uid) => {
                let is_shown = tasks.shows(pod, uid);
                tasks.writes.created(pod, uid, is_shown);
            }
            // The answer does not say what it has made.
            None => tasks.writes.become_uncertain(pod),
        }
        tasks.unannounced.started.push(task);
    }

    /// A start was refused: it will be told of.
    pub fn start_refused(&self, service: &Uid, deployment: DeploymentId) {
        let mut index = self.lock();
        let times = index.tasks(service).unannounced.refused_starts.entry(deployment).or_default();
        *times = times.saturating_add(1);
    }

    /// A start in a zone was refused: it will be told of.
    pub fn zone_refused(&self, service: &Uid, zone: Arc<str>, reason: String) {
        self.lock().tasks(service).unannounced.refused_zones.entry(zone).or_insert(reason);
    }

    /// Whether a start in a zone was refused, and status does not tell of it yet.
    pub fn is_zone_refused(&self, service: &Uid, zone: &Arc<str>) -> bool {
        let index = self.lock();
        index.services.get(service).is_some_and(|tasks| tasks.unannounced.refused_zones.contains_key(zone))
    }

    /// A create has certainly not happened.
    pub fn not_created(&self, service: &Uid, pod: &str) {
        self.lock().tasks(service).writes.not_created(pod);
    }

    /// A delete is about to be sent.
    pub fn deleting(&self, service: &Uid, pod: &str, uid: &Uid, cause: StopCause) {
        self.lock().tasks(service).writes.delete(pod, uid, cause);
    }

    /// A stop has succeeded: it will be told of.
    pub fn stopped(&self, service: &Uid, task: TaskChange) {
        self.lock().tasks(service).unannounced.stopped.push(task);
    }

    /// A delete has certainly not happened.
    pub fn not_deleted(&self, service: &Uid, uid: &Uid) {
        self.lock().tasks(service).writes.settle_delete(uid);
    }

    /// A write got no clear answer: the next pass is to look what became of it.
    pub fn uncertain(&self, service: &Uid, pod: &str) {
        self.lock().tasks(service).writes.become_uncertain(pod);
    }

    /// Whether a task was asked to stop, and the API server has not said clearly whether it will: it may run on.
    pub fn is_stop_uncertain(&self, service: &Uid) -> bool {
        self.lock().services.get(service).is_some_and(|tasks| tasks.writes.is_stop_uncertain())
    }

    /// Writes that have been in flight for too long: the watch may have missed what became of them.
    pub fn overdue(&self, service: &Uid) -> Vec<Overdue> {
        self.lock().services.get(service).map(|tasks| tasks.writes.overdue()).unwrap_or_default()
    }

    /// How soon to look what became of a write in flight.
    pub fn overdue_in(&self, service: &Uid) -> Option<Duration> {
        self.lock().services.get(service)?.writes.overdue_in()
    }

    /// What a read of an overdue write's pod has shown: its uid, and whether it is being deleted.
    pub fn looked(&self, service: &Uid, overdue: &Overdue, found: Option<(&Uid, bool)>) {
        let mut index = self.lock();
        let tasks = index.tasks(service);
        let is_shown = found.is_some_and(|(uid, _)| tasks.shows(overdue.pod(), uid));
        let gone = tasks.writes.looked(overdue, found, is_shown);
        if let (Overdue::Delete { pod, uid }, true) = (overdue, gone) {
            let held = tasks.pods.get(pod).is_some_and(|fact| fact.uid == *uid);
            let reference = (tasks.service.0.clone(), pod.clone());
            if held {
                index.forget(&reference, None);
            } else {
                tasks.writes.settle_delete(uid);
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
    /// Whether the watch has shown a pod, and not its end.
    fn shows(&self, pod: &str, uid: &Uid) -> bool {
        self.pods.get(pod).is_some_and(|fact| fact.uid == *uid)
    }

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
    /// The tasks of a service, as the first thing that is heard of it enters them.
    fn tasks(&mut self, service: &Uid) -> &mut Tasks {
        self.services.entry(service.clone()).or_default()
    }

    /// Enters a pod as gone; its uid, if that is known of the one that has gone. Returns namespace and name of its service.
    fn forget(&mut self, pod: &PodRef, uid: Option<&str>) -> Option<(String, String)> {
        let service = self.owners.remove(pod)?;
        let tasks = self.services.get_mut(&service)?;
        if let Some(uid) = uid {
            tasks.writes.show(&pod.1, &Uid(uid.to_owned()));
        }
        tasks.writes.settle_deletes(&pod.1, tasks.pods.get(&pod.1).map(|fact| &fact.uid));
        if let Some(fact) = tasks.pods.remove(&pod.1) {
            let stopped_for = tasks.writes.settle_delete(&fact.uid).or_else(|| fact.stopped_for.clone());
            let is_lost = stopped_for.is_none() && fact.is_serving();
            tasks.losses = tasks.losses.saturating_add(u64::from(is_lost));
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
