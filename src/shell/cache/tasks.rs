//! The index of tasks by the service that owns them. A change to one task costs work for its service only.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::names::{RevisionName, TaskId, TaskKey, Uid};
use crate::domain::facts::{PendingWrites, Presence, ServiceTasks, TaskFact, Unannounced};
use crate::shell::cache::task_pod::TaskPod;

/// How long a write may stay in flight before we look for ourselves what became of it.
const PENDING_FOR: Duration = Duration::from_secs(30);

/// Every task pod by its owner, and our own writes that the watch has not shown yet.
#[derive(Debug, Default)]
pub struct TaskIndex {
    services: Mutex<HashMap<Uid, Tasks>>,
}

#[derive(Debug, Default)]
struct Tasks {
    pods: BTreeMap<String, Arc<TaskFact>>,
    gone: Vec<Arc<TaskFact>>,
    creating: HashMap<String, (TaskKey, Instant)>,
    deleting: HashMap<Uid, (String, Instant)>,
    unannounced: Unannounced,
}

/// A write that has been in flight for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The pod it was for.
    pub pod: String,
}

impl TaskIndex {
    /// A pod was seen. Returns whether that changed anything a plan could see.
    pub fn apply(&self, pod: &TaskPod) {
        let (Some(owner), Some(mut fact)) = (pod.owner(), pod.fact()) else { return };
        let mut services = self.lock();
        let tasks = services.entry(Uid(owner.uid.clone())).or_default();
        tasks.creating.remove(&fact.pod);
        let asked = tasks.deleting.contains_key(&fact.uid);
        if fact.presence == Presence::Stopping {
            tasks.deleting.remove(&fact.uid);
        }
        let before = tasks.pods.get(&fact.pod);
        fact.stopped_by_us = asked || before.is_some_and(|before| before.uid == fact.uid && before.stopped_by_us);
        tasks.pods.insert(fact.pod.clone(), Arc::new(fact));
    }

    /// A pod is gone.
    pub fn delete(&self, pod: &TaskPod) {
        if let Some(owner) = pod.owner() {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            self.forget(&Uid(owner.uid.clone()), name);
        }
    }

    /// A watch has begun anew and has listed all there is: the others are gone.
    pub fn retain(&self, listed: &HashSet<(Uid, String)>) -> Vec<Uid> {
        let missing: Vec<(Uid, String)> = {
            let services = self.lock();
            let pods = services.iter().flat_map(|(uid, tasks)| tasks.pods.keys().map(|pod| (uid.clone(), pod.clone())));
            pods.filter(|known| !listed.contains(known)).collect()
        };
        for (service, pod) in &missing {
            self.forget(service, pod);
        }
        missing.into_iter().map(|(service, _)| service).collect()
    }

    fn forget(&self, service: &Uid, pod: &str) {
        let mut services = self.lock();
        let Some(tasks) = services.get_mut(service) else { return };
        tasks.creating.remove(pod);
        if let Some(fact) = tasks.pods.remove(pod) {
            let asked = tasks.deleting.remove(&fact.uid).is_some();
            let fact = TaskFact {
                presence: Presence::Gone,
                stopped_by_us: asked || fact.stopped_by_us,
                ..Arc::unwrap_or_clone(fact)
            };
            tasks.gone.push(Arc::new(fact));
        }
    }

    /// What a plan for a service is to know.
    pub fn of(&self, service: &Uid) -> ServiceTasks {
        let services = self.lock();
        let Some(tasks) = services.get(service) else { return ServiceTasks::default() };
        ServiceTasks {
            tasks: tasks.pods.values().chain(&tasks.gone).cloned().collect(),
            pending: PendingWrites {
                creates: tasks.creating.values().map(|(key, _)| *key).collect(),
                deletes: tasks.deleting.keys().cloned().collect(),
            },
            unannounced: tasks.unannounced.clone(),
        }
    }

    /// The revisions that the tasks of a service run.
    pub fn revisions(&self, service: &Uid) -> HashSet<RevisionName> {
        let services = self.lock();
        let tasks = services.get(service).into_iter().flat_map(|tasks| tasks.pods.values());
        tasks.map(|task| task.revision.clone()).collect()
    }

