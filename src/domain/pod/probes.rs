//! `healthCheck` becomes probes.
//!
//! An ECS health check never kills a container, it only makes the task UNHEALTHY: so it is a readiness probe, never a liveness
//! probe. Only essential containers count towards the health of a task.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ExecAction, Probe};

use crate::api::HealthCheck;
use crate::domain::pod::escape::literals;
use crate::domain::resolve::dependencies::Role;
use crate::domain::resolve::task_definition::{Container, ResolvedTaskDefinition};

const INTERVAL_DEFAULT: i32 = 30;
const TIMEOUT_DEFAULT: i32 = 5;
const RETRIES_DEFAULT: i32 = 3;
/// Seconds for the start of the first check, which a kubelet does not wait an interval for, and for the news of the last one.
const NEWS_MARGIN: i32 = 3;
/// How often a container is asked that another one waits for. ECS asks for the first time after one interval; asking sooner
/// only lets the other start sooner.
const AWAITED_INTERVAL: i32 = 5;

/// The probe that tells whether the task is healthy.
pub(super) fn readiness(container: &Container) -> Option<Probe> {
    let check = container.health_check.as_ref().filter(|_| container.essential)?;
    let retries = check.retries.unwrap_or(RETRIES_DEFAULT);
    Some(probe(check, interval(check), retries))
}

/// How many seconds after the start of a task's containers the health check of each has failed if it has never passed, by the
/// container's ECS name: "the health check can fail retries times", and failures in the start period do not count. Docker waits an
/// interval from the end of one check to the next, and each may take its timeout: with 30, 5 and 3 the last one that counts has been
/// heard of after 105 seconds. A kubelet does not tell which checks have failed, only that none has passed.
pub(super) fn deadlines(definition: &ResolvedTaskDefinition) -> BTreeMap<&str, i32> {
    let containers = definition.init.iter().chain(&definition.main).filter(|container| container.essential);
    let deadline = |check: &HealthCheck| {
        let longest = interval(check).saturating_add(timeout(check));
        let checks = longest.saturating_mul(check.retries.unwrap_or(RETRIES_DEFAULT));
        check.start_period.unwrap_or(0).saturating_add(checks).saturating_add(NEWS_MARGIN)
    };
    containers
        .filter_map(|container| Some((&*container.name.ecs, deadline(container.health_check.as_ref()?))))
        .collect()
}

/// The probe that holds back the containers that wait until this one is HEALTHY. It never gives up: giving up would kill the
/// container, and ECS only lets the others wait.
pub(super) fn startup(container: &Container) -> Option<Probe> {
    let awaited = container.role() == Role::Sidecar { awaited_healthy: true };
    let check = container.health_check.as_ref().filter(|_| awaited)?;
    Some(probe(check, interval(check).min(AWAITED_INTERVAL), i32::MAX))
}

fn interval(check: &HealthCheck) -> i32 {
    check.interval.unwrap_or(INTERVAL_DEFAULT)
}

fn timeout(check: &HealthCheck) -> i32 {
    check.timeout.unwrap_or(TIMEOUT_DEFAULT)
}

fn probe(check: &HealthCheck, period: i32, failures: i32) -> Probe {
    Probe {
        exec: Some(ExecAction { command: Some(literals(&command(check))) }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout(check)),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// `["CMD", …]` is run as it is, `["CMD-SHELL", line]` by the container's shell, for which what follows the line are arguments and no
/// part of it.
fn command(check: &HealthCheck) -> Vec<String> {
    match check.command.split_first() {
        Some((form, line)) if form == "CMD-SHELL" => [&["/bin/sh".to_owned(), "-c".to_owned()], line].concat(),
        Some((_, command)) => command.to_vec(),
        None => Vec::new(),
    }
}
