//! Services: their tasks are started and stopped here.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use crate::api::conditions::{Reason, Summary};
use crate::api::names::{RevisionName, TaskDefinitionName, TaskId, Uid, cluster_name};
use crate::api::{Cluster, RevisionState, Service, ServiceStatus, TaskDefinitionRevision, labels};
use crate::controllers::secrets;
use crate::domain::Plan;
use crate::domain::facts::{NodeTasks, ServiceTasks, StopCause};
use crate::domain::pod::{self, ServiceOwner};
use crate::domain::resolve::service::{References, ResolvedService, Scheduling, resolve};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::secrets::task_secrets::TaskSecrets;
use crate::domain::service::{self, Action, EventKind, Nodes, Start, Stop, Telling};
use crate::domain::task::TaskState;
use crate::shell::Context;
use crate::shell::cache::{Definition, Overdue, TaskPod};
use crate::shell::driver::{Performed, Reconciler};
use crate::shell::many;
use crate::shell::writer::{self, Deleted, WriteError};

/// Most tasks that one pass starts. The next one, at once, starts more and stops what the tasks that are healthy by then replace: a
/// pass that started all would hold that up until its last answer.
const STARTS_MAX: usize = 64;

/// Most looks at pods at once.
const LOOKS_MAX: usize = 64;

/// Two writes of a status in which only counts have changed are apart by 1 s for each of so many tasks, and by no more than
/// `COUNTS_INTERVAL_MAX`: a rollout of ten times the tasks must not cost ten times the writes.
const TASKS_PER_SECOND: i32 = 50;
const COUNTS_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// How long a look at an object may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// The controller of services.
pub struct Services;

/// What a service's plan is made from.
pub struct Seen {
    uid: Uid,
    service: ResolvedService,
    tasks: ServiceTasks,
    /// What can be started, by revision.
    definitions: BTreeMap<RevisionName, Arc<ResolvedTaskDefinition>>,
    /// What their tasks take from Secrets and ConfigMaps.
    secrets: BTreeMap<RevisionName, TaskSecrets>,
    nodes: Arc<Nodes>,
    node_tasks: BTreeMap<String, NodeTasks>,
}

impl Reconciler for Services {
    type Object = Service;
    type Observed = Seen;
    type Action = Action;
    type Status = ServiceStatus;

    const FIELD_MANAGER: &'static str = labels::field_manager::SERVICE;
    const FINALIZER: Option<&'static str> = Some(labels::DRAIN_FINALIZER);
    const STATUS_INTERVAL: Duration = Duration::from_secs(1);

    fn status_interval(before: &ServiceStatus, after: &ServiceStatus) -> Duration {
        let tasks = [after.desired_count, after.running_count].into_iter().flatten().max().unwrap_or(0);
        let seconds = tasks.checked_div(TASKS_PER_SECOND).and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        let counts = Duration::from_secs(seconds).clamp(Self::STATUS_INTERVAL, COUNTS_INTERVAL_MAX);
        if news(before) == news(after) { counts } else { Self::STATUS_INTERVAL }
    }

    fn api(context: &Context, namespace: Option<&str>) -> Api<Service> {
        Api::namespaced(context.client.clone(), namespace.unwrap_or_default())
    }

    fn status(object: &Service) -> Option<&ServiceStatus> {
        object.status.as_ref()
    }

    fn conditions(status: &mut ServiceStatus) -> &mut Vec<Condition> {
        &mut status.conditions
    }

