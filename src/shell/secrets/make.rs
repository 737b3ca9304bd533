//! Making what tasks take from, keeping it up to date, and giving it up.
//!
//! Every service that needs an object is one of its owners: the last one takes it along, whether it gives it up or is deleted
//! itself. Each write is to the version that was read, so that two services, or two operators, do not undo each other's.

use std::collections::BTreeMap;
use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::Resource as _;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use kube::{Api, Client, Resource};
use secrecy::{ExposeSecret, SecretSlice};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::api::names::Uid;
use crate::api::{API_VERSION, DerivedSecretKind, SecretMappingKind, labels};
use crate::domain::resolve::value_from::Source;
use crate::domain::secrets::content::{self, Content, Values};
use crate::domain::secrets::derived::{self, Derived, DerivedName, DerivedSecret};
use crate::shell::secrets::index::{SecretIndex, is_marked, is_ours, owners, version};
use crate::shell::secrets::read::{self, ExternalSecret, ExternalSecretSpec, ReadError};
use crate::shell::writer::{self, WriteError};

/// Makes and gives up objects for the tasks of one service.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    /// The client.
    pub client: &'a Client,
    /// What is known of the objects.
    pub index: &'a SecretIndex,
    /// The service's namespace.
    pub namespace: &'a str,
    /// The name of the `Service` object.
    pub service: &'a str,
    /// Its uid.
    pub uid: &'a Uid,
}

