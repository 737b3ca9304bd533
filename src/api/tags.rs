//! Tags and where they are copied to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key and an optional value that label a resource, as in ECS. Kept as annotations on tasks, never as labels.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// Key, 1 to 128 characters. The prefix `aws:` is reserved.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    /// Value, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub value: Option<String>,
}

/// Which resource's tags new tasks receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PropagateTags {
    /// Tags of the task definition.
    TaskDefinition,
    /// Tags of the service.
    Service,
    /// No tags.
    None,
}
