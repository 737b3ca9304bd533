//! Inputs that are as large as they may be, or larger (F25): refused with a message, or run; never a loop.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::convergence;
use crate::people;
use crate::scenario::Cast;
use crate::task::{CLUSTERS, DEFINITIONS, SERVICES, condition, text};
use crate::world::{World, lock};

/// What becomes of an input.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// The service runs.
    Runs,
    /// The API server does not take the task definition.
    Refused,
    /// The task definition says why not, in these words.
    Definition(&'static str),
    /// The service does.
    Service(&'static str),
}

struct Input {
    title: &'static str,
    name: String,
    definition: Value,
    service: Value,
    fate: Fate,
}

fn container(name: &str) -> Value {
    json!({ "name": name, "image": "app:1", "memory": 16, "essential": true })
}

fn input(title: &'static str, name: &str, change: impl FnOnce(&mut Value, &mut Value), fate: Fate) -> Input {
    let mut definition = json!({ "containerDefinitions": [container("app")] });
    let mut service = json!({ "taskDefinition": name, "desiredCount": 2 });
    change(&mut definition, &mut service);
    Input { title, name: name.to_owned(), definition, service, fate }
}

fn inputs() -> Vec<Input> {
    let app =
        |definition: &mut Value, member: &str, value: Value| definition["containerDefinitions"][0][member] = value;
    let variables = |count: usize, size: usize| -> Value {
        (0..count).map(|number| json!({ "name": format!("V{number}"), "value": "v".repeat(size) })).collect()
    };
    vec![
        input("a name of 63 characters", &"a".repeat(63), |_, _| {}, Fate::Runs),
        input("a name of 253 characters", &"b".repeat(253), |_, _| {}, Fate::Runs),
        input("a name with a dot, which no family has", "with.dot", |_, _| {}, Fate::Definition("family")),
        input(
            "a family of 255 characters",
            "family",
            |definition, service| {
                definition["family"] = json!("F".repeat(255));
                service["taskDefinition"] = json!("F".repeat(255));
            },
            Fate::Runs,
        ),
        input(
            "a family of 256 characters",
            "family-256",
            |definition, service| {
                definition["family"] = json!("F".repeat(256));
                service["taskDefinition"] = json!("F".repeat(256));
            },
            Fate::Refused,
        ),
        input(
            "ten containers",
            "ten",
            |definition, _| {
                definition["containerDefinitions"] = (0..10).map(|number| container(&format!("c{number}"))).collect();
            },
            Fate::Runs,
        ),
        input(
            "eleven containers",
            "eleven",
            |definition, _| {
                definition["containerDefinitions"] = (0..11).map(|number| container(&format!("c{number}"))).collect();
            },
            Fate::Refused,
        ),
        input(
            "a container name of 255 characters",
            "containers",
            |definition, _| {
                app(definition, "name", json!("C_".repeat(127)));
            },
            Fate::Runs,
        ),
        input(
            "an environment of 48 KiB",
            "kib",
            |definition, _| app(definition, "environment", variables(48, 1000)),
            Fate::Runs,
        ),
        input(
            "an environment of 1 MB",
            "mb",
            |definition, _| app(definition, "environment", variables(1000, 1000)),
            Fate::Definition("64 KiB"),
        ),
        input(
            "unicode wherever a person may write",
            "unicode",
            |definition, _| {
                app(definition, "environment", json!([{ "name": "GREETINGS", "value": "日本語 🚢" }]));
                app(definition, "dockerLabels", json!({ "label 🚢": "naïve" }));
                app(definition, "command", json!(["echo", "🚢".repeat(500)]));
            },
            Fate::Runs,
        ),
        input(
            "docker labels as long as Docker takes them",
            "labels",
            |definition, _| {
                app(definition, "dockerLabels", json!({ "x".repeat(200): "v".repeat(2000) }));
            },
            Fate::Runs,
        ),
        input(
            "a cluster of 255 characters that is not there",
            "nowhere",
            |_, service| {
                service["cluster"] = json!("c".repeat(255));
            },
            Fate::Service("ccc"),
        ),
        input(
            "a service name of 255 characters",
            "service-name",
            |_, service| {
                service["serviceName"] = json!("S".repeat(255));
            },
            Fate::Runs,
        ),
    ]
}

fn says(cast: &Cast, kind: &str, name: &str) -> String {
    cast.world.server.read(|store| {
        let object = store.get(kind, World::NAMESPACE, name);
        let ready = object.and_then(|object| condition(object, "Ready"));
        ready.map_or_else(String::new, |ready| text(ready, "/message").to_owned())
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused_with_a_message_and_the_rest_runs() {
    let mut cast = Cast::new(1, 0);
    cast.start_operator();
    people::create(&cast.world, CLUSTERS, "Cluster", "default", &json!({}));
    let inputs = inputs();
    for Input { name, definition, service, .. } in &inputs {
        people::create(&cast.world, DEFINITIONS, "TaskDefinition", name, definition);
        people::create(&cast.world, SERVICES, "Service", name, service);
    }
    wait(&mut cast, Duration::from_mins(5)).await;
    let mut wrong = Vec::new();
    for Input { title, name, fate, .. } in &inputs {
        let service = cast.world.server.read(|store| store.get(SERVICES, World::NAMESPACE, name).cloned());
        let difference =
            service.as_ref().map(|service| cast.world.server.read(|store| convergence::of_service(store, service)));
        let said = [says(&cast, DEFINITIONS, name), says(&cast, SERVICES, name)];
        let holds = match fate {
            Fate::Runs => difference == Some(None),
            Fate::Refused => said[0].is_empty() && difference != Some(None),
            Fate::Definition(words) => said[0].contains(words),
            Fate::Service(words) => said[1].contains(words),
        };
        if !holds {
            wrong.push(format!("{title}, which {fate:?}: {difference:?}; {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let writes = lock(&cast.world.ledger).writes;
    wait(&mut cast, Duration::from_mins(10)).await;
    assert_eq!(
        lock(&cast.world.ledger).writes,
        writes,
        "{}",
        lock(&cast.world.ledger).last_written.chars().take(300).collect::<String>()
    );
}

async fn wait(cast: &mut Cast, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        cast.tick().await;
    }
    let broken = lock(&cast.world.ledger).broken.clone();
    assert!(broken.is_empty(), "{broken:?}");
}