impl Maker<'_> {
    /// Makes an object, or brings it up to date. Nothing is written where it is what it should be.
    pub async fn make(&self, derived: &Derived) -> Result<(), WriteError> {
        let name = derived.name();
        match derived {
            Derived::Secret(secret) => self.make_secret(&name, secret).await,
            Derived::External(external) => self.make_external(&name, external).await,
        }
    }

    /// Gives up an object: whoever is the last that needs it takes it along.
    pub async fn give_up(&self, name: &DerivedName) -> Result<(), WriteError> {
        match name.kind {
            DerivedSecretKind::Secret => self.leave(&self.api::<Secret>(), name).await,
            DerivedSecretKind::ExternalSecret => self.leave(&self.api::<ExternalSecret>(), name).await,
        }
    }

    /// What has become of the source since, the next look at it tells: here it is no error.
    async fn make_secret(&self, name: &DerivedName, secret: &DerivedSecret) -> Result<(), WriteError> {
        let source = read::with_values(self.client, self.namespace, &secret.source).await;
        let Some(source) = source.map_err(|error| unread(&secret.source.name, &error))? else { return Ok(()) };
        let Some(value) = source.values.get(&secret.key) else { return Ok(()) };
        let Ok(Content { type_, data, skipped_lines: _ }) = content::make(&secret.form, value) else { return Ok(()) };
        let source_version = version(&source.metadata);

        let target = Source { kind: SecretMappingKind::Secret, name: name.name.clone() };
        let existing = read::with_values(self.client, self.namespace, &target).await;
        let api = self.api::<Secret>();
        let made_from = Derived::Secret(secret.clone()).source();
        // Whoever else needs what was there needs what is made in its place.
        let create = async |before: &ObjectMeta| {
            let made = NewSecret {
                api_version: Secret::API_VERSION,
                kind: Secret::KIND,
                metadata: self.metadata(name, before, made_from.clone()),
                type_,
                data: data.iter().map(|(key, value)| (key.as_str(), Encoded(value))).collect(),
            };
            self.create(&api, name, &made).await
        };
        let Some(existing) = existing.map_err(|error| unread(&name.name, &error))? else {
            return create(&ObjectMeta::default()).await;
        };
        if !is_ours(&existing.metadata) {
            return Err(foreign::<Secret>(name));
        }
        if existing.metadata.deletion_timestamp.is_some() {
            self.index.leaves(self.namespace, name);
            return Ok(());
        }
        let is_same = is_same(&existing.values, &data);
        if existing.type_.as_deref() != Some(type_) || (existing.is_immutable && !is_same) {
            // Nobody can change the type of a Secret, nor what an immutable one holds.
            self.delete(&api, name, &existing.metadata).await?;
            return create(&existing.metadata).await;
        }
        let is_agreed = is_same && owners(&existing.metadata).contains(self.uid);
        if is_agreed && is_marked(&existing.metadata, &made_from) {
            self.index.agrees(self.namespace, name, &existing.metadata, &source_version);
            return Ok(());
        }
        let changes = ChangedData::between(&existing.values, &data);
        let marks = self.marks(&existing.metadata, made_from);
        self.merge(&api, name, &existing.metadata, marks, &changes).await?;
        if is_agreed {
            // Should somebody else put their own marks on it at once, this is no reason to write without end.
            self.index.agrees(self.namespace, name, &existing.metadata, &source_version);
        }
        Ok(())
    }

    async fn make_external(&self, name: &DerivedName, external: &derived::ExternalSecret) -> Result<(), WriteError> {
        let api = self.api::<ExternalSecret>();
        let existing = match read::get::<_, ExternalSecret>(&api, &name.name).await {
            Ok(existing) => existing,
            Err(ReadError::NoKind) => {
                self.index.has_no_kind(self.namespace, name);
                return Ok(());
            }
            Err(error) => return Err(unread(&name.name, &error)),
        };
        let (spec, made_from) = (external.spec(), &external.remote_key);
        let Some(existing) = existing else {
            let members = spec.as_object().cloned().unwrap_or_default();
            let mut made = ExternalSecret::new(&name.name, ExternalSecretSpec { members });
            made.metadata = self.metadata(name, &ObjectMeta::default(), made_from.clone());
            return self.create(&api, name, &made).await;
        };
        if !is_ours(&existing.metadata) {
            return Err(foreign::<ExternalSecret>(name));
        }
        if existing.metadata.deletion_timestamp.is_some() {
            self.index.leaves(self.namespace, name);
            return Ok(());
        }
        let is_agreed =
            owners(&existing.metadata).contains(self.uid) && holds(&Value::Object(existing.spec.members), &spec);
        if !is_agreed || !is_marked(&existing.metadata, made_from) {
            let marks = self.marks(&existing.metadata, made_from.clone());
            self.merge(&api, name, &existing.metadata, marks, &json!({ "spec": spec })).await?;
        }
        if is_agreed {
            self.index.agrees(self.namespace, name, &existing.metadata, "");
        }
        Ok(())
    }

    async fn leave<K>(&self, api: &Api<K>, name: &DerivedName) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let found = match read::metadata(api, &name.name).await {
            Ok(found) => found,
            Err(ReadError::NoKind) => None,
            Err(error) => return Err(unread(&name.name, &error)),
        };
        let ours = found.filter(|found| is_ours(found) && owners(found).contains(self.uid));
        let Some(found) = ours else {
            self.index.changed(self.namespace, name);
            return Ok(());
        };
        if found.deletion_timestamp.is_some() {
            self.index.leaves(self.namespace, name);
            return Ok(());
        }
        let others = found.owner_references.iter().flatten().filter(|owner| owner.uid != self.uid.0);
        let others: Vec<OwnerReference> = others.cloned().collect();
        if others.is_empty() {
            self.delete(api, name, &found).await
        } else {
            let change = ObjectMeta { owner_references: Some(others), ..ObjectMeta::default() };
            self.merge(api, name, &found, change, &json!({})).await
        }
    }

    async fn create<K>(&self, api: &Api<K>, name: &DerivedName, made: &impl Serialize) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let outcome = writer::create(api, &name.name, made, is_ours).await;
        self.index.changed(self.namespace, name);
        outcome.map(drop).map_err(WriteError::withholding)
    }

    async fn merge<K>(
        &self,
        api: &Api<K>,
        name: &DerivedName,
        found: &ObjectMeta,
        change: ObjectMeta,
        members: &(impl Serialize + Debug),
    ) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let version = found.resource_version.as_deref().unwrap_or_default();
        let outcome = writer::merge(api, &name.name, version, change, members).await;
        self.index.changed(self.namespace, name);
        outcome.map_err(WriteError::withholding)
    }

    async fn delete<K>(&self, api: &Api<K>, name: &DerivedName, found: &ObjectMeta) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let uid = Uid(found.uid.clone().unwrap_or_default());
        let outcome = writer::delete(api, &name.name, &uid, found.resource_version.as_deref()).await;
        self.index.changed(self.namespace, name);
        outcome.map(|_| ()).map_err(WriteError::withholding)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    fn metadata(&self, name: &DerivedName, before: &ObjectMeta, made_from: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.name.clone()),
            namespace: Some(self.namespace.to_owned()),
            ..self.marks(before, made_from)
        }
    }

    /// One of several, and none that has to wait for it.
    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: "Service".to_owned(),
            name: self.service.to_owned(),
            uid: self.uid.0.clone(),
            controller: None,
            block_owner_deletion: None,
        }
    }

    /// What an object is to say of itself, as a change of what it says.
    fn marks(&self, found: &ObjectMeta, made_from: String) -> ObjectMeta {
        ObjectMeta {
            labels: Some([(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_LONGSHORE.to_owned())].into()),
            annotations: Some([(labels::MADE_FROM.to_owned(), made_from)].into()),
            owner_references: Some(self.with_us(found)),
            ..ObjectMeta::default()
        }
    }

    fn with_us(&self, found: &ObjectMeta) -> Vec<OwnerReference> {
        let others = found.owner_references.iter().flatten().filter(|owner| owner.uid != self.uid.0).cloned();
        others.chain([self.owner()]).collect()
    }
}

