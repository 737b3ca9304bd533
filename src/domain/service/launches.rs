//! How the launches of a deployment go: what the circuit breaker and the launch throttle count.
//!
//! Both count from what is durable: a task that stopped is counted in the status write that puts it on record, an unhealthy one in
//! the write that names it, and neither is removed before. So a restart neither loses a failure nor counts it twice. Of a start that
//! is refused nothing is there to count: the next one is refused, too.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{
    DeploymentCircuitBreaker, DeploymentCircuitBreakerStatus, Launches, MonitoringStatus, RolloutState, ThresholdType,
};
use crate::domain::facts::{StopCause, TaskFact};
use crate::domain::resolve::service::ResolvedService;
use crate::domain::service::slots::SlotAttempts;
use crate::domain::service::view::{DeploymentTasks, Stopped};

/// "the interval between restart attempts … up to 27 minutes".
const DELAY_MAX: SignedDuration = SignedDuration::from_mins(27);
/// The delay after the first attempt that is followed by one.
const DELAY_FIRST: SignedDuration = SignedDuration::from_secs(10);
/// Attempts that may fail without delay: ECS does not publish its curve; the smallest threshold of the circuit breaker is 3, and
/// it should not have to wait.
const FREE_ATTEMPTS: i32 = 2;
/// How long the API server has refused tasks when they begin to count as failed.
const REFUSED_FOR: SignedDuration = SignedDuration::from_secs(30);
/// How many unhealthy tasks are named, and so replaced, at a time.
const UNHEALTHY_MAX: usize = 50;

/// A failure that counts.
#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Timestamp,
    /// The attempt of its slot that the task was.
    attempt: i32,
    /// Whether the circuit breaker counts it: it has not if it has counted the task before.
    breaks: bool,
    /// Whether the throttle counts it. ECS's does not know tasks that reached RUNNING, nor does one that waits for a node.
    throttles: bool,
}

/// What the API server says to the tasks that a deployment is to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    /// Whether it has refused one since status was last written.
    pub(super) is_refused: bool,
    /// How many tasks the deployment lacks.
    pub(super) lacking: usize,
}

/// What one pass adds to a deployment's counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    counted: Vec<Counted>,
    /// The unhealthy tasks that have been counted and are there still.
    unhealthy: Vec<String>,
    /// The tasks that no node took, and that have been counted for it.
    unplaced: SlotAttempts,
    /// How many tasks could not be launched, since the API server refuses them.
    refused: usize,
    /// Since when it does.
    refused_since: Option<Timestamp>,
    reached_running: bool,
}

impl Failures {
    /// Finds the failures that have not been counted yet: `unrecorded` are the tasks that stopped and are about to be put on
    /// record. "The service scheduler can't launch the task" is a failure of stage one, too: of every task that is lacking, once they
    /// have been refused for some time. What was applied together with the service may be there a moment later than it.
    pub(super) fn find(
        launches: &Launches,
        tasks: &DeploymentTasks<'_>,
        unrecorded: &[&Stopped<'_>],
        refusal: Refusal,
        service: &ResolvedService,
        now: Timestamp,
    ) -> Self {
        let ran = |stopped: &&&Stopped<'_>| stopped.end.ran_since.is_some();
        let reached_running = launches.reached_running
            || tasks.running().next().is_some()
            || unrecorded.iter().any(|stopped| ran(&stopped));
        // Stage one: "tasks that fail to reach RUNNING"; stage two, once one has: those that fail a health check. What dies
        // right after it ran is in neither.
        let counts = |stopped: &&&Stopped<'_>| {
            let in_scope = service.count_early_exits || !(ran(stopped) || reached_running);
            in_scope && stopped.end.died_early(service.health_periods)
        };
        // Says nothing of the revision; but without a pause the next task would follow it to the same node.
        let is_nodes_fault = |stopped: &&&Stopped<'_>| stopped.end.was_refused_by_node();
        // A circuit breaker that is switched on counts from nothing.
        let breaker = service.circuit_breaker.as_ref();
        let mut unplaced = breaker.map(|_| SlotAttempts::parse(&launches.unplaced_tasks)).unwrap_or_default();
        let stopped = unrecorded.iter().filter(counts);
        let mut counted: Vec<_> = stopped
            .map(|stopped| Counted {
                at: stopped.end.at.unwrap_or(now),
                attempt: attempt(stopped.task),
                breaks: !unplaced.has(stopped.task.key),
                throttles: fills_a_gap(stopped.task),
            })
            .collect();
        counted.extend(unrecorded.iter().filter(is_nodes_fault).map(|stopped| Counted {
            at: stopped.end.at.unwrap_or(now),
            attempt: attempt(stopped.task),
            breaks: false,
            throttles: fills_a_gap(stopped.task),
        }));
        let named: BTreeSet<&str> = launches.unhealthy_tasks.iter().map(String::as_str).collect();
        let mut unhealthy = Vec::new();
        let (known, new): (Vec<&TaskFact>, Vec<&TaskFact>) =
            tasks.unhealthy.iter().copied().partition(|task| named.contains(task.task_id().to_string().as_str()));
        for task in known.iter().chain(&new).take(UNHEALTHY_MAX) {
            let id = task.task_id().to_string();
            // One of whose node nothing is heard is replaced, too, and says nothing of its revision.
            if !named.contains(id.as_str()) && task.unhealthy_cause() != StopCause::AgentDisconnected {
                let throttles = service.count_early_exits && fills_a_gap(task);
                counted.push(Counted { at: now, attempt: attempt(task), breaks: true, throttles });
            }
            unhealthy.push(id);
        }
        // "Placement failures" are of stage one. Here such a task goes on waiting: an autoscaler may yet make room for it.
        if breaker.is_some() && !reached_running {
            for task in tasks.not_launched(now) {
                if !unplaced.has(task.key) {
                    unplaced.enter(task.key);
                    counted.push(Counted { at: now, attempt: attempt(task), breaks: true, throttles: false });
                }
            }
        }
        let refused_since = launches.refused_since.as_ref().map(|since| since.0).filter(|_| refusal.lacking > 0);
        let refused_since = refused_since.or_else(|| refusal.is_refused.then_some(now));
        let for_long = refused_since.is_some_and(|since| now.duration_since(since) >= REFUSED_FOR);
        let refused = if refusal.is_refused && for_long && !reached_running { refusal.lacking } else { 0 };
        Self { counted, unhealthy, unplaced, refused, refused_since, reached_running }
    }

