//! JSON `null`, which ECS JSON in the wild has wherever nothing was set, read as an absent member.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the empty list or map.
pub(super) fn empty_if_null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
