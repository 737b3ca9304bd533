//! What is known of the objects, and when to look again.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use tokio::time::Instant;

use crate::api::names::Uid;
use crate::api::{DerivedSecretKind, labels};
use crate::domain::resolve::value_from::Source;
use crate::domain::secrets::content;
use crate::domain::secrets::derived::{DerivedName, DerivedSecret};
use crate::domain::secrets::plan::{DerivedFact, SourceFact, SourceObject};
use crate::shell::secrets::read::{self, ExternalSecret, Object, ReadError};

/// How old what is known of an object that is there may be.
const FRESH: Duration = Duration::from_secs(30);
/// One that is not there is looked for after a tenth of the time that it has been missing, within these bounds.
const MISSING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// How long after a write the next look at what it made is.
const SOON: Duration = Duration::from_secs(1);
/// What nobody has asked for in so long is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// How soon a service wants to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Not at all: its tasks find what there is when they start.
    AtRest,
    /// Something was made of what its tasks take from, or a change of it starts a deployment.
    Follows,
    /// Something is being made or given up.
    Moves,
}

/// What is known of the objects that tasks take from, and of those that are made for them. No value is among it.
#[derive(Debug, Default)]
pub struct SecretIndex(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sources: HashMap<(String, Source), Look<SourceFact>>,
    derived: HashMap<(String, DerivedName), Look<Seen>>,
    /// When a service wants another pass.
    wakes: HashMap<Uid, Instant>,
}

#[derive(Debug, Clone)]
struct Look<T> {
    at: Instant,
    asked: Instant,
    /// Since when it has been as it is.
    since: Instant,
    found: T,
}

/// An object that is made for tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Absent,
    NoKind,
    Present {
        version: String,
        owners: Vec<Uid>,
        /// The version of its source with which it was found to agree.
        agrees_with: Option<String>,
    },
}

