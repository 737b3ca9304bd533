//! Where the output of containers goes. `kubectl logs` shows it whatever the driver.

use crate::api::{ContainerDefinition, FirelensConfiguration, FirelensConfigurationType, LogConfiguration, LogDriver};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::member;

/// Where a log router of the task listens.
const ROUTER_HOST: &str = "127.0.0.1";
const ROUTER_PORT: &str = "24224";

/// "Only one FireLens container per task"; those that log to it need one.
pub(super) fn refused(containers: &[ContainerDefinition]) -> Vec<Problem> {
    let mut routers = containers.iter().filter(|container| container.firelens_configuration.is_some());
    let first = routers.next();
    let mut problems: Vec<Problem> = routers
        .map(|router| {
            let message = "another container is the log router already; a task has one";
            Problem::new(member(&router.name, "firelensConfiguration"), message)
        })
        .collect();
    for container in containers.iter().filter(|container| first.is_none() && logs_to_router(container)) {
        let message = "awsfirelens needs a log router: a container of the task with a firelensConfiguration";
        problems.push(Problem::new(member(&container.name, "logConfiguration.logDriver"), message));
    }
    problems
}

fn logs_to_router(container: &ContainerDefinition) -> bool {
    container.log_configuration.as_ref().is_some_and(|log| log.log_driver == LogDriver::Awsfirelens)
}

pub(super) fn note(container: &ContainerDefinition, verdict: &mut Verdict) {
    if let Some(FirelensConfiguration { type_, options: _ }) = &container.firelens_configuration {
        let (FirelensConfigurationType::Fluentd | FirelensConfigurationType::Fluentbit) = type_;
        verdict.note(DeviationCode::FirelensNotRouted, member(&container.name, "firelensConfiguration"));
    }
    let Some(LogConfiguration { log_driver, options, secret_options }) = &container.log_configuration else { return };
    let place = member(&container.name, "logConfiguration");
    match log_driver {
        // What the kubelet does.
        LogDriver::JsonFile => {
            if !options.is_empty() {
                let names: Vec<&str> = options.keys().map(String::as_str).collect();
                verdict.note_with(DeviationCode::LogOptionsIgnored, format!("{place}.options"), names.join(", "));
            }
            if !secret_options.is_empty() {
                verdict.note(DeviationCode::LogOptionsIgnored, format!("{place}.secretOptions"));
            }
        }
        LogDriver::Awslogs => {
            let group = options.get("awslogs-group").map_or("awslogs", String::as_str);
            verdict.note_with(DeviationCode::LogsNotShipped, place, group);
        }
        LogDriver::Awsfirelens => verdict.note(DeviationCode::FirelensNotRouted, place),
        LogDriver::Syslog | LogDriver::Journald | LogDriver::Gelf | LogDriver::Fluentd | LogDriver::Splunk => {
            verdict.note_with(DeviationCode::LogsNotShipped, place, name(*log_driver));
        }
    }
}

fn name(driver: LogDriver) -> &'static str {
    match driver {
        LogDriver::JsonFile => "json-file",
        LogDriver::Syslog => "syslog",
        LogDriver::Journald => "journald",
        LogDriver::Gelf => "gelf",
        LogDriver::Fluentd => "fluentd",
        LogDriver::Awslogs => "awslogs",
        LogDriver::Splunk => "splunk",
        LogDriver::Awsfirelens => "awsfirelens",
    }
}

/// The variables by which a container that logs to the router finds it.
pub(super) fn environment(container: &ContainerDefinition) -> Vec<(String, String)> {
    if !logs_to_router(container) {
        return Vec::new();
    }
    [("FLUENT_HOST", ROUTER_HOST), ("FLUENT_PORT", ROUTER_PORT)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}
