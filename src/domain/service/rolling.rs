//! The rolling update of a REPLICA service: which tasks to stop and how many to start in one pass.
//!
//! Start-first wherever the ceiling leaves room, stop-first down to the floor where it does not. Scale-out, scale-in, the
//! replacement of unhealthy tasks and the draining of nodes are the same arithmetic and draw on the same floor and ceiling, so
//! that together they cannot add up to an outage.

mod holding;

use crate::domain::facts::{StopCause, TaskFact};
use crate::domain::service::bounds::Bounds;
use crate::domain::service::rebalance::Rebalancing;
use crate::domain::service::scale_in::ScaleIn;
use crate::domain::service::view::{DeploymentTasks, is_running};
use holding::{held, present};

/// What one pass does to the tasks of a service.
#[derive(Debug, Default)]
pub(super) struct Moves<'a> {
    /// Healthy tasks to stop: there is one too many of each, or its place is needed.
    pub(super) stop_healthy: Vec<(&'a TaskFact, StopCause)>,
    /// Healthy tasks to evict: their nodes drain.
    pub(super) evict: Vec<&'a TaskFact>,
    /// Tasks to stop that do not count towards the floor. Right only while that is so.
    pub(super) stop_others: Vec<(&'a TaskFact, StopCause)>,
    /// How many tasks of the PRIMARY deployment to start.
    pub(super) start: usize,
    /// The Availability Zones to start a task of it in besides, so that they become even.
    pub(super) start_in: Vec<&'a str>,
    /// How many tasks of each older deployment to start, in the order of [`Rollout::old`].
    pub(super) restore: Vec<usize>,
    /// The nodes to start a task of the PRIMARY deployment on, in a DAEMON service.
    pub(super) start_on: Vec<String>,
    /// How many tasks the deployments hold: the PRIMARY one while it is paused, and each older one that had completed, in the order
    /// of [`Rollout::old`], while the service is below its floor or the PRIMARY one replaces nothing.
    pub(super) held: Vec<Option<usize>>,
}

impl Moves<'_> {
    /// Whether tasks of each deployment are to start, the PRIMARY one first.
    pub(super) fn starting(&self) -> impl Iterator<Item = bool> + '_ {
        let primary = self.start > 0 || !self.start_in.is_empty() || !self.start_on.is_empty();
        std::iter::once(primary).chain(self.restore.iter().map(|count| *count > 0))
    }

    /// Whether nothing is stopped or started.
    pub(super) fn is_empty(&self) -> bool {
        let restored = self.restore.iter().all(|count| *count == 0);
        restored
            && self.start == 0
            && self.start_in.is_empty()
            && self.start_on.is_empty()
            && self.stop_healthy.is_empty()
            && self.evict.is_empty()
            && self.stop_others.is_empty()
    }
}

/// What a deployment may do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Start tasks and replace old ones.
    Going,
    /// Replace old tasks, but start none yet: too many starts have failed.
    Throttled,
    /// Hold what there is: replace the tasks that are lost, and no others.
    Paused,
    /// Both: hold what there is, and wait with what is lost.
    PausedAndThrottled,
    /// Start nothing and replace nothing: "the deployment stalls" until somebody acts. Older ones are kept up to the floor.
    Failed,
}

impl Phase {
    fn replaces_old(self) -> bool {
        matches!(self, Self::Going | Self::Throttled)
    }

    fn is_paused(self) -> bool {
        matches!(self, Self::Paused | Self::PausedAndThrottled)
    }
}

/// A deployment that is being replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Old<'a, 't> {
    pub(super) tasks: &'t DeploymentTasks<'a>,
    /// Whether it had completed: its revision is known to work, and a task of it that fails may be replaced by another one.
    pub(super) proven: bool,
    /// Whether it has to wait before it starts another task: its tasks fail again and again.
    pub(super) throttled: bool,
    /// How many tasks it holds, as status has it.
    pub(super) held: Option<usize>,
}