    async fn observe(context: &Context, object: &Service) -> Seen {
        let uid = Uid(object.uid().unwrap_or_default());
        look_for_overdue(context, object, &uid).await;
        let (mut references, definitions) = look_up(context, object);
        references.unobserved = unobserved(context, object, &references).await;
        let mut service = resolve(&object.spec, object.annotations(), &references);
        if let Ok(target) = &service.target
            && let Some(Err(problems)) = definitions.get(&target.revision)
        {
            let message = format!("{}: {problems}", target.revision);
            service.target = Err(Summary::Stalled(Reason::InvalidTaskDefinition, message));
        }
        if let (Scheduling::Daemon { constraints }, Ok(target)) = (&mut service.scheduling, &service.target)
            && let Some(Ok(definition)) = definitions.get(&target.revision)
        {
            constraints.extend(definition.platform.constraints.iter().cloned());
        }
        let definitions = definitions.into_iter().filter_map(|(name, definition)| Some((name, definition.ok()?)));
        let definitions = definitions.collect();
        let secrets = secrets::observe(context, object, &uid, &mut service, &definitions).await;
        let nodes = context.caches.nodes.nodes();
        let node_tasks = if service.looks_at_node_tasks() {
            context.caches.tasks.on_nodes(|namespace, name| task_group(context, namespace, name))
        } else {
            BTreeMap::new()
        };
        Seen { tasks: context.caches.tasks.of(&uid), uid, service, definitions, secrets, nodes, node_tasks }
    }

    fn plan(object: &Service, status: &ServiceStatus, seen: &Seen, now: Timestamp) -> Plan<Action, ServiceStatus> {
        let observed = service::Observed {
            uid: &seen.uid,
            name: object.spec.service_name.as_deref().or(object.metadata.name.as_deref()).unwrap_or_default(),
            object_name: object.metadata.name.as_deref().unwrap_or_default(),
            generation: object.metadata.generation,
            deleting: object.metadata.deletion_timestamp.is_some(),
            service: &seen.service,
            definitions: &seen.definitions,
            status,
            tasks: &seen.tasks,
            nodes: &seen.nodes,
            node_tasks: &seen.node_tasks,
        };
        service::plan(&observed, now)
    }

    fn is_told_first(before: &ServiceStatus, after: &ServiceStatus) -> bool {
        service::is_told_first(before, after)
    }

