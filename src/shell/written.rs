//! Statuses that we have written and the watch has not shown yet.
//!
//! A pass that starts from an older status than our own last one would decide things anew that are decided already, and its
//! write would be a conflict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::names::Uid;

/// The last status written to each object of a kind.
#[derive(Debug)]
pub struct Written<S> {
    objects: Mutex<HashMap<Uid, Entry<S>>>,
}

#[derive(Debug)]
struct Entry<S> {
    at: Instant,
    version: String,
    /// The status, until the watch shows it.
    status: Option<Arc<S>>,
    /// Whether another one is on its way.
    writing: bool,
}

/// Where a pass over an object starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest<S> {
    /// The status of our own that is newer than the one in the cache.
    pub status: Option<Arc<S>>,
    /// The version that a write must be based on.
    pub version: String,
    /// Whether another status is on its way: what the pass decides is right before and after it, but has to be told later.
    pub writing: bool,
}

impl<S> Default for Written<S> {
    fn default() -> Self {
        Self { objects: Mutex::default() }
    }
}

impl<S> Written<S> {
    /// The newest state known of an object, given the version in the cache.
    pub fn newest(&self, uid: &Uid, version: &str) -> Newest<S> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let in_cache = |writing| Newest { status: None, version: version.to_owned(), writing };
        let Some(entry) = objects.get_mut(uid) else { return in_cache(false) };
        if !is_newer(&entry.version, version) {
            entry.status = None;
        }
        match &entry.status {
            Some(status) => {
                Newest { status: Some(status.clone()), version: entry.version.clone(), writing: entry.writing }
            }
            None => in_cache(entry.writing),
        }
    }

    /// Whether a status is on its way.
    pub fn is_writing(&self, uid: &Uid) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get(uid).is_some_and(|entry| entry.writing)
    }

    /// Whether a version is one that a write of ours has made. A write succeeds only on the version that it is based on, so nobody
    /// else has made one between that and ours: one that another write of ours has followed is ours, too, or has been seen.
    pub fn is_ours(&self, uid: &Uid, version: &str) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the first one has succeeded there is none.
        let made = |entry: &Entry<S>| !entry.version.is_empty() && !is_newer(version, &entry.version);
        objects.get(uid).is_some_and(made)
    }

    /// A status is about to be written.
    pub fn begin(&self, uid: &Uid) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Entry { at: Instant::now(), version: String::new(), status: None, writing: true };
        objects.entry(uid.clone()).or_insert_with(unknown).writing = true;
    }

    /// A status has been written. Nothing is remembered of an object that has gone meanwhile.
    pub fn record(&self, uid: &Uid, version: String, status: Arc<S>) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = objects.get_mut(uid) {
            *entry = Entry { at: Instant::now(), version, status: Some(status), writing: false };
        }
    }

    /// A status could not be written. The next attempt is apart from this one as if it had been.
    pub fn failed(&self, uid: &Uid) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = objects.get_mut(uid) {
            (entry.at, entry.writing) = (Instant::now(), false);
        }
    }

    /// How long the next write to an object has to wait, if two are to be `apart`.
    pub fn wait(&self, uid: &Uid, apart: Duration) -> Duration {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get(uid).map_or(Duration::ZERO, |entry| apart.saturating_sub(entry.at.elapsed()))
    }

    /// An object is gone.
    pub fn forget(&self, uid: &Uid) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Resource versions of one kind of object are numbers that grow (guaranteed since Kubernetes 1.35, and so before).
pub(super) fn is_newer(one: &str, other: &str) -> bool {
    match (one.parse::<u64>(), other.parse::<u64>()) {
        (Ok(one), Ok(other)) => one > other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_ours_up_to_the_one_that_our_last_write_has_made() {
        let (written, uid) = (Written::<()>::default(), Uid("uid".to_owned()));
        assert!(!written.is_ours(&uid, "7"), "nothing has been written");
        written.begin(&uid);
        assert!(!written.is_ours(&uid, "7"), "nor yet");
        written.failed(&uid);
        assert!(!written.is_ours(&uid, "7"), "nor if that fails");
        written.begin(&uid);
        written.record(&uid, "9".to_owned(), Arc::new(()));
        for (version, ours) in [("7", true), ("9", true), ("10", false)] {
            assert_eq!(written.is_ours(&uid, version), ours, "{version}");
        }
        written.begin(&uid);
        written.failed(&uid);
        assert!(written.is_ours(&uid, "9") && !written.is_ours(&uid, "10"), "a failed write has made none");
    }
}
