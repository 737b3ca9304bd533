//! Task definitions as they are run. A revision never changes, so each is resolved once and not at every pass.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;

use crate::api::TaskDefinitionRevision;
use crate::domain::resolve::Problem;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::{ResolvedTaskDefinition, resolve};

/// What can be run of a revision, or why it cannot.
pub type Definition = Result<Arc<ResolvedTaskDefinition>, String>;

/// The revisions that somebody has asked for, by uid.
#[derive(Debug, Default)]
pub struct Definitions(Mutex<HashMap<String, Definition>>);

impl Definitions {
    /// A revision as it is run. `revisions` are those that there are: of the others nothing is kept.
    pub fn of(
        &self,
        revision: &TaskDefinitionRevision,
        revisions: &Store<DeserializeGuard<TaskDefinitionRevision>>,
        features: Features,
    ) -> Definition {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = revision.uid().unwrap_or_default();
        if let Some(definition) = known.get(&uid) {
            return definition.clone();
        }
        let left: HashSet<String> = revisions.state().iter().filter_map(|revision| revision.uid()).collect();
        known.retain(|uid, _| left.contains(uid));
        let resolved = resolve(&revision.spec.task_definition, features);
        let definition = resolved.map(Arc::new).map_err(|problems| Problem::join(&problems));
        known.insert(uid, definition.clone());
        definition
    }
}