    async fn perform(
        context: &Context,
        object: &Service,
        seen: &Seen,
        actions: Vec<Action>,
    ) -> Result<Performed, WriteError> {
        let tasks = Tasks {
            api: Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default()),
            context,
            seen,
            owner: ServiceOwner {
                object_name: object.name_any(),
                namespace: object.namespace().unwrap_or_default(),
                uid: seen.uid.clone(),
                cluster: cluster_name(object.spec.cluster.as_deref()).to_owned(),
                deregistration_delay: seen.service.deregistration_delay,
                service_accounts: service_accounts(context, object),
                volume_configurations: object.spec.volume_configurations.clone(),
            },
        };
        let secrets = secrets::maker(context, &tasks.owner.namespace, &tasks.owner.object_name, &seen.uid);
        let (mut stops, mut evicted, mut forgotten, mut starts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut made, mut given_up) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::StopTask(stop) => stops.push(stop),
                Action::EvictTask(stop) => evicted.push(stop),
                Action::ForgetTask { pod, uid } => forgotten.push((pod, uid)),
                Action::StartTask(start) => starts.push(start),
                Action::MakeSecret(derived) => made.push(derived),
                Action::GiveUpSecret(name) => given_up.push(name),
            }
        }
        // Nothing is started on the place of a task whose stop got no clear answer, before it is known what became of it.
        let uncertain = || context.caches.tasks.is_stop_uncertain(&seen.uid);
        if uncertain() {
            starts.clear();
        }
        let performed = if starts.len() > STARTS_MAX { Performed::Part } else { Performed::All };
        let known = starts.first().is_some_and(|start| is_taken(object, seen, &start.revision));
        starts.truncate(STARTS_MAX);
        let (late, at_once): (Vec<_>, Vec<_>) = starts.iter().partition(|start| start.on_freed_place);
        let start = async |starts: Vec<&Start>| {
            let starts = starts.into_iter().map(|start| tasks.start(start));
            if known { many::send(starts).await } else { many::send_with_care(starts).await }
        };
        let stop = async {
            many::send(stops.iter().map(|stop| tasks.stop(stop))).await?;
            many::send(forgotten.iter().map(|(pod, uid)| tasks.forget(pod, uid))).await
        };
        let start_at_once = async {
            // A pod whose Secret is not there yet would wait for the kubelet to try again.
            many::send(made.iter().map(|derived| secrets.make(derived))).await?;
            start(at_once).await
        };
        // Both to their ends, even if one fails: what became of a write that is cut off would not be known.
        let (stopped, started) = join(stop, start_at_once).await;
        stopped.and(started)?;
        // Not one of these before all stops are through.
        if !uncertain() {
            start(late).await?;
        }
        // One after the other: each changes what the disruption budgets allow.
        for stop in &evicted {
            tasks.evict(stop).await?;
        }
        many::send(given_up.iter().map(|name| secrets.give_up(name))).await?;
        Ok(performed)
    }

    async fn told(context: &Context, object: &Service, seen: &Seen, before: &ServiceStatus, after: &ServiceStatus) {
        let recorded: HashSet<&str> = after.stopped_tasks.iter().map(|stopped| stopped.task.as_str()).collect();
        let failed = seen.tasks.tasks.iter().filter(|task| matches!(task.state, TaskState::Stopped(_)));
        let untold = failed.map(|task| task.task_id()).filter(|id| !recorded.contains(id.to_string().as_str()));
        context.caches.tasks.announced(&seen.uid, &seen.tasks, &untold.collect());
        let refusal = |status: &ServiceStatus| {
            let refused = |condition: &&Condition| {
                condition.type_ == "Ready" && condition.reason == Reason::WriteRefused.as_str()
            };
            status.conditions.iter().find(refused).map(|condition| condition.message.clone())
        };
        if let Some(message) = refusal(after).filter(|_| refusal(before).is_none()) {
            context.events.publish(object, true, Reason::WriteRefused.as_str(), &message);
        }
        let known = |id: &str| before.events.iter().any(|event| event.id == id);
        for event in after.events.iter().rev().filter(|event| !known(&event.id)) {
            let Some(kind) = EventKind::of(&event.message) else { continue };
            match kind.telling() {
                Telling::StatusAlone => {}
                Telling::Normal => context.events.publish(object, false, kind.reason(), &event.message),
                Telling::Warning => context.events.publish(object, true, kind.reason(), &event.message),
            }
        }
    }

    fn look_again(context: &Context, uid: &Uid) -> Option<Duration> {
        [context.caches.tasks.overdue_in(uid), context.caches.secrets.due_in(uid)].into_iter().flatten().min()
    }

    fn gone(context: &Context, uid: &Uid) {
        context.caches.tasks.remove_service(uid);
        context.caches.secrets.remove_service(uid);
    }
}

/// "service:" and the name of the service in ECS, which may be another one than that of its object.
fn task_group(context: &Context, namespace: &str, name: &str) -> String {
    let object = context.caches.services.get(&ObjectRef::new(name).within(namespace));
    let service = object.as_ref().and_then(|guard| guard.0.as_ref().ok());
    let given = service.and_then(|service| service.spec.service_name.as_deref());
    format!("service:{}", given.unwrap_or(name))
}

/// Whether the API server takes tasks of this revision, as far as can be seen: there are some, and it has refused none since.
fn is_taken(object: &Service, seen: &Seen, revision: &RevisionName) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let refused = conditions.into_iter().any(|condition| condition.reason == Reason::WriteRefused.as_str());
    !refused && seen.tasks.tasks.iter().any(|task| task.revision == *revision)
}

/// What a person waits for: told at once. The counts of a rollout are not.
fn news(status: &ServiceStatus) -> impl PartialEq {
    let conditions = status.conditions.iter();
    let deployments = status.deployments.iter();
    (
        status.observed_generation,
        status.status,
        conditions.map(|of| (of.type_.clone(), of.status.clone(), of.reason.clone())).collect::<Vec<_>>(),
        deployments.clone().map(|of| (of.id.clone(), of.status, of.rollout_state, of.failed_tasks)).collect::<Vec<_>>(),
        deployments
            .map(|of| (of.launches.unhealthy_tasks.clone(), of.launches.failed_attempts, of.container_images.clone()))
            .collect::<Vec<_>>(),
    )
}

