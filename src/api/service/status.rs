//! What the operator reports of a service.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::conditions::own_conditions;
use crate::api::names::RevisionName;
use crate::api::nulls::empty_if_null;
use crate::api::other_versions::{known_items, none_if_unknown};
use crate::api::{
    Deployment, DeploymentState, DerivedSecret, RolloutState, ServiceDeployment, ServiceDeploymentStatus, StoppedTask,
    ZoneRebalancing,
};

/// What the operator reports of a service.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Generation of the spec this status was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, one of each type.
    #[serde(default, deserialize_with = "own_conditions", skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// State of the service as ECS shows it.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub status: Option<ServiceState>,
    /// Number of tasks the service aims for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_count: Option<i32>,
    /// Number of running tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_count: Option<i32>,
    /// Number of tasks that have not started yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_count: Option<i32>,
    /// Label selector of the service's pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Task definition of the PRIMARY deployment as `family:revision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Deployments, the PRIMARY one first.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<Deployment>,
    /// The last ten deployments, newest first, with what became of them.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub service_deployments: Vec<ServiceDeployment>,
    /// Latest events, newest first.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ServiceEvent>,
    /// Latest stopped tasks, newest first.
    #[serde(default, deserialize_with = "known_items", skip_serializing_if = "Vec::is_empty")]
    pub stopped_tasks: Vec<StoppedTask>,
    /// Highest deployment number ever given out; none is used twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_deployment_ordinal: Option<i64>,
    /// How the balance of the Availability Zones is restored, while there is something to tell of it.
    #[serde(default, deserialize_with = "none_if_unknown", skip_serializing_if = "Option::is_none")]
    pub availability_zone_rebalancing: Option<ZoneRebalancing>,
    /// The objects made for what the tasks take from secrets and files.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub derived_secrets: Vec<DerivedSecret>,
}

impl ServiceStatus {
    /// The revisions that the service may have to start a task of without its spec naming them: those of its deployments, and the
    /// one that it would roll back to.
    pub fn revisions(&self) -> impl Iterator<Item = RevisionName> + '_ {
        self.deployed().chain(self.way_back())
    }

    /// Those of them whose tasks have to find all that they take at any moment. A deployment that has completed is seldom gone back
    /// from, and if so by a person: what the tasks of the one before it take is given up, and made anew before they start.
    pub fn prepared_revisions(&self) -> impl Iterator<Item = RevisionName> + '_ {
        let primary = self.primary().map(|primary| primary.id.as_str());
        let is_primary = |past: &&ServiceDeployment| Some(past.id.as_str()) == primary;
        let primary = self.service_deployments.iter().find(is_primary);
        let has_completed = primary.is_some_and(|past| past.status == ServiceDeploymentStatus::Successful);
        self.deployed().chain(self.way_back().filter(|_| !has_completed))
    }

    /// Those whose deployments have failed, and that no other one runs: none of their tasks is started until the service changes.
    pub fn given_up(&self) -> BTreeSet<RevisionName> {
        let is_failed = |deployment: &&Deployment| deployment.rollout_state == Some(RolloutState::Failed);
        let primary = self.primary();
        let rolled_back = self.service_deployments.iter().filter(|past| past.rollback.is_some());
        let rolled_back = rolled_back.max_by_key(|past| past.ordinal);
        let rolled_back =
            rolled_back.filter(|past| primary.is_some_and(|primary| primary.ordinal < past.ordinal)).into_iter();
        let failed = primary.filter(is_failed).into_iter().map(|primary| &primary.task_definition);
        let failed = failed.chain(rolled_back.map(|past| &past.task_definition));
        let runs = |name: &&String| {
            let others = self.deployments.iter().filter(|deployment| !is_failed(deployment));
            others.into_iter().any(|deployment| deployment.task_definition == **name)
        };
        failed.filter(|name| !runs(name)).filter_map(|name| name.parse().ok()).collect()
    }

    fn deployed(&self) -> impl Iterator<Item = RevisionName> + '_ {
        self.deployments.iter().filter_map(|deployment| deployment.task_definition.parse().ok())
    }

    fn way_back(&self) -> Option<RevisionName> {
        let primary = self.primary().map(|primary| primary.id.as_str());
        ServiceDeployment::way_back(&self.service_deployments, primary)?.task_definition.parse().ok()
    }

    fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status == DeploymentState::Primary)
    }
}

/// States of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceState {
    /// Tasks are kept running.
    Active,
    /// Being deleted; tasks are still stopping.
    Draining,
    /// Deleted.
    Inactive,
}

