//! The service scheduler: one pure function from what was observed to what to do.
//!
//! ```text
//! view           the tasks as they count at a moment
//! deployments    which deployments there are, and which is PRIMARY
//! progress       how the PRIMARY deployment goes on: failure, rollback, completion
//! launches       what the circuit breaker and the launch throttle count
//! bounds         floor and ceiling, in ECS's rounding
//! rolling        REPLICA: which tasks to stop, how many to start
//! rebalance      REPLICA: which tasks move, so that the zones have equally many
//! avoided_zones  to which zones none move for a while
//! daemon         DAEMON: which tasks to stop, on which nodes to start
//! scale_in       which tasks go first
//! slots          what the new ones are called
//! image_digests  what their image tags mean
//! stopped        the record of tasks that ended
//! history        the record of deployments
//! status         counts, rollout state, conditions
//! events         ECS's sentences
//! event_kind     what they are about
//! ```

mod avoided_zones;
mod bounds;
mod daemon;
mod deployments;
mod event_kind;
mod events;
mod history;
mod image_digests;
mod launches;
mod progress;
mod rebalance;
mod rolling;
mod scale_in;
mod slots;
mod status;
mod stopped;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::names::{RevisionName, TaskId, TaskKey, Uid};
use crate::api::{ContainerImage, Deployment as DeploymentStatus, DerivedSecret, RolloutState, ServiceStatus};
use crate::domain::Plan;
use crate::domain::facts::{NodeTasks, ServiceTasks, StopCause, TaskChange, TaskFact};
use crate::domain::resolve::service::{ResolvedService, Scheduling};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::secrets::derived::{Derived, DerivedName};
use crate::domain::secrets::task_secrets::TaskSecrets;
use bounds::Bounds;
use daemon::DaemonNodes;
use deployments::{Deployment, Deployments};
use rebalance::Rebalancing;
use rolling::{Moves, Old, Phase, Rollout};
use scale_in::ScaleIn;
use status::{Findings, Obstacle};
use view::{DeploymentTasks, Stopped, View};

pub use event_kind::{EventKind, Telling};
pub use view::Nodes;

/// Most tasks that one pass starts; the next one goes on. ECS's own limit, 500 tasks a minute and service, is not kept: it
/// protects AWS's API, and here the API server's priority and fairness does that.
const STARTS_MAX: usize = 500;

/// A write to the tasks of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stop a task: its pod is deleted with its grace period.
    StopTask(Stop),
    /// Stop a healthy task whose node drains: somebody else may be taking tasks from it, within the disruption budgets that there
    /// are. So it is asked for as they do. It may be refused, and nothing that the plan starts counts on it.
    EvictTask(Stop),
    /// Remove the pod of a task that has stopped by itself and is on record.
    ForgetTask {
        /// The pod.
        pod: String,
        /// Its uid.
        uid: Uid,
    },
    /// Start a task.
    StartTask(Start),
    /// Make an object that tasks take from, or bring it up to date. It is there before the tasks that start are.
    MakeSecret(Derived),
    /// Give up an object that no task of the service takes from any more.
    GiveUpSecret(DerivedName),
}

/// A task to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The pod.
    pub pod: String,
    /// Its uid: another pod of the same name is left alone.
    pub uid: Uid,
    /// The version at which the stop is right, where that matters: a task that is not healthy may be stopped below the floor,
    /// but not if it became healthy in the meantime.
    pub resource_version: Option<String>,
    /// Why.
    pub cause: StopCause,
}

impl Stop {
    fn whatever_its_state(task: &TaskFact, cause: StopCause) -> Self {
        Self { pod: task.pod.clone(), uid: task.uid.clone(), resource_version: None, cause }
    }

    /// What there is to tell once it is done.
    pub fn change(&self) -> TaskChange {
        let zone = match &self.cause {
            StopCause::Rebalancing { zone } => Some(zone.clone()),
            StopCause::Scaling
            | StopCause::HealthCheck
            | StopCause::Targets { .. }
            | StopCause::AgentDisconnected
            | StopCause::Draining
            | StopCause::PlacementConstraint
            | StopCause::Ended
            | StopCause::Unknown => None,
        };
        TaskChange { task: TaskId::of_pod(&self.pod), zone }
    }

    fn as_long_as_unchanged(task: &TaskFact, cause: StopCause) -> Self {
        Self { resource_version: Some(task.resource_version.clone()), ..Self::whatever_its_state(task, cause) }
    }
}

