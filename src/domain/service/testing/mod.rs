//! Facts, definitions and a world for the tests of this module.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::names::{DeploymentId, RevisionName, TaskKey, Uid};
use crate::domain::facts::{Presence, TaskFact};
use crate::domain::placement::resources::Resources;
use crate::domain::resolve::control::Control;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::service::{ResolvedService, Scheduling, Target};
use crate::domain::resolve::task_definition::{self, ResolvedTaskDefinition};
use crate::domain::secrets::plan::SecretPlan;
use crate::domain::task::{Checks, Gate, HealthPeriods, StopRecord, TaskState};

pub(crate) use world::World;

/// The uid of the service that all facts here belong to.
pub(crate) fn service_uid() -> Uid {
    Uid("5a1e".to_owned())
}

/// A key.
pub(crate) fn task_key(deployment: u64, slot: u32, attempt: u32) -> TaskKey {
    TaskKey { deployment: DeploymentId(deployment), slot, attempt }
}

/// A revision of the family `web`.
pub(crate) fn web(number: i64) -> RevisionName {
    RevisionName { family: "web".parse().unwrap(), number }
}

/// A healthy task of `web:1`.
pub(crate) fn healthy_task(key: TaskKey) -> TaskFact {
    let pod = key.task_id(&service_uid()).pod_name("web");
    TaskFact {
        uid: Uid(format!("uid of {pod}")),
        pod,
        resource_version: "1".to_owned(),
        key,
        revision: web(1),
        state: healthy(),
        presence: Presence::Present,
        node: None,
        pinned_to: None,
        zone: None,
        reserves: Resources::default(),
        protected_until: None,
        stop_requested_at: None,
        disruption: None,
        stopped_for: None,
    }
}

/// RUNNING, with a health check that passes.
pub(crate) fn healthy() -> TaskState {
    TaskState::Running(Checks {
        running_since: Some(Timestamp::UNIX_EPOCH),
        passing: true,
        passing_changed_at: Some(Timestamp::UNIX_EPOCH),
        gate: Gate::HealthCheck { deadline: SignedDuration::from_secs(90) },
        targets: Vec::new(),
    })
}

/// RUNNING, with a health check that has passed and does not pass any more.
pub(crate) fn unhealthy() -> TaskState {
    let TaskState::Running(checks) = healthy() else { unreachable!() };
    TaskState::Running(Checks {
        passing: false,
        passing_changed_at: Some(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1)),
        ..checks
    })
}

/// RUNNING, and a container is between two runs.
pub(crate) fn starting_again() -> TaskState {
    let (running_since, passing_changed_at, gate) = (None, None, Gate::Running);
    TaskState::Running(Checks { running_since, passing: false, passing_changed_at, gate, targets: Vec::new() })
}

/// RUNNING, on a node of which nothing is heard any more.
pub(crate) fn unheard() -> TaskState {
    let TaskState::Running(checks) = unhealthy() else { unreachable!() };
    TaskState::Running(Checks { gate: Gate::Agent, ..checks })
}

/// RUNNING and passing since a moment, without a check: after 40 seconds it counts.
pub(crate) fn warming(since: Timestamp) -> TaskState {
    let since = Some(since);
    let checks = Checks {
        running_since: since,
        passing: true,
        passing_changed_at: since,
        gate: Gate::Running,
        targets: Vec::new(),
    };
    TaskState::Running(checks)
}

/// Not RUNNING yet.
pub(crate) fn pending() -> TaskState {
    TaskState::Pending { failing: None }
}

/// A definition of one container, with some members more.
fn definition(members: serde_json::Value) -> Arc<ResolvedTaskDefinition> {
    let mut spec = serde_json::json!({ "containerDefinitions": [{ "name": "app", "image": "example.com/app:1" }] });
    if let (Some(spec), serde_json::Value::Object(members)) = (spec.as_object_mut(), members) {
        spec.extend(members);
    }
    Arc::new(task_definition::resolve(&serde_json::from_value(spec).unwrap(), Features::ALL).unwrap())
}

/// The definitions of a few revisions of `web`.
fn definitions() -> BTreeMap<RevisionName, Arc<ResolvedTaskDefinition>> {
    let definition = definition(serde_json::json!({}));
    (1..=9).map(|number| (web(number), definition.clone())).collect()
}

/// A service as resolved.
pub(crate) fn service(revision: i64, desired: u32, minimum: u32, maximum: u32) -> ResolvedService {
    let revision = web(revision);
    ResolvedService {
        desired_count: desired,
        minimum_healthy_percent: minimum,
        maximum_percent: maximum,
        scheduling: Scheduling::Replica,
        target: Ok(Target { content: revision.to_string(), revision }),
        has_cluster: true,
        health_periods: HealthPeriods { healthy_after: SignedDuration::from_secs(40), grace: SignedDuration::ZERO },
        circuit_breaker: None,
        count_early_exits: true,
        deregistration_delay: 0,
        strategies: Vec::new(),
        rebalances_zones: false,
        control: Control::default(),
        not_implemented: Vec::new(),
        secrets: SecretPlan::default(),
    }
}

/// The end of a task whose essential container exited.
pub(crate) fn exited() -> TaskState {
    TaskState::Stopped(Box::new(StopRecord {
        code: crate::api::StopCode::EssentialContainerExited,
        reason: "Essential container in task exited".to_owned(),
        at: None,
        ran_since: Some(Timestamp::UNIX_EPOCH),
        had_passed: true,
        others_running: false,
        containers: Vec::new(),
    }))
}
