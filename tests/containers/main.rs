//! ECS JSON on running containers: `longshore import`, the operator as a process, a real control plane and a real node.
//!
//! The tests share one cluster and one node, in namespaces of their own; where these are not to be had, the tests are left
//! out. `make test-node` runs them alone.
#![expect(clippy::disallowed_methods, reason = "a test acts on its cluster as an administrator does")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of tests fails its test by a panic"
)]

mod cluster;
mod depends_on;
mod environment;
mod essential;
mod failure;
mod health;
mod linux_parameters;
mod memory;
mod namespace;
mod restart_policy;
mod rollout;
mod secrets;
mod security;
mod stop;
mod volumes;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use longshore_test_cluster::{Entered, Namespaces};
use tokio::runtime::Runtime;

use crate::cluster::Cluster;

/// How many tests run at once, unless the command line says: they wait for containers most of the time.
const THREADS: usize = 8;

/// The tests, as trials that run on the cluster, or none of them where there is no cluster.
macro_rules! trials {
    ($cluster:expr => $($module:ident { $($test:ident),+ $(,)? })+) => {
        vec![$($({
            let cluster: Option<&'static (Cluster, Runtime)> = $cluster;
            let run = move || {
                if let Some((cluster, runtime)) = cluster {
                    runtime.block_on($module::$test(cluster));
                }
                Ok(())
            };
            Trial::test(concat!(stringify!($module), "::", stringify!($test)), run).with_ignored_flag(cluster.is_none())
        }),+),+]
    };
}

fn trials(cluster: Option<&'static (Cluster, Runtime)>) -> Vec<Trial> {
    trials! { cluster =>
        // Those that take longest come first.
        secrets {
            a_task_whose_secret_goes_while_it_starts_is_given_up,
        }
        restart_policy {
            an_exit_after_the_attempt_period_is_followed_by_a_restart_in_the_same_task,
            an_exit_within_the_attempt_period_is_the_last,
            an_exit_code_to_be_ignored_is_followed_by_no_restart,
        }
        depends_on {
            start_waits_until_the_other_container_has_started,
            healthy_waits_until_the_other_container_passes_its_health_check,
            success_waits_until_the_other_container_has_exited_with_zero,
            complete_waits_until_the_other_container_has_exited,
            a_dependency_that_nobody_waits_for_any_more_may_end,
            a_container_whose_dependency_does_not_succeed_never_starts,
            a_container_whose_dependency_takes_longer_than_its_start_timeout_never_starts,
            a_container_whose_dependency_exits_before_it_is_healthy_never_starts,
            the_end_of_an_essential_dependency_stops_the_task,
        }
        environment {
            a_container_gets_its_environment_and_its_command_to_the_letter,
            the_later_of_two_variables_with_one_name_wins,
        }
        essential {
            a_task_goes_on_without_the_container_that_waited_for_the_essential_one,
        }
        failure {
            an_image_that_cannot_be_pulled_trips_the_circuit_breaker,
            tasks_of_a_deployment_run_the_build_that_their_tag_meant_when_it_began,
        }
        health {
            a_task_that_fails_its_health_check_is_replaced_start_first,
            a_container_has_until_its_last_check_to_become_healthy,
        }
        memory {
            a_container_beyond_its_memory_is_killed,
            the_containers_of_a_task_share_its_memory,
        }
        linux_parameters {
            a_container_has_its_memory_file_systems_in_their_size,
            what_has_no_effect_is_told_and_the_container_runs,
        }
        rollout {
            a_rolling_update_loses_no_request,
        }
        secrets {
            a_container_gets_the_values_of_its_secrets,
            a_container_gets_the_variables_of_its_files,
            a_private_image_is_pulled_with_its_credentials,
            a_private_image_is_not_pulled_with_others,
        }
        security {
            each_container_of_a_task_may_do_what_its_definition_says,
            a_node_refuses_a_kernel_parameter_that_it_does_not_allow,
        }
        stop {
            a_container_that_cannot_be_started_fails_the_start_of_its_task,
            a_container_that_handles_its_stop_signal_ends_in_its_own_way,
            a_container_that_does_not_is_killed_after_its_stop_timeout,
            the_end_of_a_container_that_is_not_essential_changes_nothing,
            the_end_of_an_essential_container_stops_the_task,
        }
        volumes {
            containers_share_a_volume,
            a_volume_can_be_mounted_read_only,
            a_container_has_the_volumes_of_another_one,
            a_node_that_cannot_mount_a_volume_says_so_in_a_condition_of_the_pod,
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if arguments.list || trials(None).iter().all(|trial| !is_wanted(&arguments, trial.name())) {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    arguments.test_threads.get_or_insert(THREADS);
    match Namespaces::enter() {
        Ok(Entered::Inside(namespaces)) => match started(&namespaces) {
            Ok(started) => {
                let conclusion = libtest_mimic::run(&arguments, trials(Some(started)));
                if conclusion.has_failed() {
                    started.0.keep_logs();
                }
                conclusion.exit_code()
            }
            Err(error) => failed(&*error),
        },
        Ok(Entered::Over(status)) if status.success() => ExitCode::SUCCESS,
        Ok(Entered::Over(_)) => ExitCode::FAILURE,
        Ok(Entered::Unavailable(reason)) => {
            println!("\nleft out what needs running containers: {reason}");
            libtest_mimic::run(&arguments, trials(None)).exit_code()
        }
        Err(error) => failed(&error),
    }
}

/// The cluster, with the runtime that its clients work in. Both end with the process.
fn started(namespaces: &Namespaces) -> Result<&'static (Cluster, Runtime), Box<dyn Error>> {
    let began = tokio::time::Instant::now();
    let runtime = Runtime::new()?;
    let cluster = runtime.block_on(Cluster::start(namespaces))?;
    let took: Duration = began.elapsed();
    println!("\ncluster and node: ready after {:.1} s", took.as_secs_f32());
    Ok(Box::leak(Box::new((cluster, runtime))))
}

/// As libtest decides it: no cluster is worth starting for a filter that leaves nothing.
fn is_wanted(arguments: &Arguments, name: &str) -> bool {
    let matches = |filter: &String| if arguments.exact { filter == name } else { name.contains(filter.as_str()) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("containers: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}
