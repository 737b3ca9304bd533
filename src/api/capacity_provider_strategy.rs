//! How tasks are divided among capacity providers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One capacity provider's share of the tasks.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProviderStrategyItem {
    /// Name of the capacity provider.
    pub capacity_provider: String,
    /// Relative share of the tasks beyond every `base`, 0 to 1000, default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub weight: Option<i32>,
    /// Number of tasks that come to this provider first, 0 to 100000, default 0. Only one provider may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub base: Option<i32>,
}