    /// How many tasks have failed.
    pub(super) fn failed_tasks(&self) -> i32 {
        let failed = self.counted.iter().filter(|failed| failed.breaks).count();
        i32::try_from(failed.saturating_add(self.refused)).unwrap_or(i32::MAX)
    }

    /// How the launches have gone after the pass.
    pub(super) fn launches(&self, before: &Launches, tasks: &DeploymentTasks<'_>, now: Timestamp) -> Launches {
        let was_healthy_at = before.last_healthy_at.as_ref().map(|at| at.0);
        let last_healthy_at = tasks.last_healthy_at.max(was_healthy_at);
        let recovered = last_healthy_at > was_healthy_at;
        let mut failed_attempts = if recovered { 0 } else { before.failed_attempts };
        let mut last_failed_at = before.last_failed_at.as_ref().map(|at| at.0).filter(|_| !recovered);
        let mut last_failed_attempt = if recovered { 0 } else { before.last_failed_attempt };
        // Tasks that were started together and fail together have been one attempt: they are of the same one in their slots.
        let after_recovery = |at: Timestamp| last_healthy_at.is_none_or(|healthy| at >= healthy);
        let counts = |failed: &&Counted| failed.throttles && after_recovery(failed.at);
        let attempts = self.counted.iter().filter(counts).map(|failed| failed.attempt);
        // What is refused leaves no trace of its attempt.
        let refused = (self.refused > 0).then(|| last_failed_attempt.saturating_add(1));
        let attempt = attempts.chain(refused).max().unwrap_or(0);
        if attempt > last_failed_attempt {
            last_failed_attempt = attempt;
            failed_attempts = failed_attempts.saturating_add(1);
            last_failed_at = Some(now);
        }
        let next_attempt_at =
            last_failed_at.and_then(|failed| Some(failed.saturating_add(delay(failed_attempts)?).unwrap_or(failed)));
        Launches {
            reached_running: self.reached_running,
            last_healthy_at: last_healthy_at.map(Time),
            failed_attempts,
            last_failed_attempt,
            last_failed_at: last_failed_at.map(Time),
            next_attempt_at: next_attempt_at.map(Time),
            refused_since: self.refused_since.map(Time),
            unplaced_tasks: if recovered { Vec::new() } else { self.unplaced.to_ranges() },
            unhealthy_tasks: self.unhealthy.clone(),
        }
    }

