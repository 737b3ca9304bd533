//! What is stored: the objects, one revision that grows with every write, and the history that watches read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::fields::Manager;
use crate::object;
use crate::resource::ResourceType;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The id of its kind, such as `pods` or `services.ecs.longshore.dev`.
    pub resource: String,
    /// Its namespace; empty for kinds that lie in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    pub(crate) fn new(resource: &ResourceType, namespace: &str, name: &str) -> Self {
        let namespace = if resource.namespaced { namespace } else { "" };
        Self { resource: resource.id(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// A committed write.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision that it made.
    pub revision: u64,
    /// Which object.
    pub key: ObjectKey,
    /// The object before; none if it has been created.
    pub before: Option<Arc<Value>>,
    /// The object after; none if it is gone.
    pub after: Option<Arc<Value>>,
}

/// The objects and their history.
#[derive(Debug, Default)]
pub struct Store {
    revision: u64,
    objects: BTreeMap<ObjectKey, Arc<Value>>,
    managers: BTreeMap<ObjectKey, Vec<Manager>>,
    history: Vec<Change>,
    /// Of this revision and those before it nothing is told any more.
    compacted: u64,
}

impl Store {
    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// An object.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Value> {
        let key = ObjectKey { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        self.objects.get(&key).map(AsRef::as_ref)
    }

    /// All objects of a kind, by namespace and name.
    pub fn all(&self, resource: &str) -> impl Iterator<Item = &Arc<Value>> + use<'_> {
        self.of(resource).map(|(_, object)| object)
    }

    /// Who has written which fields of an object.
    pub fn managers(&self, key: &ObjectKey) -> &[Manager] {
        self.managers.get(key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn find(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    pub(crate) fn of(&self, resource: &str) -> impl Iterator<Item = (&ObjectKey, &Arc<Value>)> + use<'_> {
        let from = ObjectKey { resource: resource.to_owned(), namespace: String::new(), name: String::new() };
        let resource = resource.to_owned();
        self.objects.range(from..).take_while(move |(key, _)| key.resource == resource)
    }

    pub(crate) fn everything(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Commits a write. The object gets the new revision as its version.
    pub(crate) fn commit(&mut self, key: &ObjectKey, after: Option<Value>, managers: Vec<Manager>) -> Change {
        self.revision += 1;
        let before = self.objects.get(key).cloned();
        let after = after.map(|mut after| {
            object::metadata(&mut after).insert("resourceVersion".to_owned(), self.revision.to_string().into());
            Arc::new(after)
        });
        if let Some(after) = &after {
            self.objects.insert(key.clone(), after.clone());
            self.managers.insert(key.clone(), managers);
        } else {
            self.objects.remove(key);
            self.managers.remove(key);
        }
        let change = Change { revision: self.revision, key: key.clone(), before, after };
        self.history.push(change.clone());
        change
    }

    /// The next change of a kind after a revision.
    pub(crate) fn next_change(&self, resource: &str, after: u64) -> Option<&Change> {
        let from = self.history.partition_point(|change| change.revision <= after);
        self.history.get(from..)?.iter().find(|change| change.key.resource == resource)
    }

    /// The objects of a kind as they were at a revision, or at the oldest one that is still remembered; and at which.
    pub(crate) fn at(&self, resource: &str, revision: u64) -> (u64, BTreeMap<ObjectKey, Arc<Value>>) {
        let revision = revision.max(self.compacted).min(self.revision);
        let mut objects: BTreeMap<_, _> =
            self.of(resource).map(|(key, object)| (key.clone(), object.clone())).collect();
        let undone = self.history.iter().rev().take_while(|change| change.revision > revision);
        for change in undone.filter(|change| change.key.resource == resource) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), before.clone()),
                None => objects.remove(&change.key),
            };
        }
        (revision, objects)
    }

    /// Forgets the history up to now, as etcd does every few minutes.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.revision;
        self.history.clear();
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }
}