impl SecretIndex {
    /// When the service of this uid wants another pass although nothing has happened.
    pub fn due_in(&self, service: &Uid) -> Option<Duration> {
        self.lock().wakes.get(service).map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The service is gone.
    pub fn remove_service(&self, service: &Uid) {
        self.lock().wakes.remove(service);
    }

    /// Notes when the service wants another pass: as soon as anything that it waits for may be there, soon where something is being
    /// made or given up, and `FRESH` from now at the latest if it follows what its tasks take from.
    pub fn wake(&self, service: &Uid, namespace: &str, sources: &BTreeMap<Source, SourceFact>, pace: Pace) {
        let mut known = self.lock();
        let missing = sources.iter().filter(|(_, fact)| !matches!(fact, SourceFact::Present(_)));
        let looks = missing.filter_map(|(source, _)| known.sources.get(&(namespace.to_owned(), source.clone())));
        let pace = match pace {
            Pace::AtRest => None,
            Pace::Follows => Some(FRESH),
            Pace::Moves => Some(SOON),
        };
        let now = Instant::now();
        let waits = looks.map(|look| age_limit(look).saturating_sub(look.at.elapsed()));
        let next = waits.chain(pace).min().and_then(|wait| now.checked_add(wait));
        match next {
            Some(at) => known.wakes.insert(service.clone(), at),
            None => known.wakes.remove(service),
        };
    }

    /// What is known of a source by now, looking where that is too old. `made` are the Secrets that are made from it.
    pub async fn source(
        &self,
        client: &Client,
        namespace: &str,
        source: &Source,
        made: &[&DerivedSecret],
    ) -> SourceFact {
        let key = (namespace.to_owned(), source.clone());
        let before = fresh(&mut self.lock().sources, &key);
        let before = match before {
            Remembered::Fresh(fact) if knows_all(&fact, made) => return fact,
            Remembered::Fresh(fact) | Remembered::Old(fact) => Some(fact),
            Remembered::Nothing => None,
        };
        let fact = match look_at_source(client, namespace, source, made, before.as_ref()).await {
            Ok(fact) => fact,
            Err(ReadError::Refused(why)) => SourceFact::Unreadable(why),
            Err(error @ (ReadError::NoAnswer | ReadError::NoKind)) => {
                tracing::warn!(%source, namespace, %error, "going by what was known");
                before.unwrap_or_else(|| SourceFact::Unreadable(error.to_string()))
            }
        };
        note(&mut self.lock().sources, key, fact.clone());
        fact
    }

    /// What is known of an object that is made for tasks. `source` is the version of what it is made from. `None` is that nothing is
    /// known.
    pub async fn derived(
        &self,
        client: &Client,
        namespace: &str,
        name: &DerivedName,
        service: &Uid,
        source: &str,
    ) -> Option<DerivedFact> {
        let key = (namespace.to_owned(), name.clone());
        let before = fresh(&mut self.lock().derived, &key);
        let seen = match before {
            Remembered::Fresh(seen) => seen,
            Remembered::Old(_) | Remembered::Nothing => {
                let seen = match look_at_derived(client, namespace, name).await {
                    Ok(seen) => seen,
                    Err(ReadError::NoKind) => Seen::NoKind,
                    Err(error) => {
                        tracing::warn!(name = name.name, namespace, %error, "an object made for tasks could not be looked at");
                        return None;
                    }
                };
                let seen = match (before, seen) {
                    (
                        Remembered::Old(Seen::Present { version: old, agrees_with, .. }),
                        Seen::Present { version, owners, .. },
                    ) if old == version => Seen::Present { version, owners, agrees_with },
                    (_, seen) => seen,
                };
                note(&mut self.lock().derived, key, seen.clone());
                seen
            }
        };
        Some(match seen {
            Seen::Absent => DerivedFact::Absent,
            Seen::NoKind => DerivedFact::NoKind,
            Seen::Present { version: _, owners, agrees_with } => DerivedFact::Present {
                owned: owners.contains(service),
                current: agrees_with.as_deref() == Some(source),
            },
        })
    }

    /// An object that is made for tasks was found to be what it should be, with its source at a version.
    pub(super) fn agrees(&self, namespace: &str, name: &DerivedName, metadata: &ObjectMeta, source: &str) {
        let seen = Seen::Present {
            version: version_of(name.kind, metadata),
            owners: owners(metadata),
            agrees_with: Some(source.to_owned()),
        };
        note(&mut self.lock().derived, (namespace.to_owned(), name.clone()), seen);
    }

    /// An object that is made for tasks is not as it was.
    pub(super) fn changed(&self, namespace: &str, name: &DerivedName) {
        self.lock().derived.remove(&(namespace.to_owned(), name.clone()));
    }

    /// The API server does not know the kind of an object.
    pub(super) fn has_no_kind(&self, namespace: &str, name: &DerivedName) {
        note(&mut self.lock().derived, (namespace.to_owned(), name.clone()), Seen::NoKind);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of an object.
enum Remembered<T> {
    Nothing,
    Old(T),
    Fresh(T),
}

fn fresh<K: Eq + Hash, T: Clone + Ages>(looks: &mut HashMap<K, Look<T>>, key: &K) -> Remembered<T> {
    let Some(look) = looks.get_mut(key) else { return Remembered::Nothing };
    look.asked = Instant::now();
    let found = look.found.clone();
    if look.at.elapsed() < age_limit(look) { Remembered::Fresh(found) } else { Remembered::Old(found) }
}

fn note<K: Eq + Hash, T: PartialEq>(looks: &mut HashMap<K, Look<T>>, key: K, found: T) {
    let now = Instant::now();
    looks.retain(|_, look| look.asked.elapsed() < FORGOTTEN);
    let since = looks.get(&key).filter(|look| look.found == found).map_or(now, |look| look.since);
    looks.insert(key, Look { at: now, asked: now, since, found });
}

/// Whether what was found is something that is waited for.
trait Ages {
    fn is_awaited(&self) -> bool;
}

impl Ages for SourceFact {
    fn is_awaited(&self) -> bool {
        !matches!(self, Self::Present(_))
    }
}

impl Ages for Seen {
    fn is_awaited(&self) -> bool {
        false
    }
}

fn age_limit<T: Ages>(look: &Look<T>) -> Duration {
    let (least, most) = MISSING;
    if look.found.is_awaited() {
        let missing = look.at.saturating_duration_since(look.since);
        missing.checked_div(10).unwrap_or(least).clamp(least, most)
    } else {
        FRESH
    }
}

fn knows_all(fact: &SourceFact, made: &[&DerivedSecret]) -> bool {
    match fact {
        SourceFact::Present(object) => {
            let knows = |secret: &&DerivedSecret| {
                !object.keys.contains(&secret.key) || object.makes.contains_key(&secret.name())
            };
            made.iter().all(knows)
        }
        SourceFact::Missing | SourceFact::Unreadable(_) => true,
    }
}

async fn look_at_source(
    client: &Client,
    namespace: &str,
    source: &Source,
    made: &[&DerivedSecret],
    before: Option<&SourceFact>,
) -> Result<SourceFact, ReadError> {
    if let Some(fact @ SourceFact::Present(object)) = before
        && knows_all(fact, made)
    {
        match read::metadata_of(client, namespace, source).await? {
            Some(metadata) if version(&metadata) == object.version => return Ok(fact.clone()),
            Some(_) | None => {}
        }
    }
    let Some(found) = read::with_values(client, namespace, source).await? else { return Ok(SourceFact::Missing) };
    let mut object = without_values(&found, made);
    // What other services make of it is still true of the same version.
    if let Some(SourceFact::Present(before)) = before
        && before.version == object.version
    {
        let others = before.makes.iter().map(|(name, outcome)| (name.clone(), outcome.clone()));
        object.makes = others.chain(std::mem::take(&mut object.makes)).collect();
    }
    Ok(SourceFact::Present(object))
}

/// What is remembered of an object once its values are gone.
fn without_values(object: &Object, made: &[&DerivedSecret]) -> SourceObject {
    let made_of = |secret: &&DerivedSecret| {
        let value = object.values.get(&secret.key)?;
        Some((secret.name(), content::make(&secret.form, value).map(|content| content.skipped_lines)))
    };
    SourceObject {
        version: version(&object.metadata),
        keys: object.keys(),
        type_: object.type_.clone(),
        makes: made.iter().filter_map(made_of).collect(),
    }
}

async fn look_at_derived(client: &Client, namespace: &str, name: &DerivedName) -> Result<Seen, ReadError> {
    let found = match name.kind {
        DerivedSecretKind::Secret => {
            read::metadata::<Secret>(&Api::namespaced(client.clone(), namespace), &name.name).await?
        }
        DerivedSecretKind::ExternalSecret => {
            read::metadata::<ExternalSecret>(&Api::namespaced(client.clone(), namespace), &name.name).await?
        }
    };
    Ok(found.map_or(Seen::Absent, |metadata| Seen::Present {
        version: version_of(name.kind, &metadata),
        owners: if is_ours(&metadata) { owners(&metadata) } else { Vec::new() },
        agrees_with: None,
    }))
}

/// Whether we have made an object.
pub(super) fn is_ours(metadata: &ObjectMeta) -> bool {
    let manager = metadata.labels.as_ref().and_then(|labels| labels.get(labels::MANAGED_BY));
    manager.is_some_and(|manager| manager == labels::MANAGED_BY_LONGSHORE)
}

/// The services that need an object.
pub(super) fn owners(metadata: &ObjectMeta) -> Vec<Uid> {
    metadata.owner_references.iter().flatten().map(|owner| Uid(owner.uid.clone())).collect()
}

pub(super) fn version(metadata: &ObjectMeta) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}/{}", part(&metadata.uid), part(&metadata.resource_version))
}

/// The External Secrets Operator writes status all the time: of its objects only the spec counts.
fn version_of(kind: DerivedSecretKind, metadata: &ObjectMeta) -> String {
    match kind {
        DerivedSecretKind::Secret => version(metadata),
        DerivedSecretKind::ExternalSecret => {
            format!("{}/{}", metadata.uid.as_deref().unwrap_or_default(), metadata.generation.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SecretMappingKind;

    fn source() -> Source {
        Source { kind: SecretMappingKind::Secret, name: "db".to_owned() }
    }

    /// How soon the service looks again, in seconds, once a source has been as it is for a while.
    async fn looks_again(fact: SourceFact, after: u64, pace: Pace) -> Option<u64> {
        let (index, service) = (SecretIndex::default(), Uid("service".to_owned()));
        let key = ("default".to_owned(), source());
        note(&mut index.lock().sources, key.clone(), fact.clone());
        tokio::time::advance(Duration::from_secs(after)).await;
        note(&mut index.lock().sources, key, fact.clone());
        index.wake(&service, "default", &BTreeMap::from([(source(), fact)]), pace);
        index.due_in(&service).map(|wait| wait.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_looked_for_less_and_less_often_and_what_is_there_only_if_something_follows_it() {
        let there = || SourceFact::Present(SourceObject::default());
        for (sentence, fact, after, pace, expected) in [
            ("at first every second", SourceFact::Missing, 0, Pace::AtRest, Some(1)),
            ("after half a minute every three", SourceFact::Missing, 30, Pace::AtRest, Some(3)),
            ("and every 15 at last", SourceFact::Missing, 300, Pace::AtRest, Some(15)),
            ("as often where it cannot be read", SourceFact::Unreadable(String::new()), 30, Pace::AtRest, Some(3)),
            ("tasks find what is there when they start", there(), 30, Pace::AtRest, None),
            ("what is made of it follows it", there(), 30, Pace::Follows, Some(30)),
            ("what was just written is looked at soon", there(), 30, Pace::Moves, Some(1)),
            ("whatever comes first", SourceFact::Missing, 300, Pace::Moves, Some(1)),
        ] {
            assert_eq!(looks_again(fact, after, pace).await, expected, "{sentence}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_for_any_more_is_forgotten() {
        let index = SecretIndex::default();
        note(&mut index.lock().sources, ("default".to_owned(), source()), SourceFact::Missing);
        tokio::time::advance(FORGOTTEN).await;
        note(&mut index.lock().sources, ("other".to_owned(), source()), SourceFact::Missing);
        assert_eq!(index.lock().sources.len(), 1);
    }
}
