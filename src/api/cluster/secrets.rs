//! Where a cluster finds what task definitions name by AWS's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where one secret, parameter or file is in this namespace.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretMapping {
    /// What task definitions say: the ARN of a secret, a parameter or an S3 object, or a name of a parameter or secret. The ARN of
    /// a secret stands for all its JSON keys, or with one for that alone; with a version stage or id
    /// (`…:secret:db-AbCdEf::AWSPREVIOUS:`) it is that version alone.
    #[schemars(length(min = 1, max = 2048))]
    pub from: String,
    /// What it is in: `Secret`, unless given.
    #[serde(default)]
    pub kind: SecretMappingKind,
    /// The name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key under which the whole value is. Without it, the keys of the object are the JSON keys of the secret, and a Secret for
    /// `repositoryCredentials` is an image pull secret already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[-._a-zA-Z0-9]{1,253}$"))]
    pub key: Option<String>,
}

/// Kinds of objects that hold values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SecretMappingKind {
    /// A Secret.
    #[default]
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// A store of the External Secrets Operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStore {
    /// Which service of AWS the store asks.
    pub service: SecretStoreService,
    /// The Region that the store is for; any, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account that the store is for, 12 digits; any, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    pub account: Option<String>,
    /// The store.
    pub store_ref: SecretStoreRef,
    /// How often the values are fetched anew, for example `15m`; what the External Secrets Operator does, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$"))]
    pub refresh_interval: Option<String>,
}

/// Services of AWS that hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SecretStoreService {
    /// Secrets Manager.
    SecretsManager,
    /// Systems Manager Parameter Store.
    ParameterStore,
}

/// The name of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretStoreRef {
    /// Its kind: `SecretStore`, unless given.
    #[serde(default)]
    pub kind: SecretStoreKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Kinds of stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SecretStoreKind {
    /// One of the namespace.
    #[default]
    SecretStore,
    /// One of the whole Kubernetes cluster.
    ClusterSecretStore,
}
