//! What the product relies on holds for the real API server: the rows tell the truth.
#![expect(clippy::disallowed_methods, reason = "a test acts as an administrator does")]

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Client, Config};
use longshore_test_apiserver::conformance::{Row, Subject, rows, widgets};
use longshore_test_cluster::TestCluster;

/// Rows at once: most of them wait for the server.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn the_real_server_does_what_the_product_relies_on() {
    let cluster = TestCluster::start().await.unwrap();
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    // The default tries again for minutes what a row expects to be refused.
    config.default_retry = false;
    let client = Client::try_from(config).unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &widgets()).await.unwrap();
    await_condition(definitions, "widgets.conformance.longshore.dev", is_crd_established()).await.unwrap();

    let check = async |(number, row): (usize, Row)| {
        let namespace = format!("row-{number}");
        cluster.create_namespace(&namespace).await.unwrap();
        let subject = Subject { client: client.clone(), namespace, forget_history: Arc::new(|| {}) };
        tokio::spawn((row.check)(subject)).await.err().map(|_| row.title)
    };
    let checks = futures::stream::iter(rows().into_iter().enumerate()).map(check).buffer_unordered(AT_ONCE);
    let wrong: Vec<_> = checks.filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{} rows do not hold: {wrong:#?}", wrong.len());
}
