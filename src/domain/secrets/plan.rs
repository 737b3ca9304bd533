//! What a service waits for before it starts tasks, and which objects it needs made or can give up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::conditions::{Reason, Summary};
use crate::api::names::{RevisionName, short_hash};
use crate::api::{DerivedSecret as DerivedRecord, DerivedSecretKind};
use crate::domain::resolve::Problem;
use crate::domain::resolve::service::ResolvedService;
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::resolve::value_from::Source;
use crate::domain::secrets::content::{ContentError, PULL_SECRET};
use crate::domain::secrets::derived::{Derived, DerivedName, ExternalSecret};
use crate::domain::secrets::task_secrets::{Needed, TaskSecrets};

/// The older type of a Secret that images are pulled with.
const OLD_PULL_SECRET: &str = "kubernetes.io/dockercfg";

/// What the tasks of each revision take, or what the cluster does not say where to find.
pub type Uses = BTreeMap<RevisionName, Result<Arc<TaskSecrets>, Vec<Problem>>>;

/// A Secret or ConfigMap that tasks take from, as last seen. Nothing of it is a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFact {
    /// It is not there.
    Missing,
    /// The API server does not show it, and says why.
    Unreadable(String),
    /// It is there.
    Present(SourceObject),
}

/// A Secret or ConfigMap that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceObject {
    /// Its uid and resource version.
    pub version: String,
    /// Its keys.
    pub keys: BTreeSet<String>,
    /// Those of them that a ConfigMap has in `binaryData`: what is made for tasks can be made of them, but no kubelet finds one.
    pub binary_keys: BTreeSet<String>,
    /// The type of a Secret.
    pub type_: Option<String>,
    /// Whether the Secrets that are derived from it can be made, by their names: the lines of a file that they leave out, or why
    /// not.
    pub makes: BTreeMap<String, Result<Vec<usize>, ContentError>>,
}

/// An object that is made for tasks, as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerivedFact {
    /// It is not there.
    Absent,
    /// It is there.
    Present {
        /// Whether it names this service as one that needs it.
        owned: bool,
        /// Whether it is known to be what it should be.
        current: bool,
    },
    /// It was deleted, and somebody's finalizer still holds it: another one can be made once it is gone.
    Leaving,
    /// The API server does not know its kind.
    NoKind,
}

/// What was observed.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// What the revisions take that may have to be started.
    pub uses: &'a Uses,
    /// The revisions that are deployed or run.
    pub in_use: &'a BTreeSet<RevisionName>,
    /// Those that have failed and of which no task is left: nothing is made for them.
    pub given_up: &'a BTreeSet<RevisionName>,
    /// What tasks take from.
    pub sources: &'a BTreeMap<Source, SourceFact>,
    /// What is made for them. What could not be looked at is not there.
    pub derived: &'a BTreeMap<DerivedName, DerivedFact>,
    /// What status says is made.
    pub recorded: &'a [DerivedRecord],
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SecretPlan {
    /// What the tasks of each revision take, once all of it is there or can be made; until then, what they wait for. Of those that are
    /// given up none is here that has all.
    pub tasks: BTreeMap<RevisionName, Result<Arc<TaskSecrets>, Summary>>,
    /// What has to change for those that wait to start.
    pub awaited: BTreeSet<Source>,
    /// What to make, or bring up to date.
    pub make: BTreeSet<Derived>,
    /// What the service does not need any more.
    pub give_up: BTreeSet<DerivedName>,
    /// What status has to say is made: before it is, so that it is given up whenever that may be.
    pub record: Vec<DerivedRecord>,
    /// What of the files of each revision no variable is made of.
    pub left_out: BTreeMap<RevisionName, Vec<String>>,
    /// Something that changes whenever what a revision takes from does.
    pub versions: BTreeMap<RevisionName, String>,
}

