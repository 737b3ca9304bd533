//! Our own writes to the tasks of a service that the watch has not shown yet. Each counts as done until it is known what became
//! of it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::names::{TaskKey, Uid};
use crate::domain::facts::{PendingWrites, StopCause};

/// How long a write may stay in flight before we look for ourselves what became of it.
const PENDING_FOR: Duration = Duration::from_secs(30);
/// How long to wait before looking what became of a write that got no clear answer.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// How long to wait before looking once more.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A write that has been in flight for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overdue {
    /// A create.
    Create {
        /// The pod.
        pod: String,
    },
    /// A delete.
    Delete {
        /// The pod.
        pod: String,
        /// Its uid.
        uid: Uid,
    },
}

impl Overdue {
    /// The pod that the write is about.
    pub fn pod(&self) -> &str {
        match self {
            Self::Create { pod } | Self::Delete { pod, .. } => pod,
        }
    }
}

/// Creates by the name of the pod, and deletes by its uid.
#[derive(Debug, Default)]
pub(super) struct WritesInFlight {
    creating: HashMap<String, Creating>,
    deleting: HashMap<Uid, Deleting>,
}

/// A create in flight. What the watch shows under the name may be a pod of before, which is long gone and has left the name: it is late.
#[derive(Debug)]
struct Creating {
    key: TaskKey,
    /// The uid of the pod that it has made, once that is known.
    made: Option<Uid>,
    /// The uids that the watch has shown under the name before.
    shown: Vec<Uid>,
    in_flight: InFlight,
}

/// A delete in flight.
#[derive(Debug)]
struct Deleting {
    pod: String,
    cause: StopCause,
    in_flight: InFlight,
}

/// Since when a write is in flight.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    since: Instant,
    /// The API server gave no clear answer: waiting for the watch may be in vain.
    uncertain: bool,
}

impl InFlight {
    fn now() -> Self {
        Self { since: Instant::now(), uncertain: false }
    }

    fn is_overdue(&self) -> bool {
        self.uncertain || self.since.elapsed() > PENDING_FOR
    }
}

impl WritesInFlight {
    /// As a plan counts them.
    pub(super) fn pending(&self) -> PendingWrites {
        PendingWrites {
            creates: self.creating.values().map(|creating| creating.key).collect(),
            deletes: self.deleting.keys().cloned().collect(),
        }
    }

    /// A create is about to be sent.
    pub(super) fn create(&mut self, pod: &str, key: TaskKey) {
        let creating = Creating { key, made: None, shown: Vec::new(), in_flight: InFlight::now() };
        self.creating.insert(pod.to_owned(), creating);
    }

    /// A create has certainly not happened.
    pub(super) fn not_created(&mut self, pod: &str) {
        self.creating.remove(pod);
    }

    /// A create has made a pod; `is_shown` is whether the watch has shown that, or its end.
    pub(super) fn created(&mut self, pod: &str, made: &Uid, is_shown: bool) {
        if let Some(creating) = self.creating.get_mut(pod) {
            if is_shown || creating.shown.contains(made) {
                self.creating.remove(pod);
            } else {
                creating.made = Some(made.clone());
            }
        }
    }

    /// The watch has shown a pod, or its end. Returns whether it is one that is being created, as far as is known.
    pub(super) fn show(&mut self, pod: &str, uid: &Uid) -> bool {
        let Some(creating) = self.creating.get_mut(pod) else { return false };
        match &creating.made {
            Some(made) if made == uid => {
                self.creating.remove(pod);
            }
            Some(_) => return false,
            None if creating.shown.contains(uid) => {}
            None => creating.shown.push(uid.clone()),
        }
        true
    }

    /// A delete is about to be sent.
    pub(super) fn delete(&mut self, pod: &str, uid: &Uid, cause: StopCause) {
        self.deleting.insert(uid.clone(), Deleting { pod: pod.to_owned(), cause, in_flight: InFlight::now() });
    }

