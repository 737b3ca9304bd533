//! Who has written what: the book-keeping of every write, and server-side apply, which rests on it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::call::Call;
use crate::failure::Failure;
use crate::fields::{self, Manager, Path, Step};
use crate::object;

/// What an apply makes of an object.
pub(crate) struct Applied {
    pub(crate) object: Value,
    pub(crate) managers: Vec<Manager>,
}

/// Applies a configuration to an object. What the same manager applied before and does not any more goes, unless another one
/// has written it too.
pub(crate) fn apply(call: &Call, live: &Value, managers: &[Manager], now: &str) -> Result<Applied, Failure> {
    let name = call.field_manager.as_deref().filter(|name| !name.is_empty());
    let Some(name) = name else {
        return Err(Failure::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ));
    };
    let nothing = Value::Null;
    let schema = call.resource.schema.as_ref().unwrap_or(&nothing);
    let subresource = call.subresource.as_deref().unwrap_or_default();
    let mut configuration = call.body.clone();
    for system in ["resourceVersion", "managedFields", "uid"] {
        object::metadata(&mut configuration).remove(system);
    }
    restrict(&mut configuration, call);

    let wanted = fields::leaves(&configuration, schema);
    let is_own = |manager: &Manager| manager.is(name, true, subresource);
    let mut others: Vec<Manager> = managers.iter().filter(|manager| !is_own(manager)).cloned().collect();
    let contested: Vec<(&Manager, &Path)> = others
        .iter()
        .flat_map(|other| wanted.intersection(&other.fields).map(move |path| (other, path)))
        .filter(|(_, path)| !fields::is_same(live, &configuration, path))
        .collect();
    if let Some((other, path)) = contested.first()
        && !call.force
    {
        let count = contested.len();
        let noun = if count == 1 { "conflict" } else { "conflicts" };
        let message = format!("Apply failed with {count} {noun}: {noun} with {:?}: {}", other.name, dotted(path));
        return Err(Failure::new(409, "Conflict", message));
    }
    let taken: BTreeSet<Path> = contested.into_iter().map(|(_, path)| path.clone()).collect();
    for other in &mut others {
        other.fields.retain(|path| !taken.contains(path));
    }
    others.retain(|other| !other.fields.is_empty());

    let mut result = live.clone();
    let before = managers.iter().find(|manager| is_own(manager)).map(|manager| &manager.fields);
    for path in before.into_iter().flatten().filter(|path| !wanted.contains(*path)) {
        let shared = others.iter().any(|other| other.fields.contains(path));
        if !shared {
            fields::remove(&mut result, path);
        }
    }
    fields::merge(&mut result, &configuration, schema, &mut Path::new());
    if !wanted.is_empty() {
        others.push(Manager {
            name: name.to_owned(),
            applies: true,
            subresource: subresource.to_owned(),
            time: now.to_owned(),
            fields: wanted,
        });
    }
    Ok(Applied { object: result, managers: others })
}

/// A write through a subresource is about its part of the object only, and one of the object leaves status alone.
fn restrict(configuration: &mut Value, call: &Call) {
    if let Value::Object(members) = configuration {
        match call.subresource.as_deref() {
            Some("status") => members.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "status")),
            _ if call.resource.status => {
                members.remove("status");
            }
            _ => {}
        }
    }
}

/// The managers after a write that is no apply: who changes a field has it.
pub(crate) fn update(
    call: &Call,
    before: Option<&Value>,
    after: &Value,
    managers: &[Manager],
    now: &str,
) -> Vec<Manager> {
    let nothing = Value::Null;
    let schema = call.resource.schema.as_ref().unwrap_or(&nothing);
    let name = call.field_manager.clone().unwrap_or_else(|| call.actor.to_string());
    let subresource = call.subresource.as_deref().unwrap_or_default();
    let present = fields::leaves(after, schema);
    let is_changed = |path: &&Path| before.is_none_or(|before| !fields::is_same(before, after, path));
    let changed: BTreeSet<Path> = present.iter().filter(is_changed).cloned().collect();
    let mut managers = managers.to_vec();
    for manager in &mut managers {
        manager.fields.retain(|path| present.contains(path) && !changed.contains(path));
    }
    if !changed.is_empty() {
        match managers.iter_mut().find(|manager| manager.is(&name, false, subresource)) {
            Some(manager) => {
                manager.fields.extend(changed);
                now.clone_into(&mut manager.time);
            }
            None => managers.push(Manager {
                name,
                applies: false,
                subresource: subresource.to_owned(),
                time: now.to_owned(),
                fields: changed,
            }),
        }
    }
    managers.retain(|manager| !manager.fields.is_empty());
    managers
}

fn dotted(path: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Field(name) => format!(".{name}"),
        Step::Item(key) => format!("[{key}]"),
    };
    path.iter().map(step).collect()
}
