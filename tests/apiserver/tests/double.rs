//! The server in this crate does what the product relies on.
#![expect(clippy::disallowed_methods, reason = "a test acts as an administrator does")]

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use longshore_test_apiserver::ApiServer;
use longshore_test_apiserver::conformance::{Subject, rows, widgets};

#[tokio::test(start_paused = true)]
async fn the_double_does_what_the_product_relies_on() {
    let mut wrong = Vec::new();
    for row in rows() {
        let server = ApiServer::new(&[widgets()], jiff::Timestamp::now);
        let client = server.client("conformance");
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some("here".to_owned());
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        let forget_history = Arc::new(move || server.compact());
        let subject = Subject { client, namespace: "here".to_owned(), forget_history };
        if tokio::spawn((row.check)(subject)).await.is_err() {
            wrong.push(row.title);
        }
    }
    assert!(wrong.is_empty(), "{} rows do not hold: {wrong:#?}", wrong.len());
}
