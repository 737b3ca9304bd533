//! What is remembered of an object between its passes.

use std::time::Duration;

use crate::api::names::Uid;
use crate::shell::cache::Urgency;

/// First and longest wait after a pass that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));
/// The same where something else had written first: the answer to that is another look.
const CONFLICT_BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// The passes over one object.
#[derive(Debug, Clone)]
pub(super) struct Passes {
    pub(super) uid: Uid,
    /// What its status has been told about an object that cannot be read.
    pub(super) unreadable: Option<String>,
    /// How many passes have failed in a row.
    failures: u32,
    /// Whether the watch has shown a version during a write of ours, which may be the one that this has made.
    held: bool,
    /// Whether a pass during a write has left something to tell.
    untold: bool,
}

impl Passes {
    pub(super) fn of(uid: Uid) -> Self {
        Self { uid, unreadable: None, failures: 0, held: false, untold: false }
    }

    /// How many passes have failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// A pass, or the write of its status, has failed.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// A pass has come to its end.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A pass during a write has left something to tell.
    pub(super) fn leave_untold(&mut self) {
        self.untold = true;
    }

    /// How soon the object wants a pass when the watch shows a version of it: `ours` is the one that our last write of its status
    /// has made, and says nothing new. After a failure an answer to it would be the end of all waiting; while another write is on
    /// its way, it cannot be known yet whether the version is ours.
    pub(super) fn urgency(&mut self, ours: bool, is_writing: bool) -> Option<Urgency> {
        if self.failures > 0 {
            self.held |= !ours && is_writing;
            if ours || self.held {
                return None;
            }
        }
        Some(if ours { Urgency::Soon } else { Urgency::Now })
    }

    /// Whether something has come meanwhile, now that a write is through: a version that is newer than the one written, or
    /// something to tell.
    pub(super) fn is_overtaken(&mut self, is_newer: bool) -> bool {
        let (held, untold) = (std::mem::take(&mut self.held), std::mem::take(&mut self.untold));
        untold || (held && is_newer)
    }
}

/// How long to wait after so many failures in a row: longer each time.
pub(super) fn backoff(failures: u32, is_conflict: bool) -> Duration {
    let (first, longest) = if is_conflict { CONFLICT_BACKOFF } else { BACKOFF };
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_failures(failures: u32) -> Passes {
        let mut passes = Passes::of(Uid("uid".to_owned()));
        (0..failures).for_each(|_| passes.failed());
        passes
    }

    #[test]
    fn a_version_of_somebody_else_wants_a_pass_at_once_and_our_own_says_nothing_new() {
        for (failures, ours, is_writing, expected) in [
            (0, false, false, Some(Urgency::Now)),
            (0, false, true, Some(Urgency::Now)),
            (0, true, false, Some(Urgency::Soon)),
            (1, false, false, Some(Urgency::Now)),
            // After a failure our own would be the end of all waiting,
            (1, true, false, None),
            // and whether this one is our own is known when the write is through.
            (1, false, true, None),
        ] {
            let found = after_failures(failures).urgency(ours, is_writing);
            assert_eq!(found, expected, "{failures} failures, ours: {ours}, writing: {is_writing}");
        }
    }

    #[test]
    fn a_version_that_came_during_a_write_is_looked_at_after_it_unless_it_is_the_one_written() {
        for (is_newer, overtaken) in [(true, true), (false, false)] {
            let mut passes = after_failures(1);
            assert_eq!(passes.urgency(false, true), None);
            assert_eq!(passes.is_overtaken(is_newer), overtaken);
            assert!(!passes.is_overtaken(true), "once");
        }
        assert!(!after_failures(1).is_overtaken(true), "none has come");
    }

    #[test]
    fn what_a_pass_has_left_to_tell_is_told_after_the_write_and_once() {
        let mut passes = after_failures(0);
        passes.leave_untold();
        assert!(passes.is_overtaken(false));
        assert!(!passes.is_overtaken(false));
    }

    #[test]
    fn an_object_that_fails_waits_longer_each_time_and_a_conflict_is_looked_at_soon() {
        let waits = |failures, is_conflict| backoff(failures, is_conflict).as_millis();
        assert_eq!(
            [1, 2, 3, 7, 8, 99].map(|failures| waits(failures, false)),
            [500, 1000, 2000, 32_000, 60_000, 60_000]
        );
        assert_eq!([1, 2, 3, 8, 9, 99].map(|failures| waits(failures, true)), [20, 40, 80, 2560, 5000, 5000]);
        let mut passes = after_failures(3);
        passes.succeeded();
        assert_eq!(passes.failures(), 0);
    }
}
