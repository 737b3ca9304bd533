//! Task definitions: their revisions are registered, deregistered and pruned here.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use crate::api::names::{Family, RevisionName, TaskDefinitionName, Uid, label_value};
use crate::api::{
    RevisionStatus, Service, ServiceStatus, TaskDefinition, TaskDefinitionRevision, TaskDefinitionSpec,
    TaskDefinitionStatus, labels,
};
use crate::controllers::{is_older, may_be_there};
use crate::domain::Plan;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::family;
use crate::domain::task_definition::{self, Action, Revision};
use crate::shell::Context;
use crate::shell::driver::{Performed, Reconciler};
use crate::shell::writer::{self, WriteError};

/// How often, and how many times at the most, the cache is looked at for a revision that was just written.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: usize = 200;

/// The controller of task definitions.
pub struct TaskDefinitions;

/// What a task definition's plan is made from.
pub struct Seen {
    revisions: Vec<TaskDefinitionRevision>,
    taken_by: Option<String>,
    waits_for_watch: bool,
    services: Vec<String>,
    used: BTreeSet<i64>,
    features: Features,
}

impl Reconciler for TaskDefinitions {
    type Object = TaskDefinition;
    type Observed = Seen;
    type Action = Action;
    type Status = TaskDefinitionStatus;

    const FIELD_MANAGER: &'static str = labels::field_manager::TASK_DEFINITION;
    const FINALIZER: Option<&'static str> = Some(labels::IN_USE_FINALIZER);
    const STATUS_INTERVAL: Duration = Duration::ZERO;

    fn api(context: &Context, namespace: Option<&str>) -> Api<TaskDefinition> {
        Api::namespaced(context.client.clone(), namespace.unwrap_or_default())
    }

    fn status(object: &TaskDefinition) -> Option<&TaskDefinitionStatus> {
        object.status.as_ref()
    }

    fn conditions(status: &mut TaskDefinitionStatus) -> &mut Vec<Condition> {
        &mut status.conditions
    }

    async fn observe(context: &Context, object: &TaskDefinition) -> Seen {
        let name = object.name_any();
        let family = family(&object.spec, &name);
        let caches = &context.caches;
        let here = |namespace: Option<String>| namespace == object.namespace();

        let all = caches.revisions.state();
        let revisions = all.iter().filter_map(|guard| guard.0.as_ref().ok());
        let in_family = |spec: &TaskDefinitionSpec| spec.family.as_deref() == Some(family);
        let revisions: Vec<TaskDefinitionRevision> = revisions
            .filter(|revision| here(revision.namespace()) && in_family(&revision.spec.task_definition))
            .cloned()
            .collect();

        let others = caches.task_definitions.state();
        let others = others.iter().filter_map(|guard| guard.0.as_ref().ok());
        let taken_by = others
            .filter(|other| here(other.namespace()) && is_older(*other, object))
            .find(|other| crate::domain::resolve::task_definition::family(&other.spec, &other.name_any()) == family)
            .map(ResourceExt::name_any);

        let (mut services, mut used) = (Vec::new(), BTreeSet::new());
        for guard in caches.services.state() {
            let Ok(service) = &guard.0 else {
                // What cannot be read may use anything.
                if here(guard.namespace()) {
                    services.push(guard.name_any());
                    used.extend(revisions.iter().map(|revision| revision.spec.revision));
                }
                continue;
            };
            if here(service.namespace()) {
                let numbers = numbers_in_use(context, service, family);
                if let Some(numbers) = numbers {
                    services.push(service.name_any());
                    used.extend(numbers);
                }
            }
        }
        services.sort();
        let number = |guard: &DeserializeGuard<TaskDefinitionRevision>| {
            if let Ok(revision) = &guard.0 {
                return in_family(&revision.spec.task_definition).then_some(revision.spec.revision);
            }
            // Its labels can be read.
            let label = |name| guard.labels().get(name);
            label(labels::FAMILY).filter(|label| **label == label_value(family))?;
            label(labels::REVISION)?.parse().ok()
        };
        let newest = all.iter().filter(|guard| here(guard.namespace())).filter_map(|guard| number(guard)).max();
        let waits_for_watch = taken_by.is_none() && last_is_unobserved(context, object, family, newest).await;
        Seen { revisions, taken_by, waits_for_watch, services, used, features: context.features }
    }

    fn plan(
        object: &TaskDefinition,
        status: &TaskDefinitionStatus,
        seen: &Seen,
        now: Timestamp,
    ) -> Plan<Action, TaskDefinitionStatus> {
        let observed = task_definition::Observed {
            name: object.metadata.name.as_deref().unwrap_or_default(),
            generation: object.metadata.generation,
            deleting: object.metadata.deletion_timestamp.is_some(),
            spec: &object.spec,
            status,
            taken_by: seen.taken_by.as_deref(),
            waits_for_watch: seen.waits_for_watch,
            revisions: seen.revisions.iter().map(revision).collect(),
            services: seen.services.clone(),
            used: seen.used.clone(),
            features: seen.features,
        };
        task_definition::plan(&observed, now)
    }

