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
//! launch to fail (an autoscaler may yet add a node), and is stopped then.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{AvoidedZone, RolloutState};
use crate::domain::facts::TaskFact;
use crate::domain::placement::node::{AVAILABILITY_ZONE, Instance, NodeFact};
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::service::bounds::Bounds;
use crate::domain::service::deployments::Deployments;
use crate::domain::service::rolling::Phase;
use crate::domain::service::view::{DeploymentTasks, Nodes, View, is_unplaced};
use crate::domain::service::{Observed, STARTS_MAX, avoided_zones};
use crate::domain::task::HealthPeriods;

/// The zones of a service that may be rebalanced at the moment.
#[derive(Debug)]
pub(super) struct Rebalancing<'a> {
    zones: Zones<'a>,
    /// Whether status tells of it already.
    has_begun: bool,
    /// Whether it does, and nobody has asked for another number of tasks since: those beyond it have moved.
    goes_on: bool,
    nodes: &'a Nodes,
    periods: HealthPeriods,
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
    access: Access,
}

/// Whether tasks may come to a zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Access {
    /// It has no node for one.
    #[default]
    Closed,
    /// One has come to nothing.
    Avoided,
    /// One more was refused.
    NoMore,
    /// They may.
    Open,
}

impl<'a> Rebalancing<'a> {
    /// None where nothing may be moved: nobody has asked for it, or the service is not in the state that it begins from.
    pub(super) fn of(
        seen: &Observed<'a>,
        deployments: &Deployments,
        view: &View<'a>,
        phase: Phase,
        bounds: Bounds,
        avoided: &[AvoidedZone],
        now: Timestamp,
    ) -> Option<Self> {
        let primary = deployments.primary().filter(|primary| primary.is(RolloutState::Completed))?;
        let definition = seen.definitions.get(&primary.revision)?;
        let tasks = view.deployments.get(&primary.id)?;
        let may_begin = seen.service.rebalances_zones
            && !seen.deleting
            && matches!(phase, Phase::Going | Phase::Throttled)
            && view.all_but(Some(primary.id)).all(|(_, tasks)| tasks.active() == 0);
        if !may_begin {
            return None;
        }
        let mut zones = Zones::open(seen.nodes, definition);
        for zone in avoided {
            zones.avoid(zone);
        }
        for task in &tasks.healthy {
            // What is outside of all zones cannot be balanced between them.
            let zone = zones.0.entry(zone_of(task, seen.nodes)?).or_default();
            zone.tasks = zone.tasks.saturating_add(1);
            zone.movable = zone.movable.saturating_add(usize::from(!task.is_protected(now)));
        }
        let before = seen.status.availability_zone_rebalancing.as_ref();
        let has_begun = before.is_some_and(|before| before.in_progress);
        let desired = seen.status.desired_count.and_then(|desired| usize::try_from(desired).ok());
        let moved = tasks.healthy.iter().filter(|task| task.zone.is_some()).count();
        let surplus = tasks.healthy.len().saturating_sub(bounds.desired);
        let goes_on = has_begun && desired == Some(bounds.desired) && surplus <= moved;
        let periods = seen.service.health_periods;
        Some(Self { zones, has_begun, goes_on, nodes: seen.nodes, periods, now })
    }

    /// Whether a task that is not healthy yet is on its way to a zone that can still have it.
    pub(super) fn awaits(&self, task: &TaskFact) -> bool {
        let zone = task.zone.as_deref().and_then(|zone| self.zones.0.get(zone));
        // One that has found its place, or may yet, is not given up because the zone is closed to others.
        let may_arrive =
            zone.is_some_and(|zone| matches!(zone.access, Access::Open | Access::NoMore) || !is_unplaced(task));
        may_arrive && !avoided_zones::is_late(task, self.periods, self.now)
    }

