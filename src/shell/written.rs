//! Statuses that we have written and the watch has not shown yet.
//!
//! A pass that starts from an older status than our own last one would decide things anew that are decided already, and its
//! write would be a conflict.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
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
    status: Option<S>,
}

impl<S> Default for Written<S> {
    fn default() -> Self {
        Self { objects: Mutex::default() }
    }
}

impl<S: Clone> Written<S> {
    /// The newest status known of an object and the version that a write must be based on, given those in the cache.
    pub fn newest(&self, uid: &Uid, version: &str, cached: Option<&S>) -> (Option<S>, String) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = objects.get_mut(uid) else { return (cached.cloned(), version.to_owned()) };
        if !is_newer(&entry.version, version) {
            entry.status = None;
        }
        match &entry.status {
            Some(status) => (Some(status.clone()), entry.version.clone()),
            None => (cached.cloned(), version.to_owned()),
        }
    }

    /// A status has been written.
    pub fn record(&self, uid: &Uid, version: String, status: S) {
        let entry = Entry { at: Instant::now(), version, status: Some(status) };
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.clone(), entry);
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
