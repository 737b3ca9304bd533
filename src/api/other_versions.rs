//! What another version of the operator has written in a status. What this one does not know it leaves out, and writes anew: no
//! object is unreadable for its status, whichever version the operator goes back to.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::nulls::empty_if_null;

/// Reads a value that this version does not know as an absent one.
pub(super) fn none_if_unknown<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// Reads a list without the items that this version does not know; `null` is the empty list.
pub(super) fn known_items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items: Vec<Value> = empty_if_null(deserializer)?;
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::ServiceStatus;

    #[test]
    fn a_status_of_another_version_is_read_without_what_is_unknown() {
        let deployment = |rollout: &str| {
            json!({
                "id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "web:1", "desiredCount": 1, "pendingCount": 0,
                "runningCount": 1, "failedTasks": 0, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
                "ordinal": 1, "rolloutState": rollout, "deploymentCircuitBreaker": { "status": "DOZING" },
            })
        };
        let read = |status| serde_json::from_value::<ServiceStatus>(status).unwrap();
        let status = read(json!({
            "status": "HIBERNATING", "mood": "fine", "deployments": [deployment("BAKING"), { "id": 1 }], "events": [7],
        }));
        assert_eq!((status.status, status.events.len(), status.deployments.len()), (None, 0, 1));
        let read = &status.deployments[0];
        assert_eq!((read.id.as_str(), read.rollout_state, read.deployment_circuit_breaker), ("ecs-svc/1", None, None));
    }
}
