//! A service with what it refers to looked up.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::api::conditions::{Reason, Summary};
use crate::api::names::{RevisionName, TaskDefinitionName, cluster_name};
use crate::api::{
    AvailabilityZoneRebalancing, DeploymentCircuitBreaker, SchedulingStrategy, ServiceSpec, ServiceVolumeConfiguration,
};
use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::strategy::Strategy;
use crate::domain::resolve::control::Control;
use crate::domain::resolve::deployment_content;
use crate::domain::resolve::members::{self, not_implemented};
use crate::domain::resolve::task_definition::{PodName, ResolvedTaskDefinition, VolumeSource};
use crate::domain::secrets::plan::SecretPlan;
use crate::domain::task::HealthPeriods;

/// "The default value for a replica service for minimumHealthyPercent is 100%. … for a service using the DAEMON service
/// schedule is 0% for the CLI, the AWS SDKs, and the APIs".
const MINIMUM_HEALTHY_PERCENT: (u32, u32) = (100, 0);
/// "The default maximumPercent value for a service using the REPLICA service scheduler is 200%. … DAEMON … 100%."
const MAXIMUM_PERCENT: (u32, u32) = (200, 100);
/// How long a task without checks has to run to count as healthy, in seconds.
const HEALTHY_AFTER: i32 = 40;
/// The deregistration delay of a target group, in seconds.
const DEREGISTRATION_DELAY: u32 = 300;

/// What the service scheduler works on.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedService {
    /// How many tasks there should be.
    pub desired_count: u32,
    /// Whether that is one on each node instead.
    pub scheduling: Scheduling,
    /// `minimumHealthyPercent`, 0–100.
    pub minimum_healthy_percent: u32,
    /// `maximumPercent`.
    pub maximum_percent: u32,
    /// What the service is to run, or why that is not known.
    pub target: Result<Target, Summary>,
    /// Whether there is a cluster to start tasks in.
    pub has_cluster: bool,
    /// What health depends on besides the checks themselves.
    pub health_periods: HealthPeriods,
    /// `deploymentCircuitBreaker`, where it is enabled.
    pub circuit_breaker: Option<DeploymentCircuitBreaker>,
    /// Whether a task that dies right after it ran counts as one that failed to start.
    pub count_early_exits: bool,
    /// Seconds between the end of new connections and the stop signal.
    pub deregistration_delay: u32,
    /// In which order scale-in takes tasks away.
    pub strategies: Vec<Strategy>,
    /// Whether its tasks are moved between Availability Zones when these have become uneven.
    pub rebalances_zones: bool,
    /// What a person asks of deployments beside the spec.
    pub control: Control,
    /// Members that have no effect yet.
    pub not_implemented: Vec<String>,
    /// What its tasks take from Secrets and ConfigMaps, and what they wait for.
    pub secrets: SecretPlan,
}

impl ResolvedService {
    /// Whether what runs on the nodes, whatever its service, makes a difference to it.
    pub fn looks_at_node_tasks(&self) -> bool {
        matches!(self.scheduling, Scheduling::Daemon { .. }) || self.strategies.iter().any(Strategy::looks_at_room)
    }

    /// Leaves the tasks in the zones that the definition that is to run asks for.
    pub fn check_zones(&mut self, definition: &ResolvedTaskDefinition) {
        if self.rebalances_zones && definition.platform.constraints.iter().any(Constraint::names_zone) {
            self.rebalances_zones = false;
            let why = "placementConstraints of the task definition name the Availability Zone";
            self.not_implemented.push(format!("spec.availabilityZoneRebalancing ({why})"));
        }
    }

    /// Whether the service says what the definition that is to run leaves to it.
    pub fn check_volumes(&mut self, definition: &ResolvedTaskDefinition, spec: &ServiceSpec) {
        if let (Ok(target), Some(refusal)) = (&self.target, unfit_volumes(definition, &spec.volume_configurations)) {
            let message = format!("spec.volumeConfigurations{refusal} ({} is to run)", target.revision);
            self.target = Err(Summary::Stalled(Reason::InvalidSpec, message));
        }
    }
}