    fn is_told_first(before: &TaskDefinitionStatus, after: &TaskDefinitionStatus) -> bool {
        task_definition::is_told_first(before, after)
    }

    async fn perform(
        context: &Context,
        object: &TaskDefinition,
        _: &Seen,
        actions: Vec<Action>,
    ) -> Result<Performed, WriteError> {
        let namespace = object.namespace().unwrap_or_default();
        let api: Api<TaskDefinitionRevision> = Api::namespaced(context.client.clone(), &namespace);
        for action in actions {
            match action {
                Action::Register(name, spec) => {
                    let mut revision = TaskDefinitionRevision::new(&name.object_name(), *spec);
                    let labels = revision.labels_mut();
                    labels.insert(labels::FAMILY.to_owned(), label_value(name.family.as_str()));
                    labels.insert(labels::REVISION.to_owned(), name.number.to_string());
                    labels.insert(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_LONGSHORE.to_owned());
                    // One that is there already is a revision that the cache does not show yet: the next pass will see it.
                    writer::create(&api, &name.object_name(), &revision, |existing| {
                        let manager = existing.labels.as_ref().and_then(|labels| labels.get(labels::MANAGED_BY));
                        manager.is_some_and(|manager| manager == labels::MANAGED_BY_LONGSHORE)
                    })
                    .await?;
                    until_shown(context, &revision.name_any(), &namespace, |_| true).await;
                }
                Action::SetStatus { object, resource_version, status } => {
                    let status: &RevisionStatus = &status;
                    writer::apply_status(&api, &object, &resource_version, Self::FIELD_MANAGER, status).await?;
                    let is_newer = |revision: &TaskDefinitionRevision| {
                        revision.resource_version().as_deref() != Some(resource_version.as_str())
                    };
                    until_shown(context, &object, &namespace, is_newer).await;
                }
                Action::Prune { object, uid } => {
                    writer::delete(&api, &object, &uid, None).await?;
                }
            }
        }
        Ok(Performed::All)
    }
}

/// Waits until the cache shows what was just written: a pass that does not see it would write it once more.
async fn until_shown(
    context: &Context,
    revision: &str,
    namespace: &str,
    is_written: impl Fn(&TaskDefinitionRevision) -> bool,
) {
    let object = ObjectRef::new(revision).within(namespace);
    for _ in 0..LOOKS_MAX {
        let shown = context.caches.revisions.get(&object);
        if shown.is_some_and(|shown| shown.0.as_ref().is_ok_and(&is_written)) {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn revision(revision: &TaskDefinitionRevision) -> Revision<'_> {
    Revision {
        number: revision.spec.revision,
        object: revision.name_any(),
        uid: Uid(revision.uid().unwrap_or_default()),
        resource_version: revision.resource_version().unwrap_or_default(),
        generation: revision.metadata.generation,
        created_at: revision.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deregister: revision.annotations().contains_key(labels::DEREGISTER),
        deleting: revision.metadata.deletion_timestamp.is_some(),
        spec: &revision.spec.task_definition,
        status: revision.status.as_ref(),
    }
}

/// Whether the last revision that status knows is there, and newer than all that the watch has shown. One that is not there was
/// deleted.
async fn last_is_unobserved(context: &Context, object: &TaskDefinition, family: &str, newest: Option<i64>) -> bool {
    let last = object.status.as_ref().and_then(|status| status.last_revision);
    let Some(number) = last.filter(|last| newest.is_none_or(|newest| newest < *last)) else { return false };
    let Ok(family) = family.parse::<Family>() else { return false };
    may_be_there(context, object.namespace(), &RevisionName { family, number }).await
}

/// The revisions of a family that a service names, deploys or runs; none at all if it has nothing to do with the family.
fn numbers_in_use(context: &Context, service: &Service, family: &str) -> Option<BTreeSet<i64>> {
    let named = service.spec.task_definition.as_deref().and_then(|name| name.parse::<TaskDefinitionName>().ok());
    let pinned = match &named {
        Some(TaskDefinitionName::Revision(revision)) => Some(revision.clone()),
        Some(TaskDefinitionName::Latest(_)) | None => None,
    };
    let deployed = service.status.iter().flat_map(ServiceStatus::revisions);
    let running = context.caches.tasks.revisions(&Uid(service.uid().unwrap_or_default()));
    let used = pinned.into_iter().chain(deployed).chain(running);
    let numbers: BTreeSet<i64> =
        used.filter(|revision| revision.family.as_str() == family).map(|revision| revision.number).collect();
    let names_it = named.is_some_and(|named| named.family().as_str() == family);
    (names_it || !numbers.is_empty()).then_some(numbers)
}