/// A write whose outcome the watch has not shown for long: we look for ourselves.
async fn look_for_overdue(context: &Context, object: &Service, uid: &Uid) {
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

type Definitions = BTreeMap<RevisionName, Definition>;

/// Follows the references of a service.
fn look_up(context: &Context, object: &Service) -> (References, Definitions) {
    let namespace = object.namespace();
    let cluster = cluster_name(object.spec.cluster.as_deref());
    let clusters = context.caches.clusters.state();
    // What runs in a cluster that is being deleted goes on; nothing new comes in.
    let deployed = object.status.as_ref().is_some_and(|status| !status.deployments.is_empty());
    let cluster = clusters.iter().filter_map(|guard| guard.0.as_ref().ok()).any(|candidate| {
        let open = deployed || candidate.metadata.deletion_timestamp.is_none();
        candidate.metadata.namespace == namespace && candidate.cluster_name() == cluster && open
    });
    let named = object.spec.task_definition.as_deref().and_then(|name| name.parse::<TaskDefinitionName>().ok());
    let running =
        object.status.as_ref().and_then(|status| status.task_definition.as_deref()?.parse::<RevisionName>().ok());
    let kept = object.status.iter().flat_map(ServiceStatus::revisions).collect::<BTreeSet<_>>();

    let mut references = References { cluster, latest: None, pinned: None, running: None, unobserved: None };
    let mut definitions = Definitions::new();
    for guard in context.caches.revisions.state() {
        let Some((name, revision)) = revision_in(&guard, namespace.as_deref()) else { continue };
        let (is_running, is_latest) =
            (running.as_ref() == Some(&name), is_newer_in(&name, named.as_ref(), references.latest.as_ref()));
        let is_pinned = matches!(&named, Some(TaskDefinitionName::Revision(pinned)) if *pinned == name);
        let active = is_active(revision);
        if is_running {
            references.running = Some(name.clone());
        }
        if is_pinned {
            references.pinned = Some(active);
        }
        if is_latest && active {
            references.latest = Some(name.clone());
        }
        if kept.contains(&name) || is_pinned || (is_latest && active) {
            definitions
                .insert(name, context.caches.definitions.of(revision, &context.caches.revisions, context.features));
        }
    }
    (references, definitions)
}

/// The revision that status names, if it is newer than all that the watch has shown, and there. One that is not there any more
/// was deleted, and what is known here is newer than status.
async fn unobserved(context: &Context, object: &Service, references: &References) -> Option<RevisionName> {
    let named = object.spec.task_definition.as_deref()?.parse().ok()?;
    let running: RevisionName = object.status.as_ref()?.task_definition.as_deref()?.parse().ok()?;
    if references.running.is_some() || !is_newer_in(&running, Some(&named), references.latest.as_ref()) {
        return None;
    }
    let revisions: Api<TaskDefinitionRevision> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let name = running.object_name();
    match tokio::time::timeout(LOOK_LIMIT, revisions.get_metadata_opt(&name)).await {
        Ok(Ok(found)) => return found.map(|_| running),
        Ok(Err(error)) => {
            tracing::warn!(revision = %running, %error, "a revision that a service runs could not be looked at");
        }
        Err(_) => tracing::warn!(revision = %running, "a look at a revision that a service runs got no answer"),
    }
    None
}

/// The ServiceAccounts that the service's cluster has for task roles.
fn service_accounts(context: &Context, object: &Service) -> BTreeMap<String, String> {
    let name = cluster_name(object.spec.cluster.as_deref());
    let clusters = context.caches.clusters.state();
    let clusters = clusters.iter().filter_map(|guard| guard.0.as_ref().ok());
    let here =
        |cluster: &&Cluster| cluster.metadata.namespace == object.metadata.namespace && cluster.cluster_name() == name;
    let mappings = clusters.filter(here).flat_map(|cluster| &cluster.spec.kubernetes);
    let mappings = mappings.flat_map(|kubernetes| &kubernetes.role_mappings);
    mappings.map(|mapping| (mapping.role_arn.clone(), mapping.service_account_name.clone())).collect()
}

fn is_newer_in(name: &RevisionName, named: Option<&TaskDefinitionName>, latest: Option<&RevisionName>) -> bool {
    let followed = matches!(named, Some(TaskDefinitionName::Latest(family)) if *family == name.family);
    followed && latest.is_none_or(|latest| latest.number < name.number)
}

/// A revision by the name that ECS gives it.
fn revision_in<'a>(
    guard: &'a Arc<DeserializeGuard<TaskDefinitionRevision>>,
    namespace: Option<&str>,
) -> Option<(RevisionName, &'a TaskDefinitionRevision)> {
    let revision = guard.0.as_ref().ok().filter(|revision| revision.metadata.namespace.as_deref() == namespace)?;
    let family = revision.spec.task_definition.family.as_deref()?.parse().ok()?;
    Some((RevisionName { family, number: revision.spec.revision }, revision))
}

