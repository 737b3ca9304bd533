//! Label and field selectors.

use serde_json::Value;

use crate::failure::Failure;
use crate::object;

/// Which objects a list or watch is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    pub(crate) fn parse(labels: Option<&String>, fields: Option<&String>) -> Result<Self, Failure> {
        let parse = |text: Option<&String>| -> Result<Vec<Requirement>, Failure> {
            let terms = text.map(|text| split(text)).unwrap_or_default();
            terms.into_iter().map(|term| requirement(term.trim())).collect()
        };
        Ok(Self { labels: parse(labels)?, fields: parse(fields)? })
    }

    pub(crate) fn matches(&self, value: &Value) -> bool {
        let label = |key: &str| value.pointer("/metadata/labels").and_then(|labels| labels.get(key)?.as_str());
        let field = |key: &str| Some(object::text(value, &format!("/{}", key.replace('.', "/"))));
        self.labels.iter().all(|requirement| requirement.holds(label))
            && self.fields.iter().all(|requirement| requirement.holds(field))
    }
}

impl Requirement {
    fn holds<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        let is_in =
            |key: &str, values: &[String]| value(key).is_some_and(|found| values.iter().any(|one| one == found));
        match self {
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
            Self::In(key, values) => is_in(key, values),
            Self::NotIn(key, values) => !is_in(key, values),
        }
    }
}

/// At the commas that are not between parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    let separates = move |c: char| {
        inside = (inside || c == '(') && c != ')';
        c == ',' && !inside
    };
    text.split(separates).filter(|term| !term.trim().is_empty()).collect()
}

fn requirement(term: &str) -> Result<Requirement, Failure> {
    let list = |values: &str| -> Vec<String> {
        let values = values.trim().trim_start_matches('(').trim_end_matches(')');
        values.split(',').map(|value| value.trim().to_owned()).collect()
    };
    let key = |key: &str| key.trim().to_owned();
    let one = |value: &str| vec![value.trim().to_owned()];
    let found = if let Some((name, values)) = term.split_once(" notin ") {
        Requirement::NotIn(key(name), list(values))
    } else if let Some((name, values)) = term.split_once(" in ") {
        Requirement::In(key(name), list(values))
    } else if let Some((name, value)) = term.split_once("!=") {
        Requirement::NotIn(key(name), one(value))
    } else if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        Requirement::In(key(name), one(value))
    } else if let Some(name) = term.strip_prefix('!') {
        Requirement::Missing(key(name))
    } else if term.contains(' ') {
        return Err(Failure::bad_request(format!("unable to parse requirement: {term}")));
    } else {
        Requirement::Exists(key(term))
    };
    Ok(found)
}
