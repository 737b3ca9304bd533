//! What a member of a JSON document is as the value of a variable.

use std::collections::BTreeMap;

use serde_json::Value;

/// The exponent from which on Go writes one.
const EXPONENT_FROM: i32 = 6;

/// As the ECS agent writes it: with Go's `%v`, for which every number is a `float64`. A text is itself; `1000000` is `1e+06`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), float),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            let members: Vec<String> =
                members.into_iter().map(|(name, value)| format!("{name}:{}", shown(value))).collect();
            format!("map[{}]", members.join(" "))
        }
    }
}

/// The shortest digits that give the number again; with an exponent where that is below -4 or above 5.
fn float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..EXPONENT_FROM).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        Ok(_) | Err(_) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go prints.
    #[test]
    fn a_member_is_written_as_go_does() {
        for (json, expected) in [
            ("\"as it is\"", "as it is"),
            ("5432", "5432"),
            ("100000", "100000"),
            ("123456", "123456"),
            ("1000000", "1e+06"),
            ("1234567", "1.234567e+06"),
            ("123456789012", "1.23456789012e+11"),
            ("1e21", "1e+21"),
            ("1.5e300", "1.5e+300"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("-0.5", "-0.5"),
            ("true", "true"),
            ("null", "<nil>"),
            ("[1, \"a\", null]", "[1 a <nil>]"),
            ("{\"b\": {\"z\": 1, \"y\": 2}, \"a\": []}", "map[a:[] b:map[y:2 z:1]]"),
        ] {
            assert_eq!(shown(&serde_json::from_str(json).unwrap()), expected, "{json}");
        }
    }
}
