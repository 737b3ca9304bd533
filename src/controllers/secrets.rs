//! What the tasks of a service take from Secrets and ConfigMaps: looked up, made and given up beside the tasks themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use kube::ResourceExt;

use crate::api::names::{RevisionName, Uid};
use crate::api::{Service, ServiceStatus};
use crate::controllers::service::with_cluster;
use crate::domain::resolve::service::ResolvedService;
use crate::domain::resolve::task_definition::ResolvedTaskDefinition;
use crate::domain::resolve::value_from::Source;
use crate::domain::secrets::derived::{Derived, DerivedName, DerivedSecret};
use crate::domain::secrets::plan::{DerivedFact, Observed, SourceFact, Uses, plan};
use crate::domain::secrets::task_secrets::{TaskSecrets, find};
use crate::shell::Context;
use crate::shell::many;
use crate::shell::secrets::{Maker, Pace};
use crate::shell::writer::WriteError;

/// Looks at what the tasks take from, and enters into the service what follows from it.
pub(super) async fn observe(
    context: &Context,
    object: &Service,
    uid: &Uid,
    service: &mut ResolvedService,
    definitions: &BTreeMap<RevisionName, Arc<ResolvedTaskDefinition>>,
) {
    let uses = uses(context, object, service, definitions);
    let recorded = object.status.as_ref().map(|status| status.derived_secrets.as_slice()).unwrap_or_default();
    if uses.is_empty() && recorded.is_empty() {
        context.caches.secrets.remove_service(uid);
        return;
    }
    let namespace = object.namespace().unwrap_or_default();
    let deployed = object.status.iter().flat_map(ServiceStatus::prepared_revisions);
    let running = context.caches.tasks.revisions(uid);
    let given_up = object.status.as_ref().map(ServiceStatus::given_up).unwrap_or_default();
    let given_up = given_up.into_iter().filter(|revision| !running.contains(revision)).collect();
    let in_use: BTreeSet<RevisionName> = deployed.chain(running).collect();
    let all = || uses.values().filter_map(|uses| uses.as_deref().ok());
    let derived: BTreeSet<&Derived> = all().flat_map(|secrets| &secrets.derived).collect();
    let sources = look_at_sources(context, uid, &namespace, all(), &derived).await;
    let names = derived.iter().map(|derived| (derived.name(), source_version(derived, &sources)));
    let recorded_names = recorded.iter().map(|known| {
        let name = DerivedName { kind: known.kind, name: known.name.clone() };
        (name, String::new())
    });
    // Of one that is both, what is needed now counts.
    let names: BTreeMap<DerivedName, String> = recorded_names.chain(names).collect();
    let facts = names.iter().map(async |(name, source)| {
        let secrets = &context.caches.secrets;
        Some((name.clone(), secrets.derived(&context.client, &namespace, name, uid, source).await?))
    });
    let facts: BTreeMap<DerivedName, DerivedFact> = join_all(facts).await.into_iter().flatten().collect();
    let plan = plan(&Observed {
        uses: &uses,
        in_use: &in_use,
        given_up: &given_up,
        sources: &sources,
        derived: &facts,
        recorded,
    });

    let deploy_on_change = object.spec.kubernetes.as_ref().and_then(|k| k.deploy_on_secret_change).unwrap_or(false);
    let pace = if plan.make.is_empty() && plan.give_up.is_empty() {
        if deploy_on_change || !derived.is_empty() { Pace::Follows } else { Pace::AtRest }
    } else {
        Pace::Moves
    };
    context.caches.secrets.wait(uid, &namespace, plan.awaited.clone(), pace);
    plan.enter(service, deploy_on_change);
}

/// What makes and gives up objects for a service.
pub(super) fn maker<'a>(context: &'a Context, namespace: &'a str, service: &'a str, uid: &'a Uid) -> Maker<'a> {
    Maker { client: &context.client, index: &context.caches.secrets, namespace, service, uid }
}

/// Makes objects. One that cannot be made holds up the tasks that take from it, and nothing else.
pub(super) async fn make_all(maker: &Maker<'_>, wanted: Vec<Derived>) -> Unmade {
    let writes = wanted.into_iter().map(async |derived: Derived| maker.make(&derived).await.err().zip(Some(derived)));
    let failed = many::send_each(writes).await.into_iter().flatten();
    Unmade(failed.map(|(error, derived)| (derived, error)).collect())
}

/// The objects that could not be made, and why.
#[derive(Debug, Default)]
pub(super) struct Unmade(BTreeMap<Derived, WriteError>);

impl Unmade {
    /// Why there is not all that a task takes.
    pub(super) fn of(&self, secrets: &TaskSecrets) -> Option<&WriteError> {
        self.0.iter().find(|(derived, _)| secrets.derived.contains(*derived)).map(|(_, error)| error)
    }

    /// What there is to tell: what a person can do something about comes first.
    pub(super) fn into_error(self) -> Option<WriteError> {
        let (refused, others): (Vec<_>, Vec<_>) = self.0.into_values().partition(WriteError::is_refusal);
        refused.into_iter().chain(others).next()
    }
}

/// What the revisions take that the service is to start, or has to be able to at any moment, by the cluster that it runs in.
fn uses(
    context: &Context,
    object: &Service,
    service: &ResolvedService,
    definitions: &BTreeMap<RevisionName, Arc<ResolvedTaskDefinition>>,
) -> Uses {
    let target = service.target.iter().map(|target| target.revision.clone());
    let deployed = object.status.iter().flat_map(ServiceStatus::prepared_revisions);
    let started: BTreeSet<RevisionName> = target.chain(deployed).collect();
    let taking =
        definitions.iter().filter(|(name, definition)| started.contains(name) && !definition.secrets.0.is_empty());
    let taking: Vec<_> = taking.collect();
    if taking.is_empty() {
        return Uses::new();
    }
    let cluster = with_cluster(context, object, |cluster| cluster.and_then(|cluster| cluster.spec.kubernetes.clone()));
    let found = |definition: &ResolvedTaskDefinition| find(&definition.secrets, cluster.as_ref()).map(Arc::new);
    taking.into_iter().map(|(name, definition)| (name.clone(), found(definition))).collect()
}

async fn look_at_sources<'a>(
    context: &Context,
    service: &Uid,
    namespace: &str,
    all: impl Iterator<Item = &'a TaskSecrets>,
    derived: &BTreeSet<&'a Derived>,
) -> BTreeMap<Source, SourceFact> {
    let sources: BTreeSet<&Source> = all.flat_map(|secrets| secrets.sources.keys()).collect();
    let looks = sources.into_iter().map(async |source| {
        let made: Vec<&DerivedSecret> = derived.iter().filter_map(|derived| derived.made_from(source)).collect();
        (source.clone(), context.caches.secrets.source(&context.client, service, namespace, source, &made).await)
    });
    join_all(looks).await.into_iter().collect()
}

/// The version of what an object is made from.
fn source_version(derived: &Derived, sources: &BTreeMap<Source, SourceFact>) -> String {
    match derived {
        Derived::External(_) => String::new(),
        Derived::Secret(secret) => match sources.get(&secret.source) {
            Some(SourceFact::Present(object)) => object.version.clone(),
            Some(SourceFact::Missing | SourceFact::Unreadable(_)) | None => String::new(),
        },
    }
}
