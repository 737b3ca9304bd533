//! What a task definition may not say and where it is told, and where its tasks are not what they are on ECS.

mod properties;
mod refused;
mod rules;
mod verdict;
mod volumes;

use serde_json::{Value, json};

use crate::api::TaskDefinitionSpec;
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::check;

fn spec(change: &Value) -> TaskDefinitionSpec {
    let mut spec = json!({"containerDefinitions": [container("app", &json!({}))]});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn container(name: &str, more: &Value) -> Value {
    let mut container = json!({"name": name, "image": "i"});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container
}

fn containers(more: &[(&str, Value)]) -> Value {
    let containers: Vec<Value> = more.iter().map(|(name, more)| container(name, more)).collect();
    json!({"containerDefinitions": containers})
}

fn problems(change: &Value) -> Vec<String> {
    check(&spec(change)).iter().map(Problem::to_string).collect()
}

/// A definition of the container app with these members, and others.
fn app(more: &Value, others: &[(&str, Value)], task: &Value) -> Value {
    let first = [("app", more.clone())];
    let mut change = containers(&[&first[..], others].concat());
    change.as_object_mut().unwrap().extend(task.as_object().unwrap().clone());
    change
}
