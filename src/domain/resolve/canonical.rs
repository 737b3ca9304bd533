//! One text for one content.

use serde_json::Value;

/// JSON with sorted keys and no white space: equal values give equal texts, whatever order their members were written in and
/// whatever order this version of the code declares them in.
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let member =
                |(name, value): (&String, &Value)| format!("{}:{}", Value::from(name.as_str()), canonical_json(value));
            format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical_json).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_give_equal_texts() {
        let text = |json: &str| canonical_json(&serde_json::from_str(json).unwrap());
        assert_eq!(
            text(r#"{"b": [1, "x\"y", null], "a": {"d": true, "c": 1.5}}"#),
            r#"{"a":{"c":1.5,"d":true},"b":[1,"x\"y",null]}"#
        );
    }
}
