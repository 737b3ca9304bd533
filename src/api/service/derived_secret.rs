//! The objects that the operator makes for what tasks take from secrets and files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;

/// An object made for the tasks of a service. Services that need the same share it; it goes when none needs it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DerivedSecret {
    /// Its kind.
    pub kind: DerivedSecretKind,
    /// Its name. It has no value of a secret in it.
    pub name: String,
    /// The task definitions, as `family:revision`, whose tasks use it.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub task_definitions: Vec<String>,
}

/// Kinds of objects that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DerivedSecretKind {
    /// A Secret made from another Secret or a ConfigMap.
    Secret,
    /// An ExternalSecret, from which the External Secrets Operator makes a Secret of the same name.
    ExternalSecret,
}
