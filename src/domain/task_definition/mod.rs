//! A family of task definitions: when a revision is registered, deregistered and pruned.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::conditions::{Conditions, Reason, Summary};
use crate::api::names::{Family, RevisionName, Uid};
use crate::api::{RevisionState, RevisionStatus, TaskDefinitionRevisionSpec, TaskDefinitionSpec, TaskDefinitionStatus};
use crate::domain::Plan;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::{
    check_for_registration, family, normalise, not_implemented_members, verdict,
};
use crate::domain::resolve::{Problem, canonical_json};

/// How long a task definition waits for the watch to show its last revision, before that is looked for once more.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// How many revisions that nothing uses are kept.
const REVISION_HISTORY_LIMIT: usize = 10;

/// A write to the revisions of a family.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Register a revision.
    Register(RevisionName, Box<TaskDefinitionRevisionSpec>),
    /// Set the status of a revision.
    SetStatus {
        /// The revision's object.
        object: String,
        /// The version that the status was computed from.
        resource_version: String,
        /// The status.
        status: Box<RevisionStatus>,
    },
    /// Delete a revision that nothing uses.
    Prune {
        /// The revision's object.
        object: String,
        /// Its uid.
        uid: Uid,
    },
}

/// What was observed of a task definition.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The name of the object.
    pub name: &'a str,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Whether its deletion has been asked for.
    pub deleting: bool,
    /// Its spec.
    pub spec: &'a TaskDefinitionSpec,
    /// Its status as last written.
    pub status: &'a TaskDefinitionStatus,
    /// An older object that has the same family.
    pub taken_by: Option<&'a str>,
    /// Whether the last revision that status knows is there, and the watch has not shown it yet.
    pub waits_for_watch: bool,
    /// The revisions of the family.
    pub revisions: Vec<Revision<'a>>,
    /// The services that name the family.
    pub services: Vec<String>,
    /// The numbers of the revisions that services name or tasks run.
    pub used: BTreeSet<i64>,
    /// What the API server can express.
    pub features: Features,
}

/// A revision, as observed.
#[derive(Debug, Clone)]
pub struct Revision<'a> {
    /// The number.
    pub number: i64,
    /// The name of the object.
    pub object: String,
    /// Its uid.
    pub uid: Uid,
    /// Its version.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether a person has asked for its deregistration.
    pub deregister: bool,
    /// Whether its deletion has been asked for.
    pub deleting: bool,
    /// The definition.
    pub spec: &'a TaskDefinitionSpec,
    /// Its status.
    pub status: Option<&'a RevisionStatus>,
}

impl Revision<'_> {
    /// A revision is ACTIVE from its creation on; INACTIVE is for ever.
    fn is_active(&self) -> bool {
        self.status.and_then(|status| status.status) != Some(RevisionState::Inactive)
    }
}

/// Whether a change of status has to be written before the plan that comes with it is performed: a revision is about to be
/// registered. The write is refused to whoever has read an older text: two operators of which one is late would register the
/// two texts in turn without end.
pub fn is_told_first(before: &TaskDefinitionStatus, after: &TaskDefinitionStatus) -> bool {
    let registering = |status: &TaskDefinitionStatus| {
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        let ready = ready.filter(|ready| ready.status == "False" && ready.reason == Reason::Registered.as_str());
        ready.map(|ready| ready.message.clone())
    };
    registering(after).is_some() && registering(before) != registering(after)
}

