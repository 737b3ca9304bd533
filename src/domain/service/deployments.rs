//! Which deployments a service has, and which of them is PRIMARY.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::names::{DeploymentId, RevisionName};
use crate::api::{Deployment as DeploymentStatus, DeploymentState, ServiceSpec};
use crate::domain::facts::DeploymentTasks;
use crate::domain::resolve::canonical_json;
use crate::domain::service::Observed;
use crate::domain::service::slots::UsedAttempts;

/// A deployment of a service.
#[derive(Debug, Clone)]
pub(super) struct Deployment<'a> {
    pub(super) id: DeploymentId,
    /// The deployment's number within its service, from 1; 0 where only its tasks tell of it.
    pub(super) ordinal: i64,
    pub(super) revision: RevisionName,
    pub(super) used_attempts: UsedAttempts,
    /// What status said of it before; a deployment that begins has none.
    pub(super) record: Option<&'a DeploymentStatus>,
}

/// The deployments of a service.
#[derive(Debug, Clone)]
pub(super) struct Deployments<'a> {
    primary: Option<Deployment<'a>>,
    /// The highest ordinal that any deployment of the service has had.
    pub(super) last_ordinal: i64,
    /// Those that are being replaced and still have tasks, newest first.
    pub(super) active: Vec<Deployment<'a>>,
}

impl<'a> Deployments<'a> {
    /// Takes the deployments from status and from the tasks that are there. A task whose deployment status does not know was
    /// started just before a crash: its deployment is derived again, or it is one more that is being replaced.
    pub(super) fn of(seen: &Observed<'a>, tasks: &BTreeMap<DeploymentId, DeploymentTasks<'_>>) -> Self {
        let recorded: Vec<Deployment<'a>> = seen.status.deployments.iter().filter_map(Deployment::recorded).collect();
        let last = recorded.iter().map(|known| known.ordinal).max().unwrap_or(0);
        let last = last.max(seen.status.last_deployment_ordinal.unwrap_or(0));
        let was_primary = recorded.iter().find(|known| known.is_recorded_as(DeploymentState::Primary));
        let primary = match &seen.service.target {
            Err(_) => was_primary.cloned(),
            Ok(target) => {
                let derive = |ordinal| DeploymentId::derive(seen.uid, ordinal, &target.content);
                let current = was_primary.filter(|primary| derive(primary.ordinal) == primary.id).cloned();
                current.or_else(|| {
                    let ordinal = last.saturating_add(1);
                    Some(Deployment {
                        id: derive(ordinal),
                        ordinal,
                        revision: target.revision.clone(),
                        used_attempts: UsedAttempts::default(),
                        record: None,
                    })
                })
            }
        };
        let primary_id = primary.as_ref().map(|primary| primary.id);
        let is_active = |id: DeploymentId| Some(id) != primary_id && tasks.get(&id).is_some_and(has_tasks);
        let mut active: Vec<_> = recorded.iter().filter(|known| is_active(known.id)).cloned().collect();
        for (id, tasks) in tasks {
            let known = recorded.iter().any(|known| known.id == *id);
            let example = [&tasks.healthy, &tasks.unhealthy, &tasks.stopped, &tasks.leaving];
            if let Some(task) = example.into_iter().flatten().next().filter(|_| !known && is_active(*id)) {
                active.push(Deployment {
                    id: *id,
                    ordinal: 0,
                    revision: task.revision.clone(),
                    used_attempts: UsedAttempts::default(),
                    record: None,
                });
            }
        }
        // A deployment that only its tasks tell of had the next ordinal; with the same ordinal and content it would come again.
        let unknown = |id: &DeploymentId| Some(*id) != primary_id && !recorded.iter().any(|known| known.id == *id);
        let last = if tasks.keys().any(unknown) { last.saturating_add(1) } else { last };
        let last_ordinal = primary.as_ref().map_or(last, |primary| primary.ordinal.max(last));
        let mut deployments = Self { primary, last_ordinal, active };
        for deployment in deployments.primary.iter_mut().chain(&mut deployments.active) {
            if let Some(tasks) = tasks.get(&deployment.id) {
                deployment.used_attempts = std::mem::take(&mut deployment.used_attempts).after(tasks);
            }
        }
        deployments
    }

    /// The deployment that the service is to consist of. None before the first one.
    pub(super) fn primary(&self) -> Option<&Deployment<'a>> {
        self.primary.as_ref()
    }
}

impl<'a> Deployment<'a> {
    fn recorded(record: &'a DeploymentStatus) -> Option<Self> {
        Some(Self {
            id: record.id.parse().ok()?,
            ordinal: record.ordinal,
            revision: record.task_definition.parse().ok()?,
            used_attempts: UsedAttempts::parse(&record.used_attempts),
            record: Some(record),
        })
    }

    fn is_recorded_as(&self, state: DeploymentState) -> bool {
        self.record.is_some_and(|record| record.status == state)
    }
}

/// A deployment is ACTIVE, "still has running tasks, but is in the process of being replaced", until its last pod has gone.
pub(super) fn has_tasks(tasks: &DeploymentTasks<'_>) -> bool {
    tasks.active() > 0 || tasks.ended().any(super::still_there)
}

/// What a deployment runs, as a text that changes exactly when a new deployment has to start: the members of which ECS's
/// `UpdateService` says so. A member that is absent is left out, so that one that a later version adds changes nothing for
/// those who do not use it.
pub fn deployment_content(spec: &ServiceSpec, revision: &RevisionName) -> String {
    let spec = serde_json::to_value(spec).unwrap_or(Value::Null);
    let starts_a_deployment = [
        "loadBalancers",
        "networkConfiguration",
        "platformVersion",
        "serviceConnectConfiguration",
        "serviceRegistries",
        "volumeConfigurations",
        "vpcLatticeConfigurations",
    ];
    let mut content = serde_json::Map::new();
    content.insert("taskDefinition".to_owned(), Value::String(revision.to_string()));
    for member in starts_a_deployment {
        if let Some(value) = spec.get(member) {
            content.insert(member.to_owned(), value.clone());
        }
    }
    canonical_json(&Value::Object(content))
}
