//! Checking a value against the schema that the API server checks it against.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;
use serde_json::{Number, Value};

use crate::import::document::Member;
use crate::import::json::Json;
use crate::import::path::Path;
use crate::import::report::Findings;

/// Why a value is not what the schema asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("unknown member; remove it")]
    Unknown,
    #[error("unknown member; did you mean {0}?")]
    Misspelt(String),
    #[error("required")]
    Required,
    #[error("expected {expected}, found {found}")]
    Unexpected { expected: String, found: String },
    #[error("{0} is the name of another item of the list already; give each its own")]
    Repeated(String),
}

/// The members of a spec as they are to be applied: without nulls.
pub(super) fn check(schema: &JSONSchemaProps, path: &Path, members: &[Member], findings: &mut Findings) -> Json {
    let members = members.iter().map(|Member { name, path, value }| (name.as_str(), path.clone(), value));
    object(schema, path, members, findings)
}

fn value(schema: &JSONSchemaProps, path: &Path, json: &Json, findings: &mut Findings) -> Json {
    if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
        return json.clone();
    }
    let expected = match (expected_type(schema), json) {
        ("object", Json::Object(members)) => {
            let members = members.iter().map(|(name, value)| (name.as_str(), path.member(name), value));
            return object(schema, path, members, findings);
        }
        ("array", Json::List(items)) => return list(schema, path, items, findings),
        ("string", Json::String(text)) => unexpected_text(schema, text),
        ("integer", Json::Number(number)) if !number.is_f64() => unexpected_number(schema, number),
        ("number", Json::Number(number)) => unexpected_number(schema, number),
        ("boolean", Json::Bool(_)) | ("integer or string", Json::String(_)) => None,
        ("integer or string", Json::Number(number)) if number.as_i64().is_some_and(fits_32_bits) => None,
        ("object", _) => Some("an object".to_owned()),
        ("array", _) => Some("a list".to_owned()),
        ("string", _) => Some("a string".to_owned()),
        ("integer", _) => Some("an integer".to_owned()),
        ("integer or string", _) => Some("an integer of 32 bits or a string".to_owned()),
        ("number", _) => Some("a number".to_owned()),
        ("boolean", _) => Some("true or false".to_owned()),
        (other, _) => Some(other.to_owned()),
    };
    if let Some(expected) = expected {
        findings.problem(path.clone(), SchemaError::Unexpected { expected, found: json.to_string() });
    }
    json.clone()
}

fn fits_32_bits(number: i64) -> bool {
    i32::try_from(number).is_ok()
}

fn expected_type(schema: &JSONSchemaProps) -> &str {
    match schema.x_kubernetes_int_or_string {
        Some(true) => "integer or string",
        _ => schema.type_.as_deref().unwrap_or_default(),
    }
}

fn object<'a>(
    schema: &JSONSchemaProps,
    path: &Path,
    members: impl Iterator<Item = (&'a str, Path, &'a Json)>,
    findings: &mut Findings,
) -> Json {
    let mut kept = Vec::new();
    let mut nulls = Vec::new();
    for (name, path, json) in members {
        if *json == Json::Null {
            nulls.push(name);
            continue;
        }
        match member_schema(schema, name) {
            Some(schema) => kept.push((name.to_owned(), value(schema, &path, json, findings))),
            None => findings.problem(path, unknown(schema, name)),
        }
    }
    for name in schema.required.iter().flatten() {
        if !kept.iter().any(|(known, _)| known == name) {
            findings.problem(path.member(name), SchemaError::Required);
        }
    }
    if !nulls.is_empty() {
        findings.note(path.clone(), format!("dropped {} (null)", nulls.join(", ")));
    }
    Json::Object(kept)
}

fn member_schema<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values),
        _ => schema.properties.as_ref()?.get(name),
    }
}

/// A misspelling of a member's name is at most this share of it.
const MISSPELT: f64 = 0.75;

fn unknown(schema: &JSONSchemaProps, name: &str) -> SchemaError {
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase());
    let known = schema.properties.iter().flatten().map(|(known, _)| (likeness(known), known));
    let closest = known.filter(|(likeness, _)| *likeness >= MISSPELT).max_by(|a, b| a.0.total_cmp(&b.0));
    closest.map_or(SchemaError::Unknown, |(_, known)| SchemaError::Misspelt(known.clone()))
}

fn list(schema: &JSONSchemaProps, path: &Path, items: &[Json], findings: &mut Findings) -> Json {
    if let Some(expected) = outside(schema.min_items, schema.max_items, items.len(), "item") {
        let found = items.len().to_string();
        findings.problem(path.clone(), SchemaError::Unexpected { expected, found });
    }
    let mut seen = BTreeSet::new();
    for (n, item) in items.iter().enumerate() {
        for key in schema.x_kubernetes_list_map_keys.iter().flatten() {
            let Some(name) = item.get(key).and_then(Json::as_str) else { continue };
            if !seen.insert((key, name)) {
                findings.problem(path.item(n).member(key), SchemaError::Repeated(format!("{name:?}")));
            }
        }
    }
    let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items else { return Json::List(items.to_vec()) };
    Json::List(items.iter().enumerate().map(|(n, item)| value(schema, &path.item(n), item, findings)).collect())
}

/// What was expected of a text, if not this one.
fn unexpected_text(schema: &JSONSchemaProps, text: &str) -> Option<String> {
    if let Some(allowed) = &schema.enum_ {
        let allowed: Vec<_> = allowed.iter().map(|allowed| &allowed.0).collect();
        return (!allowed.contains(&&Value::from(text))).then(|| match allowed.as_slice() {
            [only] => only.to_string(),
            _ => format!("one of {}", allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        });
    }
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    match &schema.pattern {
        Some(pattern) if !matches(pattern) => Some(format!("a string that matches {pattern}")),
        _ => outside(schema.min_length, schema.max_length, text.chars().count(), "character"),
    }
}

/// What was expected of a number, if not this one.
fn unexpected_number(schema: &JSONSchemaProps, number: &Number) -> Option<String> {
    let (type_, least, most) = match schema.format.as_deref() {
        Some("int32") => ("an integer", f64::from(i32::MIN), f64::from(i32::MAX)),
        Some("int64") => ("an integer", f64::MIN, f64::MAX),
        _ => ("a number", f64::MIN, f64::MAX),
    };
    let (minimum, maximum) = (schema.minimum.unwrap_or(least), schema.maximum.unwrap_or(most));
    let number = number.as_f64()?;
    match (number < minimum, number > maximum) {
        (false, false) => None,
        (true, _) if schema.maximum.is_none() => Some(format!("{type_} of at least {minimum}")),
        (_, true) if schema.minimum.is_none() => Some(format!("{type_} of at most {maximum}")),
        _ => Some(format!("{type_} from {minimum} to {maximum}")),
    }
}

/// What was expected of a count, if not this one.
fn outside(least: Option<i64>, most: Option<i64>, count: usize, what: &str) -> Option<String> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let plural = |n: i64| if n == 1 { "" } else { "s" };
    match (least, most) {
        (Some(least), _) if count < least => Some(format!("at least {least} {what}{}", plural(least))),
        (_, Some(most)) if count > most => Some(format!("at most {most} {what}{}", plural(most))),
        _ => None,
    }
}