    /// What became of a delete is known. Returns what it was for, if there was one.
    pub(super) fn settle_delete(&mut self, uid: &Uid) -> Option<StopCause> {
        self.deleting.remove(uid).map(|deleting| deleting.cause)
    }

    /// What became of all deletes of a pod is known, but not that of the one with the uid `but`.
    pub(super) fn settle_deletes(&mut self, pod: &str, but: Option<&Uid>) {
        self.deleting.retain(|uid, deleting| deleting.pod != pod || Some(uid) == but);
    }

    /// Why a task is being stopped, if it is.
    pub(super) fn stop_cause(&self, uid: &Uid) -> Option<&StopCause> {
        self.deleting.get(uid).map(|deleting| &deleting.cause)
    }

    /// The writes to a pod got no clear answer.
    pub(super) fn become_uncertain(&mut self, pod: &str) {
        let creating = self.creating.get_mut(pod).map(|creating| &mut creating.in_flight);
        let deleting = self.deleting.values_mut().filter(|deleting| deleting.pod == pod);
        for in_flight in creating.into_iter().chain(deleting.map(|deleting| &mut deleting.in_flight)) {
            in_flight.uncertain = true;
        }
    }

    /// Whether a task was asked to stop, and the API server has not said clearly whether it will: it may run on.
    pub(super) fn is_stop_uncertain(&self) -> bool {
        self.deleting.values().any(|deleting| deleting.in_flight.uncertain)
    }

    /// Those that have been in flight for too long.
    pub(super) fn overdue(&self) -> Vec<Overdue> {
        let creates = self.creating.iter().filter(|(_, creating)| creating.in_flight.is_overdue());
        let creates = creates.map(|(pod, _)| Overdue::Create { pod: pod.clone() });
        let deletes = self.deleting.iter().filter(|(_, deleting)| deleting.in_flight.is_overdue());
        let delete =
            |(uid, deleting): (&Uid, &Deleting)| Overdue::Delete { pod: deleting.pod.clone(), uid: uid.clone() };
        creates.chain(deletes.map(delete)).collect()
    }

    /// How soon to look what became of one.
    pub(super) fn overdue_in(&self) -> Option<Duration> {
        let fresh = |in_flight: &InFlight| in_flight.uncertain && in_flight.since.elapsed() < LOOK_AGAIN;
        let creates = self.creating.values().map(|creating| &creating.in_flight);
        let in_flight = || creates.clone().chain(self.deleting.values().map(|deleting| &deleting.in_flight));
        if in_flight().any(fresh) {
            return Some(LOOK_SOON);
        }
        let first = in_flight().map(|in_flight| in_flight.since).min();
        let wait = first.map(|since| PENDING_FOR.saturating_sub(since.elapsed()));
        wait.map(|wait| if wait.is_zero() { LOOK_AGAIN } else { wait.saturating_add(Duration::from_millis(1)) })
    }

    /// What a read of an overdue write's pod has shown: its uid, and whether it is being deleted; `is_shown` is whether the watch has
    /// shown that one. A read settles only what the watch cannot tell any more; what is there, the watch will show, in order. Returns
    /// whether the pod of a delete is gone.
    pub(super) fn looked(&mut self, overdue: &Overdue, found: Option<(&Uid, bool)>, is_shown: bool) -> bool {
        match (overdue, found) {
            (Overdue::Create { pod }, None) => {
                self.creating.remove(pod);
            }
            (Overdue::Create { pod }, Some((uid, _))) => {
                if let Some(creating) = self.creating.get_mut(pod) {
                    creating.in_flight = InFlight::now();
                }
                self.created(pod, uid, is_shown);
            }
            (Overdue::Delete { uid, .. }, Some((found, true))) if found == uid => {
                if let Some(deleting) = self.deleting.get_mut(uid) {
                    deleting.in_flight = InFlight::now();
                }
            }
            (Overdue::Delete { uid, .. }, Some((found, false))) if found == uid => {
                self.deleting.remove(uid);
            }
            (Overdue::Delete { .. }, _) => return true,
        }
        false
    }
}
