//! Deployments that hold what they have: those that are paused, that have failed, or that wait to be replaced.

use crate::domain::facts::{StopCause, TaskFact};
use crate::domain::service::rolling::{Counts, Moves, Phase, Rollout};
use crate::domain::service::view::DeploymentTasks;

impl<'a> Rollout<'a, '_> {
    /// A deployment that replaces nothing follows the desired count all the same: what is above the ceiling goes, down to the floor.
    /// Its own tasks do first, since those that it was to replace are known to work, and of each deployment those that do no work.
    pub(super) fn keep_below_ceiling(&self, counts: &mut Counts, moves: &mut Moves<'a>) {
        let own = self.stop_above_ceiling(self.new, counts, moves);
        if let Some(Some(held)) = moves.held.first_mut() {
            *held = held.saturating_sub(own);
        }
        for old in &self.old {
            self.stop_above_ceiling(old.tasks, counts, moves);
        }
    }

    /// Returns how many tasks it stops. The place of one that is evicted counts as free: what is above the ceiling goes once.
    fn stop_above_ceiling(&self, tasks: &DeploymentTasks<'a>, counts: &mut Counts, moves: &mut Moves<'a>) -> usize {
        let taken = self.bounds.ceiling.saturating_add(moves.evict.len());
        let excess = |counts: &Counts| counts.active.saturating_sub(taken);
        let idle: Vec<_> = tasks.idle().filter(|task| self.may_stop(task)).take(excess(counts)).collect();
        counts.stop_unhealthy(idle.len());
        let is_stopped = |task: &TaskFact| moves.stop_others.iter().any(|(stopped, _)| stopped.key == task.key);
        let sick = tasks.unhealthy.iter().copied().filter(|task| (self.is_counted)(task) && !is_stopped(task));
        let sick: Vec<_> = sick.take(excess(counts)).collect();
        counts.stop_unhealthy(sick.len());
        let allowed = excess(counts).min(counts.serving.saturating_sub(self.bounds.floor));
        let warming = self.order.in_turn(allowed, tasks.warming.iter().copied());
        counts.stop(warming.len());
        let allowed = excess(counts).min(counts.healthy.saturating_sub(self.bounds.floor));
        let healthy = self.order.in_turn(allowed, tasks.healthy.iter().copied());
        let stopped = [idle.len(), warming.len(), healthy.len()].iter().sum();
        counts.stop_healthy(healthy, StopCause::Scaling, moves);
        moves.stop_others.extend([idle, warming].into_iter().flatten().map(|task| (task, StopCause::Scaling)));
        moves.stop_others.extend(sick.into_iter().map(|task| (task, task.unhealthy_cause())));
        stopped
    }

    /// A failed task of an older deployment that had completed is replaced by one "of the same revision", where the service
    /// would otherwise stay below its floor: failures of the old revision do not wait for the new one to work. The PRIMARY
    /// deployment has the first claim on the room there is. What it took and cannot fill, because it has to wait before it starts
    /// more, or has failed, goes back: then the older one starts whatever the floor lacks, also what a scale-out has added to it.
    ///
    /// How many it has lost is remembered until the floor is reached again: a task that has failed can be seen until it is on
    /// record, and the next one may have to wait for room, or for the throttle, much longer. While the PRIMARY one replaces nothing
    /// it is remembered in any case, so that a service which was scaled to nothing finds back.
    pub(super) fn restore(&self, counts: &mut Counts, moves: &mut Moves<'a>) {
        let proven = || self.old.iter().filter(|old| old.proven).map(|old| old.tasks);
        let is_stopped = |task: &TaskFact| moves.stop_others.iter().any(|(stopped, _)| stopped.key == task.key);
        let coming = |tasks: &DeploymentTasks<'a>| {
            let idle = tasks.idle().filter(|task| !is_stopped(task)).count();
            idle.saturating_add(tasks.creating.len())
        };
        let of_old: usize = proven().map(coming).sum();
        // Those in their first 40 seconds serve: started beside them, an old task would be stopped again when it is as far.
        let mut short = self.bounds.floor.saturating_sub(counts.serving.saturating_add(of_old));
        let mut room = self.bounds.ceiling.saturating_sub(counts.active);
        let starting = proven().any(|tasks| coming(tasks) > 0 || !tasks.warming.is_empty());
        let sick = proven()
            .flat_map(|tasks| &tasks.unhealthy)
            .find(|task| !is_stopped(task) && (self.is_counted)(task))
            .copied();
        let of_new = coming(self.new).saturating_add(moves.start);
        if let Some(task) = sick.filter(|_| short > 0 && room == 0 && !starting) {
            moves.stop_others.push((task, task.unhealthy_cause()));
            room = self.bounds.ceiling.saturating_sub(counts.active.saturating_sub(1));
        }
        let is_low = counts.healthy < self.bounds.floor;
        for (old, restored) in self.old.iter().zip(&mut moves.restore) {
            let holds = match old.proven {
                false => None,
                true if is_low => Some(held(old.held, old.tasks)),
                true if self.phase.replaces_old() => None,
                true => Some(present(old.tasks)),
            };
            moves.held.push(holds);
            let Some(holds) = holds.filter(|_| !old.throttled) else { continue };
            let lost = holds.saturating_sub(present(old.tasks));
            let lacking = match self.phase {
                Phase::Going => lost,
                Phase::Paused => lost.max(short.saturating_sub(of_new)),
                Phase::Throttled | Phase::PausedAndThrottled | Phase::Failed => short,
            };
            *restored = lacking.min(short).min(room);
            short = short.saturating_sub(*restored);
            room = room.saturating_sub(*restored);
        }
    }
}

/// How many tasks a deployment holds: as many as it had when it began to hold them.
pub(super) fn held(before: Option<usize>, tasks: &DeploymentTasks<'_>) -> usize {
    before.unwrap_or_else(|| present(tasks).saturating_add(seen_to_be_lost(tasks)))
}

/// How many tasks of a deployment do their work, or may yet.
pub(super) fn present(tasks: &DeploymentTasks<'_>) -> usize {
    tasks.counted().saturating_add(tasks.starting())
}

/// How many tasks of a deployment have failed and can still be seen: unhealthy, exited, or taken away by somebody else.
fn seen_to_be_lost(tasks: &DeploymentTasks<'_>) -> usize {
    let taken = tasks.leaving.iter().filter(|task| task.stopped_for.is_none()).count();
    [tasks.unhealthy.len(), tasks.stopped.len(), tasks.ending.len(), taken].iter().sum()
}
