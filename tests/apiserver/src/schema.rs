//! What a structural schema does to a custom resource: unknown members go, defaults come in, and what breaks a rule is
//! refused. Rules in CEL, patterns and formats are not looked at: the product's own tests of its rules do.

use serde_json::{Map, Value};

use crate::object;
use crate::resource::ResourceType;

/// Drops and fills in as [`complete`] does, in a whole object: its system members are none of the schema's business.
pub(crate) fn prune(resource: &ResourceType, object: &mut Value) {
    let Some(schema) = &resource.schema else { return };
    let kept = ["apiVersion", "kind", "metadata"].map(|name| (name, object.get(name).cloned()));
    complete(object, schema);
    for (name, value) in kept {
        object::set_member(object, name, value.as_ref());
    }
}

/// Drops what the schema does not know and `null`s that it does not allow, and fills in defaults.
pub(crate) fn complete(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(members) => complete_object(members, schema),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    complete(item, schema);
                }
            }
        }
        _ => {}
    }
}

fn complete_object(members: &mut Map<String, Value>, schema: &Value) {
    let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if let Some(schema) = schema.get("additionalProperties") {
        members.values_mut().for_each(|value| complete(value, schema));
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        if !open {
            members.clear();
        }
        return;
    };
    members.retain(|name, value| {
        let property = properties.get(name);
        let nullable = property.is_some_and(|property| property.get("nullable") == Some(&Value::Bool(true)));
        (open || property.is_some()) && (nullable || !value.is_null() || property.is_none())
    });
    for (name, schema) in properties {
        if let Some(default) = schema.get("default")
            && !members.contains_key(name)
        {
            members.insert(name.clone(), default.clone());
        }
        if let Some(value) = members.get_mut(name) {
            complete(value, schema);
        }
    }
}

/// What is wrong with a value, each problem with the path of its member.
pub(crate) fn problems(value: &Value, schema: &Value, path: &str) -> Vec<String> {
    let mut problems = Vec::new();
    check(value, schema, path, &mut problems);
    problems
}

fn check(value: &Value, schema: &Value, path: &str, problems: &mut Vec<String>) {
    if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
        return;
    }
    let expected = schema.get("type").and_then(Value::as_str);
    let either = schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    if let Some(expected) = expected.filter(|_| !either)
        && !is_of_type(value, expected)
    {
        let found = type_of(value);
        problems
            .push(format!("{path}: Invalid value: {found:?}: {path} in body must be of type {expected}: {found:?}"));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        problems.push(format!("{path}: Unsupported value: {value}: supported values: {}", allowed.join(", ")));
    }
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let below = |size: f64, name: &str| limit(name).is_some_and(|limit| size < limit);
    let above = |size: f64, name: &str| limit(name).is_some_and(|limit| size > limit);
    let mut size = |size: f64, least: &str, most: &str| {
        if below(size, least) {
            problems.push(format!("{path}: Invalid value: {value}: {path} in body breaks {least}"));
        }
        if above(size, most) {
            problems.push(format!("{path}: Invalid value: {value}: {path} in body breaks {most}"));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a length is far below 2^52")]
    match value {
        Value::Number(number) => size(number.as_f64().unwrap_or_default(), "minimum", "maximum"),
        Value::String(text) => size(text.chars().count() as f64, "minLength", "maxLength"),
        Value::Array(items) => size(items.len() as f64, "minItems", "maxItems"),
        Value::Object(members) => size(members.len() as f64, "minProperties", "maxProperties"),
        Value::Null | Value::Bool(_) => {}
    }
    match value {
        Value::Array(items) => {
            let item_schema = schema.get("items").unwrap_or(&Value::Null);
            for (index, item) in items.iter().enumerate() {
                check(item, item_schema, &format!("{path}[{index}]"), problems);
            }
        }
        Value::Object(members) => check_members(members, schema, path, problems),
        _ => {}
    }
}

fn check_members(members: &Map<String, Value>, schema: &Value, path: &str, problems: &mut Vec<String>) {
    let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str).filter(|name| !members.contains_key(*name)) {
        problems.push(format!("{}: Required value", inside(name)));
    }
    for (name, value) in members {
        let property = schema.get("properties").and_then(|properties| properties.get(name));
        if let Some(schema) = property.or_else(|| schema.get("additionalProperties")) {
            check(value, schema, &inside(name), problems);
        }
    }
}

fn is_of_type(value: &Value, expected: &str) -> bool {
    match expected {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        expected => type_of(value) == expected,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