/// A task to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Which.
    pub key: TaskKey,
    /// What it runs.
    pub revision: RevisionName,
    /// The images by digest, where its deployment is pinned already.
    pub images: Arc<[ContainerImage]>,
    /// What it takes from Secrets and ConfigMaps: all of it is there, or is made before the task is.
    pub secrets: Arc<TaskSecrets>,
    /// The node it is for, in a DAEMON service.
    pub node: Option<String>,
    /// The Availability Zone it is for, where it is started to balance the zones.
    pub zone: Option<Arc<str>>,
    /// Whether its place is one that the stops of the same plan make: it may not begin before they are through. Others may go
    /// beside the stops.
    pub on_freed_place: bool,
}

/// What was observed of a service.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The service's uid.
    pub uid: &'a Uid,
    /// The service's name, as ECS's sentences have it.
    pub name: &'a str,
    /// The name of the `Service` object, as the labels of its pods have it.
    pub object_name: &'a str,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Whether its deletion has been asked for.
    pub deleting: bool,
    /// Its spec, with what it refers to looked up.
    pub service: &'a ResolvedService,
    /// What can be started.
    pub definitions: &'a BTreeMap<RevisionName, Arc<ResolvedTaskDefinition>>,
    /// Its status as last written.
    pub status: &'a ServiceStatus,
    /// Its tasks.
    pub tasks: &'a ServiceTasks,
    /// The nodes.
    pub nodes: &'a Nodes,
    /// What runs on each node. Looked up where [`ResolvedService::looks_at_node_tasks`].
    pub node_tasks: &'a BTreeMap<String, NodeTasks>,
}

/// Plans one pass over a service.
pub fn plan(seen: &Observed<'_>, now: Timestamp) -> Plan<Action, ServiceStatus> {
    let mut view = View::new(seen.tasks, &seen.status.stopped_tasks, seen.nodes, seen.service.health_periods, now);
    let daemon_nodes = |deployments: &Deployments| match &seen.service.scheduling {
        Scheduling::Replica => None,
        Scheduling::Daemon { constraints } => {
            let definition = deployments.primary().and_then(|primary| seen.definitions.get(&primary.revision));
            Some(DaemonNodes::new(seen.nodes, seen.node_tasks, constraints, definition.map(Arc::as_ref)))
        }
    };
    let bounds = |daemon: Option<&DaemonNodes<'_>>| {
        let desired = match daemon {
            _ if seen.deleting => 0,
            Some(nodes) => u32::try_from(nodes.eligible(&view).len()).unwrap_or(u32::MAX),
            None => seen.service.desired_count,
        };
        Bounds::new(desired, seen.service.minimum_healthy_percent, seen.service.maximum_percent)
    };
    let unrecorded = stopped::unrecorded(&view, seen.status);
    let unrecorded: Vec<&Stopped<'_>> = unrecorded.iter().collect();

    let mut deployments = Deployments::of(seen, &view, now);
    let before = bounds(daemon_nodes(&deployments).as_ref());
    let settled = progress::advance(&mut deployments, seen, &view, &unrecorded, before, now);
    let daemon = daemon_nodes(&deployments);
    let bounds = bounds(daemon.as_ref());
    let phase = progress::phase(&deployments, seen, now);
    let primary = deployments.primary().map(|primary| primary.id);
    let none = DeploymentTasks::default();
    let of_primary = primary.and_then(|primary| view.deployments.get(&primary)).unwrap_or(&none);
    let avoided = avoided_zones::find(seen, of_primary, &unrecorded, now);
    let rebalancing = Rebalancing::of(seen, &deployments, &view, phase, bounds, &avoided, now);
    let periods = seen.service.health_periods;
    let is_awaited = |task: &TaskFact| rebalancing.as_ref().is_some_and(|zones| zones.awaits(task));
    let is_late = |task: &TaskFact| seen.service.rebalances_zones && avoided_zones::is_late(task, periods, now);
    view.set_aside(bounds.desired, is_awaited, is_late);
    let tasks_of = |deployment: &Deployment| view.deployments.get(&deployment.id).unwrap_or(&none);
    let new = deployments.primary().map_or(&none, tasks_of);
    let order = ScaleIn::new(&seen.service.strategies, seen.nodes, seen.node_tasks, &view, now);

    let is_counted = |task: &TaskFact| {
        let id = task.task_id().to_string();
        seen.status.deployments.iter().any(|known| known.launches.unhealthy_tasks.contains(&id))
    };
    let moves = match (&daemon, deployments.primary()) {
        _ if seen.deleting => drain(&view),
        // Nothing has ever been deployed: there is nothing to hold on to and nothing to start.
        (_, None) => Moves::default(),
        (Some(nodes), Some(_)) => daemon::moves(nodes, bounds, phase, new, &view, &is_counted, &order),
        (None, Some(primary)) => {
            let known = deployments.active.iter();
            let known = known.map(|old| Old {
                tasks: tasks_of(old),
                proven: old.is(RolloutState::Completed) || old.has_succeeded(&seen.status.service_deployments),
                throttled: old.is_throttled(now),
                held: old.held(),
            });
            let unknown =
                view.all_but(Some(primary.id)).filter(|(id, _)| deployments.active.iter().all(|old| old.id != *id));
            let old = known.chain(unknown.map(|(_, tasks)| Old { tasks, proven: false, throttled: false, held: None }));
            let rebalancing = rebalancing.as_ref();
            let (old, held) = (old.collect(), primary.held());
            Rollout { bounds, phase, new, held, old, is_counted: &is_counted, order: &order, rebalancing }.moves()
        }
    };

    let mut actions = stopped::actions(&view, seen.status);
    let free_places = if daemon.is_some() { 0 } else { free_places(bounds, &view) };
    let starts = starts(seen, &deployments, &view, &moves, free_places);
    actions.extend(of_secrets(seen, &deployments, &starts));
    let others = moves.stop_others.iter().map(|(task, cause)| Stop::as_long_as_unchanged(task, cause.clone()));
    actions.extend(others.map(Action::StopTask));
    let healthy = moves.stop_healthy.iter().map(|(task, cause)| Stop::whatever_its_state(task, cause.clone()));
    actions.extend(healthy.map(Action::StopTask));
    actions.extend(starts.into_iter().map(Action::StartTask));
    let evicted = moves.evict.iter().map(|task| Stop::whatever_its_state(task, StopCause::Draining));
    actions.extend(evicted.map(Action::EvictTask));

    let obstacle = obstacle(&deployments, &view, bounds, phase, &moves, &order);
    let is_steady = |zones: &Rebalancing<'_>| obstacle.is_none() && zones.is_steady(new, bounds);
    let findings = Findings {
        seen,
        deployments: &deployments,
        view: &view,
        bounds,
        phase,
        moves: &moves,
        rebalancing: rebalancing.as_ref(),
        avoided: &avoided,
        unrecorded: &unrecorded,
        settled: settled || rebalancing.as_ref().is_some_and(is_steady),
        obstacle,
        now,
    };
    let status = findings.status();
    let left = view.deployments.values().any(DeploymentTasks::has_pods);
    let crowded = stopped::is_crowded(&view, &status.stopped_tasks)
        .then(|| now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now));
    let next_attempt = deployments.iter().filter_map(Deployment::next_attempt_at).filter(|at| *at > now).min();
    let zone_retried_at = avoided.iter().map(|zone| zone.retry_at.0).min();
    let late_at = new.arriving.iter().chain(&new.unready).filter_map(|task| avoided_zones::late_at(task, periods));
    let task_late_at = late_at.min();
    let wakes = [crowded, view.changes_at, next_attempt, order.changes_at(), zone_retried_at, task_late_at];
    let wake_at = wakes.into_iter().flatten().min();
    Plan { actions, status, hold: !seen.deleting || left, wake_at }
}

