//! `restartPolicy`: which exits of a container are not its last, and what containers that others wait for may take.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The restart policy of a container, as its pod says it. The kubelet starts the container again by the exit code alone; how long it
/// must have run is ours to hold it to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartPolicy {
    /// The exit codes after which it is not started again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_exit_codes: Vec<i32>,
    /// How many seconds it must have run to be started again.
    pub restart_attempt_period: u32,
}

impl RestartPolicy {
    /// Whether ECS starts the container again after an exit: "the container must run for restartAttemptPeriod … before a restart can
    /// be attempted", and its exit code is none of those to be ignored. A run of unknown length is long enough.
    pub fn restarts_after(&self, exit_code: i32, ran_for: Option<SignedDuration>) -> bool {
        let period = SignedDuration::from_secs(self.restart_attempt_period.into());
        !self.ignored_exit_codes.contains(&exit_code) && ran_for.is_none_or(|ran_for| ran_for >= period)
    }
}

/// What others wait for in a container, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// Who waits, by the names that the task definition gives them.
    pub by: Vec<String>,
    /// What they wait for.
    pub until: AwaitedState,
    /// `startTimeout`, in seconds from the start of the container; without it they wait for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

/// What a container is waited for, if it is more than its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AwaitedState {
    /// COMPLETE or SUCCESS.
    Ended,
    /// HEALTHY.
    Healthy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_started_again_after_a_run_of_the_attempt_period_and_an_exit_that_is_not_ignored() {
        let policy = RestartPolicy { ignored_exit_codes: vec![0, 143], restart_attempt_period: 300 };
        for (sentence, code, seconds, expected) in [
            ("a run of the whole period", 1, Some(300), true),
            ("a shorter one", 1, Some(299), false),
            ("an exit code to be ignored", 143, Some(900), false),
            ("a run of which nothing is known", 1, None, true),
        ] {
            assert_eq!(policy.restarts_after(code, seconds.map(SignedDuration::from_secs)), expected, "{sentence}");
        }
    }
}