    /// Status tells of all that `seen` told: what is gone can be forgotten, and what was done need not be told again.
    pub fn announced(&self, service: &Uid, seen: &ServiceTasks) {
        let mut services = self.lock();
        let Some(tasks) = services.get_mut(service) else { return };
        let told: HashSet<&Uid> =
            seen.tasks.iter().filter(|task| task.presence == Presence::Gone).map(|task| &task.uid).collect();
        tasks.gone.retain(|task| !told.contains(&task.uid));
        tasks.unannounced.started.drain(..seen.unannounced.started.len().min(tasks.unannounced.started.len()));
        tasks.unannounced.stopped.drain(..seen.unannounced.stopped.len().min(tasks.unannounced.stopped.len()));
    }

    /// A service is gone.
    pub fn remove_service(&self, service: &Uid) {
        let mut services = self.lock();
        if services.get(service).is_some_and(|tasks| tasks.pods.is_empty()) {
            services.remove(service);
        }
    }

    /// A create is about to be sent.
    pub fn creating(&self, service: &Uid, pod: &str, key: TaskKey) {
        self.lock().entry(service.clone()).or_default().creating.insert(pod.to_owned(), (key, Instant::now()));
    }

    /// A create has succeeded: it will be told of.
    pub fn created(&self, service: &Uid, task: TaskId) {
        self.lock().entry(service.clone()).or_default().unannounced.started.push(task);
    }

    /// A create has certainly not happened, or what it made has been looked at.
    pub fn not_created(&self, service: &Uid, pod: &str) {
        self.lock().entry(service.clone()).or_default().creating.remove(pod);
    }

    /// A delete is about to be sent.
    pub fn deleting(&self, service: &Uid, pod: &str, uid: &Uid) {
        let mut services = self.lock();
        let tasks = services.entry(service.clone()).or_default();
        tasks.deleting.insert(uid.clone(), (pod.to_owned(), Instant::now()));
    }

    /// A stop has succeeded: it will be told of.
    pub fn stopped(&self, service: &Uid, task: TaskId) {
        self.lock().entry(service.clone()).or_default().unannounced.stopped.push(task);
    }

    /// A delete has certainly not happened, or has nothing to delete.
    pub fn not_deleted(&self, service: &Uid, uid: &Uid) {
        self.lock().entry(service.clone()).or_default().deleting.remove(uid);
    }

    /// Writes that have been in flight for too long: the watch may have missed what became of them.
    pub fn overdue(&self, service: &Uid) -> Vec<Overdue> {
        let services = self.lock();
        let Some(tasks) = services.get(service) else { return Vec::new() };
        let created = tasks.creating.iter().map(|(pod, (_, since))| (pod, since));
        let deleted = tasks.deleting.values().map(|(pod, since)| (pod, since));
        let overdue = created.chain(deleted).filter(|(_, since)| since.elapsed() > PENDING_FOR);
        overdue.map(|(pod, _)| Overdue { pod: pod.clone() }).collect()
    }

    /// How soon the first write in flight will have been so for too long.
    pub fn overdue_in(&self, service: &Uid) -> Option<Duration> {
        let services = self.lock();
        let tasks = services.get(service)?;
        let since =
            tasks.creating.values().map(|(_, since)| since).chain(tasks.deleting.values().map(|(_, since)| since));
        since.min().map(|since| PENDING_FOR.saturating_sub(since.elapsed()).saturating_add(Duration::from_secs(1)))
    }

    /// What a read of an overdue pod has shown.
    pub fn looked(&self, service: &Uid, overdue: &Overdue, pod: Option<&TaskPod>) {
        {
            let mut services = self.lock();
            let tasks = services.entry(service.clone()).or_default();
            tasks.creating.remove(&overdue.pod);
            tasks.deleting.retain(|_, (pod, _)| *pod != overdue.pod);
        }
        match pod {
            Some(pod) => self.apply(pod),
            None => self.forget(service, &overdue.pod),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uid, Tasks>> {
        // No caller panics while it holds the lock, and a half-made change to one service could not hurt another.
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