/// Plans.
pub fn plan(seen: &Observed<'_>) -> SecretPlan {
    let mut plan = SecretPlan::default();
    let mut users: BTreeMap<DerivedName, BTreeSet<String>> = BTreeMap::new();
    for (revision, uses) in seen.uses {
        let secrets = match uses {
            Ok(secrets) => secrets,
            Err(problems) => {
                let message = format!("{revision}: {}", Problem::join(problems));
                plan.tasks.insert(revision.clone(), Err(Summary::Reconciling(Reason::SecretNotMapped, message)));
                continue;
            }
        };
        let is_given_up = seen.given_up.contains(revision);
        let tasks = missing(revision, secrets, seen).map_or_else(|| Ok(secrets.clone()), Err);
        if tasks.is_err() {
            plan.awaited.extend(secrets.sources.keys().filter(|source| is_awaited(source, secrets, seen)).cloned());
        }
        // Should the service try it again, the pass after the one in which it says so makes what is missing, and starts tasks.
        if tasks.is_err() || !is_given_up {
            plan.tasks.insert(revision.clone(), tasks);
        }
        for derived in secrets.derived.iter().filter(|_| !is_given_up) {
            let name = derived.name();
            users.entry(name.clone()).or_default().insert(revision.to_string());
            let current = Some(&DerivedFact::Present { owned: true, current: true });
            if seen.derived.get(&name) != current && can_be_made(derived, seen) {
                plan.make.insert(derived.clone());
            }
        }
        let left_out: Vec<String> = secrets.derived.iter().filter_map(|derived| left_out(derived, seen)).collect();
        if !left_out.is_empty() {
            plan.left_out.insert(revision.clone(), left_out);
        }
        plan.versions.insert(revision.clone(), versions(secrets, seen));
    }
    for record in seen.recorded {
        let name = DerivedName { kind: record.kind, name: record.name.clone() };
        let is_in_use = |used: &&String| seen.in_use.iter().any(|revision| revision.to_string() == **used);
        let still: BTreeSet<String> = record.task_definitions.iter().filter(is_in_use).cloned().collect();
        let is_gone = matches!(
            seen.derived.get(&name),
            Some(
                DerivedFact::Absent
                    | DerivedFact::Leaving
                    | DerivedFact::NoKind
                    | DerivedFact::Present { owned: false, .. }
            )
        );
        match users.entry(name) {
            // A pod that has been started may read its Secret again, whatever the cluster says by now of where values are.
            std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().extend(still),
            std::collections::btree_map::Entry::Vacant(entry) if !still.is_empty() => {
                entry.insert(still);
            }
            std::collections::btree_map::Entry::Vacant(_) if is_gone => {}
            std::collections::btree_map::Entry::Vacant(entry) => {
                plan.give_up.insert(entry.key().clone());
                entry.insert(BTreeSet::new());
            }
        }
    }
    let record = |(DerivedName { kind, name }, users): (DerivedName, BTreeSet<String>)| DerivedRecord {
        kind,
        name,
        task_definitions: users.into_iter().collect(),
    };
    plan.record = users.into_iter().map(record).collect();
    plan
}

impl SecretPlan {
    /// What a task of a revision takes, if one can be started now. Of a revision that takes something none can before that has been
    /// looked at.
    pub fn task_secrets(
        &self,
        revision: &RevisionName,
        definition: &ResolvedTaskDefinition,
    ) -> Option<Arc<TaskSecrets>> {
        match self.tasks.get(revision) {
            Some(tasks) => tasks.as_ref().ok().cloned(),
            None => definition.secrets.0.is_empty().then(Arc::default),
        }
    }

    /// What the tasks of a revision wait for.
    pub fn waiting(&self, revision: &RevisionName) -> Option<&Summary> {
        self.tasks.get(revision)?.as_ref().err()
    }

    /// Enters what was found into what the service scheduler works on: what runs goes on, and what cannot start yet is waited for.
    pub fn enter(self, service: &mut ResolvedService, deploy_on_change: bool) {
        if let Ok(target) = &mut service.target {
            service.not_implemented.extend(self.left_out.get(&target.revision).into_iter().flatten().cloned());
            if let Some(versions) = self.versions.get(&target.revision).filter(|_| deploy_on_change) {
                target.content.push_str(versions);
            }
        }
        let waiting = service.target.as_ref().ok().and_then(|target| self.waiting(&target.revision));
        if let Some(waiting) = waiting {
            service.target = Err(waiting.clone());
        }
        service.secrets = self;
    }
}

/// The first thing that is missing for a task to start.
fn missing(revision: &RevisionName, secrets: &TaskSecrets, seen: &Observed<'_>) -> Option<Summary> {
    let external = |source: &Source| secrets.derived.iter().find_map(|derived| derived.that_makes(source));
    for (source, needed) in &secrets.sources {
        match seen.sources.get(source) {
            Some(SourceFact::Present(object)) => {
                if let Some(unfit) = unfit(revision, source, needed, object) {
                    return Some(unfit);
                }
            }
            Some(SourceFact::Unreadable(why)) => {
                let message = format!("{revision} takes from {source}, which cannot be read: {why}");
                return Some(Summary::Reconciling(Reason::SecretNotReadable, message));
            }
            Some(SourceFact::Missing) | None => {
                return Some(not_found(revision, source, external(source), seen));
            }
        }
    }
    secrets.derived.iter().find_map(|derived| match made(derived, seen) {
        Some(Err(error)) => {
            let message = format!("{revision}: what is stored in {} {error}", derived.source());
            Some(Summary::Stalled(Reason::SecretInvalid, message))
        }
        Some(Ok(_)) | None => None,
    })
}

