//! How long names and values may be, and how large an object.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::object;
use crate::resource::ResourceType;

const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;
const ANNOTATIONS_MAX: usize = 256 * 1024;
/// Of an event, in bytes.
const NOTE_MAX: usize = 1024;
/// What etcd takes in one request.
const OBJECT_MAX: usize = 3 * 512 * 1024;

/// Refuses what is too long, too large or not spelt as it must be.
pub(crate) fn check(resource: &ResourceType, object: &Value) -> Result<(), Failure> {
    let name = object::name(object);
    let mut problems = Vec::new();
    let subdomain = name.len() <= NAME_MAX && name.split('.').all(is_dns_label);
    if !subdomain {
        problems.push(format!("metadata.name: Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and be no more than 253 characters"));
    }
    let members = |name: &str| object.pointer(&format!("/metadata/{name}")).and_then(Value::as_object);
    let empty = Map::new();
    for (key, value) in members("labels").unwrap_or(&empty) {
        let value = value.as_str().unwrap_or_default();
        if !is_label_value(value) {
            problems.push(format!("metadata.labels: Invalid value: {value:?}: must be no more than 63 characters, a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.' ({key})"));
        }
    }
    let size = |(name, value): (&String, &Value)| name.len() + value.as_str().unwrap_or_default().len();
    if members("annotations").unwrap_or(&empty).iter().map(size).sum::<usize>() > ANNOTATIONS_MAX {
        problems.push("metadata.annotations: Too long: may not be more than 262144 bytes".to_owned());
    }
    if object.get("note").and_then(Value::as_str).is_some_and(|note| note.len() > NOTE_MAX) {
        problems.push("note: Invalid value: \"\": can have at most 1024 characters".to_owned());
    }
    if !problems.is_empty() {
        return Err(Failure::invalid(resource, name, &problems));
    }
    if object.to_string().len() > OBJECT_MAX {
        return Err(Failure::new(500, "InternalError", "etcdserver: request is too large"));
    }
    Ok(())
}

fn is_dns_label(label: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

fn is_label_value(value: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let ends = |c: Option<u8>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let (first, last) = (value.bytes().next(), value.bytes().last());
    value.len() <= LABEL_MAX && value.bytes().all(legal) && ends(first) && ends(last)
}
