//! The API server takes every golden pod as it stands: nothing is refused and no field is dropped.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use crate::namespace::Namespace;

/// What a pod names and an administrator makes.
const OF_ADMINISTRATORS: [&str; 3] = ["serviceAccountName", "priorityClassName", "runtimeClassName"];

#[tokio::test]
async fn the_api_server_takes_every_golden_pod_as_it_stands() {
    let namespace = Namespace::new("golden").await;
    let pods: Api<Pod> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let mut golden: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        golden["metadata"]["namespace"] = Value::from(namespace.name.clone());
        for member in OF_ADMINISTRATORS {
            golden["spec"].as_object_mut().unwrap().remove(member);
        }
        let pod: Pod = serde_json::from_value(golden.clone()).unwrap();
        match pods.create(&PostParams { dry_run: true, field_manager: None }, &pod).await {
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
            Ok(taken) => {
                let taken = serde_json::to_value(taken.spec).unwrap();
                let mut dropped = Vec::new();
                missing("spec", &golden["spec"], &taken, &mut dropped);
                wrong.extend(dropped.iter().map(|member| format!("{}: {member} is gone", path.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The members of a value that another has not, or has otherwise.
fn missing(path: &str, golden: &Value, taken: &Value, lines: &mut Vec<String>) {
    match (golden, taken) {
        (Value::Object(golden), Value::Object(taken)) => {
            for (name, value) in golden {
                missing(&format!("{path}.{name}"), value, taken.get(name).unwrap_or(&Value::Null), lines);
            }
        }
        (Value::Array(golden), Value::Array(taken)) => {
            for (n, value) in golden.iter().enumerate() {
                missing(&format!("{path}[{n}]"), value, taken.get(n).unwrap_or(&Value::Null), lines);
            }
        }
        // An empty text is left out, and quantities are spelt another way: 1000m is 1.
        (golden, taken) if golden == "" && taken.is_null() => {}
        (golden, taken) if golden == taken || (path.contains("resources") && !taken.is_null()) => {}
        _ => lines.push(path.to_owned()),
    }
}