/// A service between two states.
pub(super) struct Rollout<'a, 't> {
    pub(super) bounds: Bounds,
    /// What the PRIMARY deployment may do.
    pub(super) phase: Phase,
    /// Its tasks.
    pub(super) new: &'t DeploymentTasks<'a>,
    /// How many of them it holds, as status has it, if it was paused.
    pub(super) held: Option<usize>,
    /// All others, newest first.
    pub(super) old: Vec<Old<'a, 't>>,
    /// Whether an unhealthy task has been counted as failed: before, it stays.
    pub(super) is_counted: &'t dyn Fn(&TaskFact) -> bool,
    /// In which order tasks are stopped.
    pub(super) order: &'t ScaleIn<'t>,
    /// Where tasks of the PRIMARY deployment move, if they may.
    pub(super) rebalancing: Option<&'t Rebalancing<'a>>,
}

/// The counts that a pass works on, as they are after its own stops.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// RUNNING or PENDING.
    active: usize,
    /// Healthy.
    healthy: usize,
    /// Healthy, or on the way there and passing.
    serving: usize,
    /// How many more tasks are to go, as soon as the floor allows.
    unwanted: usize,
}

impl<'a> Rollout<'a, '_> {
    /// Decides one pass.
    ///
    /// Worked example, 4 tasks at 50/100 percent (floor 2, ceiling 4): stop 2 old, start 2 new; when those are healthy stop the
    /// other 2 and start 2. At 100/200 (floor 4, ceiling 8): start 4, then stop one old task for each new one that is healthy.
    pub(super) fn moves(&self) -> Moves<'a> {
        let held = self.phase.is_paused().then(|| held(self.held, self.new));
        let mut moves = Moves { restore: vec![0; self.old.len()], held: vec![held], ..Moves::default() };
        self.stop_what_never_ran(&mut moves);
        let at_once = moves.stop_others.len();
        let active = self.all().map(DeploymentTasks::active).sum::<usize>().saturating_sub(at_once);
        let is_new = |task: &TaskFact| self.new.idle().any(|idle| idle.key == task.key);
        let stopped_new = moves.stop_others.iter().filter(|(task, _)| is_new(task));
        let surplus = self.seen().saturating_sub(stopped_new.count());
        let missing = self.missing();
        let room = self.bounds.ceiling.saturating_sub(active);
        let limit = if self.phase.replaces_old() { self.bounds.desired } else { self.bounds.ceiling };
        let wanted_active = active.saturating_sub(self.new.arriving.len());
        let mut counts = Counts {
            active,
            healthy: self.all().map(DeploymentTasks::counted).sum(),
            serving: self.all().map(DeploymentTasks::serving).sum(),
            unwanted: wanted_active.saturating_sub(limit).max(missing.saturating_sub(room)),
        };
        if self.phase.replaces_old() {
            self.scale_in(surplus.saturating_sub(self.bounds.desired), &mut counts, &mut moves);
        }
        self.stop_unhealthy(missing.saturating_sub(room), &mut counts, &mut moves);
        self.stop_old(&mut counts, &mut moves);
        if !self.phase.replaces_old() {
            self.keep_below_ceiling(&mut counts, &mut moves);
        }
        moves.start = missing.min(self.bounds.ceiling.saturating_sub(counts.active));
        counts.active = counts.active.saturating_add(moves.start);
        self.restore(&mut counts, &mut moves);
        if let Some(rebalancing) = self.rebalancing.filter(|_| self.phase == Phase::Going) {
            let room = self.bounds.ceiling.saturating_sub(counts.active);
            moves.start_in = rebalancing.starts(self.new, self.bounds, room);
        }
        moves
    }

    /// The tasks of the PRIMARY deployment that there are to be, as far as they can be seen. What is being created cannot be stopped
    /// yet; for a task that is to take its place in another zone, no other is stopped before it is healthy.
    fn seen(&self) -> usize {
        self.new.kept().saturating_sub(self.new.creating.len())
    }

    fn all(&self) -> impl Iterator<Item = &DeploymentTasks<'a>> {
        std::iter::once(self.new).chain(self.old.iter().map(|old| old.tasks))
    }

    /// Tasks to be replaced, in the order in which they go: those of the oldest deployment first, then by slot. What comes and goes
    /// elsewhere does not change it.
    fn oldest_first<'s>(
        &'s self,
        list: impl Fn(&'s DeploymentTasks<'a>) -> &'s Vec<&'a TaskFact> + 's,
    ) -> impl Iterator<Item = &'a TaskFact> + 's {
        self.old.iter().rev().flat_map(move |old| list(old.tasks)).copied()
    }

    /// How many tasks the PRIMARY deployment lacks and may start: for its lost tasks and for all that are on nodes that drain.
    ///
    /// ECS does not say which deployment replaces the tasks of a node that drains in the middle of a rollout. It is the PRIMARY
    /// one, since a task of the old revision would be replaced again at once. Where that may start nothing they stay, and
    /// `kubectl drain` waits as it does for a budget.
    fn missing(&self) -> usize {
        let missing = self.bounds.desired.saturating_sub(self.new.kept());
        match self.phase {
            Phase::Going => missing,
            Phase::Paused => missing.min(held(self.held, self.new).saturating_sub(present(self.new))),
            Phase::Throttled | Phase::PausedAndThrottled | Phase::Failed => 0,
        }
    }

    /// Tasks that no one would miss: surplus ones and old ones that do not run yet. "Service tasks on the container instance
    /// that are in the PENDING state are stopped immediately" when it drains.
    fn stop_what_never_ran(&self, moves: &mut Moves<'a>) {
        let stranded = self.all().flat_map(|tasks| &tasks.stranded);
        // Others have waited in their zone in vain.
        let drains = |task: &TaskFact| task.node.is_some() && (task.zone.is_none() || !is_running(task));
        let cause = |task: &TaskFact| if drains(task) { StopCause::Draining } else { StopCause::Scaling };
        moves.stop_others.extend(stranded.map(|task| (*task, cause(task))));
        if !self.phase.replaces_old() {
            return;
        }
        let surplus = self.seen().saturating_sub(self.bounds.desired);
        // From the highest slot down, so that slots stay contiguous.
        let of_new = self.new.idle().filter(|task| self.may_stop(task)).take(surplus);
        moves.stop_others.extend(of_new.map(|task| (task, StopCause::Scaling)));
        let healthy: usize = self.all().map(DeploymentTasks::counted).sum();
        let mut needed = self.bounds.floor.saturating_sub(healthy);
        for old in &self.old {
            let idle = old.tasks.idle().count();
            let kept = if old.proven { needed.min(idle) } else { 0 };
            needed = needed.saturating_sub(kept);
            let stopped = old.tasks.idle().filter(|task| self.may_stop(task)).take(idle.saturating_sub(kept));
            moves.stop_others.extend(stopped.map(|task| (task, StopCause::Scaling)));
        }
    }

    /// A task that does no work at the moment may have done some, and be protected while its containers start again. One that is
    /// PENDING cannot be.
    fn may_stop(&self, task: &TaskFact) -> bool {
        !is_running(task) || !self.order.is_protected(task)
    }

    /// Scale-in: running tasks of the PRIMARY deployment beyond the desired count.
    fn scale_in(&self, surplus: usize, counts: &mut Counts, moves: &mut Moves<'a>) {
        let warming = self.order.first(surplus, self.new.warming.clone());
        let before = moves.stop_others.len();
        moves.stop_others.extend(warming.into_iter().map(|task| (task, StopCause::Scaling)));
        let stopped = moves.stop_others.len().saturating_sub(before);
        counts.stop(stopped);
        let surplus = surplus.saturating_sub(stopped);
        let allowed = surplus.min(counts.healthy.saturating_sub(self.bounds.floor));
        for task in self.order.first(allowed, self.new.healthy.clone()) {
            counts.stop_healthy(vec![task], self.scale_in_cause(task), moves);
        }
    }

    /// While the zones are made even, that is what a task has to go for.
    fn scale_in_cause(&self, task: &TaskFact) -> StopCause {
        let zone = self.rebalancing.and_then(|rebalancing| rebalancing.left_zone(task));
        zone.map_or(StopCause::Scaling, |zone| StopCause::Rebalancing { zone: zone.into() })
    }

    /// "If the scheduler can start the replacement first, it stops the unhealthy task once the replacement is HEALTHY, or one of
    /// the two if it is UNHEALTHY as well. If maximumPercent does not allow that, it stops one unhealthy task at a time." While
    /// a deployment replaces old tasks anyway, its starts are the replacements. Which of several goes first ECS does not say:
    /// those of older deployments do, then those of the lower slots.
    fn stop_unhealthy(&self, lacking_room: usize, counts: &mut Counts, moves: &mut Moves<'a>) {
        let unhealthy: usize = self.all().map(|tasks| tasks.unhealthy.len()).sum();
        let replaced = counts.healthy.saturating_add(unhealthy).saturating_sub(self.bounds.desired);
        let starting = self.all().any(|tasks| tasks.starting() > 0);
        let old = self.old.iter().flat_map(|old| &old.tasks.unhealthy).copied().filter(|task| (self.is_counted)(task));
        let old: Vec<_> = old.take(replaced.max(lacking_room).min(counts.unwanted)).collect();
        counts.stop_unhealthy(old.len());
        let replaced = replaced.saturating_sub(old.len());
        let in_place = usize::from(lacking_room > 0 && !starting && old.is_empty());
        let counted = self.new.unhealthy.iter().copied().filter(|task| (self.is_counted)(task));
        let new = counted.take(replaced.max(in_place).min(counts.unwanted));
        let new: Vec<_> = new.collect();
        counts.stop_unhealthy(new.len());
        moves.stop_others.extend(old.into_iter().chain(new).map(|task| (task, task.unhealthy_cause())));
    }

    /// Tasks that run and are to be replaced go when they are surplus, or when the ceiling leaves no room for all that is to
    /// start: those that have not shown yet that they are healthy, those on nodes that drain, the others.
    fn stop_old(&self, counts: &mut Counts, moves: &mut Moves<'a>) {
        let floor = self.bounds.floor;
        if self.phase.replaces_old() {
            // A task in its first 40 seconds does not count towards the floor, but it serves.
            let allowed = counts.unwanted.min(counts.serving.saturating_sub(floor));
            let warming = self.order.in_turn(allowed, self.oldest_first(|tasks| &tasks.warming));
            counts.stop(warming.len());
            moves.stop_others.extend(warming.into_iter().map(|task| (task, StopCause::Scaling)));
        }
        // "Task scale-in protection … does not protect from the termination of an instance."
        let allowed = counts.unwanted.min(counts.healthy.saturating_sub(floor));
        moves.evict = self.all().flat_map(|tasks| &tasks.draining).copied().take(allowed).collect();
        counts.evict(moves.evict.len());
        if self.phase.replaces_old() {
            let allowed = counts.unwanted.min(counts.healthy.saturating_sub(floor));
            let healthy = self.order.in_turn(allowed, self.oldest_first(|tasks| &tasks.healthy));
            counts.stop_healthy(healthy, StopCause::Scaling, moves);
        }
    }
}

impl Counts {
    /// Tasks in their first 40 seconds go.
    fn stop(&mut self, count: usize) {
        self.stop_unhealthy(count);
        self.serving = self.serving.saturating_sub(count);
    }

    /// Unhealthy tasks go: they have not been serving.
    fn stop_unhealthy(&mut self, count: usize) {
        self.active = self.active.saturating_sub(count);
        self.unwanted = self.unwanted.saturating_sub(count);
    }

    /// An eviction may be refused: the place of the task is not free before it is gone.
    fn evict(&mut self, count: usize) {
        self.healthy = self.healthy.saturating_sub(count);
        self.serving = self.serving.saturating_sub(count);
        self.unwanted = self.unwanted.saturating_sub(count);
    }

    fn stop_healthy<'a>(&mut self, tasks: Vec<&'a TaskFact>, cause: StopCause, moves: &mut Moves<'a>) {
        self.evict(tasks.len());
        self.active = self.active.saturating_sub(tasks.len());
        moves.stop_healthy.extend(tasks.into_iter().zip(std::iter::repeat(cause)));
    }
}
