//! The writes to the tasks of a service.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt};

use crate::api::names::{RevisionName, TaskId, Uid};
use crate::api::{Service, labels};
use crate::controllers::LOOK_LIMIT;
use crate::controllers::secrets::Unmade;
use crate::controllers::service::Seen;
use crate::domain::facts::{StopCause, TaskChange};
use crate::domain::pod::ServiceOwner;
use crate::domain::service::{Start, Stop};
use crate::shell::Context;
use crate::shell::cache::{Overdue, TaskPod};
use crate::shell::many;
use crate::shell::writer::{self, Deleted, WriteError};

/// Most looks at pods at once.
const LOOKS_MAX: usize = 64;

/// A write whose outcome the watch has not shown for long: we look for ourselves.
pub(super) async fn look_for_overdue(context: &Context, object: &Service, uid: &Uid) {
    let pods: Api<TaskPod> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let looks =
        context.caches.tasks.overdue(uid).into_iter().take(LOOKS_MAX).map(async |overdue| match tokio::time::timeout(
            LOOK_LIMIT,
            pods.get_metadata_opt(overdue.pod()),
        )
        .await
        {
            Ok(Ok(pod)) => {
                // One that does not say any more which task it is, the watch will never show.
                let pod = pod.filter(|pod| matches!(overdue, Overdue::Delete { .. }) || is_task_of(&pod.metadata, uid));
                let found = pod
                    .map(|pod| (Uid(pod.metadata.uid.unwrap_or_default()), pod.metadata.deletion_timestamp.is_some()));
                let found = found.as_ref().map(|(uid, deleting)| (uid, *deleting));
                context.caches.tasks.looked(uid, &overdue, found);
            }
            Ok(Err(error)) => tracing::warn!(pod = overdue.pod(), %error, "a task in flight could not be looked at"),
            Err(_) => tracing::warn!(pod = overdue.pod(), "a look at a task in flight got no answer"),
        });
    join_all(looks).await;
}

/// Whether a pod still says that it is a task of a service.
fn is_task_of(pod: &ObjectMeta, service: &Uid) -> bool {
    let managed_by = pod.labels.as_ref().and_then(|labels| labels.get(labels::MANAGED_BY));
    managed_by.is_some_and(|by| by == labels::MANAGED_BY_LONGSHORE)
        && key_annotations(pod).iter().all(Option::is_some)
        && is_owned_by(pod, service)
}

fn is_owned_by(pod: &ObjectMeta, service: &Uid) -> bool {
    let mut owners = pod.owner_references.iter().flatten();
    owners.any(|owner| owner.controller == Some(true) && owner.uid == service.0)
}

/// What says which task a pod is.
fn key_annotations(pod: &ObjectMeta) -> [Option<&String>; 4] {
    let annotation = |name| pod.annotations.as_ref().and_then(|annotations| annotations.get(name));
    let deployment = pod.labels.as_ref().and_then(|labels| labels.get(labels::DEPLOYMENT));
    [deployment, annotation(labels::TASK_DEFINITION), annotation(labels::SLOT), annotation(labels::ATTEMPT)]
}

/// Writes to the tasks of one service. Each is entered as in flight before it is sent, and stays so until the watch shows it;
/// only a clear refusal takes it back.
pub(super) struct Tasks<'a> {
    pub(super) api: Api<Pod>,
    pub(super) context: &'a Context,
    pub(super) seen: &'a Seen,
    /// Whether healthy tasks have to be left: a service that is being deleted keeps none.
    pub(super) has_floor: bool,
    /// Whether a write was left to the next plan.
    pub(super) skipped: AtomicBool,
    pub(super) owner: ServiceOwner,
}

