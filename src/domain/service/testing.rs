//! Facts for the tests of this module.

use jiff::Timestamp;

use crate::api::names::{DeploymentId, RevisionName, TaskKey, Uid};
use crate::domain::facts::{Presence, TaskFact};
use crate::domain::task::TaskState;

/// The uid of the service that all facts here belong to.
pub(crate) fn service_uid() -> Uid {
    Uid("5a1e".to_owned())
}

/// A key.
pub(crate) fn task_key(deployment: u64, slot: u32, attempt: u32) -> TaskKey {
    TaskKey { deployment: DeploymentId(deployment), slot, attempt }
}

/// A healthy task of `web:1`.
pub(crate) fn healthy_task(key: TaskKey) -> TaskFact {
    let pod = key.task_id(&service_uid()).pod_name("web");
    TaskFact {
        uid: Uid(format!("uid of {pod}")),
        pod,
        resource_version: "1".to_owned(),
        key,
        revision: RevisionName { family: "web".parse().unwrap(), number: 1 },
        state: TaskState::Running { healthy: true },
        presence: Presence::Present,
        created_at: Timestamp::UNIX_EPOCH,
        started_at: Some(Timestamp::UNIX_EPOCH),
        stopped_by_us: false,
    }
}