/// Whether a change of status has to be written before the plan that comes with it is performed: a deployment begins, becomes
/// PRIMARY, or is found by its tasks alone; or something is made for the tasks.
///
/// The write is refused to whoever has decided from an older status. So two operators of which one is late never both hold
/// their own deployment to be the one that is wanted, and stop each other's tasks.
pub fn is_told_first(before: &ServiceStatus, after: &ServiceStatus) -> bool {
    let is_known = |deployment: &DeploymentStatus| {
        before.deployments.iter().any(|known| known.id == deployment.id && known.status == deployment.status)
    };
    // What is made for tasks stands in status before it is: whenever the operator ends, its successor knows what to give up.
    let made = |derived: &DerivedSecret| before.derived_secrets.iter().any(|known| known.name == derived.name);
    !(after.deployments.iter().all(is_known) && after.derived_secrets.iter().all(made))
}

/// How many tasks may start whatever becomes of the stops. None while a task that has failed still has to be stopped: it has lost
/// its slot already, and until it is stopped it may be there beside the one that takes the slot.
fn free_places(bounds: Bounds, view: &View<'_>) -> usize {
    let mut stopped = view.deployments.values().flat_map(|tasks| &tasks.stopped);
    if stopped.any(|stopped| stopped.end.others_running) {
        return 0;
    }
    bounds.ceiling.saturating_sub(view.active())
}

