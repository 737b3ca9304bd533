//! What is remembered of an object between its passes.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;

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
    /// What people had written of the object when the last of them failed.
    failed_on: Option<Authored>,
    /// Whether the watch has shown a version of somebody else since, which nobody has looked at for that.
    missed: bool,
    /// Whether a pass during a write has left something to tell.
    untold: bool,
}

impl Passes {
    pub(super) fn of(uid: Uid) -> Self {
        Self { uid, unreadable: None, failures: 0, failed_on: None, missed: false, untold: false }
    }

    /// How many passes have failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// A pass, or the write of its status, has failed.
    pub(super) fn failed(&mut self, on: Authored) {
        self.failures = self.failures.saturating_add(1);
        self.failed_on = Some(on);
    }

    /// A pass has come to its end.
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.failed_on) = (0, None);
        self.untold |= std::mem::take(&mut self.missed);
    }

    /// A pass during a write has left something to tell.
    pub(super) fn leave_untold(&mut self) {
        self.untold = true;
    }

    /// How soon the object wants a pass when the watch shows it again. A version that is `ours` says nothing new. One that fails
    /// waits its time, whoever writes its status, be it another operator: what people write is what may help it.
    pub(super) fn urgency(&mut self, object: &impl ResourceExt, ours: bool) -> Option<Urgency> {
        let waits = self.failed_on.as_ref().is_some_and(|failed_on| *failed_on == Authored::of(object));
        self.missed |= waits && !ours;
        (!waits).then_some(if ours { Urgency::Soon } else { Urgency::Now })
    }

    /// Whether there is something to tell, or to look at, now that a pass or a write is through. Asked once.
    pub(super) fn take_untold(&mut self) -> bool {
        std::mem::take(&mut self.untold)
    }
}

/// What people write of an object: all but its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authored {
    uid: Option<String>,
    generation: Option<i64>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    finalizers: Vec<String>,
    deleting: bool,
}

impl Authored {
    pub(super) fn of(object: &impl ResourceExt) -> Self {
        Self {
            uid: object.uid(),
            generation: object.meta().generation,
            labels: object.labels().clone(),
            annotations: object.annotations().clone(),
            finalizers: object.finalizers().to_vec(),
            deleting: object.meta().deletion_timestamp.is_some(),
        }
    }
}

/// How long to wait after so many failures in a row: longer each time.
pub(super) fn backoff(failures: u32, is_conflict: bool) -> Duration {
    let (first, longest) = if is_conflict { CONFLICT_BACKOFF } else { BACKOFF };
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest)
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use super::*;

    /// An object with this metadata.
    fn object(metadata: &Value) -> DynamicObject {
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    /// So many passes over an object have failed.
    fn after_failures(failures: u32, metadata: &Value) -> Passes {
        let mut passes = Passes::of(Uid("uid".to_owned()));
        (0..failures).for_each(|_| passes.failed(Authored::of(&object(metadata))));
        passes
    }

    #[test]
    fn a_version_of_somebody_else_wants_a_pass_at_once_and_our_own_says_nothing_new() {
        let same = json!({ "generation": 1 });
        for (failures, ours, expected) in
            [(0, false, Some(Urgency::Now)), (0, true, Some(Urgency::Soon)), (1, false, None), (1, true, None)]
        {
            let mut passes = after_failures(failures, &same);
            assert_eq!(passes.urgency(&object(&same), ours), expected, "{failures} failures, ours: {ours}");
        }
    }

    #[test]
    fn an_object_that_fails_has_a_pass_before_its_time_when_people_have_written_something() {
        let before = json!({ "generation": 1, "annotations": { "a": "1" }, "finalizers": ["f"] });
        let mut passes = after_failures(3, &before);
        for (member, value) in [
            ("uid", json!("another")),
            ("generation", json!(2)),
            ("annotations", json!({ "a": "2" })),
            ("labels", json!({ "a": "1" })),
            ("finalizers", json!([])),
            ("deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ] {
            let mut after = before.clone();
            after[member] = value;
            assert_eq!(passes.urgency(&object(&after), false), Some(Urgency::Now), "{member}");
        }
        let mut status = before.clone();
        status["resourceVersion"] = json!("7");
        assert_eq!(passes.urgency(&object(&status), false), None, "its status alone");
        passes.succeeded();
        assert_eq!(passes.urgency(&object(&before), false), Some(Urgency::Now), "it does not fail any more");
    }

    #[test]
    fn what_somebody_else_wrote_while_an_object_failed_is_looked_at_once_it_does_not_fail_any_more() {
        for (ours, is_looked_at) in [(false, true), (true, false)] {
            let mut passes = after_failures(1, &json!({}));
            assert_eq!(passes.urgency(&object(&json!({ "resourceVersion": "7" })), ours), None);
            assert!(!passes.take_untold(), "it waits");
            passes.succeeded();
            assert_eq!(passes.take_untold(), is_looked_at, "ours: {ours}");
        }
    }

    #[test]
    fn what_a_pass_has_left_to_tell_is_told_once() {
        let mut passes = after_failures(0, &json!({}));
        passes.leave_untold();
        assert!(passes.take_untold());
        assert!(!passes.take_untold());
    }

    #[test]
    fn an_object_that_fails_waits_longer_each_time_and_a_conflict_is_looked_at_soon() {
        let waits = |failures, is_conflict| backoff(failures, is_conflict).as_millis();
        assert_eq!(
            [1, 2, 3, 7, 8, 99].map(|failures| waits(failures, false)),
            [500, 1000, 2000, 32_000, 60_000, 60_000]
        );
        assert_eq!([1, 2, 3, 8, 9, 99].map(|failures| waits(failures, true)), [20, 40, 80, 2560, 5000, 5000]);
    }
}