fn is_awaited(source: &Source, secrets: &TaskSecrets, seen: &Observed<'_>) -> bool {
    let (Some(needed), Some(SourceFact::Present(object))) = (secrets.sources.get(source), seen.sources.get(source))
    else {
        return true;
    };
    let mut made_from_it = secrets.derived.iter().filter(|derived| derived.made_from(source).is_some());
    is_unfit(needed, object) || made_from_it.any(|derived| matches!(made(derived, seen), Some(Err(_))))
}

fn is_unfit(needed: &Needed, object: &SourceObject) -> bool {
    !needed.keys.is_subset(&object.keys)
        || !needed.in_pods.is_disjoint(&object.binary_keys)
        || (needed.as_pull_secret && !is_pull_secret(object))
}

fn is_pull_secret(object: &SourceObject) -> bool {
    object.type_.as_deref().is_some_and(|type_| [PULL_SECRET, OLD_PULL_SECRET].contains(&type_))
}

fn unfit(revision: &RevisionName, source: &Source, needed: &Needed, object: &SourceObject) -> Option<Summary> {
    let missing: Vec<&str> = needed.keys.difference(&object.keys).map(String::as_str).collect();
    if !missing.is_empty() {
        let keys = missing.join(", ");
        let message = format!("waiting for {source} to have the key {keys}, which {revision} takes from it; add it");
        return Some(Summary::Reconciling(Reason::SecretNotFound, message));
    }
    if let Some(key) = needed.in_pods.intersection(&object.binary_keys).next() {
        let message = format!(
            "waiting for {source} to have the key {key} in data, which {revision} takes from it; it is in binaryData, where no kubelet \
             looks"
        );
        return Some(Summary::Reconciling(Reason::SecretNotFound, message));
    }
    (needed.as_pull_secret && !is_pull_secret(object)).then(|| {
        let type_ = object.type_.as_deref().unwrap_or_default();
        let message = format!(
            "{revision} pulls images with {source}, which is of type {type_:?}; make it of type {PULL_SECRET}, or name the key under \
             which username and password stand"
        );
        Summary::Stalled(Reason::SecretInvalid, message)
    })
}

fn not_found(
    revision: &RevisionName,
    source: &Source,
    external: Option<&ExternalSecret>,
    seen: &Observed<'_>,
) -> Summary {
    let message = match external {
        None => format!("waiting for {source}, which {revision} takes from; create it"),
        Some(external) => {
            let (name, remote) = (external.name(), &external.remote_key);
            let derived = DerivedName { kind: DerivedSecretKind::ExternalSecret, name: name.clone() };
            if seen.derived.get(&derived) == Some(&DerivedFact::NoKind) {
                format!(
                    "waiting for {remote}, which {revision} takes from: there are no ExternalSecrets (external-secrets.io/v1) in this \
                     Kubernetes cluster; install the External Secrets Operator, or add it to spec.kubernetes.secretMappings of the \
                     Cluster"
                )
            } else {
                format!(
                    "waiting for the External Secrets Operator to fetch {remote}, which {revision} takes from; `kubectl describe \
                     externalsecret {name}` tells how far it is"
                )
            }
        }
    };
    Summary::Reconciling(Reason::SecretNotFound, message)
}

fn made<'a>(derived: &Derived, seen: &Observed<'a>) -> Option<&'a Result<Vec<usize>, ContentError>> {
    let Derived::Secret(secret) = derived else { return None };
    match seen.sources.get(&secret.source) {
        Some(SourceFact::Present(object)) => object.makes.get(&secret.name()),
        Some(SourceFact::Missing | SourceFact::Unreadable(_)) | None => None,
    }
}

fn can_be_made(derived: &Derived, seen: &Observed<'_>) -> bool {
    match (derived, seen.derived.get(&derived.name())) {
        (_, Some(DerivedFact::Leaving)) => false,
        (Derived::External(_), fact) => fact != Some(&DerivedFact::NoKind),
        (Derived::Secret(_), _) => matches!(made(derived, seen), Some(Ok(_))),
    }
}

/// A Secret has no key for every name that a file may set.
fn left_out(derived: &Derived, seen: &Observed<'_>) -> Option<String> {
    let Some(Ok(lines)) = made(derived, seen) else { return None };
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let lines = Some(lines.join(", ")).filter(|lines| !lines.is_empty())?;
    Some(format!("line {lines} of {} (a name has letters, digits and -._ only)", derived.source()))
}

/// Versions and no values: nobody can tell a value from a hash that is shown.
fn versions(secrets: &TaskSecrets, seen: &Observed<'_>) -> String {
    let version = |source: &Source| match seen.sources.get(source) {
        Some(SourceFact::Present(object)) => format!("{source} {}", object.version),
        Some(SourceFact::Missing | SourceFact::Unreadable(_)) | None => source.to_string(),
    };
    let versions: Vec<String> = secrets.sources.keys().map(version).collect();
    if versions.is_empty() {
        return String::new();
    }
    short_hash(&versions.iter().map(String::as_str).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
