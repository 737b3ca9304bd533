//! What a service refers to, as the caches have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;
use kube::core::DeserializeGuard;

use crate::api::names::{RevisionName, TaskDefinitionName, cluster_name};
use crate::api::{Cluster, RevisionState, RoleMapping, Service, ServiceStatus, TaskDefinitionRevision, labels};
use crate::controllers::{cluster, may_be_there};
use crate::domain::resolve::service::References;
use crate::shell::Context;
use crate::shell::cache::Definition;

/// What revisions ask for, or why that cannot be.
type Definitions = BTreeMap<RevisionName, Definition>;

/// Follows the references of a service.
pub(super) fn look_up(context: &Context, object: &Service) -> (References, Definitions) {
    let namespace = object.namespace();
    // What runs in a cluster that is being deleted goes on; nothing new comes in.
    let deployed = object.status.as_ref().is_some_and(|status| !status.deployments.is_empty());
    let open = |cluster: &Cluster| deployed || cluster.metadata.deletion_timestamp.is_none();
    let cluster = with_cluster(context, object, |cluster| cluster.is_some_and(open));
    let named = object.spec.task_definition.as_deref().and_then(|name| name.parse::<TaskDefinitionName>().ok());
    let running =
        object.status.as_ref().and_then(|status| status.task_definition.as_deref()?.parse::<RevisionName>().ok());
    let kept = object.status.iter().flat_map(ServiceStatus::revisions).collect::<BTreeSet<_>>();

    let mut references = References { cluster, latest: None, pinned: None, running: None, unobserved: None };
    let mut definitions = Definitions::new();
    let define = |revision| context.caches.definitions.of(revision, &context.caches.revisions, context.features);
    let mut latest = None;
    let revisions = context.caches.revisions.state();
    for (name, revision) in revisions.iter().filter_map(|guard| revision_in(guard, namespace.as_deref())) {
        let (is_running, is_latest) =
            (running.as_ref() == Some(&name), is_newer_in(&name, named.as_ref(), references.latest.as_ref()));
        let is_pinned = matches!(&named, Some(TaskDefinitionName::Revision(pinned)) if *pinned == name);
        let active = is_active(revision);
        if is_running {
            references.running = Some(name.clone());
        }
        if is_pinned {
            references.pinned = Some(active);
        }
        if is_latest && active {
            references.latest = Some(name.clone());
            latest = Some(revision);
        }
        if kept.contains(&name) || is_pinned {
            definitions.insert(name, define(revision));
        }
    }
    // Those that were the newest on the way through the cache are nothing to the service.
    definitions.extend(references.latest.clone().zip(latest.map(define)));
    (references, definitions)
}

/// The revision that status names, if it is newer than all that the watch has shown, and there as far as can be found out. One that
/// is not there any more was deleted, and what is known here is newer than status.
pub(super) async fn unobserved(context: &Context, object: &Service, references: &References) -> Option<RevisionName> {
    let named = object.spec.task_definition.as_deref()?.parse().ok()?;
    let running: RevisionName = object.status.as_ref()?.task_definition.as_deref()?.parse().ok()?;
    if references.running.is_some() || !is_newer_in(&running, Some(&named), references.latest.as_ref()) {
        return None;
    }
    may_be_there(context, object.namespace(), &running).await.then_some(running)
}

/// The ServiceAccounts that the service's cluster has for task roles.
pub(super) fn service_accounts(context: &Context, object: &Service) -> BTreeMap<String, String> {
    let account = |mapping: &RoleMapping| (mapping.role_arn.clone(), mapping.service_account_name.clone());
    with_cluster(context, object, |cluster| {
        let mappings = cluster.and_then(|cluster| cluster.spec.kubernetes.as_ref()).into_iter();
        mappings.flat_map(|kubernetes| &kubernetes.role_mappings).map(account).collect()
    })
}

/// What is made of the cluster that a service runs in, if there is one.
pub(in crate::controllers) fn with_cluster<T>(
    context: &Context,
    object: &Service,
    make: impl FnOnce(Option<&Cluster>) -> T,
) -> T {
    let clusters = context.caches.clusters.state();
    let clusters = clusters.iter().filter_map(|guard| guard.0.as_ref().ok());
    make(cluster::named(clusters, object.metadata.namespace.as_deref(), cluster_name(object.spec.cluster.as_deref())))
}

fn is_newer_in(name: &RevisionName, named: Option<&TaskDefinitionName>, latest: Option<&RevisionName>) -> bool {
    let followed = matches!(named, Some(TaskDefinitionName::Latest(family)) if *family == name.family);
    followed && latest.is_none_or(|latest| latest.number < name.number)
}

/// A revision by the name that ECS gives it.
fn revision_in<'a>(
    guard: &'a Arc<DeserializeGuard<TaskDefinitionRevision>>,
    namespace: Option<&str>,
) -> Option<(RevisionName, &'a TaskDefinitionRevision)> {
    let revision = guard.0.as_ref().ok().filter(|revision| revision.metadata.namespace.as_deref() == namespace)?;
    let family = revision.spec.task_definition.family.as_deref()?.parse().ok()?;
    Some((RevisionName { family, number: revision.spec.revision }, revision))
}

fn is_active(revision: &TaskDefinitionRevision) -> bool {
    let inactive = revision.status.as_ref().and_then(|status| status.status) == Some(RevisionState::Inactive);
    !inactive
        && !revision.annotations().contains_key(labels::DEREGISTER)
        && revision.metadata.deletion_timestamp.is_none()
}