fn is_active(revision: &TaskDefinitionRevision) -> bool {
    let inactive = revision.status.as_ref().and_then(|status| status.status) == Some(RevisionState::Inactive);
    !inactive
        && !revision.annotations().contains_key(labels::DEREGISTER)
        && revision.metadata.deletion_timestamp.is_none()
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
fn key_annotations(pod: &ObjectMeta) -> [Option<&String>; 3] {
    let annotation = |name| pod.annotations.as_ref().and_then(|annotations| annotations.get(name));
    let deployment = pod.labels.as_ref().and_then(|labels| labels.get(labels::DEPLOYMENT));
    [deployment, annotation(labels::SLOT), annotation(labels::ATTEMPT)]
}

/// Writes to the tasks of one service. Each is entered as in flight before it is sent, and stays so until the watch shows it;
/// only a clear refusal takes it back.
struct Tasks<'a> {
    api: Api<Pod>,
    context: &'a Context,
    seen: &'a Seen,
    owner: ServiceOwner,
}

impl Tasks<'_> {
    async fn stop(&self, stop: &Stop) -> Result<(), WriteError> {
        let version = stop.resource_version.as_deref();
        self.stop_by(stop, writer::delete(&self.api, &stop.pod, &stop.uid, version)).await
    }

    async fn evict(&self, stop: &Stop) -> Result<(), WriteError> {
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
            Ok(Deleted::Now) => index.stopped(service, TaskId::of_pod(&stop.pod)),
            Err(error) if error.is_certain() => index.not_deleted(service, &stop.uid),
            // Of a pod that was gone before the watch has told already, or is late.
            Ok(Deleted::Before) | Err(_) => index.uncertain(service, &stop.pod),
        }
        outcome.map(|_| ())
    }

    async fn forget(&self, pod: &str, uid: &Uid) -> Result<(), WriteError> {
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

    async fn start(&self, start: &Start) -> Result<(), WriteError> {
        let Some(definition) = self.seen.definitions.get(&start.revision) else { return Ok(()) };
        let (index, service) = (&self.context.caches.tasks, &self.owner.uid);
        let mut pod = (self.context.build_pod)(definition, &self.owner, start);
        if let Some(secrets) = self.seen.secrets.get(&start.revision) {
            pod::secrets::add(&mut pod, secrets);
        }
        let name = pod.name_any();
        let same = |existing: &ObjectMeta| {
            // A pod whose labels or annotations somebody has changed is counted as another task, or as none.
            is_task_of(existing, service) && key_annotations(existing) == key_annotations(&pod.metadata)
        };
        index.creating(service, &name, start.key);
        let outcome = writer::create(&self.api, &pod, same).await;
        match &outcome {
            Ok(()) => index.created(service, TaskId::of_pod(&name)),
            Err(error) if error.is_certain() => index.not_created(service, &name),
            Err(_) => index.uncertain(service, &name),
        }
        outcome
    }
}
