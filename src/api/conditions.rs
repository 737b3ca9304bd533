//! Conditions of every kind, as kstatus reads them (kubectl wait, Argo CD, Flux, Helm).
//!
//! `Ready` sums an object up. `Reconciling` and `Stalled` are abnormal-true: they are there only while they hold. `Stalled`
//! means that nothing will change until a person changes something; what merely does not exist yet is `Reconciling`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Deserializer;

use crate::api::nulls::empty_if_null;

/// Longest message that the API server takes.
const MESSAGE_MAX: usize = 32_768;

/// The condition types we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionType {
    /// The object is what its spec asks for.
    Ready,
    /// Work is going on, or something is awaited.
    Reconciling,
    /// Nothing will happen before a person changes something.
    Stalled,
    /// Members of the spec are accepted, but have no effect yet; the message names each.
    NotImplemented,
    /// Whether the tasks of a revision do exactly what they do on ECS. False is no error: the message says what is different.
    Exact,
}

impl ConditionType {
    const ALL: [Self; 5] = [Self::Ready, Self::Reconciling, Self::Stalled, Self::NotImplemented, Self::Exact];

    /// As it stands in `conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::NotImplemented => "NotImplemented",
            Self::Exact => "Exact",
        }
    }
}

/// Reads the conditions that are ours. Others may have their own on the same object ("map" lists are shared): what we have to tell
/// does not change with them.
pub(super) fn own_conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    let mut conditions: Vec<Condition> = empty_if_null(deserializer)?;
    conditions.retain(|condition| ConditionType::ALL.iter().any(|ours| ours.as_str() == condition.type_));
    Ok(conditions)
}

/// The closed set of reasons, for people and for alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A capacity provider or cluster can be used.
    Active,
    /// A task definition has a revision with its present content.
    Registered,
    /// The content of a task definition breaks a rule of ECS.
    InvalidTaskDefinition,
    /// A member of the spec breaks a rule that only shows once everything is known.
    InvalidSpec,
    /// The stored object cannot be read as its kind.
    Unreadable,
    /// The cluster of a service does not exist yet.
    ClusterNotFound,
    /// The task definition, or the revision, of a service does not exist yet.
    TaskDefinitionNotFound,
    /// The revision that a service pins is INACTIVE.
    RevisionInactive,
    /// A Secret or ConfigMap that tasks take from, or a key of it, does not exist yet.
    SecretNotFound,
    /// The cluster does not say where something is that a task definition names by AWS's name.
    SecretNotMapped,
    /// A Secret or ConfigMap that tasks take from cannot be read.
    SecretNotReadable,
    /// What is stored in a Secret or ConfigMap is not what is taken from it.
    SecretInvalid,
    /// A deployment replaces tasks.
    DeploymentInProgress,
    /// The service runs what it should, healthy.
    SteadyState,
    /// Tasks are missing, starting or surplus.
    Scaling,
    /// The minimum and maximum percent leave no room to replace a task.
    DeploymentBlocked,
    /// The deployment has failed, and the service goes back to the last one that completed.
    RollingBack,
    /// The deployment has failed, and what runs is the last one that completed.
    RolledBack,
    /// The deployment has failed or was stopped, and there was no way back, or none was asked for.
    DeploymentFailed,
    /// A person has paused the deployment.
    DeploymentPaused,
    /// Tasks fail to start again and again; the next one is started later.
    LaunchThrottled,
    /// Tasks are protected from scale-in, and there are more of them than there are to be.
    TasksProtected,
    /// The object is being deleted and its tasks stop.
    Draining,
    /// The object is being deleted, and others still need it.
    InUse,
    /// The API server did not take a write.
    WriteRefused,
    /// Members have no effect yet.
    MembersIgnored,
    /// The pod of a task does what ECS does.
    AsOnEcs,
    /// It does not, in what the message says.
    Deviates,
}

impl Reason {
    /// As it stands in `conditions[].reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Registered => "Registered",
            Self::InvalidTaskDefinition => "InvalidTaskDefinition",
            Self::InvalidSpec => "InvalidSpec",
            Self::Unreadable => "Unreadable",
            Self::ClusterNotFound => "ClusterNotFound",
            Self::TaskDefinitionNotFound => "TaskDefinitionNotFound",
            Self::RevisionInactive => "RevisionInactive",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretNotMapped => "SecretNotMapped",
            Self::SecretNotReadable => "SecretNotReadable",
            Self::SecretInvalid => "SecretInvalid",
            Self::DeploymentInProgress => "DeploymentInProgress",
            Self::SteadyState => "SteadyState",
            Self::Scaling => "Scaling",
            Self::DeploymentBlocked => "DeploymentBlocked",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::DeploymentFailed => "DeploymentFailed",
            Self::DeploymentPaused => "DeploymentPaused",
            Self::LaunchThrottled => "LaunchThrottled",
            Self::TasksProtected => "TasksProtected",
            Self::Draining => "Draining",
            Self::InUse => "InUse",
            Self::WriteRefused => "WriteRefused",
            Self::MembersIgnored => "MembersIgnored",
            Self::AsOnEcs => "AsOnEcs",
            Self::Deviates => "Deviates",
        }
    }
}

/// What an object has to say about itself, for `Ready` and its two abnormal companions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// As it should be.
    Ready(Reason, String),
    /// On the way, or waiting for something that may still come.
    Reconciling(Reason, String),
    /// Stuck until a person changes something.
    Stalled(Reason, String),
}

impl Summary {
    /// What it says.
    pub fn message(&self) -> &str {
        match self {
            Self::Ready(_, message) | Self::Reconciling(_, message) | Self::Stalled(_, message) => message,
        }
    }

