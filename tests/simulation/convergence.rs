//! Whether the cluster is as people want it.

use std::collections::BTreeSet;
use std::sync::Arc;

use longshore::api::labels;
use longshore_test_apiserver::Store;
use serde_json::Value;

use crate::daemons::{eligible, is_daemon};
use crate::task::{
    CLUSTERS, DEFINITIONS, PODS, REVISIONS, SERVICES, annotation, condition, is_deleting, is_healthy, is_live, name,
    number, service_of, text, uid,
};
use crate::zones;

/// What is not as it should be; nothing if all is well.
pub(crate) fn difference(store: &Store) -> Option<String> {
    let services = store.all(SERVICES).find_map(|service| of_service(store, service));
    let stuck =
        [SERVICES, DEFINITIONS, CLUSTERS].into_iter().flat_map(|kind| store.all(kind)).find(|one| is_deleting(one));
    let stuck = stuck.map(|object| format!("{} {} is still being deleted", text(object, "/kind"), name(object)));
    let strays = store.all(PODS).find(|pod| {
        let owner = service_of(pod);
        owner.is_some_and(|owner| !store.all(SERVICES).any(|service| uid(service) == owner))
    });
    let strays = strays.map(|pod| format!("{} has lost its service and is still there", name(pod)));
    services.or(stuck).or(strays)
}

/// What is not as it should be of one service; nothing if all is well.
pub(crate) fn of_service(store: &Store, service: &Value) -> Option<String> {
    let id = name(service);
    let nodes = eligible(service, store);
    let desired = if is_daemon(service) {
        i64::try_from(nodes.len()).unwrap_or(i64::MAX)
    } else {
        number(service, "/spec/desiredCount")
    };
    let family = text(service, "/spec/taskDefinition");
    let active = |revision: &&Arc<Value>| {
        text(revision, "/spec/family") == family && text(revision, "/status/status") != "INACTIVE"
    };
    let Some(latest) = store.all(REVISIONS).filter(active).map(|one| number(one, "/spec/revision")).max() else {
        let definition = store.all(DEFINITIONS).find(|definition| name(definition) == family);
        let ready = definition.and_then(|definition| condition(definition, "Ready")).unwrap_or(&Value::Null);
        return Some(format!("{id}: {family} has no ACTIVE revision, and says {ready}"));
    };
    let wanted = format!("{family}:{latest}");
    let tasks: Vec<&Arc<Value>> =
        store.all(PODS).filter(|pod| service_of(pod) == Some(uid(service)) && is_live(pod)).collect();
    let right =
        tasks.iter().filter(|pod| is_healthy(pod) && annotation(pod, labels::TASK_DEFINITION) == wanted).count();
    if i64::try_from(tasks.len()).ok() != Some(desired) || tasks.len() != right {
        return Some(format!(
            "{id}: {right} of {} tasks are healthy tasks of {wanted}, and {desired} are wanted",
            tasks.len()
        ));
    }
    let covered: BTreeSet<&str> = tasks.iter().map(|pod| text(pod, "/spec/nodeName")).collect();
    if is_daemon(service) && covered != nodes {
        return Some(format!("{id}: there are tasks on {covered:?}, and {nodes:?} are to have one"));
    }
    let ready = condition(service, "Ready");
    if ready.is_none_or(|ready| text(ready, "/status") != "True") {
        return Some(format!("{id}: Ready is {}", ready.unwrap_or(&Value::Null)));
    }
    for (member, is) in [
        ("/status/observedGeneration", number(service, "/metadata/generation")),
        ("/status/runningCount", desired),
        ("/status/pendingCount", 0),
        ("/status/desiredCount", desired),
    ] {
        if number(service, member) != is {
            return Some(format!("{id}: {member} is {}, not {is}", number(service, member)));
        }
    }
    let deployments = service.pointer("/status/deployments").and_then(Value::as_array).map_or(0, Vec::len);
    if deployments != 1 {
        return Some(format!("{id} has {deployments} deployments"));
    }
    zones::difference(store, service)
}
