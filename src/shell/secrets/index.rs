//! What is known of the objects, and when to look again.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use tokio::time::Instant;

use crate::api::names::Uid;
use crate::api::{API_VERSION, DerivedSecretKind, labels};
use crate::domain::resolve::value_from::Source;
use crate::domain::secrets::content;
use crate::domain::secrets::derived::{DerivedName, DerivedSecret};
use crate::domain::secrets::plan::{DerivedFact, SourceFact, SourceObject};
use crate::shell::secrets::read::{self, ExternalSecret, Object, ReadError};

/// How old what is known of an object that is there may be.
const FRESH: Duration = Duration::from_secs(30);
/// One that is waited for is looked at after a tenth of the time that it has not changed, within these bounds.
const AWAITED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
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
    services: HashMap<Uid, Waits>,
}

/// What a service waits for.
#[derive(Debug, Default)]
struct Waits {
    /// When it wants another pass.
    wake_at: Option<Instant>,
    awaited: BTreeSet<Source>,
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
    /// Deleted, and held by a finalizer.
    Leaving,
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
        let wake_at = self.lock().services.get(service)?.wake_at?;
        Some(wake_at.saturating_duration_since(Instant::now()))
    }

    /// The service is gone.
    pub fn remove_service(&self, service: &Uid) {
        self.lock().services.remove(service);
    }

    /// Notes what the service waits for, and when it wants another pass: as soon as that may have changed, soon where something is
    /// being made or given up, and `FRESH` from now at the latest if it follows what its tasks take from.
    pub fn wait(&self, service: &Uid, namespace: &str, awaited: BTreeSet<Source>, pace: Pace) {
        let mut known = self.lock();
        let looks = awaited.iter().filter_map(|source| known.sources.get(&(namespace.to_owned(), source.clone())));
        let waits = looks.map(|look| age_limit(look, true).saturating_sub(look.at.elapsed()));
        let pace = match pace {
            Pace::AtRest => None,
            Pace::Follows => Some(FRESH),
            Pace::Moves => Some(SOON),
        };
        let wake_at = waits.chain(pace).min().and_then(|wait| Instant::now().checked_add(wait));
        known.services.insert(service.clone(), Waits { wake_at, awaited });
    }

    /// What is known of a source by now, looking where that is too old for the service. `made` are the Secrets that are made from it.
    pub async fn source(
        &self,
        client: &Client,
        service: &Uid,
        namespace: &str,
        source: &Source,
        made: &[&DerivedSecret],
    ) -> SourceFact {
        let key = (namespace.to_owned(), source.clone());
        let before = {
            let mut known = self.lock();
            let is_awaited = known.services.get(service).is_some_and(|waits| waits.awaited.contains(source));
            remembered(&mut known.sources, &key, is_awaited)
        };
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
        let before = {
            let mut known = self.lock();
            // What has to go before another one can be made is waited for.
            let is_awaited = known.derived.get(&key).is_some_and(|look| look.found == Seen::Leaving);
            remembered(&mut known.derived, &key, is_awaited)
        };
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
            Seen::Leaving => DerivedFact::Leaving,
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

    /// An object that is made for tasks is deleted, and not gone yet.
    pub(super) fn leaves(&self, namespace: &str, name: &DerivedName) {
        note(&mut self.lock().derived, (namespace.to_owned(), name.clone()), Seen::Leaving);
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

fn remembered<K: Eq + Hash, T: Clone>(looks: &mut HashMap<K, Look<T>>, key: &K, is_awaited: bool) -> Remembered<T> {
    let Some(look) = looks.get_mut(key) else { return Remembered::Nothing };
    look.asked = Instant::now();
    let found = look.found.clone();
    if look.at.elapsed() < age_limit(look, is_awaited) { Remembered::Fresh(found) } else { Remembered::Old(found) }
}

fn note<K: Eq + Hash, T: PartialEq>(looks: &mut HashMap<K, Look<T>>, key: K, found: T) {
    let now = Instant::now();
    looks.retain(|_, look| look.asked.elapsed() < FORGOTTEN);
    let since = looks.get(&key).filter(|look| look.found == found).map_or(now, |look| look.since);
    looks.insert(key, Look { at: now, asked: now, since, found });
}

fn age_limit<T>(look: &Look<T>, is_awaited: bool) -> Duration {
    let (least, most) = AWAITED;
    if is_awaited {
        let unchanged = look.at.saturating_duration_since(look.since);
        unchanged.checked_div(10).unwrap_or(least).clamp(least, most)
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
        binary_keys: object.binary_keys.clone(),
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
    Ok(match found {
        None => Seen::Absent,
        Some(metadata) if metadata.deletion_timestamp.is_some() => Seen::Leaving,
        Some(metadata) => Seen::Present {
            version: version_of(name.kind, &metadata),
            owners: if is_ours(&metadata) { owners(&metadata) } else { Vec::new() },
            agrees_with: None,
        },
    })
}

/// Whether we have made an object: it says so, or what else we have put on it is still there.
pub(super) fn is_ours(metadata: &ObjectMeta) -> bool {
    let is_made = metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(labels::MADE_FROM));
    let is_owner = |owner: &OwnerReference| owner.api_version == API_VERSION && owner.kind == "Service";
    is_labelled(metadata) || (is_made && metadata.owner_references.iter().flatten().any(is_owner))
}

fn is_labelled(metadata: &ObjectMeta) -> bool {
    let manager = metadata.labels.as_ref().and_then(|labels| labels.get(labels::MANAGED_BY));
    manager.is_some_and(|manager| manager == labels::MANAGED_BY_LONGSHORE)
}

/// Whether an object says all that we have put on it for people to find.
pub(super) fn is_marked(metadata: &ObjectMeta, made_from: &str) -> bool {
    let told = metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::MADE_FROM));
    is_labelled(metadata) && told.is_some_and(|told| told == made_from)
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

    #[test]
    fn what_we_have_made_is_known_by_its_label_or_by_all_else_that_is_ours() {
        let (managed_by, made_from) = ((labels::MANAGED_BY, "longshore"), (labels::MADE_FROM, "Secret db, key all"));
        let (ours, of_others) = ((API_VERSION, "Service"), ("v1", "Service"));
        for (sentence, label, annotation, owner, expected) in [
            ("as it was made", Some(managed_by), Some(made_from), Some(ours), (true, true)),
            ("somebody has taken its label away", None, Some(made_from), Some(ours), (true, false)),
            ("or its source", Some(managed_by), None, Some(ours), (true, false)),
            ("no service needs it any more", Some(managed_by), Some(made_from), None, (true, true)),
            ("a copy of it", None, Some(made_from), None, (false, false)),
            ("something else of a service", None, None, Some(ours), (false, false)),
            ("of a Service of Kubernetes", None, Some(made_from), Some(of_others), (false, false)),
        ] {
            let map =
                |pair: Option<(&str, &str)>| pair.map(|(name, value)| [(name.to_owned(), value.to_owned())].into());
            let reference = |(api_version, kind): (&str, &str)| OwnerReference {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                ..OwnerReference::default()
            };
            let metadata = ObjectMeta {
                labels: map(label),
                annotations: map(annotation),
                owner_references: owner.map(|owner| vec![reference(owner)]),
                ..ObjectMeta::default()
            };
            assert_eq!((is_ours(&metadata), is_marked(&metadata, made_from.1)), expected, "{sentence}");
        }
    }

    /// How soon the service looks again, in seconds, at what has not changed for a while.
    async fn looks_again(is_awaited: bool, unchanged: u64, pace: Pace) -> Option<u64> {
        let (index, service) = (SecretIndex::default(), Uid("service".to_owned()));
        let key = ("default".to_owned(), source());
        note(&mut index.lock().sources, key.clone(), SourceFact::Missing);
        tokio::time::advance(Duration::from_secs(unchanged)).await;
        note(&mut index.lock().sources, key, SourceFact::Missing);
        let awaited = is_awaited.then(source).into_iter().collect();
        index.wait(&service, "default", awaited, pace);
        index.due_in(&service).map(|wait| wait.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_is_looked_at_less_and_less_often_and_all_else_only_if_something_follows_it() {
        for (sentence, is_awaited, unchanged, pace, expected) in [
            ("at first every second", true, 0, Pace::AtRest, Some(1)),
            ("after half a minute every three", true, 30, Pace::AtRest, Some(3)),
            ("and every 15 at last", true, 300, Pace::AtRest, Some(15)),
            ("tasks find what is there when they start", false, 30, Pace::AtRest, None),
            ("what is made of it follows it", false, 30, Pace::Follows, Some(30)),
            ("what was just written is looked at soon", false, 30, Pace::Moves, Some(1)),
            ("whatever comes first", true, 300, Pace::Moves, Some(1)),
        ] {
            assert_eq!(looks_again(is_awaited, unchanged, pace).await, expected, "{sentence}");
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