/// Plans one pass over a task definition.
pub fn plan(seen: &Observed<'_>, now: Timestamp) -> Plan<Action, TaskDefinitionStatus> {
    if seen.waits_for_watch {
        // What it would decide from older revisions is decided already: the text of the last one would become a revision again.
        let wake_at = Some(now.saturating_add(LOOK_AGAIN).unwrap_or(now));
        return Plan { actions: Vec::new(), status: seen.status.clone(), hold: true, wake_at };
    }
    // Of two objects with one family the older has it: its revisions and its services are not the other's.
    let has_family = seen.taken_by.is_none();
    let services: &[String] = if has_family { &seen.services } else { &[] };
    let mut revisions: Vec<&Revision<'_>> = seen.revisions.iter().filter(|_| has_family).collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    let newest = revisions.first().copied();
    let minted = newest.map_or(0, |newest| newest.number).max(seen.status.last_revision.unwrap_or(0));
    let abandoned = seen.deleting && services.is_empty();
    let checked = check(seen);

    let mut actions = Vec::new();
    let normal = normalise(seen.spec, seen.name);
    let registers = checked.is_ok() && !seen.deleting && newest.is_none_or(|newest| needs_successor(newest, &normal));
    let mut last_revision = minted;
    if let Ok(family) = &checked
        && registers
    {
        last_revision = minted.saturating_add(1);
        let spec = TaskDefinitionRevisionSpec { revision: last_revision, task_definition: normal };
        let name = RevisionName { family: family.clone(), number: last_revision };
        actions.push(Action::Register(name, Box::new(spec)));
    }
    let is_inactive = |revision: &Revision<'_>| abandoned || revision.deregister || !revision.is_active();
    for revision in &revisions {
        let status = revision_status(revision, is_inactive(revision), seen.features, now);
        if !revision.deleting && revision.status != Some(&status) {
            let (object, resource_version) = (revision.object.clone(), revision.resource_version.clone());
            actions.push(Action::SetStatus { object, resource_version, status: Box::new(status) });
        }
    }
    let latest = revisions.iter().find(|revision| !is_inactive(revision)).copied();
    let pruned = prune(seen, &revisions, latest, abandoned);
    let some_pruned = !pruned.is_empty();
    actions.extend(pruned);

    let name = |number: i64| format!("{}:{number}", family(seen.spec, seen.name));
    let summary = match &checked {
        _ if seen.deleting && !abandoned => {
            let message = format!(
                "the family is still used by the services {}; delete them, or let them run another family",
                services.join(", ")
            );
            Summary::Reconciling(Reason::InUse, message)
        }
        _ if seen.deleting => Summary::Reconciling(Reason::Draining, "the revisions become INACTIVE".to_owned()),
        Err(problem) => Summary::Stalled(Reason::InvalidTaskDefinition, problem.clone()),
        Ok(_) if registers => {
            Summary::Reconciling(Reason::Registered, format!("{} is being registered", name(last_revision)))
        }
        Ok(_) => match latest {
            Some(latest) => Summary::Ready(Reason::Registered, format!("{} is ACTIVE", name(latest.number))),
            None => Summary::Stalled(
                Reason::RevisionInactive,
                "every revision is INACTIVE; change the task definition to register another".to_owned(),
            ),
        },
    };
    let mut conditions = Conditions::new(&seen.status.conditions, seen.generation, now)
        .summary(&summary)
        .not_implemented(&not_implemented_members(seen.spec));
    // Of what is refused there are no tasks.
    if checked.is_ok() {
        let verdict = verdict(seen.spec, seen.features);
        conditions = conditions.exact(verdict.is_exact(), &verdict.message());
    }
    let status = TaskDefinitionStatus {
        observed_generation: seen.generation,
        conditions: conditions.build(),
        last_revision: Some(minted).filter(|number| *number > 0),
        latest_active_revision: latest.map(|latest| name(latest.number)),
    };
    let some_active = revisions.iter().any(|revision| revision.is_active() && !revision.deleting);
    Plan { actions, status, hold: !abandoned || some_active || some_pruned, wake_at: None }
}

fn check(seen: &Observed<'_>) -> Result<Family, String> {
    let name = family(seen.spec, seen.name);
    let parsed = name
        .parse::<Family>()
        .map_err(|error| format!("spec.family: {error}; the object's name stands in where spec.family is left out"))?;
    if let Some(other) = seen.taken_by {
        return Err(format!(
            "spec.family: the TaskDefinition {other:?} has the family {name:?} already; give this one another"
        ));
    }
    match check_for_registration(seen.spec, seen.features).as_slice() {
        [] => Ok(parsed),
        problems => Err(Problem::join(problems)),
    }
}

/// A revision is registered when the content differs from the newest one's. ECS's "register" also makes a number for equal
/// content; applying the same file again must not. A family that was deleted and made again starts with a new number, and one
/// whose newest revision a person has deregistered waits for a change.
fn needs_successor(newest: &Revision<'_>, normal: &TaskDefinitionSpec) -> bool {
    let text = |spec: &TaskDefinitionSpec| serde_json::to_value(spec).map(|spec| canonical_json(&spec)).ok();
    let changed = text(&normalise(newest.spec, "")) != text(normal);
    changed || (!newest.is_active() && !newest.deregister)
}

fn revision_status(revision: &Revision<'_>, inactive: bool, features: Features, now: Timestamp) -> RevisionStatus {
    let verdict = verdict(revision.spec, features);
    let previous = revision.status.cloned().unwrap_or_default();
    let summary = if inactive {
        Summary::Stalled(
            Reason::RevisionInactive,
            "the revision is deregistered: what uses it goes on, nothing new may".to_owned(),
        )
    } else {
        Summary::Ready(Reason::Active, "new tasks and services may use the revision".to_owned())
    };
    RevisionStatus {
        observed_generation: revision.generation,
        conditions: Conditions::new(&previous.conditions, revision.generation, now)
            .summary(&summary)
            .not_implemented(&not_implemented_members(revision.spec))
            .exact(verdict.is_exact(), &verdict.message())
            .build(),
        status: Some(if inactive { RevisionState::Inactive } else { RevisionState::Active }),
        registered_at: previous.registered_at.or(Some(Time(revision.created_at))),
        deregistered_at: previous.deregistered_at.or_else(|| inactive.then_some(Time(now))),
    }
}

/// The newest revision always stays: it is what remembers the family's last number, also when the task definition is gone. So
/// does the latest ACTIVE one: it is what the family's name stands for.
fn prune(
    seen: &Observed<'_>,
    newest_first: &[&Revision<'_>],
    latest: Option<&Revision<'_>>,
    abandoned: bool,
) -> Vec<Action> {
    let limit = seen.spec.kubernetes.as_ref().and_then(|kubernetes| kubernetes.revision_history_limit);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(REVISION_HISTORY_LIMIT);
    let needed = |number: i64| seen.used.contains(&number) || latest.is_some_and(|latest| latest.number == number);
    let unused = newest_first.iter().skip(1).filter(|revision| !needed(revision.number));
    let surplus = unused.skip(if abandoned { 0 } else { limit }).filter(|revision| !revision.deleting);
    surplus.map(|revision| Action::Prune { object: revision.object.clone(), uid: revision.uid.clone() }).collect()
}
