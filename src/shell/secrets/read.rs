//! Reading one object, with its values or without.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{GetParams, PartialObjectMeta};
use kube::core::{ObjectMeta, Request};
use kube::{Api, Client, CustomResource, Resource};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::SecretMappingKind;
use crate::domain::resolve::value_from::Source;
use crate::domain::secrets::content::Values;

/// How long a read may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Why an object was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The API server says no, and will say so again.
    #[error("{0}")]
    Refused(String),
    /// It does not know the kind.
    #[error("the API server does not know the kind")]
    NoKind,
    /// No answer, or one that cannot be read. What that was is not told: it may hold a value.
    #[error("the API server gave no answer that could be read")]
    NoAnswer,
}

/// A Secret or ConfigMap with its values.
pub(super) struct Object {
    pub(super) metadata: ObjectMeta,
    pub(super) type_: Option<String>,
    /// Whether nobody can change its values any more.
    pub(super) is_immutable: bool,
    /// The keys of a ConfigMap that are in `binaryData`.
    pub(super) binary_keys: BTreeSet<String>,
    pub(super) values: Values,
}

impl Object {
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.values.keys().cloned().collect()
    }
}

/// An object of the External Secrets Operator. There is no value in it.
#[derive(CustomResource, Clone, Debug, Serialize, Deserialize)]
#[kube(group = "external-secrets.io", version = "v1", kind = "ExternalSecret", namespaced, schema = "disabled")]
pub(super) struct ExternalSecretSpec {
    /// Whatever it has: others may have added members.
    #[serde(flatten)]
    pub(super) members: Map<String, Value>,
}

/// What the API server has for either kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored<V> {
    metadata: ObjectMeta,
    #[serde(rename = "type")]
    type_: Option<String>,
    #[serde(default)]
    immutable: Option<bool>,
    #[serde(default = "BTreeMap::new")]
    data: BTreeMap<String, V>,
    #[serde(default)]
    binary_data: BTreeMap<String, ByteString>,
}

/// Reads an object with its values; `None` is that there is none.
pub(super) async fn with_values(
    client: &Client,
    namespace: &str,
    source: &Source,
) -> Result<Option<Object>, ReadError> {
    match source.kind {
        SecretMappingKind::Secret => {
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            let found = get::<_, Stored<ByteString>>(&api, &source.name).await?;
            Ok(found.map(|found| object(found, |ByteString(bytes)| bytes)))
        }
        SecretMappingKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            let found = get::<_, Stored<String>>(&api, &source.name).await?;
            Ok(found.map(|found| object(found, String::into_bytes)))
        }
    }
}

fn object<V>(stored: Stored<V>, bytes: impl Fn(V) -> Vec<u8>) -> Object {
    let Stored { metadata, type_, immutable, data, binary_data } = stored;
    let binary_keys = binary_data.keys().cloned().collect();
    let binary = binary_data.into_iter().map(|(key, ByteString(bytes))| (key, bytes.into()));
    let values = data.into_iter().map(|(key, value)| (key, bytes(value).into())).chain(binary).collect();
    Object { metadata, type_, is_immutable: immutable == Some(true), binary_keys, values }
}

/// Reads the metadata of an object.
pub(super) async fn metadata<K>(api: &Api<K>, name: &str) -> Result<Option<ObjectMeta>, ReadError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    // Out of the server's cache: it is a little late at most, and costs no read of etcd.
    let cached = GetParams { resource_version: Some("0".to_owned()) };
    let read = api.get_metadata_with(name, &cached);
    match tokio::time::timeout(TIME_LIMIT, read).await.map_err(|_| ReadError::NoAnswer)? {
        Ok(PartialObjectMeta { metadata, .. }) => Ok(Some(metadata)),
        Err(kube::Error::Api(status)) if status.code == 404 => missing(&status),
        Err(error) => Err(refused(&error)),
    }
}

/// Reads the metadata of a Secret or ConfigMap.
pub(super) async fn metadata_of(
    client: &Client,
    namespace: &str,
    source: &Source,
) -> Result<Option<ObjectMeta>, ReadError> {
    match source.kind {
        SecretMappingKind::Secret => {
            metadata::<Secret>(&Api::namespaced(client.clone(), namespace), &source.name).await
        }
        SecretMappingKind::ConfigMap => {
            metadata::<ConfigMap>(&Api::namespaced(client.clone(), namespace), &source.name).await
        }
    }
}

/// kube's own `get` logs an answer that it cannot read, values and all.
#[expect(clippy::disallowed_methods, reason = "this reads, and nothing of it may get into a log")]
pub(super) async fn get<K, T>(api: &Api<K>, name: &str) -> Result<Option<T>, ReadError>
where
    K: Resource + Clone,
    T: DeserializeOwned,
{
    let request = Request::new(api.resource_url()).get(name, &GetParams::default());
    let request = request.map_err(|error| ReadError::Refused(error.to_string()))?;
    let client = api.clone().into_client();
    let answer = tokio::time::timeout(TIME_LIMIT, client.request_text(request)).await;
    match answer.map_err(|_| ReadError::NoAnswer)? {
        Ok(text) => {
            let text = SecretString::from(text);
            serde_json::from_str(text.expose_secret()).map(Some).map_err(|_| ReadError::NoAnswer)
        }
        Err(kube::Error::Api(status)) if status.code == 404 => missing(&status),
        Err(error) => Err(refused(&error)),
    }
}

/// Of an object that is not there the answer names it; of a kind that it does not know the server has no name to tell.
fn missing<T>(status: &kube::core::Status) -> Result<Option<T>, ReadError> {
    let is_named = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    if is_named { Ok(None) } else { Err(ReadError::NoKind) }
}

fn refused(error: &kube::Error) -> ReadError {
    match error {
        kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
            ReadError::Refused(status.message.clone())
        }
        _ => ReadError::NoAnswer,
    }
}
