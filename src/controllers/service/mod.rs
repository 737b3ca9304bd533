//! Services: their tasks are started and stopped here.

mod references;
mod tasks;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::future::join;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use crate::api::conditions::{Reason, Summary};
use crate::api::names::{RevisionName, Uid, cluster_name};
use crate::api::{Service, ServiceStatus, labels};
use crate::controllers::secrets;
use crate::domain::Plan;
use crate::domain::facts::{NodeTasks, ServiceTasks};
use crate::domain::pod::ServiceOwner;
use crate::domain::resolve::service::{ResolvedService, resolve};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::service::{self, Action, EventKind, Nodes, Telling};
use crate::domain::task::TaskState;
use crate::shell::Context;
use crate::shell::driver::{Performed, Reconciler};
use crate::shell::many;
use crate::shell::writer::WriteError;
pub(super) use references::with_cluster;
use references::{look_up, service_accounts, unobserved};
use tasks::{Tasks, look_for_overdue};

/// Most tasks that one pass starts. The next one, at once, starts more and stops what the tasks that are healthy by then replace: a
/// pass that started all would hold that up until its last answer.
const STARTS_MAX: usize = 64;

/// Two writes of a status in which only counts have changed are apart by 1 s for each of so many tasks, and by no more than
/// `COUNTS_INTERVAL_MAX`: a rollout of ten times the tasks must not cost ten times the writes.
const TASKS_PER_SECOND: i32 = 25;
const COUNTS_INTERVAL_MAX: Duration = Duration::from_secs(20);

/// How long a service waits for the watch to show a revision that it runs, before that is looked for once more.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// The controller of services.
pub struct Services;

/// What a service's plan is made from.
pub struct Seen {
    uid: Uid,
    service: ResolvedService,
    tasks: ServiceTasks,
    /// What can be started, by revision.
    definitions: BTreeMap<RevisionName, Arc<ResolvedTaskDefinition>>,
    nodes: Arc<Nodes>,
    node_tasks: BTreeMap<String, NodeTasks>,
    /// Whether the service waits for the watch to show a revision.
    waits_for_watch: bool,
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
        if let Ok(target) = &service.target
            && let Some(Ok(definition)) = definitions.get(&target.revision)
        {
            service.check_volumes(definition, &object.spec);
            service.check_zones(definition);
        }
        let definitions = definitions.into_iter().filter_map(|(name, definition)| Some((name, definition.ok()?)));
        let definitions = definitions.collect();
        secrets::observe(context, object, &uid, &mut service, &definitions).await;
        let nodes = context.caches.nodes.nodes();
        let node_tasks = if service.looks_at_node_tasks() {
            context.caches.tasks.on_nodes(|namespace, name| task_group(context, namespace, name))
        } else {
            BTreeMap::new()
        };
        let (tasks, waits_for_watch) = (context.caches.tasks.of(&uid), references.unobserved.is_some());
        Seen { uid, service, tasks, definitions, nodes, node_tasks, waits_for_watch }
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
        let mut plan = service::plan(&observed, now);
        if seen.waits_for_watch {
            let look_at = now.saturating_add(LOOK_AGAIN).unwrap_or(now);
            plan.wake_at = Some(plan.wake_at.map_or(look_at, |at| at.min(look_at)));
        }
        plan
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
            has_floor: object.metadata.deletion_timestamp.is_none(),
            skipped: AtomicBool::new(false),
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
        starts.truncate(STARTS_MAX);
        let (late, at_once): (Vec<_>, Vec<_>) = starts.iter().partition(|start| start.on_freed_place);
        let is_taken = |revision: &RevisionName| is_taken(object, seen, revision);
        let stop = async {
            many::send(stops.iter().map(|stop| tasks.stop(stop))).await?;
            many::send(forgotten.iter().map(|(pod, uid)| tasks.forget(pod, uid))).await
        };
        let start_at_once = async {
            // A pod whose Secret is not there yet would wait for the kubelet to try again.
            let unmade = secrets::make_all(&secrets, made).await;
            let refusal = tasks.start_all(at_once, &unmade, is_taken).await?;
            Ok::<_, WriteError>((unmade, refusal))
        };
        // Both to their ends, even if one fails: what became of a write that is cut off would not be known.
        let (stopped, started) = join(stop, start_at_once).await;
        stopped?;
        let (unmade, refusal) = started?;
        if tasks.has_skipped() {
            return refusal.or_else(|| unmade.into_error()).map_or(Ok(Performed::Part), Err);
        }
        // Not one of these before all stops are through.
        let late = if uncertain() { Vec::new() } else { late };
        let refusal = refusal.or(tasks.start_all(late, &unmade, is_taken).await?).or_else(|| unmade.into_error());
        // One after the other: each changes what the disruption budgets allow.
        for stop in &evicted {
            tasks.evict(stop).await?;
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let performed = if tasks.has_skipped() { Performed::Part } else { performed };
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
        status.availability_zone_rebalancing.clone(),
        conditions.map(|of| (of.type_.clone(), of.status.clone(), of.reason.clone())).collect::<Vec<_>>(),
        deployments
            .clone()
            .map(|of| (of.id.clone(), of.status, of.rollout_state, of.failed_tasks, of.held_count))
            .collect::<Vec<_>>(),
        deployments
            .map(|of| (of.launches.unhealthy_tasks.clone(), of.launches.failed_attempts, of.container_images.clone()))
            .collect::<Vec<_>>(),
    )
}
