//! What `longshore import` takes, what it makes of it, and what it refuses with which words.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
#![expect(clippy::needless_pass_by_value, reason = "the rows read best without ampersands")]

mod command;
mod refused;
mod taken;

use longshore::import::{Import, Source, import, yaml};
use serde_json::{Value, json};

fn source(file: &str, text: impl ToString) -> Source {
    let stem = file.split('.').next().map(str::to_owned);
    Source { file: file.to_owned(), stem, text: text.to_string() }
}

fn import_one(file: &str, text: impl ToString) -> Import {
    import(&[source(file, text)], None)
}

fn notes(import: &Import) -> Vec<String> {
    import.notes.iter().map(ToString::to_string).collect()
}

fn problems(import: &Import) -> Vec<String> {
    import.problems.iter().map(ToString::to_string).collect()
}

/// The printed documents, read back.
fn printed(import: &Import) -> Vec<Value> {
    assert_eq!(problems(import), Vec::<String>::new());
    serde_saphyr::from_multiple(&yaml(&import.resources).unwrap()).unwrap()
}

fn spec(import: &Import) -> Value {
    let documents = printed(import);
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents[0]["spec"].clone()
}

fn task_definition(family: &str) -> Value {
    json!({ "family": family, "containerDefinitions": [{ "name": "app", "image": "nginx:1.29" }] })
}

fn with(mut object: Value, more: &Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn service(more: &Value) -> Value {
    with(json!({ "serviceName": "web", "taskDefinition": "web" }), more)
}

fn arn(rest: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:123456789012:{rest}")
}
