//! Whether a running task counts as healthy.
//!
//! "The service scheduler … considers a task healthy when: without essential containers that have a health check and without a
//! load balancer, it has been RUNNING for 40 seconds; with health checks, they have passed; with target groups, those report it
//! healthy; with both, both." (`DeploymentConfiguration.minimumHealthyPercent`.)
//!
//! A kubelet tells of checks and targets in one: the pod's `Ready` condition, readiness gates included. What it does not tell is
//! the difference between a check that has not passed *yet* and one that has failed: here it comes from times. Of a target it is
//! the load balancer that tells.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// What a pod says of the health of its running task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// Since when all of the task's essential containers run.
    pub running_since: Option<Timestamp>,
    /// Whether every essential container runs and every check and target passes.
    pub passing: bool,
    /// Since when that is so, or not so.
    pub passing_changed_at: Option<Timestamp>,
    /// What decides.
    pub gate: Gate,
    /// The target groups that know the task.
    pub targets: Vec<Target>,
}

/// A task as a target group sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The target group, by the name that the load balancer's controller has for it.
    pub group: Arc<str>,
    /// What it says.
    pub health: TargetHealth,
}

/// Elastic Load Balancing's states of a target, as far as they make a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetHealth {
    /// `healthy`.
    Healthy,
    /// `unhealthy`: "the health checks failed".
    Unhealthy {
        /// In the load balancer's words: `Health checks failed with these codes: [502]`.
        reason: String,
    },
    /// None of the two: `initial`, `unused`, `draining`, `unavailable`.
    Other {
        /// In the load balancer's words.
        reason: String,
    },
}

impl TargetHealth {
    /// Why the target is not healthy.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Healthy => None,
            Self::Unhealthy { reason } | Self::Other { reason } => Some(reason),
        }
    }
}

/// What decides whether a task is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Neither health check nor target group: time does.
    Running,
    /// Health checks of essential containers.
    HealthCheck {
        /// How long after the start of the containers a check that has never passed has failed: its start period and all of its
        /// retries.
        deadline: SignedDuration,
    },
    /// Target groups, by readiness gates.
    Targets,
    /// The kubelet, of which nothing is heard: its containers were ready when it last said something.
    Agent,
}

/// The periods of a service that health depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPeriods {
    /// How long a task without checks has to run: 40 s on ECS.
    pub healthy_after: SignedDuration,
    /// `healthCheckGracePeriodSeconds`: how long after its start a task is not held to be unhealthy.
    pub grace: SignedDuration,
}

/// The health of a running task at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It counts towards the floor.
    Healthy {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It does not count yet. ECS: UNKNOWN.
    Unknown {
        /// When that changes if nothing happens.
        until: Option<Timestamp>,
    },
    /// It is to be replaced.
    Unhealthy,
}

impl Checks {
    /// The health at a moment.
    ///
    /// Worked example: a check of 3 retries every 30 s that may take 5 s, with a start period of 10 s, on containers that run since
    /// 12:00:00: its deadline is 118 s. Not passing at 12:01:40 is UNKNOWN, at 12:02:00 UNHEALTHY; passing at 12:00:35 and not any more at 12:05:00 is UNHEALTHY at
    /// once, because the kubelet has counted the retries already.
    pub fn health(&self, periods: HealthPeriods, now: Timestamp) -> Health {
        let after = |period| Some(self.running_since?.saturating_add(period).unwrap_or(Timestamp::MAX));
        let reached = |at: Option<Timestamp>| at.is_none_or(|at| at <= now);
        if self.passing {
            let since = match self.gate {
                Gate::Running => after(periods.healthy_after),
                Gate::HealthCheck { .. } | Gate::Targets | Gate::Agent => {
                    self.passing_changed_at.or(self.running_since)
                }
            };
            return if reached(since) { Health::Healthy { since } } else { Health::Unknown { until: since } };
        }
        let has_failed = |target: &Target| matches!(target.health, TargetHealth::Unhealthy { .. });
        let verdict_at = match self.gate {
            _ if self.has_passed() => Some(self.passing_changed_at),
            _ if self.targets.iter().any(has_failed) => Some(self.running_since),
            Gate::HealthCheck { deadline } => Some(after(deadline)),
            Gate::Running | Gate::Targets | Gate::Agent => None,
        };
        match verdict_at {
            None => Health::Unknown { until: None },
            Some(verdict_at) => {
                // "the period … that the scheduler ignores unhealthy … checks after a task has first started".
                let verdict_at = verdict_at.max(after(periods.grace));
                if reached(verdict_at) { Health::Unhealthy } else { Health::Unknown { until: verdict_at } }
            }
        }
    }

