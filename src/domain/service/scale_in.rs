//! Which tasks go first, where one is as good as the other for floor and ceiling.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::names::TaskId;
use crate::domain::facts::{NodeTasks, TaskFact};
use crate::domain::placement::node::NodeFact;
use crate::domain::placement::resources::Resources;
use crate::domain::placement::scale_in::{Candidate, Surroundings, stop_order};
use crate::domain::placement::strategy::Strategy;
use crate::domain::service::view::{DeploymentTasks, Nodes, View};

/// The order in which a service's tasks are given up, at a moment.
pub(super) struct ScaleIn<'a> {
    strategies: &'a [Strategy],
    nodes: &'a Nodes,
    view: &'a View<'a>,
    /// What is left of each node, where the strategies ask for it.
    room: BTreeMap<String, Resources>,
    now: Timestamp,
}

impl<'a> ScaleIn<'a> {
    pub(super) fn new(
        strategies: &'a [Strategy],
        nodes: &'a Nodes,
        node_tasks: &BTreeMap<String, NodeTasks>,
        view: &'a View<'a>,
        now: Timestamp,
    ) -> Self {
        let room = |(name, node): (&String, &NodeFact)| {
            let reserved = node_tasks.get(name).map(|tasks| tasks.reserved).unwrap_or_default();
            Some((name.clone(), node.allocatable?.minus(reserved)))
        };
        let room = if strategies.iter().any(Strategy::looks_at_room) {
            nodes.iter().filter_map(room).collect()
        } else {
            BTreeMap::new()
        };
        Self { strategies, nodes, view, room, now }
    }

    /// The first `count` of the tasks that may be stopped.
    pub(super) fn first<'t>(&self, count: usize, tasks: Vec<&'t TaskFact>) -> Vec<&'t TaskFact> {
        if count == 0 {
            return Vec::new();
        }
        let tasks: Vec<_> = tasks.into_iter().filter(|task| !task.is_protected(self.now)).collect();
        if tasks.len() <= count {
            return tasks;
        }
        let by_id: BTreeMap<TaskId, &TaskFact> = tasks.iter().map(|task| (task.task_id(), *task)).collect();
        let candidates: Vec<_> = by_id
            .iter()
            .map(|(id, task)| Candidate { task: id, node: self.node(task), reserves: task.reserves })
            .collect();
        let chosen: BTreeSet<&str> = tasks.iter().map(|task| task.pod.as_str()).collect();
        let others = self.view.deployments.values().flat_map(DeploymentTasks::seen_active);
        let staying: Vec<_> =
            others.filter(|task| !chosen.contains(task.pod.as_str())).filter_map(|task| self.node(task)).collect();
        let around = Surroundings { strategies: self.strategies, staying: &staying, room: &self.room };
        let order = stop_order(&candidates, &around);
        order.into_iter().take(count).filter_map(|id| by_id.get(id).copied()).collect()
    }

    /// The first `count` of the tasks that may be stopped, in the order given.
    ///
    /// For tasks that will all be replaced. Which of them go first depends on no other task, so two operators that see the service
    /// at different moments stop the beginnings of one list: both together stop no more than the one that has seen more healthy
    /// tasks may.
    pub(super) fn in_turn<'t>(&self, count: usize, tasks: impl Iterator<Item = &'t TaskFact>) -> Vec<&'t TaskFact> {
        tasks.filter(|task| !task.is_protected(self.now)).take(count).collect()
    }

    /// Whether neither scale-in nor a deployment may stop a task.
    pub(super) fn is_protected(&self, task: &TaskFact) -> bool {
        task.is_protected(self.now)
    }

    /// How many tasks are protected.
    pub(super) fn protected(&self) -> usize {
        self.active().filter(|task| task.is_protected(self.now)).count()
    }

    /// When the next protection expires.
    pub(super) fn changes_at(&self) -> Option<Timestamp> {
        self.active().filter_map(|task| task.protected_until).filter(|until| *until > self.now).min()
    }

    fn active(&self) -> impl Iterator<Item = &TaskFact> {
        self.view.deployments.values().flat_map(DeploymentTasks::seen_active)
    }

    fn node(&self, task: &TaskFact) -> Option<&'a NodeFact> {
        self.nodes.get(task.node.as_deref()?)
    }
}