/// The tasks to start, each with its name: those that keep an older deployment up, which the service lacks now, and those of the
/// PRIMARY one. So many places are free before anything is stopped.
fn starts(
    seen: &Observed<'_>,
    deployments: &Deployments,
    view: &View<'_>,
    moves: &Moves<'_>,
    free_places: usize,
) -> Vec<Start> {
    let none = DeploymentTasks::default();
    let mut starts = Vec::new();
    let node_slots = if moves.start_on.is_empty() { BTreeMap::new() } else { daemon::slots(seen.nodes) };
    let counts = std::iter::once(moves.start).chain(moves.restore.iter().copied());
    let counts: Vec<_> = deployments.iter().zip(counts).collect();
    for (deployment, count) in counts.into_iter().rev() {
        let definition = seen.definitions.get(&deployment.revision).filter(|_| seen.service.has_cluster);
        let secrets =
            definition.and_then(|definition| seen.service.secrets.task_secrets(&deployment.revision, definition));
        let Some(secrets) = secrets else { continue };
        let tasks = view.deployments.get(&deployment.id).unwrap_or(&none);
        let images: Arc<[ContainerImage]> = deployment.images().into();
        let start = |key| Start {
            key,
            revision: deployment.revision.clone(),
            images: images.clone(),
            secrets: secrets.clone(),
            node: None,
            zone: None,
            on_freed_place: true,
        };
        let is_primary = deployments.is_primary(deployment);
        let zones = if is_primary { &moves.start_in[..] } else { &[] };
        let zones = std::iter::repeat_n(None, count).chain(zones.iter().map(|zone| Some(Arc::from(*zone))));
        let zones: Vec<Option<Arc<str>>> = zones.take(STARTS_MAX).collect();
        let keys = slots::vacant(deployment.id, tasks, &deployment.used_attempts, zones.len());
        starts.extend(keys.into_iter().zip(zones).map(|(key, zone)| Start { zone, ..start(key) }));
        if is_primary {
            let nodes = moves.start_on.iter().filter_map(|node| Some((node, *node_slots.get(node.as_str())?)));
            let key = |slot| slots::in_slot(deployment.id, &deployment.used_attempts, slot);
            let on_node = |(node, slot): (&String, u32)| Start { node: Some(node.clone()), ..start(key(slot)) };
            starts.extend(nodes.take(STARTS_MAX).map(on_node));
        }
    }
    starts.iter_mut().take(free_places).for_each(|start| start.on_freed_place = false);
    starts
}

/// The objects to make and to give up. What is missing for a deployment that fails in this very pass, and may fail for that, is made
/// for nobody any more.
fn of_secrets(seen: &Observed<'_>, deployments: &Deployments, starts: &[Start]) -> Vec<Action> {
    if seen.deleting {
        return Vec::new();
    }
    let is_needed = |derived: &&Derived| {
        deployments.ended.is_none() || starts.iter().any(|start| start.secrets.derived.contains(*derived))
    };
    let made = seen.service.secrets.make.iter().filter(is_needed).cloned().map(Action::MakeSecret);
    made.chain(seen.service.secrets.give_up.iter().cloned().map(Action::GiveUpSecret)).collect()
}

/// What keeps the service from its steady state, where nothing that is under way will change it.
fn obstacle(
    deployments: &Deployments,
    view: &View<'_>,
    bounds: Bounds,
    phase: Phase,
    moves: &Moves<'_>,
    order: &ScaleIn<'_>,
) -> Option<Obstacle> {
    if !moves.is_empty() {
        return None;
    }
    let on_the_way = |tasks: &DeploymentTasks<'_>| tasks.arriving.len().saturating_add(tasks.creating.len());
    let on_the_way: usize = view.deployments.values().map(on_the_way).sum();
    let active = view.active().saturating_sub(on_the_way);
    let healthy: usize = view.deployments.values().map(DeploymentTasks::counted).sum();
    let primary = deployments.primary().map(|primary| primary.id);
    let old: usize = view.all_but(primary).map(|(_, tasks)| tasks.active()).sum();
    let starting: usize = view.deployments.values().map(DeploymentTasks::starting).sum();
    if active > bounds.desired && healthy > bounds.floor && order.protected() > 0 {
        return Some(Obstacle::Protected);
    }
    let draining: usize = view.deployments.values().map(|tasks| tasks.draining.len()).sum();
    if old.saturating_add(draining) > 0 && !bounds.can_replace() {
        return Some(Obstacle::Blocked);
    }
    // Where nothing may start beside a protected task, it has no replacement that could wait for it.
    let is_in_the_way = old > 0 && starting == 0 && phase == Phase::Going && order.protected() > 0;
    is_in_the_way.then_some(Obstacle::Protected)
}

/// Deleting a service stops its tasks, with no floor.
fn drain<'a>(view: &View<'a>) -> Moves<'a> {
    let mut moves = Moves::default();
    for tasks in view.deployments.values() {
        let counted = tasks.healthy.iter().chain(&tasks.draining);
        moves.stop_healthy.extend(counted.map(|task| (*task, StopCause::Scaling)));
        let others = [&tasks.warming, &tasks.unhealthy, &tasks.stranded].into_iter().flatten().copied();
        moves.stop_others.extend(others.chain(tasks.idle()).map(|task| (task, StopCause::Scaling)));
    }
    moves
}
