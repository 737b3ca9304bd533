//! What a process in a container sees of its container definition.

use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::{Namespace, shell};

/// ECS expands nothing: what a task definition says is what the process gets.
pub(crate) async fn a_container_gets_its_environment_and_its_command_to_the_letter(cluster: &'static Cluster) {
    let variables = [
        ("PLAIN", "value"),
        ("EMPTY", ""),
        ("REFERENCE", "$(PLAIN) ${PLAIN} $PLAIN"),
        ("DOLLARS", "$$ $ $$(PLAIN)"),
        ("QUOTED", r#"a "b" 'c' \d"#),
        ("UNICODE", "Größe 港"),
    ];
    let environment = variables.map(|(name, value)| json!({ "name": name, "value": value }));
    let line =
        "env | sed 's/^/env /'; echo \"argument $0\"; echo \"substitution $(echo inner) $((1+1))\"; exec /task pause";
    let container = json!({
        "name": "app",
        "entryPoint": ["sh", "-c"],
        "command": [line, "$(PLAIN) $$"],
        "environment": environment,
    });
    let namespace = Namespace::with_task(cluster, "environment", json!([container])).await;
    for (name, value) in variables {
        assert_eq!(namespace.until_printed("app", &format!("env {name}=")).await, value);
    }
    assert_eq!(namespace.until_printed("app", "argument ").await, "$(PLAIN) $$");
    assert_eq!(namespace.until_printed("app", "substitution ").await, "inner 2");
}

pub(crate) async fn the_later_of_two_variables_with_one_name_wins(cluster: &'static Cluster) {
    let environment = [("A", "first"), ("B", "other"), ("A", "second"), ("VERSION", "of the definition")];
    let environment = environment.map(|(name, value)| json!({ "name": name, "value": value }));
    let line = "env | sed 's/^/env /'; exec /task pause";
    let container = shell("app", line, &json!({ "environment": environment }));
    let namespace = Namespace::with_task(cluster, "environment-twice", json!([container])).await;
    assert_eq!(namespace.until_printed("app", "env A=").await, "second");
    // The image has a variable of that name, too.
    assert_eq!(namespace.until_printed("app", "env VERSION=").await, "of the definition");
}
