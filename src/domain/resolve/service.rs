//! A service with what it refers to looked up.

use crate::api::conditions::{Reason, Summary};
use crate::api::names::{RevisionName, TaskDefinitionName, cluster_name};
use crate::api::{SchedulingStrategy, ServiceSpec};
use crate::domain::resolve::members::{self, not_implemented};
use crate::domain::service::deployment_content;

/// "default value … for REPLICA is 100".
const MINIMUM_HEALTHY_PERCENT: u32 = 100;
/// "default value … for REPLICA is 200".
const MAXIMUM_PERCENT: u32 = 200;

/// What the service scheduler works on.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedService {
    /// How many tasks there should be.
    pub desired_count: u32,
    /// `minimumHealthyPercent`, 0–100.
    pub minimum_healthy_percent: u32,
    /// `maximumPercent`.
    pub maximum_percent: u32,
    /// What the service is to run, or why that is not known.
    pub target: Result<Target, Summary>,
    /// Whether tasks may be started: there is a cluster to start them in, and the revision that runs can still be read.
    pub can_start: bool,
    /// Members that have no effect yet.
    pub not_implemented: Vec<String>,
}

/// What a service is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The revision.
    pub revision: RevisionName,
    /// What decides whether the running deployment is this one.
    pub content: String,
}

/// What a service's references lead to.
#[derive(Debug, Clone)]
pub struct References {
    /// Whether the cluster exists and is not being deleted.
    pub cluster: bool,
    /// The newest ACTIVE revision of the family.
    pub latest: Option<RevisionName>,
    /// The pinned revision, and whether it is ACTIVE.
    pub pinned: Option<bool>,
    /// The revision of the PRIMARY deployment, if that can still be read.
    pub running: Option<RevisionName>,
}

/// Resolves a service. What is missing is a waiting condition: it heals by itself once the missing object comes.
pub fn resolve(spec: &ServiceSpec, references: &References) -> ResolvedService {
    let percent =
        |percent: Option<i32>, default| percent.and_then(|percent| u32::try_from(percent).ok()).unwrap_or(default);
    let configuration = spec.deployment_configuration.as_ref();
    let target = target(spec, references);
    let startable = match &target {
        Ok(_) => true,
        Err(_) => references.cluster && references.running.is_some(),
    };
    ResolvedService {
        desired_count: u32::try_from(spec.desired_count).unwrap_or(0),
        minimum_healthy_percent: percent(
            configuration.and_then(|c| c.minimum_healthy_percent),
            MINIMUM_HEALTHY_PERCENT,
        ),
        maximum_percent: percent(configuration.and_then(|c| c.maximum_percent), MAXIMUM_PERCENT),
        can_start: startable,
        target,
        not_implemented: not_implemented(spec, members::SERVICE),
    }
}

fn target(spec: &ServiceSpec, references: &References) -> Result<Target, Summary> {
    if !references.cluster {
        let cluster = cluster_name(spec.cluster.as_deref());
        let message = format!("waiting for the Cluster {cluster:?}; create it, or name another in spec.cluster");
        return Err(Summary::Reconciling(Reason::ClusterNotFound, message));
    }
    if spec.scheduling_strategy == Some(SchedulingStrategy::Daemon) {
        let message = "spec.schedulingStrategy: DAEMON is not implemented yet; no task is started";
        return Err(Summary::Stalled(Reason::InvalidSpec, message.to_owned()));
    }
    let Some(named) = spec.task_definition.as_deref() else {
        let message = "spec.taskDefinition: name a family, or a revision as family:revision";
        return Err(Summary::Stalled(Reason::InvalidSpec, message.to_owned()));
    };
    let revision = match named.parse() {
        Err(error) => return Err(Summary::Stalled(Reason::InvalidSpec, format!("spec.taskDefinition: {error}"))),
        Ok(TaskDefinitionName::Latest(family)) => references.latest.clone().ok_or_else(|| {
            let message = format!("waiting for the TaskDefinition {:?} to have an ACTIVE revision", family.as_str());
            Summary::Reconciling(Reason::TaskDefinitionNotFound, message)
        })?,
        Ok(TaskDefinitionName::Revision(revision)) => match references.pinned {
            None => {
                let message = format!(
                    "waiting for the revision {revision}, which does not exist (yet); spec.taskDefinition names it"
                );
                return Err(Summary::Reconciling(Reason::TaskDefinitionNotFound, message));
            }
            // "Existing services … can continue to run, and you can still scale them": only moving onto it is refused.
            Some(false) if references.running.as_ref() != Some(&revision) => {
                let message = format!("the revision {revision} is INACTIVE; name an ACTIVE one in spec.taskDefinition");
                return Err(Summary::Stalled(Reason::RevisionInactive, message));
            }
            Some(_) => revision,
        },
    };
    Ok(Target { content: deployment_content(spec, &revision), revision })
}
