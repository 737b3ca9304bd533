//! JSON `null` and `""`, which ECS JSON in the wild has wherever nothing was set, read as an absent member.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Deserializer};

/// Reads `null` as the empty list or map.
pub(super) fn empty_if_null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads `""` as an absent member, as `aws ecs register-task-definition --generate-cli-skeleton` leaves it in those that are texts: for
/// members of which an empty one means nothing.
pub(super) fn none_if_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Text,
{
    Ok(Option::<T>::deserialize(deserializer)?.filter(|value| !value.is_empty()))
}

/// What may be an empty text.
pub(super) trait Text {
    /// Whether it is.
    fn is_empty(&self) -> bool;
}

impl Text for String {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl Text for IntOrString {
    fn is_empty(&self) -> bool {
        matches!(self, Self::String(text) if text.is_empty())
    }
}