/// Something that happened to a service, in the words of ECS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEvent {
    /// Id of the event.
    pub id: String,
    /// When it happened.
    pub created_at: Time,
    /// What happened.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A service that runs `web:N` in its nth deployment, with the PRIMARY one first.
    fn status(deployments: &[i64], history: &[(i64, &str)]) -> ServiceStatus {
        let id = |number: &i64| format!("ecs-svc/{number}");
        let deployment = |(place, number): (usize, &i64)| -> Value {
            json!({
                "id": id(number), "status": if place == 0 { "PRIMARY" } else { "ACTIVE" }, "ordinal": number,
                "taskDefinition": format!("web:{number}"), "desiredCount": 1, "pendingCount": 0, "runningCount": 1,
                "failedTasks": 0, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
            })
        };
        let past = |(number, status): &(i64, &str)| -> Value {
            json!({
                "id": id(number), "ordinal": number, "taskDefinition": format!("web:{number}"), "status": status,
                "createdAt": "2026-01-01T00:00:00Z", "requestedTaskCount": 1, "runningTaskCount": 1, "failedTaskCount": 0,
            })
        };
        let deployments: Vec<Value> = deployments.iter().enumerate().map(deployment).collect();
        let history: Vec<Value> = history.iter().map(past).collect();
        serde_json::from_value(json!({ "deployments": deployments, "serviceDeployments": history })).unwrap()
    }

    #[test]
    fn a_rollback_goes_to_the_most_recent_deployment_that_completed_and_was_another_one() {
        for (sentence, deployments, history, may_start, prepared) in [
            ("of a service that was never deployed, nowhere", &[][..], &[][..], &[][..], &[][..]),
            ("nor from the first deployment", &[1], &[(1, "SUCCESSFUL")], &[1], &[1]),
            (
                "from one that is in progress, to the last one that completed",
                &[3],
                &[(3, "IN_PROGRESS"), (2, "SUCCESSFUL"), (1, "SUCCESSFUL")],
                &[3, 2],
                &[3, 2],
            ),
            (
                "from one that has completed, which only a person leaves, to the one before it",
                &[3],
                &[(3, "SUCCESSFUL"), (2, "SUCCESSFUL"), (1, "SUCCESSFUL")],
                &[3, 2],
                &[3],
            ),
            ("not to one that failed", &[3], &[(3, "SUCCESSFUL"), (2, "STOPPED"), (1, "SUCCESSFUL")], &[3, 1], &[3]),
            (
                "and what is left of older ones is kept up",
                &[3, 2],
                &[(3, "IN_PROGRESS"), (2, "STOPPED"), (1, "SUCCESSFUL")],
                &[3, 2, 1],
                &[3, 2, 1],
            ),
        ] {
            let status = status(deployments, history);
            let numbers = |revisions: &mut dyn Iterator<Item = RevisionName>| -> Vec<i64> {
                revisions.map(|revision| revision.number).collect()
            };
            assert_eq!(numbers(&mut status.revisions()), may_start, "{sentence}");
            assert_eq!(numbers(&mut status.prepared_revisions()), prepared, "{sentence}: what they take is there");
        }
    }

    #[test]
    fn nothing_is_started_of_what_has_failed_until_the_service_changes() {
        let primary = |status: &mut ServiceStatus, state: RolloutState| {
            status.deployments[0].rollout_state = Some(state);
        };
        let given_up = |status: &ServiceStatus| -> Vec<i64> {
            status.given_up().into_iter().map(|revision| revision.number).collect()
        };
        let mut failed = status(&[2, 1], &[(2, "STOPPED"), (1, "SUCCESSFUL")]);
        primary(&mut failed, RolloutState::InProgress);
        assert!(given_up(&failed).is_empty());
        primary(&mut failed, RolloutState::Failed);
        assert_eq!(given_up(&failed), [2], "it stays, and what is left of the one before it is kept up");

        let mut back = status(&[1], &[(2, "ROLLBACK_SUCCESSFUL"), (1, "SUCCESSFUL")]);
        let rollback = json!({ "reason": "", "startedAt": "2026-01-01T00:00:00Z", "deployment": "ecs-svc/1" });
        back.service_deployments[0].rollback = serde_json::from_value(rollback).unwrap();
        assert_eq!(given_up(&back), [2], "the service went back from it");
        primary(&mut back, RolloutState::Failed);
        assert_eq!(given_up(&back), [1, 2], "the way back failed, too");
        primary(&mut back, RolloutState::Completed);
        back.service_deployments[0].task_definition = "web:1".to_owned();
        assert!(given_up(&back).is_empty(), "a rotation of secrets failed: the revision runs on with the old ones");

        let mut next = status(&[3, 1], &[(3, "IN_PROGRESS"), (2, "ROLLBACK_SUCCESSFUL"), (1, "SUCCESSFUL")]);
        next.service_deployments[1].rollback.clone_from(&back.service_deployments[0].rollback);
        assert!(given_up(&next).is_empty(), "the service has changed");
    }
}