    /// The target group for which the task is to be replaced: one whose checks have failed, else one that does not pass.
    pub fn failing_target(&self) -> Option<&Target> {
        let has_failed = |target: &&Target| matches!(target.health, TargetHealth::Unhealthy { .. });
        let failed = self.targets.iter().find(has_failed);
        failed.or_else(|| self.targets.iter().find(|target| target.health != TargetHealth::Healthy))
    }

    /// Whether the task has ever passed.
    fn has_passed(&self) -> bool {
        has_passed(self.passing, self.passing_changed_at, self.running_since)
    }
}

/// Whether something that passes now or not has ever passed. A pod that has never been Ready says since its start that it is not.
pub(super) fn has_passed(passing: bool, changed_at: Option<Timestamp>, running_since: Option<Timestamp>) -> bool {
    passing || changed_at.zip(running_since).is_some_and(|(changed, ran)| changed > ran)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn checks(passing: bool, changed: i64, gate: Gate) -> Checks {
        Checks {
            running_since: Some(at(100)),
            passing,
            passing_changed_at: Some(at(changed)),
            gate,
            targets: Vec::new(),
        }
    }

    /// Not passing yet, with a target group that says so.
    fn target(health: TargetHealth) -> Checks {
        let targets = vec![Target { group: "web".into(), health }];
        Checks { targets, ..checks(false, 99, Gate::Targets) }
    }

    fn verdict(checks: &Checks, grace: i64, now: i64) -> &'static str {
        let periods =
            HealthPeriods { healthy_after: SignedDuration::from_secs(40), grace: SignedDuration::from_secs(grace) };
        match checks.health(periods, at(now)) {
            Health::Healthy { .. } => "healthy",
            Health::Unknown { .. } => "unknown",
            Health::Unhealthy => "unhealthy",
        }
    }

    #[test]
    fn a_task_is_healthy_by_the_gate_that_applies_to_it() {
        let check = Gate::HealthCheck { deadline: SignedDuration::from_secs(90) };
        let initial = || target(TargetHealth::Other { reason: "Initial health checks in progress".to_owned() });
        let failed = || target(TargetHealth::Unhealthy { reason: "Request timed out".to_owned() });
        // (sentence, checks, grace period, now, expected)
        for (sentence, checks, grace, now, expected) in [
            ("without checks it has to run for 40 seconds", checks(true, 100, Gate::Running), 0, 139, "unknown"),
            ("and is healthy then", checks(true, 100, Gate::Running), 0, 140, "healthy"),
            ("a health check that passes makes it healthy at once", checks(true, 105, check), 0, 105, "healthy"),
            ("one that has not passed yet is UNKNOWN", checks(false, 99, check), 0, 189, "unknown"),
            ("until its retries are used up", checks(false, 99, check), 0, 190, "unhealthy"),
            ("one that passed and fails now is UNHEALTHY", checks(false, 150, check), 0, 150, "unhealthy"),
            ("in the grace period no task is unhealthy", checks(false, 150, check), 300, 399, "unknown"),
            ("after it the verdict counts", checks(false, 150, check), 300, 400, "unhealthy"),
            (
                "the grace period makes none healthy, nor keeps one from it",
                checks(true, 105, check),
                300,
                105,
                "healthy",
            ),
            ("targets that have not reported yet say nothing", checks(false, 99, Gate::Targets), 0, 9_999, "unknown"),
            ("a target that was healthy and is not any more", checks(false, 150, Gate::Targets), 0, 150, "unhealthy"),
            ("nor does one whose first health checks are in progress", initial(), 0, 9_999, "unknown"),
            ("a target whose first health checks have failed", failed(), 0, 101, "unhealthy"),
            ("but not in the grace period", failed(), 300, 399, "unknown"),
            ("targets that report it healthy suffice", checks(true, 105, Gate::Targets), 0, 105, "healthy"),
            ("a task whose node is lost stops being healthy", checks(false, 150, Gate::Running), 0, 150, "unhealthy"),
        ] {
            assert_eq!(verdict(&checks, grace, now), expected, "{sentence}");
        }
    }

    #[test]
    fn what_time_alone_decides_says_when() {
        let periods = HealthPeriods { healthy_after: SignedDuration::from_secs(40), grace: SignedDuration::ZERO };
        let running = checks(true, 100, Gate::Running);
        assert_eq!(running.health(periods, at(101)), Health::Unknown { until: Some(at(140)) });
        assert_eq!(running.health(periods, at(150)), Health::Healthy { since: Some(at(140)) });
    }
}
