//! A rolling update under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::namespace::Namespace;

/// How many clients ask at once, each again and again. A request takes half a second.
const CLIENTS: usize = 20;

/// A task that is to stop gets no new connections, then has time for those that were on their way, and answers what it has
/// taken on before it ends: so nobody who asks by way of the Service notices an update. The time to drain is not part of `stopTimeout`,
/// which begins after it: the API server takes no pod that would be killed while it drains.
pub(crate) async fn a_rolling_update_loses_no_request(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "rollout").await;
    let register = |answer: &str| {
        let check = json!({ "command": ["CMD", "/task", "get", "http://127.0.0.1:8080/health"], "interval": 5 });
        let app = json!({
            "name": "app",
            "entryPoint": ["/task", "serve"],
            "command": [answer],
            "portMappings": [{ "containerPort": 8080 }],
            "stopTimeout": 2,
            "healthCheck": check,
        });
        namespace.register(&json!({}), json!([app]));
    };
    register("first");
    namespace.create_service_on_kubernetes(&json!({ "desiredCount": 3 }), &json!({ "deregistrationDelaySeconds": 12 }));
    let address = service(&namespace).await;
    namespace.until_steady(1).await;
    namespace.until("the Service leads to the tasks", async || ask(&address).await.ok()).await;

    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, over) = (address.clone(), over.clone());
            tokio::spawn(async move {
                let mut answers = BTreeMap::new();
                while !over.load(Ordering::Relaxed) {
                    let answer = ask(&address).await.unwrap_or_else(|error| error.to_string());
                    *answers.entry(answer).or_insert(0_u32) += 1;
                }
                answers
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    register("second");
    namespace.until_steady(2).await;
    // The pods of the first revision are still on their way out.
    namespace.until("three pods are left", async || (namespace.tasks().await.len() == 3).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    over.store(true, Ordering::Relaxed);
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for client in clients {
        for (answer, times) in client.await.unwrap() {
            *answers.entry(answer).or_default() += times;
        }
    }
    assert!(answers.keys().eq(["first", "second"]), "{answers:?}");
}

/// A Service that leads to the tasks, and its address.
async fn service(namespace: &Namespace) -> String {
    let service = json!({
        "metadata": { "name": "web" },
        "spec": { "selector": { "ecs.longshore.dev/service": "app" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    let service: Service = serde_json::from_value(service).unwrap();
    let service = namespace.api::<Service>().create(&PostParams::default(), &service).await.unwrap();
    format!("{}:80", service.spec.unwrap().cluster_ip.unwrap())
}

/// One request on a connection of its own; the body of the answer.
async fn ask(address: &str) -> std::io::Result<String> {
    let exchange = async {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let is_success = head.starts_with("HTTP/1.0 200");
        Ok(if is_success { body.trim().to_owned() } else { format!("no success: {answer:?}") })
    };
    let slow = |_| std::io::Error::other("no answer within 20 s");
    tokio::time::timeout(Duration::from_secs(20), exchange).await.map_err(slow)?
}
