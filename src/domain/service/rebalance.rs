//! Availability Zone rebalancing: where zones have become uneven, a task is started in the emptiest one, and once it is healthy one
//! is stopped in the fullest.
//!
//! "Amazon ECS monitors the distribution of tasks across Availability Zones and starts rebalancing when it is uneven. It starts
//! after the service has reached a steady state; a deployment, or protected tasks, stop it." It draws on the room between what is
//! desired and the ceiling, and its stops are those of scale-in, within the floor.
//!
//! Worked example, 6 tasks at 100/200 percent, 4 in `a`, 2 in `b` and none in `c`, where a node has come back: 2 tasks start in `c`;
//! as each becomes healthy, one in `a` stops.
//!
//! ECS leaves open what becomes of a zone without room. Here its task waits for as long as any task that no node takes waits for its
//! launch to fail (an autoscaler may yet add a node), is stopped then, and the zone is left alone for an hour.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{FullZone, RolloutState, ZoneRebalancing};
use crate::domain::facts::{NodeTasks, TaskFact};
use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::node::{AVAILABILITY_ZONE, Instance, NodeFact};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::service::Observed;
use crate::domain::service::bounds::Bounds;
use crate::domain::service::deployments::Deployments;
use crate::domain::service::rolling::Phase;
use crate::domain::service::view::{DeploymentTasks, Nodes, View};

/// How long a zone is left alone that had no room for a task.
const FULL_FOR: SignedDuration = SignedDuration::from_hours(1);

/// The zones of a service that may be rebalanced at the moment.
#[derive(Debug)]
pub(super) struct Rebalancing<'a> {
    zones: Zones<'a>,
    /// Zones that have had no room.
    full: Vec<FullZone>,
    /// Whether status tells of it already.
    has_begun: bool,
    nodes: &'a Nodes,
    now: Timestamp,
}

/// How evenly the tasks are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balance {
    /// "Each zone has the same number of tasks, or one more."
    Even,
    /// Tasks move, or will once a zone has room again.
    Uneven,
    /// The tasks that would have to go are protected.
    Protected,
    /// It is not known before every task is healthy again.
    Unsettled,
}

/// How many tasks of a service each zone has.
#[derive(Debug, Clone, Default)]
struct Zones<'a>(BTreeMap<&'a str, Zone>);

#[derive(Debug, Clone, Copy, Default)]
struct Zone {
    /// Those that are healthy, or arrive.
    tasks: usize,
    /// Those that may go.
    movable: usize,
    /// Whether it may get another one.
    is_open: bool,
}

impl<'a> Rebalancing<'a> {
    /// None where nothing may be moved: nobody has asked for it, or the service is not in the state that it begins from.
    pub(super) fn of(
        seen: &Observed<'a>,
        deployments: &Deployments,
        view: &View<'a>,
        phase: Phase,
        bounds: Bounds,
        now: Timestamp,
    ) -> Option<Self> {
        let primary = deployments.primary().filter(|primary| primary.is(RolloutState::Completed))?;
        let definition = seen.definitions.get(&primary.revision)?;
        let is_alone = view.all_but(Some(primary.id)).all(|(_, tasks)| tasks.active() == 0);
        let names_zone = |constraint: &Constraint| constraint.names(AVAILABILITY_ZONE);
        let may_begin = seen.service.rebalances_zones
            && !seen.deleting
            && matches!(phase, Phase::Going | Phase::Throttled)
            && bounds.ceiling > bounds.desired
            && is_alone
            && !definition.platform.constraints.iter().any(names_zone);
        if !may_begin {
            return None;
        }
        let before = seen.status.availability_zone_rebalancing.iter().flat_map(|before| &before.full_zones);
        let mut full: Vec<FullZone> = before.filter(|zone| zone.retry_at.0 > now).cloned().collect();
        let tasks = view.deployments.get(&primary.id)?;
        full.extend(unplaced(tasks, now).map(|zone| {
            let retry_at = now.saturating_add(FULL_FOR).unwrap_or(now);
            FullZone { zone: zone.to_owned(), retry_at: Time(retry_at) }
        }));
        full.sort_by(|one, other| one.zone.cmp(&other.zone));
        full.dedup_by(|one, other| one.zone == other.zone);
        let mut zones = Zones::open(seen.nodes, seen.node_tasks, definition);
        for zone in &full {
            if let Some(full) = zones.0.get_mut(zone.zone.as_str()) {
                full.is_open = false;
            }
        }
        for task in &tasks.healthy {
            // What is outside of all zones cannot be balanced between them.
            let zone = zones.0.entry(zone_of(task, seen.nodes)?).or_default();
            zone.tasks = zone.tasks.saturating_add(1);
            zone.movable = zone.movable.saturating_add(usize::from(!task.is_protected(now)));
        }
        let has_begun = seen.status.availability_zone_rebalancing.is_some();
        Some(Self { zones, full, has_begun, nodes: seen.nodes, now })
    }

    /// Whether tasks were moving before this pass.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether a task that is not healthy yet is on its way to a zone that can still have it.
    pub(super) fn awaits(&self, task: &TaskFact) -> bool {
        let zone = task.zone.as_deref().and_then(|zone| self.zones.0.get(zone));
        // One that a node has taken has found its place, however full the zone is now.
        zone.is_some_and(|zone| task.node.is_some() || zone.is_open)
    }

    /// The zones in which to start a task, `room` at most.
    pub(super) fn starts(&self, tasks: &DeploymentTasks<'_>, bounds: Bounds, room: usize) -> Vec<String> {
        let exact = tasks.healthy.len() == bounds.desired && tasks.creating.is_empty();
        if !exact || !is_steady(tasks, bounds) {
            return Vec::new();
        }
        let mut zones = self.settled(tasks, bounds);
        std::iter::from_fn(|| zones.move_one()).take(room).map(str::to_owned).collect()
    }

