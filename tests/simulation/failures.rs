//! What a circuit breaker may have counted, from the pods that were there (I9).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use longshore::api::labels;
use longshore_test_apiserver::Change;
use serde_json::Value;

use crate::task::{condition, is_deleting, label, number, says, text, uid};

/// How long a task without checks runs before it is healthy, in seconds.
const HEALTHY_AFTER: i64 = 40;

/// The tasks of each deployment that can have failed, and those that have for certain.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Ended by themselves, were refused, or were not what they should be, at one moment or another.
    suspects: BTreeMap<String, BTreeSet<String>>,
    /// Exited soon after they had started, and the operator has removed their pods: those it has to have counted.
    forgotten: BTreeMap<String, BTreeSet<String>>,
    /// Deployments of which a task has been healthy: the count may have begun anew.
    recovered: BTreeSet<String>,
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether a container exited by itself within a time in which nothing can have become healthy.
fn died_early(pod: &Value) -> bool {
    let states = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
    let mut exits = states.filter_map(|container| container.pointer("/state/terminated"));
    let second = |exit: &Value, at: &str| text(exit, at).parse::<Timestamp>().map_or(0, Timestamp::as_second);
    exits.any(|exit| second(exit, "/finishedAt") - second(exit, "/startedAt") < HEALTHY_AFTER)
}

fn is_waiting_in_vain(pod: &Value) -> bool {
    let states = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
    let mut states = states.map(|container| text(container, "/state/waiting/reason"));
    states.any(|reason| !matches!(reason, "" | "ContainerCreating"))
}

/// Whether the scheduler has said that no node takes it. By a clock that jumps the ten minutes are soon over.
fn is_unplaced(pod: &Value) -> bool {
    condition(pod, "PodScheduled").is_some_and(|scheduled| text(scheduled, "/reason") == "Unschedulable")
}

impl Failures {
    /// A pod has changed.
    pub(crate) fn see(&mut self, change: &Change, by_operator: bool) {
        let Some(pod) = change.after.as_deref().or(change.before.as_deref()) else { return };
        let deployment = label(pod, labels::DEPLOYMENT).to_owned();
        let gone = change.after.is_none();
        let before = change.before.as_deref();
        let counts = |pod: &Value| died_early(pod) && text(pod, "/status/reason").is_empty() && !is_deleting(pod);
        if by_operator && gone && before.is_some_and(counts) {
            self.forgotten.entry(deployment.clone()).or_default().insert(uid(pod).to_owned());
        }
        if says(pod, "Ready") {
            self.recovered.insert(deployment.clone());
        }
        let running = text(pod, "/status/phase") == "Running";
        let runs_badly = running && !says(pod, "Ready");
        if has_ended(pod) || runs_badly || is_waiting_in_vain(pod) || is_unplaced(pod) {
            self.suspects.entry(deployment).or_default().insert(uid(pod).to_owned());
        }
    }

    /// The start of a pod was refused.
    pub(crate) fn refused(&mut self, pod: &Value, request: u64) {
        let deployment = label(pod, labels::DEPLOYMENT).to_owned();
        self.suspects.entry(deployment).or_default().insert(format!("request {request}"));
    }

    /// What is wrong with what a service's status says of its breakers.
    pub(crate) fn judge(&mut self, before: &Value, after: &Value) -> Option<String> {
        let all = |service: &Value| -> Vec<Value> {
            service.pointer("/status/deployments").and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let previous = all(before);
        // A circuit breaker that is switched on counts from nothing.
        let is_off = |one: &&Value| text(one, "/deploymentCircuitBreaker/status") == "DISABLED";
        let off = previous.iter().filter(is_off).map(|one| text(one, "/id").trim_start_matches("ecs-svc/").to_owned());
        self.recovered.extend(off);
        all(after).iter().find_map(|deployment| {
            let id = text(deployment, "/id").trim_start_matches("ecs-svc/");
            let breaker = deployment.get("deploymentCircuitBreaker")?;
            let (count, threshold) = (number(breaker, "/failureCount"), number(breaker, "/threshold"));
            let known = |of: &BTreeMap<String, BTreeSet<String>>| {
                of.get(id).map_or(0, |pods| i64::try_from(pods.len()).unwrap_or(i64::MAX))
            };
            if count > known(&self.suspects) {
                return Some(format!(
                    "{id} has counted {count} failures of {} tasks that can have failed",
                    known(&self.suspects)
                ));
            }
            let was = previous.iter().find(|one| one["id"] == deployment["id"]);
            let was_failed = was.is_some_and(|was| text(was, "/rolloutState") == "FAILED");
            let tripped = text(deployment, "/rolloutStateReason").contains("circuit breaker: tasks failed");
            if tripped && !was_failed && count < threshold {
                return Some(format!("{id} has failed at {count} of {threshold}"));
            }
            let goes_on =
                text(deployment, "/rolloutState") == "IN_PROGRESS" && text(deployment, "/status") == "PRIMARY";
            if goes_on && text(breaker, "/status") == "MONITORING" && count >= threshold {
                return Some(format!("{id} goes on at {count} of {threshold}"));
            }
            let lost = known(&self.forgotten) - count;
            if goes_on && !self.recovered.contains(id) && lost > 0 {
                return Some(format!(
                    "{id} has counted {count} failures, and {} failed tasks have been removed",
                    known(&self.forgotten)
                ));
            }
            None
        })
    }
}
