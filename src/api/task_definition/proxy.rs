//! The App Mesh proxy of a task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::KeyValuePair;
use crate::api::nulls::empty_if_null;

/// The App Mesh proxy of a task.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyConfiguration {
    /// Kind of proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_: Option<ProxyConfigurationType>,
    /// Name of the proxy's container.
    pub container_name: String,
    /// Settings of the proxy, such as `AppPorts`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<KeyValuePair>,
}

/// Kinds of proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProxyConfigurationType {
    /// App Mesh.
    Appmesh,
}
