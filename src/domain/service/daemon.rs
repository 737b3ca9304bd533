//! The DAEMON scheduling strategy: "exactly one task on each active container instance that meets all of the task placement
//! constraints".
//!
//! `maximumPercent` is 100, so an update stops the old task of a node before it starts the new one, on as many nodes at once as
//! the floor allows. With 10 nodes at 80 percent, two are without a task at most.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Toleration;

use crate::domain::facts::{NodeTasks, Presence, StopCause, TaskFact};
use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::node::{Instance, NodeFact};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::service::bounds::Bounds;
use crate::domain::service::rolling::{Moves, Phase};
use crate::domain::service::scale_in::ScaleIn;
use crate::domain::service::view::{DeploymentTasks, Nodes, View, is_running};

/// The nodes of a DAEMON service.
#[derive(Debug)]
pub(super) struct DaemonNodes<'n> {
    nodes: &'n Nodes,
    /// Those of the service and those of what it runs.
    constraints: [&'n [Constraint]; 2],
    tolerations: &'n [Toleration],
    /// What runs on them.
    tasks: &'n BTreeMap<String, NodeTasks>,
}

impl<'n> DaemonNodes<'n> {
    /// The nodes of a service that has `constraints` of its own and runs what `definition` says. That is the one of the PRIMARY
    /// deployment, whatever the service asks for: after a rollback, or while that cannot be run, its tasks stay where they may be.
    pub(super) fn new(
        nodes: &'n Nodes,
        tasks: &'n BTreeMap<String, NodeTasks>,
        constraints: &'n [Constraint],
        definition: Option<&'n ResolvedTaskDefinition>,
    ) -> Self {
        let of_definition = definition.map_or(&[][..], |definition| &definition.platform.constraints);
        let tolerations = definition.map_or(&[][..], |definition| &definition.extension.given.tolerations);
        Self { nodes, constraints: [constraints, of_definition], tolerations, tasks }
    }