impl Tasks<'_> {
    /// Whether a write was left to the next plan.
    pub(super) fn has_skipped(&self) -> bool {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Skips a stop that counts towards the floor, if a task has been lost since the plan was made: it may leave less than that was to
    /// leave.
    fn skips(&self) -> bool {
        let is_outdated = self.has_floor && self.context.caches.tasks.losses(&self.owner.uid) != self.seen.tasks.losses;
        self.skipped.fetch_or(is_outdated, Ordering::Relaxed);
        is_outdated
    }

    /// Stops a task, unless it counts towards the floor and the plan is out of date.
    pub(super) async fn stop(&self, stop: &Stop) -> Result<(), WriteError> {
        if stop.resource_version.is_none() && self.skips() {
            return Ok(());
        }
        let version = stop.resource_version.as_deref();
        self.stop_by(stop, writer::delete(&self.api, &stop.pod, &stop.uid, version)).await
    }

    /// Evicts a task, unless the plan is out of date.
    pub(super) async fn evict(&self, stop: &Stop) -> Result<(), WriteError> {
        if self.skips() {
            return Ok(());
        }
        self.stop_by(stop, writer::evict(&self.api, &stop.pod, &stop.uid)).await
    }

    async fn stop_by(
        &self,
        stop: &Stop,
        write: impl Future<Output = Result<Deleted, WriteError>>,
    ) -> Result<(), WriteError> {
        let (index, service) = (&self.context.caches.tasks, &self.owner.uid);
        index.deleting(service, &stop.pod, &stop.uid, stop.cause.clone());
        let outcome = write.await;
        match &outcome {
            // What is left of a task that has ended by itself was not stopped by anybody.
            Ok(Deleted::Now) if stop.cause == StopCause::Ended => {}
            Ok(Deleted::Now) => index.stopped(service, stop.change()),
            Err(error) if error.is_certain() => index.not_deleted(service, &stop.uid),
            // Of a pod that was gone before the watch has told already, or is late.
            Ok(Deleted::Before) | Err(_) => index.uncertain(service, &stop.pod),
        }
        outcome.map(|_| ())
    }

    pub(super) async fn forget(&self, pod: &str, uid: &Uid) -> Result<(), WriteError> {
        let (index, service) = (&self.context.caches.tasks, &self.owner.uid);
        index.deleting(service, pod, uid, StopCause::Ended);
        let outcome = writer::delete(&self.api, pod, uid, None).await;
        match &outcome {
            Ok(Deleted::Now) => {}
            Err(error) if error.is_certain() => index.not_deleted(service, uid),
            Ok(Deleted::Before) | Err(_) => index.uncertain(service, pod),
        }
        outcome.map(|_| ())
    }

    /// Starts tasks. A revision whose tasks are refused, or for which something cannot be made, holds up those of no other, and says
    /// so at the end. No answer is a reason against all that there is to ask.
    pub(super) async fn start_all(
        &self,
        starts: Vec<&Start>,
        unmade: &Unmade,
        is_taken: impl Fn(&RevisionName) -> bool,
    ) -> Result<Option<WriteError>, WriteError> {
        let mut revisions: BTreeMap<&RevisionName, Vec<&Start>> = BTreeMap::new();
        for start in starts {
            match unmade.of(&start.secrets) {
                None => revisions.entry(&start.revision).or_default().push(start),
                // A task that lacks what it takes cannot be launched, as one that is refused itself.
                Some(error) if error.is_refusal() && start.zone.is_none() => {
                    self.context.caches.tasks.start_refused(&self.owner.uid, start.key.deployment);
                }
                Some(_) => {}
            }
        }
        let revisions = revisions.into_iter().map(async |(revision, starts)| {
            let known = is_taken(revision);
            let starts = starts.into_iter().map(|start| self.start(start));
            if known { many::send(starts).await } else { many::send_with_care(starts).await }
        });
        let mut refusal = None;
        for outcome in join_all(revisions).await {
            match outcome {
                Err(error) if error.is_refusal() => refusal = Some(error),
                outcome => outcome?,
            }
        }
        Ok(refusal)
    }

    async fn start(&self, start: &Start) -> Result<(), WriteError> {
        let Some(definition) = self.seen.definitions.get(&start.revision) else { return Ok(()) };
        let (index, service) = (&self.context.caches.tasks, &self.owner.uid);
        if start.zone.as_ref().is_some_and(|zone| index.is_zone_refused(service, zone)) {
            return Ok(());
        }
        let pod = (self.context.build_pod)(definition, &self.owner, start);
        let name = pod.name_any();
        let same = |existing: &ObjectMeta| {
            // A pod whose labels or annotations somebody has changed is counted as another task, or as none.
            is_task_of(existing, service) && key_annotations(existing) == key_annotations(&pod.metadata)
        };
        index.creating(service, &name, start.key);
        let outcome = writer::create(&self.api, &name, &pod, same).await;
        match &outcome {
            Ok(uid) => {
                let change = TaskChange { task: TaskId::of_pod(&name), zone: start.zone.clone() };
                index.created(service, &name, uid.as_ref(), change);
            }
            Err(error) if error.is_certain() => index.not_created(service, &name),
            Err(_) => index.uncertain(service, &name),
        }
        match (outcome, &start.zone) {
            (Err(error), None) if error.is_refusal() => {
                index.start_refused(service, start.key.deployment);
                Err(error)
            }
            // A quota has no room for one task more: the service has all that it should, and is not to fail for it.
            (Err(error), Some(zone)) if error.is_refusal() => {
                tracing::info!(pod = name, %zone, %error, "no task can be started to balance the zones");
                index.zone_refused(service, zone.clone(), error.to_string());
                self.skipped.store(true, Ordering::Relaxed);
                Ok(())
            }
            (outcome, _) => outcome.map(drop),
        }
    }
}