    /// What the circuit breaker of a deployment in progress has counted after the pass.
    pub(super) fn circuit_breaker(
        &self,
        before: Option<DeploymentCircuitBreakerStatus>,
        configuration: Option<&DeploymentCircuitBreaker>,
        (was, is): (&Launches, &Launches),
        rollout: Option<RolloutState>,
        desired: usize,
    ) -> DeploymentCircuitBreakerStatus {
        let Some(configuration) = configuration else {
            let status = MonitoringStatus::Disabled;
            return DeploymentCircuitBreakerStatus { status, failure_count: 0, threshold: 0 };
        };
        let threshold = threshold(configuration, desired);
        let counted = before.map_or(0, |before| before.failure_count);
        let status = |status, failure_count| DeploymentCircuitBreakerStatus { status, failure_count, threshold };
        match rollout {
            Some(RolloutState::Completed) => return status(MonitoringStatus::MonitoringComplete, counted),
            Some(RolloutState::Failed) => {
                let ended = before.filter(|before| before.status == MonitoringStatus::Triggered);
                return status(ended.map_or(MonitoringStatus::MonitoringComplete, |ended| ended.status), counted);
            }
            Some(RolloutState::InProgress) | None => {}
        }
        let (healthy, was_healthy) = (is.last_healthy_at.as_ref(), was.last_healthy_at.as_ref());
        let reset =
            configuration.reset_on_healthy_task.unwrap_or(true) && healthy.map(|at| at.0) > was_healthy.map(|at| at.0);
        let counts =
            |failed: &&Counted| failed.breaks && (!reset || healthy.is_none_or(|healthy| failed.at >= healthy.0));
        let new = self.counted.iter().filter(counts).count().saturating_add(self.refused);
        let new = i32::try_from(new).unwrap_or(i32::MAX);
        let count = if reset { new } else { counted.saturating_add(new) };
        if count >= threshold {
            status(MonitoringStatus::Triggered, count)
        } else {
            status(MonitoringStatus::Monitoring, count)
        }
    }
}

/// Whether a task was started because the service lacked one. One that was to balance the zones says something of its zone at
/// most: a task that is lost elsewhere is not to wait for it.
fn fills_a_gap(task: &TaskFact) -> bool {
    task.zone.is_none()
}

fn attempt(task: &TaskFact) -> i32 {
    i32::try_from(task.key.attempt).unwrap_or(i32::MAX)
}

/// "The threshold … calculated by the desired count": half of it, at least 3 and at most 200, unless configured otherwise. It
/// follows the latest desired count.
fn threshold(configuration: &DeploymentCircuitBreaker, desired: usize) -> i32 {
    let configured = configuration.threshold_configuration.as_ref();
    let (kind, value) = configured.map_or((ThresholdType::BoundedPercent, 50), |t| (t.type_, t.value));
    let percent = || {
        let product = i64::try_from(desired).unwrap_or(i64::MAX).saturating_mul(i64::from(value));
        i32::try_from(product.saturating_add(99).checked_div(100).unwrap_or(0)).unwrap_or(i32::MAX)
    };
    match kind {
        ThresholdType::BoundedPercent => percent().clamp(3, 200),
        // A threshold of nothing would fail a deployment that has not begun.
        ThresholdType::UnboundedPercent => percent().max(1),
        ThresholdType::Count => value,
    }
}

/// How long after the last of so many attempts in a row the next one is made: 10 s after the third, then twice as long each
/// time, up to 27 minutes.
fn delay(failed_attempts: i32) -> Option<SignedDuration> {
    let doublings = u32::try_from(failed_attempts.checked_sub(FREE_ATTEMPTS)?.checked_sub(1)?).ok()?;
    let delay = DELAY_FIRST.checked_mul(1_i32.checked_shl(doublings.min(20)).unwrap_or(i32::MAX));
    Some(delay.map_or(DELAY_MAX, |delay| delay.min(DELAY_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ThresholdConfiguration;

    fn breaker(threshold: Option<(ThresholdType, i32)>) -> DeploymentCircuitBreaker {
        DeploymentCircuitBreaker {
            enable: true,
            rollback: true,
            reset_on_healthy_task: None,
            threshold_configuration: threshold.map(|(type_, value)| ThresholdConfiguration { type_, value }),
        }
    }

    #[test]
    fn the_threshold_follows_the_desired_count() {
        use ThresholdType::{BoundedPercent, Count, UnboundedPercent};
        for (desired, configured, expected) in [
            (1, None, 3),
            (25, None, 13),
            (400, None, 200),
            (800, None, 200),
            (0, None, 3),
            (800, Some((UnboundedPercent, 50)), 400),
            (1, Some((UnboundedPercent, 50)), 1),
            (10, Some((BoundedPercent, 100)), 10),
            (10, Some((Count, 1)), 1),
        ] {
            assert_eq!(threshold(&breaker(configured), desired), expected, "{desired} tasks, {configured:?}");
        }
    }

    #[test]
    fn the_interval_between_attempts_grows_up_to_27_minutes() {
        let seconds: Vec<_> = (0..13).map(|attempts| delay(attempts).map_or(0, |delay| delay.as_secs())).collect();
        assert_eq!(seconds, [0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 1280, 1620, 1620]);
        assert_eq!(delay(i32::MAX), Some(DELAY_MAX));
    }
}