/// "To configure a volume at launch time, … specify a volumeConfigurations object when calling the CreateService, UpdateService … APIs",
/// whose name "must match the volume name from the Volume object in the task definition".
fn unfit_volumes(definition: &ResolvedTaskDefinition, given: &[ServiceVolumeConfiguration]) -> Option<String> {
    let left = || definition.volumes.iter().filter(|volume| volume.source == VolumeSource::ConfiguredAtLaunch);
    for volume in left() {
        let name = &volume.name.ecs;
        let disk = given.iter().find(|given| given.name == *name).map(|given| given.managed_ebs_volume.as_ref());
        match disk {
            None => return Some(format!(": the volume {name:?} is configuredAtLaunch; add an entry of that name")),
            Some(None) => return Some(format!("[{name}].managedEBSVolume: say at least sizeInGiB and roleArn")),
            Some(Some(disk)) if disk.size_in_gib.is_none() => {
                let message = "say how large the volume is; of a snapshot, at least as large as what it was made from";
                return Some(format!("[{name}].managedEBSVolume.sizeInGiB: {message}"));
            }
            Some(Some(_)) => {}
        }
    }
    // One that spec.kubernetes says otherwise of may be configured, too: the service is as it is on ECS.
    let is_known = |name: &str| {
        left().any(|volume| volume.name.ecs == name)
            || definition.extension.volumes.iter().any(|volume| volume.name == PodName::new(name).pod)
    };
    let surplus = given.iter().find(|given| !is_known(&given.name))?;
    Some(format!("[{}]: there is no volume of that name that is configuredAtLaunch; remove the entry", surplus.name))
}

/// Where the tasks of a service go.
#[derive(Debug, Clone, PartialEq)]
pub enum Scheduling {
    /// REPLICA: as many as desired, wherever there is room.
    Replica,
    /// DAEMON: one on every node that satisfies the constraints, those of the task definition too.
    Daemon {
        /// The placement constraints of the service.
        constraints: Vec<Constraint>,
    },
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
    /// Whether there is a cluster that the service may run in.
    pub cluster: bool,
    /// The newest ACTIVE revision of the family.
    pub latest: Option<RevisionName>,
    /// The pinned revision, and whether it is ACTIVE.
    pub pinned: Option<bool>,
    /// The revision of the PRIMARY deployment, if that can still be read.
    pub running: Option<RevisionName>,
    /// The revision of the PRIMARY deployment if that is there, and newer than all that have been observed: status was written by
    /// another operator, which was told of it first.
    pub unobserved: Option<RevisionName>,
}

