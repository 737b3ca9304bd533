//! The rolling update: which tasks to stop and how many to start in one pass.
//!
//! Start-first wherever the ceiling leaves room, stop-first down to the floor where it does not. Scale-out and scale-in are the
//! same arithmetic with no old tasks.

use crate::domain::facts::{DeploymentTasks, TaskFact};
use crate::domain::service::bounds::Bounds;

/// What one pass does to the tasks of a service.
#[derive(Debug, Default)]
pub(super) struct Moves<'a> {
    /// Healthy tasks to stop: there is one too many of each, or its place is needed.
    pub(super) stop_healthy: Vec<&'a TaskFact>,
    /// Tasks to stop that do not count towards the floor. Right only while that is so.
    pub(super) stop_unhealthy: Vec<&'a TaskFact>,
    /// How many tasks of the new deployment to start.
    pub(super) start: usize,
}

/// Decides one pass. `new` are the tasks of the PRIMARY deployment, `old` those of all others.
///
/// Worked example, 4 tasks at 50/100 percent (floor 2, ceiling 4): stop 2 old, start 2 new; when those are healthy stop the
/// other 2 and start 2. At 100/200 (floor 4, ceiling 8): start 4, then stop one old task for each new one that is healthy.
pub(super) fn moves<'a>(bounds: Bounds, new: &DeploymentTasks<'a>, old: &[&DeploymentTasks<'a>]) -> Moves<'a> {
    let old_active: usize = old.iter().map(|tasks| tasks.active()).sum();
    let old_healthy: usize = old.iter().map(|tasks| tasks.healthy.len()).sum();
    let mut active = new.active().saturating_add(old_active);
    let mut budget = new.healthy.len().saturating_add(old_healthy).saturating_sub(bounds.floor);
    let mut moves = Moves::default();

    // Scale-in, the tasks that no one would miss first; then by slot from the top, so that slots stay contiguous.
    let surplus = new.active().saturating_sub(bounds.desired);
    moves.stop_unhealthy.extend(new.unhealthy.iter().rev().take(surplus));
    let surplus = surplus.saturating_sub(moves.stop_unhealthy.len()).min(budget);
    moves.stop_healthy.extend(new.healthy.iter().rev().take(surplus));
    budget = budget.saturating_sub(moves.stop_healthy.len());

    // Old tasks that are not healthy add nothing to the floor, and would only block the rollout.
    moves.stop_unhealthy.extend(old.iter().flat_map(|tasks| &tasks.unhealthy));
    active = active.saturating_sub(moves.stop_unhealthy.len()).saturating_sub(moves.stop_healthy.len());

    // Healthy old tasks go when they are surplus, or when the ceiling leaves no room for all that is to start.
    let missing = bounds.desired.saturating_sub(new.active());
    let room = bounds.ceiling.saturating_sub(active);
    let unwanted = active.saturating_sub(bounds.desired).max(missing.saturating_sub(room));
    let stops = old.iter().flat_map(|tasks| &tasks.healthy).take(unwanted.min(budget));
    let before = moves.stop_healthy.len();
    moves.stop_healthy.extend(stops);
    active = active.saturating_sub(moves.stop_healthy.len().saturating_sub(before));

    moves.start = missing.min(bounds.ceiling.saturating_sub(active));
    moves
}