    /// How evenly the tasks are spread, those on their way included.
    pub(super) fn balance(&self, tasks: &DeploymentTasks<'_>, bounds: Bounds) -> Balance {
        if !is_steady(tasks, bounds) || !tasks.creating.is_empty() {
            return Balance::Unsettled;
        }
        let mut zones = self.settled(tasks, bounds);
        let is_moving = tasks.active() > bounds.desired;
        if is_moving || zones.clone().move_one().is_some() {
            return Balance::Uneven;
        }
        for zone in &self.full {
            zones.0.entry(&zone.zone).or_default().is_open = true;
        }
        if zones.clone().move_one().is_some() {
            return Balance::Uneven;
        }
        zones.0.values_mut().for_each(|zone| zone.movable = zone.tasks);
        if zones.move_one().is_some() { Balance::Protected } else { Balance::Even }
    }

    /// What status keeps of it.
    pub(super) fn status(&self) -> ZoneRebalancing {
        ZoneRebalancing { full_zones: self.full.clone() }
    }

    /// When the next zone may have room again.
    pub(super) fn changes_at(&self) -> Option<Timestamp> {
        self.full.iter().map(|zone| zone.retry_at.0).filter(|at| *at > self.now).min()
    }

    /// The healthy tasks of each zone, the fullest first.
    pub(super) fn healthy(&self) -> Vec<(&'a str, usize)> {
        let mut zones: Vec<_> = self.zones.0.iter().map(|(name, zone)| (*name, zone.tasks)).collect();
        zones.sort_by_key(|(name, tasks)| (Reverse(*tasks), *name));
        zones
    }

    /// The zone of a task.
    pub(super) fn zone_of(&self, task: &TaskFact) -> Option<&'a str> {
        zone_of(task, self.nodes)
    }

    /// The zones once the tasks that arrive are healthy and as many others have gone.
    fn settled(&self, tasks: &DeploymentTasks<'_>, bounds: Bounds) -> Zones<'a> {
        let mut zones = self.zones.clone();
        for task in &tasks.arriving {
            let zone = task.zone.as_deref().and_then(|zone| zones.0.get_mut(zone));
            if let Some(zone) = zone {
                zone.tasks = zone.tasks.saturating_add(1);
            }
        }
        let surplus = tasks.healthy.len().saturating_add(tasks.arriving.len()).saturating_sub(bounds.desired);
        for _ in 0..surplus {
            if let Some(fullest) = zones.fullest() {
                fullest.leave();
            }
        }
        zones
    }
}

/// Whether a service has every task that it should, and all of them are healthy.
pub(super) fn is_steady(tasks: &DeploymentTasks<'_>, bounds: Bounds) -> bool {
    let others = tasks.healthy.len().saturating_add(tasks.arriving.len()).saturating_add(tasks.creating.len());
    tasks.healthy.len() >= bounds.desired && tasks.active() == others
}

/// The zones in which no node has taken a task for so long that its launch has failed.
fn unplaced<'a>(tasks: &DeploymentTasks<'a>, now: Timestamp) -> impl Iterator<Item = &'a str> {
    tasks.not_launched(now).filter_map(|task| task.zone.as_deref())
}

fn zone_of<'a>(task: &TaskFact, nodes: &'a Nodes) -> Option<&'a str> {
    nodes.get(task.node.as_deref()?)?.attribute(AVAILABILITY_ZONE)
}

impl<'a> Zones<'a> {
    /// The zones in which there is a node that a task may be placed on. "On EC2, only existing instances are taken."
    fn open(nodes: &'a Nodes, node_tasks: &BTreeMap<String, NodeTasks>, definition: &ResolvedTaskDefinition) -> Self {
        let idle = NodeTasks::default();
        let takes = |node: &&NodeFact| {
            let tasks = node_tasks.get(&node.name).unwrap_or(&idle);
            let instance = Instance { node, task_groups: &tasks.task_groups, running_tasks: tasks.tasks };
            node.takes_new_tasks(&definition.extension.given.tolerations)
                && definition.platform.constraints.iter().all(|constraint| match constraint {
                    Constraint::DistinctInstance => true,
                    Constraint::MemberOf(expression) => expression.matches(&instance),
                })
        };
        let zones = nodes.values().filter(takes).filter_map(|node| node.attribute(AVAILABILITY_ZONE));
        Self(zones.map(|zone| (zone, Zone { is_open: true, ..Zone::default() })).collect())
    }

    /// The zone with most tasks, of those where one may go.
    fn fullest(&mut self) -> Option<&mut Zone> {
        self.0.values_mut().filter(|zone| zone.movable > 0).max_by_key(|zone| zone.tasks)
    }

    /// Moves a task from the fullest zone to the emptiest, if that makes them more even. Returns the emptiest.
    fn move_one(&mut self) -> Option<&'a str> {
        let open = self.0.iter().filter(|(_, zone)| zone.is_open);
        let (name, emptiest) = open.min_by_key(|(_, zone)| zone.tasks).map(|(name, zone)| (*name, zone.tasks))?;
        let fullest = self.fullest().filter(|fullest| fullest.tasks > emptiest.saturating_add(1))?;
        fullest.leave();
        let zone = self.0.get_mut(name)?;
        zone.tasks = zone.tasks.saturating_add(1);
        Some(name)
    }
}

impl Zone {
    /// One of its tasks goes.
    fn leave(&mut self) {
        self.tasks = self.tasks.saturating_sub(1);
        self.movable = self.movable.saturating_sub(1);
    }
}