    /// The same, and what is to be said besides.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        let (Self::Ready(_, message) | Self::Reconciling(_, message) | Self::Stalled(_, message)) = &mut self;
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.push_str(more);
        self
    }
}

/// The conditions of one pass over an object, built from scratch every time.
#[derive(Debug)]
pub struct Conditions<'a> {
    previous: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    built: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Starts a pass. `previous` gives the transition times of conditions whose status has not changed.
    pub fn new(previous: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { previous, generation, now, built: Vec::new() }
    }

    /// Sets `Ready`, and `Reconciling` or `Stalled` where one holds.
    #[must_use]
    pub fn summary(self, summary: &Summary) -> Self {
        match summary {
            Summary::Ready(reason, message) => self.set(ConditionType::Ready, true, *reason, message),
            Summary::Reconciling(reason, message) => self.set(ConditionType::Ready, false, *reason, message).set(
                ConditionType::Reconciling,
                true,
                *reason,
                message,
            ),
            Summary::Stalled(reason, message) => self.set(ConditionType::Ready, false, *reason, message).set(
                ConditionType::Stalled,
                true,
                *reason,
                message,
            ),
        }
    }

    /// Names the members that are accepted but have no effect yet; says nothing where there are none.
    #[must_use]
    pub fn not_implemented(self, members: &[String]) -> Self {
        if members.is_empty() {
            return self;
        }
        let message = format!("accepted, but without effect in this version: {}", members.join(", "));
        self.set(ConditionType::NotImplemented, true, Reason::MembersIgnored, &message)
    }

    /// `Exact`: whether tasks do exactly what they do on ECS, and if not, in what they differ.
    #[must_use]
    pub fn exact(self, holds: bool, message: &str) -> Self {
        let reason = if holds { Reason::AsOnEcs } else { Reason::Deviates };
        self.set(ConditionType::Exact, holds, reason, message)
    }

    /// The conditions: those that there were in the order that they have, then new ones in the order in which they were set.
    pub fn build(mut self) -> Vec<Condition> {
        keep_order(self.previous, &mut self.built);
        self.built
    }

    fn set(mut self, type_: ConditionType, holds: bool, reason: Reason, message: &str) -> Self {
        let status = if holds { "True" } else { "False" };
        let unchanged = self.previous.iter().find(|old| old.type_ == type_.as_str() && old.status == status);
        let last_transition_time = unchanged.map_or(Time(self.now), |old| old.last_transition_time.clone());
        self.built.push(Condition {
            type_: type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: message.chars().take(MESSAGE_MAX).collect(),
            observed_generation: self.generation,
            last_transition_time,
        });
        self
    }
}

/// Puts conditions into the order that those before them have. They are a map by type, in which the API server keeps what is there in
/// its place: in an order of our own they would differ from what was written for ever, and be written for ever.
pub fn keep_order(previous: &[Condition], conditions: &mut [Condition]) {
    let place = |condition: &Condition| previous.iter().position(|old| old.type_ == condition.type_);
    conditions.sort_by_key(|condition| place(condition).unwrap_or(previous.len()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::ServiceStatus;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_transition_time_changes_only_with_the_status() {
        let ready = |now, previous: &[Condition], summary| {
            Conditions::new(previous, Some(1), at(now)).summary(&summary).build()
        };
        let waiting = ready(1, &[], Summary::Reconciling(Reason::Scaling, "one".to_owned()));
        let still = ready(2, &waiting, Summary::Reconciling(Reason::Scaling, "two".to_owned()));
        assert_eq!(still[0].last_transition_time.0, at(1));
        assert_eq!(still[0].message, "two");
        let done = ready(3, &still, Summary::Ready(Reason::SteadyState, String::new()));
        assert_eq!(done[0].last_transition_time.0, at(3));
    }

    #[test]
    fn abnormal_conditions_are_there_only_while_they_hold() {
        let summary = Summary::Ready(Reason::SteadyState, String::new());
        let types: Vec<_> =
            Conditions::new(&[], None, at(0)).summary(&summary).build().into_iter().map(|c| c.type_).collect();
        assert_eq!(types, ["Ready"]);
    }

    #[test]
    fn conditions_that_there_were_keep_their_places_and_new_ones_come_last() {
        let named = ["spec.loadBalancers".to_owned()];
        let ready = Summary::Ready(Reason::SteadyState, String::new());
        let before = Conditions::new(&[], None, at(0)).summary(&ready).not_implemented(&named).build();
        let waiting = Summary::Reconciling(Reason::Scaling, String::new());
        let after = Conditions::new(&before, None, at(1)).summary(&waiting).not_implemented(&named).build();
        let types: Vec<_> = after.into_iter().map(|condition| condition.type_).collect();
        assert_eq!(types, ["Ready", "NotImplemented", "Reconciling"]);
    }

    #[test]
    fn the_conditions_of_others_are_not_read() {
        let condition = |type_| {
            json!({
                "type": type_, "status": "True", "reason": "Any", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let status: ServiceStatus =
            serde_json::from_value(json!({ "conditions": [condition("Audited"), condition("Ready")] })).unwrap();
        let types: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, ["Ready"]);
    }

    #[test]
    fn members_without_effect_are_named() {
        let built = Conditions::new(&[], None, at(0)).not_implemented(&["spec.loadBalancers".to_owned()]).build();
        assert_eq!((built[0].type_.as_str(), built[0].status.as_str()), ("NotImplemented", "True"));
        assert!(built[0].message.ends_with("spec.loadBalancers"));
    }
}
