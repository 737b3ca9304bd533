//! The same wishes in a world without faults: what comes of them there has to come of them anywhere.

use std::collections::BTreeMap;

use longshore::api::labels;
use longshore_test_apiserver::{Store, Verb};
use serde_json::{Map, Value, json};

use crate::monkey::FOREIGN_CONDITION;
use crate::nodes;
use crate::scenario::Cast;
use crate::task::{CLUSTERS, DEFINITIONS, PODS, REVISIONS, SERVICES, annotation, label, name, service_of, text, uid};
use crate::world::{World, lock};

/// What people have written.
const WISHES: [&str; 3] = [CLUSTERS, DEFINITIONS, SERVICES];

/// Where a world differs from one in which its people's last wishes were the first ones, and nothing went wrong.
pub(crate) async fn difference(world: &World, seed: u64) -> Option<String> {
    let mut twin = Cast::new(seed, 0);
    twin.world.let_fail(lock(&world.faults.0).classes.calm());
    nodes::copy(world, &twin.world);
    twin.start_operator();
    for kind in WISHES {
        for object in world.server.read(|store| store.all(kind).cloned().collect::<Vec<_>>()) {
            let wish = json!({
                "apiVersion": object["apiVersion"],
                "kind": object["kind"],
                "metadata": { "name": name(&object), "annotations": object["metadata"]["annotations"] },
                "spec": object["spec"],
            });
            twin.world.act("person", Verb::Create, kind, "", None, wish);
        }
    }
    if let Some(difference) = twin.converge().await {
        return Some(format!("the twin: {difference}"));
    }
    if let Some(broken) = lock(&twin.world.ledger).broken.first() {
        return Some(format!("the twin: {broken}"));
    }
    let (here, there) = (world.server.read(state), twin.world.server.read(state));
    twin.stop().await;
    let keys = here.keys().chain(there.keys());
    let first = keys.into_iter().find(|key| here.get(*key) != there.get(*key))?;
    let text = |state: &BTreeMap<String, Value>| state.get(first).unwrap_or(&Value::Null).to_string();
    Some(format!("{first} is\n{}\nand without faults it would be\n{}", text(&here), text(&there)))
}

/// Everything there is, without names, numbers and times that depend on how it came about.
fn state(store: &Store) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    for kind in WISHES {
        for object in store.all(kind) {
            state.insert(format!("{kind} {}", name(object)), written(object));
        }
    }
    for service in store.all(SERVICES) {
        let pods = store.all(PODS).filter(|pod| service_of(pod) == Some(uid(service)));
        let mut pods: Vec<String> = pods.map(|pod| started(pod).to_string()).collect();
        pods.sort();
        state.insert(format!("the pods of {}", name(service)), json!(pods));
    }
    for definition in store.all(DEFINITIONS) {
        let revisions = store.all(REVISIONS).filter(|revision| text(revision, "/spec/family") == name(definition));
        let newest = revisions.max_by_key(|revision| revision["spec"]["revision"].as_i64());
        let mut registered = newest.map(|revision| revision["spec"].clone()).unwrap_or_default();
        set_number_aside(&mut registered);
        state.insert(format!("the newest revision of {}", name(definition)), registered);
    }
    state
}

fn set_number_aside(revision: &mut Value) {
    if let Some(members) = revision.as_object_mut() {
        members.remove("revision");
    }
}

/// What a person has written, and what the operator says of it.
fn written(object: &Value) -> Value {
    let status = &object["status"];
    let pick = |from: &Value, members: &[&str]| -> Map<String, Value> {
        members.iter().map(|member| ((*member).to_owned(), from[*member].clone())).collect()
    };
    let list = |member: &str| status[member].as_array().cloned().unwrap_or_default();
    let conditions = list("conditions");
    let ours = conditions.iter().filter(|one| text(one, "/type") != FOREIGN_CONDITION);
    let mut conditions: Vec<_> = ours.map(|one| Value::Object(pick(one, &["type", "status", "reason"]))).collect();
    conditions.sort_by_key(Value::to_string);
    let shown = ["status", "desiredCount", "runningCount", "pendingCount", "rolloutState"];
    let deployments: Vec<_> = list("deployments").iter().map(|one| Value::Object(pick(one, &shown))).collect();
    let counts = [
        "status",
        "desiredCount",
        "runningCount",
        "pendingCount",
        "selector",
        "registeredContainerInstancesCount",
        "runningTasksCount",
        "pendingTasksCount",
        "activeServicesCount",
    ];
    json!({
        "finalizers": object["metadata"]["finalizers"],
        "spec": object["spec"],
        "conditions": conditions,
        "deployments": deployments,
        "counts": pick(status, &counts),
    })
}

/// A pod as it was started.
fn started(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let family = label(&pod, labels::FAMILY).to_owned();
    let is_moved = !annotation(&pod, labels::ZONE).is_empty();
    let metadata = &mut pod["metadata"];
    for (list, own) in [
        ("labels", &[labels::DEPLOYMENT, labels::REVISION, "seen-by"][..]),
        ("annotations", &[labels::SLOT, labels::ATTEMPT, labels::TASK_DEFINITION, labels::ZONE][..]),
    ] {
        if let Some(members) = metadata[list].as_object_mut() {
            members.retain(|name, _| !own.contains(&name.as_str()));
        }
    }
    if let Some(spec) = pod["spec"].as_object_mut() {
        spec.remove("nodeName");
        if is_moved {
            spec.remove("affinity");
        }
    }
    for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
        let tag = text(container, "/image").split('@').next().unwrap_or_default().to_owned();
        container["image"] = json!(tag);
        // That of a tag may be another than that of a digest.
        container["imagePullPolicy"] = Value::Null;
    }
    json!({
        "family": family,
        "labels": pod["metadata"]["labels"],
        "annotations": pod["metadata"]["annotations"],
        "spec": pod["spec"],
    })
}