    /// The nodes that are to have a task: those that take one, and those in trouble that have one.
    pub(super) fn eligible(&self, view: &View<'_>) -> BTreeSet<&'n str> {
        let active = view.deployments.values().flat_map(DeploymentTasks::seen_active);
        let taken: BTreeSet<&str> = active.filter_map(|task| task.pinned_to.as_deref()).collect();
        let stays = |name: &str, node: &NodeFact| !node.is_draining() && taken.contains(name);
        let eligible = |(name, node): &(&'n String, &'n NodeFact)| {
            self.satisfied_by(node) && (node.takes_new_tasks(self.tolerations) || stays(name, node))
        };
        self.nodes.iter().filter(eligible).map(|(name, _)| name.as_str()).collect()
    }

    /// Whether the node of a task is in touch: of one that is not nobody knows how its task does.
    fn is_connected(&self, task: &TaskFact) -> bool {
        let node = task.pinned_to.as_deref().and_then(|node| self.nodes.get(node));
        node.is_some_and(NodeFact::is_agent_connected)
    }

    /// Why a task is not to stay on a node.
    fn leaves(&self, node: &str) -> Option<StopCause> {
        match self.nodes.get(node) {
            None => Some(StopCause::Draining),
            // "Constraints are evaluated for running tasks, too; tasks that do not meet them are stopped."
            Some(found) if !self.satisfied_by(found) => Some(StopCause::PlacementConstraint),
            // "Daemon tasks are stopped after replica tasks".
            Some(found) if found.is_draining() && !self.tasks.get(node).is_some_and(|tasks| tasks.has_replicas) => {
                Some(StopCause::Draining)
            }
            Some(_) => None,
        }
    }

    fn satisfied_by(&self, node: &NodeFact) -> bool {
        let idle = NodeTasks::default();
        let tasks = self.tasks.get(&node.name).unwrap_or(&idle);
        let instance = Instance { node, task_groups: &tasks.task_groups, running_tasks: tasks.tasks };
        self.constraints.iter().copied().flatten().all(|constraint| constraint.admits(&instance))
    }
}

/// Decides one pass.
pub(super) fn moves<'a>(
    nodes: &DaemonNodes<'_>,
    bounds: Bounds,
    phase: Phase,
    primary: &DeploymentTasks<'a>,
    view: &View<'a>,
    is_counted: &dyn Fn(&TaskFact) -> bool,
    order: &ScaleIn<'_>,
) -> Moves<'a> {
    let mut moves = Moves::default();
    let current: BTreeSet<&str> = primary.all().map(|task| task.pod.as_str()).collect();
    let mut stopping: BTreeSet<&str> = BTreeSet::new();
    let (mut healthy, mut warming) = (0_usize, 0_usize);
    for tasks in view.deployments.values() {
        for task in tasks.seen_active() {
            if let Some(cause) = task.pinned_to.as_deref().and_then(|node| nodes.leaves(node)) {
                moves.stop_others.push((task, cause));
                stopping.insert(&task.pod);
            }
        }
        let staying = |list: &Vec<&TaskFact>| list.iter().filter(|task| !stopping.contains(task.pod.as_str())).count();
        healthy = healthy.saturating_add(staying(&tasks.healthy)).saturating_add(staying(&tasks.draining));
        warming = warming.saturating_add(staying(&tasks.warming));
    }
    let mut budget = healthy.saturating_sub(bounds.floor);
    // A task in its first 40 seconds does not count towards the floor, but it serves.
    let mut serving = healthy.saturating_add(warming).saturating_sub(bounds.floor);

    // Here a task is stopped before its successor is started: where none may be started, none is stopped.
    let (replaces, starts) = (phase == Phase::Going, matches!(phase, Phase::Going | Phase::Paused));
    let is_old = |task: &&TaskFact| !current.contains(task.pod.as_str()) && !stopping.contains(task.pod.as_str());
    for tasks in view.deployments.values() {
        if starts {
            let is_sick = |task: &&TaskFact| {
                is_counted(task) && nodes.is_connected(task) && !stopping.contains(task.pod.as_str())
            };
            let sick = tasks.unhealthy.iter().copied().filter(is_sick);
            moves.stop_others.extend(sick.map(|task| (task, task.unhealthy_cause())));
        }
        if replaces {
            let warming = order.in_turn(serving, tasks.warming.iter().copied().filter(is_old));
            serving = serving.saturating_sub(warming.len());
            let idle = tasks.idle().filter(|task| is_old(task) && (!is_running(task) || !order.is_protected(task)));
            let idle = idle.chain(warming);
            moves.stop_others.extend(idle.map(|task| (task, StopCause::Scaling)));
            let old = order.in_turn(budget, tasks.healthy.iter().copied().filter(is_old));
            budget = budget.saturating_sub(old.len());
            moves.stop_healthy.extend(old.into_iter().map(|task| (task, StopCause::Scaling)));
        }
    }
    if starts {
        moves.start_on = vacant(nodes, view);
    }
    moves
}

/// The nodes that are to have a task and have none, not even one that is still stopping: two would fight over the node's ports.
fn vacant(nodes: &DaemonNodes<'_>, view: &View<'_>) -> Vec<String> {
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for tasks in view.deployments.values() {
        let there = tasks.all().filter(|task| task.presence != Presence::Gone);
        taken.extend(there.filter_map(|task| task.pinned_to.as_deref()));
    }
    let creating: BTreeSet<u32> =
        view.deployments.values().flat_map(|tasks| &tasks.creating).map(|key| key.slot).collect();
    let slots = slots(nodes.nodes);
    let eligible = nodes.eligible(view);
    let free = eligible.iter().filter(|node| !taken.contains(**node));
    free.filter(|node| slots.get(**node).is_none_or(|slot| !creating.contains(slot)))
        .map(|node| (*node).to_owned())
        .collect()
}

/// The slot of each node: a number made of its name, so that two leaders mean the same task by it. Of two nodes whose numbers
/// collide, the one that comes later in the alphabet takes the next one that is free.
pub(super) fn slots(nodes: &Nodes) -> BTreeMap<&str, u32> {
    let mut taken = BTreeSet::new();
    let mut slots = BTreeMap::new();
    for name in nodes.keys() {
        let mut slot = crate::api::names::short_number(name);
        while !taken.insert(slot) {
            slot = slot.wrapping_add(1);
        }
        slots.insert(name.as_str(), slot);
    }
    slots
}