/// A Secret as it is sent. That of `k8s_openapi` shows its values to whoever prints it, and so does JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NewSecret<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: ObjectMeta,
    #[serde(rename = "type")]
    type_: &'static str,
    data: BTreeMap<&'a str, Encoded<'a>>,
}

/// What becomes of the values of a Secret. One that is none is removed.
#[derive(Debug, Serialize)]
struct ChangedData<'a> {
    data: BTreeMap<&'a str, Option<Encoded<'a>>>,
}

impl<'a> ChangedData<'a> {
    fn between(stored: &'a Values, wanted: &'a Values) -> Self {
        let gone = stored.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.as_str(), None));
        let kept = wanted.iter().map(|(key, value)| (key.as_str(), Some(Encoded(value))));
        Self { data: gone.chain(kept).collect() }
    }
}

/// A value, in base64 where it is sent and nothing where it is printed.
#[derive(Debug, Clone, Copy)]
struct Encoded<'a>(&'a SecretSlice<u8>);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0.expose_secret()))
    }
}

fn unread(name: &str, error: &ReadError) -> WriteError {
    WriteError::Read { name: name.to_owned(), why: error.to_string() }
}

fn foreign<K: Resource<DynamicType = ()>>(name: &DerivedName) -> WriteError {
    WriteError::Foreign { kind: K::kind(&()).into_owned(), name: name.name.clone() }
}

fn is_same(one: &Values, other: &Values) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|((one_key, one), (other_key, other))| {
            one_key == other_key && one.expose_secret() == other.expose_secret()
        })
}

/// Whether a stored value says all that is wanted. The API server may have added defaults.
fn holds(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| stored.get(name).is_some_and(|stored| holds(stored, wanted)))
        }
        (Value::Array(stored), Value::Array(wanted)) => {
            stored.len() == wanted.len() && stored.iter().zip(wanted).all(|(stored, wanted)| holds(stored, wanted))
        }
        (stored, wanted) => stored == wanted,
    }
}

#[cfg(test)]
mod tests;
