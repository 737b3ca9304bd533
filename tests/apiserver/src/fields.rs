//! Fields of an object and who has written them: the sets behind `metadata.managedFields`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::object;

/// One step from an object to a member of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A member.
    Field(String),
    /// An item of a list that is a map, by its keys as JSON.
    Item(String),
}

/// The way to a field.
pub type Path = Vec<Step>;

/// A manager and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Its name.
    pub name: String,
    /// Whether it applies (`Apply`) or writes otherwise (`Update`).
    pub applies: bool,
    /// The subresource that it writes through; empty for the object itself.
    pub subresource: String,
    /// When it wrote last.
    pub time: String,
    /// Its fields.
    pub fields: BTreeSet<Path>,
}

impl Manager {
    pub(crate) fn is(&self, name: &str, applies: bool, subresource: &str) -> bool {
        self.name == name && self.applies == applies && self.subresource == subresource
    }
}

/// The members of `metadata` that the server writes, and that identify the object.
const SYSTEM: [&str; 10] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
];

/// How a list is merged.
enum List {
    /// As a whole.
    Atomic,
    /// Item by item, told apart by the values of these members.
    Map(Vec<String>),
}

fn list_of(schema: &Value, path: &[Step]) -> List {
    let in_metadata = |name: &str| matches!(path, [Step::Field(metadata), Step::Field(list)] if metadata == "metadata" && list == name);
    if in_metadata("ownerReferences") {
        return List::Map(vec!["uid".to_owned()]);
    }
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("map") => {
            let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
            List::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => List::Atomic,
    }
}

fn below<'a>(schema: &'a Value, name: &str) -> &'a Value {
    let property = schema.get("properties").and_then(|properties| properties.get(name));
    property.or_else(|| schema.get("additionalProperties")).unwrap_or(&Value::Null)
}

fn key_of(item: &Value, keys: &[String]) -> String {
    let values = keys.iter().map(|key| (key.clone(), item.get(key).cloned().unwrap_or(Value::Null)));
    Value::Object(values.collect::<Map<_, _>>()).to_string()
}

/// The leaves of an object: what can have a manager.
pub(crate) fn leaves(object: &Value, schema: &Value) -> BTreeSet<Path> {
    let mut leaves = BTreeSet::new();
    let Some(members) = object.as_object() else { return leaves };
    for (name, value) in members.iter().filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind")) {
        let mut path = vec![Step::Field(name.clone())];
        collect(value, below(schema, name), &mut path, &mut leaves);
    }
    leaves.retain(|path| match path.as_slice() {
        [Step::Field(first)] => first != "metadata",
        [Step::Field(first), Step::Field(name), ..] => first != "metadata" || !SYSTEM.contains(&name.as_str()),
        _ => true,
    });
    leaves
}

fn collect(value: &Value, schema: &Value, path: &mut Path, leaves: &mut BTreeSet<Path>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                path.push(Step::Field(name.clone()));
                collect(value, below(schema, name), path, leaves);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => match list_of(schema, path) {
            List::Atomic => {
                leaves.insert(path.clone());
            }
            List::Map(keys) => {
                for item in items {
                    path.push(Step::Item(key_of(item, &keys)));
                    // The item stands for its keys: with them it comes, and without them it could not be found again.
                    leaves.insert(path.clone());
                    let mut rest = item.clone();
                    for key in &keys {
                        object::set_member(&mut rest, key, None);
                    }
                    if !is_empty(&rest) {
                        collect(&rest, below_item(schema), path, leaves);
                    }
                    path.pop();
                }
            }
        },
        _ => {
            leaves.insert(path.clone());
        }
    }
}

fn below_item(schema: &Value) -> &Value {
    schema.get("items").unwrap_or(&Value::Null)
}

/// Whether two objects have the same at the end of a path. An item is the same as long as it is there.
pub(crate) fn is_same(one: &Value, other: &Value, path: &[Step]) -> bool {
    let (one, other) = (find(one, path), find(other, path));
    match path.last() {
        Some(Step::Item(_)) => one.is_some() == other.is_some(),
        _ => one == other,
    }
}

/// The value at the end of a path.
fn find<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Item(key) => value.as_array()?.iter().find(|item| has_key(item, key)),
    })
}

fn has_key(item: &Value, key: &str) -> bool {
    let Ok(Value::Object(keys)) = serde_json::from_str(key) else { return false };
    keys.iter().all(|(name, value)| item.get(name).unwrap_or(&Value::Null) == value)
}

/// Removes the value at the end of a path, and what is empty then.
pub(crate) fn remove(value: &mut Value, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else { return };
    match (step, value) {
        (Step::Field(name), Value::Object(members)) => {
            let Some(inner) = members.get_mut(name) else { return };
            remove(inner, rest);
            if rest.is_empty() || is_empty(inner) {
                members.remove(name);
            }
        }
        (Step::Item(key), Value::Array(items)) => {
            let Some(index) = items.iter().position(|item| has_key(item, key)) else { return };
            let Some(item) = items.get_mut(index) else { return };
            remove(item, rest);
            if rest.is_empty() {
                items.remove(index);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Lays an applied configuration over an object.
pub(crate) fn merge(live: &mut Value, applied: &Value, schema: &Value, path: &mut Path) {
    match (live, applied) {
        (Value::Object(members), Value::Object(applied)) => {
            for (name, value) in applied {
                path.push(Step::Field(name.clone()));
                match members.get_mut(name) {
                    Some(inner) => merge(inner, value, below(schema, name), path),
                    None => {
                        members.insert(name.clone(), value.clone());
                    }
                }
                path.pop();
            }
        }
        (Value::Array(items), Value::Array(applied)) if let List::Map(keys) = list_of(schema, path) => {
            for value in applied {
                let key = key_of(value, &keys);
                path.push(Step::Item(key.clone()));
                match items.iter_mut().find(|item| has_key(item, &key)) {
                    Some(item) => merge(item, value, below_item(schema), path),
                    None => items.push(value.clone()),
                }
                path.pop();
            }
        }
        (live, applied) => *live = applied.clone(),
    }
}

/// `metadata.managedFields`.
pub(crate) fn managed_fields(managers: &[Manager], api_version: &str) -> Value {
    let entry = |manager: &Manager| {
        let mut entry = json!({
            "manager": manager.name,
            "operation": if manager.applies { "Apply" } else { "Update" },
            "apiVersion": api_version,
            "time": manager.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields_v1(&manager.fields),
        });
        if !manager.subresource.is_empty() {
            entry["subresource"] = json!(manager.subresource);
        }
        entry
    };
    managers.iter().map(entry).collect()
}

fn fields_v1(paths: &BTreeSet<Path>) -> Value {
    let mut tree = Map::new();
    for path in paths {
        let mut node = &mut tree;
        for step in path {
            let name = match step {
                Step::Field(name) => format!("f:{name}"),
                Step::Item(key) => format!("k:{key}"),
            };
            let next = node.entry(name).or_insert_with(|| json!({}));
            let Value::Object(next) = next else { break };
            node = next;
        }
    }
    Value::Object(tree)
}