    /// The zone in which a healthy task is one too many for no other reason than that another one has arrived.
    pub(super) fn left_zone(&self, task: &TaskFact) -> Option<&'a str> {
        zone_of(task, self.nodes).filter(|_| self.goes_on)
    }

    /// The zones in which to start a task, `room` at most.
    pub(super) fn starts(&self, tasks: &DeploymentTasks<'_>, bounds: Bounds, room: usize) -> Vec<&'a str> {
        if tasks.healthy.len() != bounds.desired || !has_only_healthy_and_arriving(tasks) {
            return Vec::new();
        }
        let mut zones = self.settled(tasks, bounds);
        std::iter::from_fn(|| zones.move_one()).take(room.min(STARTS_MAX)).collect()
    }

    /// How evenly the tasks are spread, those on their way included.
    pub(super) fn balance(&self, tasks: &DeploymentTasks<'_>, bounds: Bounds) -> Balance {
        if !self.has_moved_only(tasks, bounds) || !has_only_healthy_and_arriving(tasks) {
            return Balance::Unsettled;
        }
        let mut zones = self.settled(tasks, bounds);
        let is_moving = tasks.active() > bounds.desired;
        if is_moving || zones.clone().move_one().is_some() {
            return Balance::Uneven;
        }
        zones.reopen();
        if zones.clone().move_one().is_some() {
            return Balance::Uneven;
        }
        zones.0.values_mut().for_each(|zone| zone.movable = zone.tasks);
        if zones.move_one().is_some() { Balance::Protected } else { Balance::Even }
    }

    /// Whether every task is what it should be, but for those that were started to balance the zones, and those that have to go for
    /// them.
    pub(super) fn is_steady(&self, tasks: &DeploymentTasks<'_>, bounds: Bounds) -> bool {
        let others = [&tasks.warming, &tasks.unready, &tasks.unhealthy, &tasks.pending, &tasks.stranded];
        let ending = tasks.ending.iter().map(|stopped| stopped.task);
        let mut others = others.into_iter().flatten().copied().chain(ending);
        self.has_moved_only(tasks, bounds)
            && others.all(|task| task.zone.is_some())
            && tasks.draining.is_empty()
            && (self.has_begun || tasks.creating.is_empty())
    }

    /// Whether there are as many healthy tasks as there should be, or more because some have moved.
    fn has_moved_only(&self, tasks: &DeploymentTasks<'_>, bounds: Bounds) -> bool {
        let healthy = tasks.healthy.len();
        healthy == bounds.desired || (healthy > bounds.desired && self.goes_on)
    }

    /// The healthy tasks of each zone, the fullest first.
    pub(super) fn healthy(&self) -> Vec<(&'a str, usize)> {
        let mut zones: Vec<_> = self.zones.0.iter().map(|(name, zone)| (*name, zone.tasks)).collect();
        zones.sort_by_key(|(name, tasks)| (Reverse(*tasks), *name));
        zones
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

fn has_only_healthy_and_arriving(tasks: &DeploymentTasks<'_>) -> bool {
    tasks.active() == tasks.healthy.len().saturating_add(tasks.arriving.len())
}

fn zone_of<'a>(task: &TaskFact, nodes: &'a Nodes) -> Option<&'a str> {
    nodes.get(task.node.as_deref()?)?.attribute(AVAILABILITY_ZONE)
}

impl<'a> Zones<'a> {
    /// The zones in which there is a node that a task may be placed on.
    fn open(nodes: &'a Nodes, definition: &ResolvedTaskDefinition) -> Self {
        // The constraints of a definition ask nothing of what runs on a node.
        let idle = BTreeSet::new();
        let takes = |node: &&NodeFact| {
            let instance = Instance { node, task_groups: &idle, running_tasks: 0 };
            node.takes_new_tasks(&definition.extension.given.tolerations)
                && definition.platform.constraints.iter().all(|constraint| constraint.admits(&instance))
        };
        let zones = nodes.values().filter(takes).filter_map(|node| node.attribute(AVAILABILITY_ZONE));
        Self(zones.map(|zone| (zone, Zone { access: Access::Open, ..Zone::default() })).collect())
    }

    /// Keeps tasks away from a zone. What is on its way where only a start was refused goes on.
    fn avoid(&mut self, avoided: &AvoidedZone) {
        if let Some(zone) = self.0.get_mut(avoided.zone.as_str()) {
            zone.access = if avoided.refused { Access::NoMore } else { Access::Avoided };
        }
    }

    /// As if none were avoided.
    fn reopen(&mut self) {
        for zone in self.0.values_mut().filter(|zone| matches!(zone.access, Access::NoMore | Access::Avoided)) {
            zone.access = Access::Open;
        }
    }

    /// The zone with most tasks, of those where one may go.
    fn fullest(&mut self) -> Option<&mut Zone> {
        self.0.values_mut().filter(|zone| zone.movable > 0).max_by_key(|zone| zone.tasks)
    }

    /// Moves a task from the fullest zone to the emptiest, if that makes them more even. Returns the emptiest.
    fn move_one(&mut self) -> Option<&'a str> {
        let open = self.0.iter().filter(|(_, zone)| zone.access == Access::Open);
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
