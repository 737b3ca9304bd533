//! Slots: how a gap in a deployment becomes a name.
//!
//! A deployment of `n` tasks has slots 0, 1, 2, …; each holds one task at a time, and its attempt counts the tasks that it has
//! held. Service, deployment, slot and attempt make the pod's name. Two leaders that see the same gap therefore try to create
//! the same pod, and so does an operator that was killed between a create and its status write.
//!
//! The attempt comes from the pods that can be seen. Once the last pod of a slot has gone, only status remembers how far its
//! count had come: [`SlotAttempts`].

use std::collections::BTreeSet;

use crate::api::names::{DeploymentId, TaskKey};
use crate::domain::service::view::DeploymentTasks;

/// More tasks than any service has (ECS allows 5,000).
const SLOTS_MAX: usize = 1_000_000;

/// An attempt for each of some slots: the highest of the tasks that have ended, or the one that something is known of. Kept in
/// status as ranges: `0-3:1` says that the slots 0 to 3 have each held one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotAttempts(Vec<SlotAttempt>);

/// By slot; each slot once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SlotAttempt {
    slot: u32,
    attempt: u32,
}

impl SlotAttempt {
    fn of(task: TaskKey) -> Self {
        Self { slot: task.slot, attempt: task.attempt }
    }
}

impl SlotAttempts {
    /// Reads the ranges in status. What does not read as a range is left out: a person has edited it.
    pub(super) fn parse(ranges: &[String]) -> Self {
        let range = |text: &String| -> Option<(u32, u32, u32)> {
            let (slots, attempt) = text.split_once(':')?;
            let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
            Some((first.parse().ok()?, last.parse().ok()?, attempt.parse().ok()?))
        };
        let ranges = ranges.iter().filter_map(range);
        let slots =
            ranges.flat_map(|(first, last, attempt)| (first..=last).map(move |slot| SlotAttempt { slot, attempt }));
        // A person may have written anything; it is to cost no memory.
        Self::of(slots.take(SLOTS_MAX).collect())
    }

    /// Of several attempts in a slot the highest.
    fn of(mut slots: Vec<SlotAttempt>) -> Self {
        // What is ordered already, as nearly all of it is, costs one look at each.
        slots.sort();
        slots.dedup_by(|later, kept| {
            let same = later.slot == kept.slot;
            if same {
                kept.attempt = later.attempt;
            }
            same
        });
        Self(slots)
    }

    /// The ranges for status.
    pub(super) fn to_ranges(&self) -> Vec<String> {
        let mut ranges: Vec<(u32, u32, u32)> = Vec::new();
        for &SlotAttempt { slot, attempt } in &self.0 {
            match ranges.last_mut() {
                Some((_, last, same)) if *same == attempt && last.checked_add(1) == Some(slot) => *last = slot,
                _ => ranges.push((slot, slot, attempt)),
            }
        }
        let text = |(first, last, attempt)| {
            if first == last { format!("{first}:{attempt}") } else { format!("{first}-{last}:{attempt}") }
        };
        ranges.into_iter().map(text).collect()
    }

    /// The same after a pass: tasks that ended are entered.
    pub(super) fn after(mut self, tasks: &DeploymentTasks<'_>) -> Self {
        self.0.extend(tasks.ended().map(|ended| SlotAttempt::of(ended.key)));
        Self::of(self.0)
    }

    /// Enters one task.
    pub(super) fn enter(&mut self, task: TaskKey) {
        self.0.push(SlotAttempt::of(task));
        *self = Self::of(std::mem::take(&mut self.0));
    }

    /// Whether this very task is entered.
    pub(super) fn has(&self, task: TaskKey) -> bool {
        self.attempt(task.slot) == Some(task.attempt)
    }

    fn attempt(&self, slot: u32) -> Option<u32> {
        let at = self.0.binary_search_by_key(&slot, |of| of.slot).ok()?;
        self.0.get(at).map(|of| of.attempt)
    }

    fn next(&self, slot: u32) -> u32 {
        self.attempt(slot).unwrap_or(0).saturating_add(1)
    }
}

/// The keys of `count` new tasks: the lowest slots that no active task holds, each with its next attempt. In `used` is what has ended.
pub(super) fn vacant(
    deployment: DeploymentId,
    tasks: &DeploymentTasks<'_>,
    used: &SlotAttempts,
    count: usize,
) -> Vec<TaskKey> {
    if count == 0 {
        return Vec::new();
    }
    let taken: BTreeSet<u32> = tasks.active_keys().map(|key| key.slot).collect();
    let key = |slot| TaskKey { deployment, slot, attempt: used.next(slot) };
    (0..u32::MAX).filter(|slot| !taken.contains(slot)).take(count).map(key).collect()
}

/// The key of a new task in a given slot.
pub(super) fn in_slot(deployment: DeploymentId, used: &SlotAttempts, slot: u32) -> TaskKey {
    TaskKey { deployment, slot, attempt: used.next(slot) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::{Presence, TaskFact};
    use crate::domain::service::testing::{healthy_task, task_key};

    fn ended(slot: u32, attempt: u32) -> TaskFact {
        TaskFact { presence: Presence::Gone, ..healthy_task(task_key(1, slot, attempt)) }
    }

    fn keys(tasks: &DeploymentTasks<'_>, used: &[&str], count: usize) -> Vec<(u32, u32)> {
        let used: Vec<String> = used.iter().map(|range| (*range).to_owned()).collect();
        let keys = vacant(DeploymentId(1), tasks, &SlotAttempts::parse(&used).after(tasks), count);
        keys.into_iter().map(|key| (key.slot, key.attempt)).collect()
    }

    #[test]
    fn new_tasks_take_the_lowest_slots_that_no_active_task_holds() {
        let (first, third) = (healthy_task(task_key(1, 0, 1)), healthy_task(task_key(1, 2, 1)));
        let tasks = DeploymentTasks {
            healthy: vec![&first, &third],
            creating: vec![task_key(1, 1, 1)],
            ..DeploymentTasks::default()
        };
        assert_eq!(keys(&tasks, &[], 2), [(3, 1), (4, 1)]);
    }

    #[test]
    fn a_slot_never_uses_an_attempt_twice() {
        let (gone, active) = (ended(0, 2), healthy_task(task_key(1, 1, 3)));
        let tasks = DeploymentTasks { healthy: vec![&active], leaving: vec![&gone], ..DeploymentTasks::default() };
        assert_eq!(keys(&tasks, &["0:1", "2-3:4"], 3), [(0, 3), (2, 5), (3, 5)]);
    }

    #[test]
    fn status_remembers_the_tasks_that_ended_as_ranges_of_slots() {
        let (gone, again) = (ended(5, 1), ended(2, 7));
        let tasks = DeploymentTasks { leaving: vec![&gone, &again], ..DeploymentTasks::default() };
        let used = SlotAttempts::parse(&["0-4:1".to_owned(), "not a range".to_owned()]).after(&tasks);
        assert_eq!(used.to_ranges(), ["0-1:1", "2:7", "3-5:1"]);
        assert_eq!(SlotAttempts::parse(&used.to_ranges()), used);
    }
}
