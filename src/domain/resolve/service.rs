//! A service with what it refers to looked up.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::api::conditions::{Reason, Summary};
use crate::api::names::{RevisionName, TaskDefinitionName, cluster_name};
use crate::api::{DeploymentCircuitBreaker, SchedulingStrategy, ServiceSpec};
use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::strategy::Strategy;
use crate::domain::resolve::control::Control;
use crate::domain::resolve::deployment_content;
use crate::domain::resolve::members::{self, not_implemented};
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
}

/// Where the tasks of a service go.
#[derive(Debug, Clone, PartialEq)]
pub enum Scheduling {
    /// REPLICA: as many as desired, wherever there is room.
    Replica,
    /// DAEMON: one on every node that satisfies the constraints.
    Daemon {
        /// The placement constraints.
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
    ResolvedService {
        desired_count: u32::try_from(spec.desired_count).unwrap_or(0),
        scheduling: if daemon {
            Scheduling::Daemon { constraints: constraints.unwrap_or_default() }
        } else {
            Scheduling::Replica
        },
        minimum_healthy_percent: given(
            configuration.and_then(|c| c.minimum_healthy_percent),
            default(MINIMUM_HEALTHY_PERCENT),
        ),
        maximum_percent: given(configuration.and_then(|c| c.maximum_percent), default(MAXIMUM_PERCENT)),
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
        strategies: strategies.unwrap_or_default(),
        control,
        target,
        not_implemented: without_effect,
        secrets: SecretPlan::default(),
    }
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A service of `web` in a cluster that exists, with members replaced, or removed by `null`.
    fn spec(change: &Value) -> ServiceSpec {
        let mut spec = json!({"cluster": "blue", "taskDefinition": "web", "desiredCount": 3});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn revision(name: &str) -> RevisionName {
        name.parse().unwrap()
    }

    /// `web:2` is the latest ACTIVE revision, and nothing runs.
    fn references() -> References {
        References { cluster: true, latest: Some(revision("web:2")), pinned: None, running: None, unobserved: None }
    }

    fn target(change: &Value, references: &References) -> String {
        match resolve(&spec(change), &BTreeMap::new(), references).target {
            Ok(target) => target.revision.to_string(),
            Err(Summary::Reconciling(reason, message)) => format!("Reconciling {}: {message}", reason.as_str()),
            Err(Summary::Stalled(reason, message)) => format!("Stalled {}: {message}", reason.as_str()),
            Err(Summary::Ready(..)) => panic!("what is not known is not ready"),
        }
    }

    #[test]
    fn a_service_runs_what_it_names_or_says_what_it_waits_for() {
        let pinned = json!({"taskDefinition": "web:1"});
        for (sentence, change, references, expected) in [
            ("a family stands for its latest ACTIVE revision", json!({}), references(), "web:2"),
            (
                "a pinned revision is run whatever the latest one is",
                pinned.clone(),
                References { pinned: Some(true), ..references() },
                "web:1",
            ),
            (
                "what runs is not exchanged for an older revision because the newer one has not been observed yet",
                json!({}),
                References { unobserved: Some(revision("web:3")), ..references() },
                "Reconciling TaskDefinitionNotFound: waiting to observe the revision web:3, which runs already",
            ),
            (
                "an ARN means the same as its last part",
                json!({"taskDefinition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1"}),
                References { pinned: Some(true), ..references() },
                "web:1",
            ),
            (
                "a cluster may come later",
                json!({}),
                References { cluster: false, ..references() },
                "Reconciling ClusterNotFound: waiting for the Cluster \"blue\"; create it, or name another in spec.cluster",
            ),
            (
                "a cluster that is not named is default",
                json!({"cluster": null}),
                References { cluster: false, ..references() },
                "Reconciling ClusterNotFound: waiting for the Cluster \"default\"; create it, or name another in spec.cluster",
            ),
            (
                "a family may come later, and so may its first ACTIVE revision",
                json!({}),
                References { latest: None, ..references() },
                "Reconciling TaskDefinitionNotFound: waiting for the TaskDefinition \"web\" to have an ACTIVE revision",
            ),
            (
                "a pinned revision may come later",
                pinned.clone(),
                references(),
                "Reconciling TaskDefinitionNotFound: waiting for the revision web:1, which does not exist (yet); spec.taskDefinition \
                 names it",
            ),
            (
                "no service can be moved onto an INACTIVE revision",
                pinned.clone(),
                References { pinned: Some(false), running: Some(revision("web:2")), ..references() },
                "Stalled RevisionInactive: the revision web:1 is INACTIVE; name an ACTIVE one in spec.taskDefinition",
            ),
            (
                "no service can be created with an INACTIVE revision",
                pinned.clone(),
                References { pinned: Some(false), ..references() },
                "Stalled RevisionInactive: the revision web:1 is INACTIVE; name an ACTIVE one in spec.taskDefinition",
            ),
            (
                "a service that runs a revision goes on when that becomes INACTIVE",
                pinned,
                References { pinned: Some(false), running: Some(revision("web:1")), ..references() },
                "web:1",
            ),
            (
                "a task definition is named",
                json!({"taskDefinition": null}),
                references(),
                "Stalled InvalidSpec: spec.taskDefinition: name a family, or a revision as family:revision",
            ),
            (
                "revisions are counted from 1",
                json!({"taskDefinition": "web:0"}),
                references(),
                "Stalled InvalidSpec: spec.taskDefinition: \"web:0\" is not a revision: write family:revision with a revision \
                 number from 1, for example web:7",
            ),
            (
                "a family has no dots",
                json!({"taskDefinition": "web.api"}),
                references(),
                "Stalled InvalidSpec: spec.taskDefinition: \"web.api\" is not a family: use 1 to 255 letters, digits, hyphens and \
                 underscores",
            ),
            (
                "an ARN is that of a task definition",
                json!({"taskDefinition": "arn:aws:ecs:eu-west-1:123456789012:cluster/web"}),
                references(),
                "Stalled InvalidSpec: spec.taskDefinition: \"arn:aws:ecs:eu-west-1:123456789012:cluster/web\" is not a task \
                 definition: write family, family:revision or a task definition ARN",
            ),
        ] {
            assert_eq!(target(&change, &references), expected, "{sentence}");
        }
    }

    #[test]
    fn counts_and_percentages_are_those_of_the_spec_or_the_defaults_of_a_replica_service() {
        let percents = |minimum: Value, maximum: Value| json!({"deploymentConfiguration": {"minimumHealthyPercent": minimum, "maximumPercent": maximum}});
        for (sentence, change, expected) in [
            ("the floor is 100 percent by default and the ceiling 200", json!({}), (3, 100, 200)),
            ("an empty configuration changes neither", percents(Value::Null, Value::Null), (3, 100, 200)),
            ("the floor alone", percents(json!(50), Value::Null), (3, 50, 200)),
            ("the ceiling alone", percents(Value::Null, json!(150)), (3, 100, 150)),
            ("a floor of 0 is one", percents(json!(0), json!(100)), (3, 0, 100)),
            ("no tasks are a number of tasks", json!({"desiredCount": 0}), (0, 100, 200)),
            ("for DAEMON the floor is 0 and the ceiling 100", json!({"schedulingStrategy": "DAEMON"}), (3, 0, 100)),
        ] {
            let service = resolve(&spec(&change), &BTreeMap::new(), &references());
            let found = (service.desired_count, service.minimum_healthy_percent, service.maximum_percent);
            assert_eq!(found, expected, "{sentence}");
        }
    }

    #[test]
    fn only_what_ecs_deploys_anew_starts_a_deployment() {
        let content = |change: Value| resolve(&spec(&change), &BTreeMap::new(), &references()).target.unwrap().content;
        let before = content(json!({}));
        for (sentence, change, starts_one) in [
            ("another number of tasks", json!({"desiredCount": 4}), false),
            ("other percentages", json!({"deploymentConfiguration": {"maximumPercent": 150}}), false),
            ("another grace period", json!({"healthCheckGracePeriodSeconds": 30}), false),
            ("another placement", json!({"placementStrategy": [{"type": "random"}]}), false),
            ("a load balancer", json!({"loadBalancers": [{"containerName": "app", "containerPort": 80}]}), true),
            ("a network", json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a"]}}}), true),
            ("a platform", json!({"platformVersion": "1.4.0"}), true),
        ] {
            assert_eq!(content(change) != before, starts_one, "{sentence}");
        }
        let other = References { latest: Some(revision("web:3")), ..references() };
        assert_ne!(
            resolve(&spec(&json!({})), &BTreeMap::new(), &other).target.unwrap().content,
            before,
            "another revision"
        );
    }
}