/// Resolves a service. What is missing is a waiting condition: it heals by itself once the missing object comes.
pub fn resolve(spec: &ServiceSpec, annotations: &BTreeMap<String, String>, references: &References) -> ResolvedService {
    let given = |value: Option<i32>, default| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default);
    let seconds = |value: Option<i32>, default: i32| SignedDuration::from_secs(value.unwrap_or(default).max(0).into());
    let configuration = spec.deployment_configuration.as_ref();
    let kubernetes = spec.kubernetes.as_ref();
    let daemon = spec.scheduling_strategy == Some(SchedulingStrategy::Daemon);
    let default = |(replica, of_daemon)| if daemon { of_daemon } else { replica };
    let constraints: Result<Vec<_>, _> = spec.placement_constraints.iter().map(Constraint::try_from).collect();
    let target = match &constraints {
        Err(error) if daemon => {
            Err(Summary::Stalled(Reason::InvalidSpec, format!("spec.placementConstraints: {error}")))
        }
        Err(_) | Ok(_) => target(spec, references),
    };
    let strategies: Result<Vec<_>, _> = spec.placement_strategy.iter().map(Strategy::try_from).collect();
    let target = match &strategies {
        Err(error) => Err(Summary::Stalled(Reason::InvalidSpec, format!("spec.placementStrategy: {error}"))),
        Ok(_) => target,
    };
    let delay = if spec.load_balancers.is_empty() { 0 } else { DEREGISTRATION_DELAY };
    let control = Control::read(annotations);
    let mut without_effect = not_implemented(spec, if daemon { members::DAEMON_SERVICE } else { members::SERVICE });
    without_effect.extend(control.unread.clone());
    if !(daemon || spec.placement_strategy.is_empty()) {
        without_effect.push("spec.placementStrategy (for new tasks; it decides which tasks go first)".to_owned());
    }
    let maximum_percent = given(configuration.and_then(|c| c.maximum_percent), default(MAXIMUM_PERCENT));
    // Of a service in which it "was never set", ECS says DISABLED; `CreateService` itself sets ENABLED. Here a service is applied again
    // and again, and the cluster's scheduler, which does not spread the tasks of a service over zones, would make work for it.
    let rebalances_zones = spec.availability_zone_rebalancing == Some(AvailabilityZoneRebalancing::Enabled) && !daemon;
    let constraints = constraints.unwrap_or_default();
    let strategies = strategies.unwrap_or_default();
    let desired_count = u32::try_from(spec.desired_count).unwrap_or(0);
    let obstacle = zones_stay(&constraints, &strategies, desired_count, maximum_percent).filter(|_| rebalances_zones);
    without_effect.extend(obstacle.map(|obstacle| format!("spec.availabilityZoneRebalancing ({obstacle})")));
    ResolvedService {
        desired_count,
        scheduling: if daemon { Scheduling::Daemon { constraints } } else { Scheduling::Replica },
        minimum_healthy_percent: given(
            configuration.and_then(|c| c.minimum_healthy_percent),
            default(MINIMUM_HEALTHY_PERCENT),
        ),
        maximum_percent,
        has_cluster: references.cluster,
        health_periods: HealthPeriods {
            healthy_after: seconds(kubernetes.and_then(|k| k.healthy_after_seconds), HEALTHY_AFTER),
            grace: seconds(spec.health_check_grace_period_seconds, 0),
        },
        circuit_breaker: configuration
            .and_then(|c| c.deployment_circuit_breaker.clone())
            .filter(|breaker| breaker.enable),
        count_early_exits: kubernetes.and_then(|k| k.count_early_exits).unwrap_or(true),
        deregistration_delay: given(kubernetes.and_then(|k| k.deregistration_delay_seconds), delay),
        strategies,
        rebalances_zones: rebalances_zones && obstacle.is_none(),
        control,
        target,
        not_implemented: without_effect,
        secrets: SecretPlan::default(),
    }
}

/// Why tasks are not moved between zones though a service asks for it. It is for services "that use Availability Zone spread as the
/// first task placement strategy, or do not specify a placement strategy", not for those "that … use a maximumPercent of 100" or "have
/// the ecs.availability-zone attribute as a task placement constraint".
fn zones_stay(
    constraints: &[Constraint],
    strategies: &[Strategy],
    desired_count: u32,
    maximum_percent: u32,
) -> Option<&'static str> {
    // Rounded down, 110 percent of 4 tasks are 4. Where there is one task, or none, nothing has to move.
    let extra = u64::from(desired_count).saturating_mul(u64::from(maximum_percent.saturating_sub(100)));
    if maximum_percent <= 100 || (desired_count > 1 && extra < 100) {
        return Some("maximumPercent leaves no room to start a task first; make it more");
    }
    if strategies.first().is_some_and(|first| !first.spreads_over_zones()) {
        return Some("the first placementStrategy is not spread over attribute:ecs.availability-zone");
    }
    constraints.iter().any(Constraint::names_zone).then_some("placementConstraints name the Availability Zone")
}

fn target(spec: &ServiceSpec, references: &References) -> Result<Target, Summary> {
    if !references.cluster {
        let cluster = cluster_name(spec.cluster.as_deref());
        let message = format!("waiting for the Cluster {cluster:?}; create it, or name another in spec.cluster");
        return Err(Summary::Reconciling(Reason::ClusterNotFound, message));
    }
    let Some(named) = spec.task_definition.as_deref() else {
        let message = "spec.taskDefinition: name a family, or a revision as family:revision";
        return Err(Summary::Stalled(Reason::InvalidSpec, message.to_owned()));
    };
    let revision = match named.parse() {
        Err(error) => return Err(Summary::Stalled(Reason::InvalidSpec, format!("spec.taskDefinition: {error}"))),
        // From what is known here the service would go back to an older revision, and forth again a moment later.
        Ok(TaskDefinitionName::Latest(_)) if references.unobserved.is_some() => {
            let newest = references.unobserved.iter().map(ToString::to_string).collect::<String>();
            let message = format!("waiting to observe the revision {newest}, which runs already");
            return Err(Summary::Reconciling(Reason::TaskDefinitionNotFound, message));
        }
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

#[cfg(test)]
mod tests;
