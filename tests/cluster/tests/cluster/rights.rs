//! A ServiceAccount has the rights that its roles give, and no others.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use longshore_test_cluster::Program;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster;

const NAMESPACE: &str = "rights";

async fn put<K>(client: &Client, object: Value)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + serde::Serialize,
{
    let object = serde_json::from_value(object).unwrap();
    Api::<K>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &object).await.unwrap();
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_says() {
    let cluster = cluster().await;
    cluster.create_namespace(NAMESPACE).await.unwrap();
    let admin = cluster.client().unwrap();
    put::<ServiceAccount>(&admin, json!({ "metadata": { "name": "reader" } })).await;
    let rules = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }]);
    put::<Role>(&admin, json!({ "metadata": { "name": "reader" }, "rules": rules })).await;
    let binding = json!({
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE }],
    });
    put::<RoleBinding>(&admin, binding).await;

    let reader = cluster.service_account(NAMESPACE, "reader").await.unwrap();
    assert_eq!(reader.user, "system:serviceaccount:rights:reader");
    let mark = cluster.audit_mark().await.unwrap();
    let pods: Api<Pod> = Api::namespaced(reader.client.clone(), NAMESPACE);
    pods.list(&ListParams::default()).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(reader.client.clone(), NAMESPACE);
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
    let codes: Vec<_> = cluster
        .audit_since(mark)
        .await
        .unwrap()
        .into_iter()
        .filter(|record| record.user == reader.user)
        .map(|record| (record.resource, record.code))
        .collect();
    assert_eq!(codes, [("pods".to_owned(), 200), ("configmaps".to_owned(), 403)]);

    let kubectl = |verb: &str| {
        std::process::Command::new(cluster.program(Program::Kubectl))
            .arg("--kubeconfig")
            .arg(&reader.kubeconfig)
            .args(["auth", "can-i", verb, "pods", "-n", NAMESPACE])
            .output()
            .unwrap()
    };
    assert_eq!(kubectl("list").stdout, b"yes\n");
    assert_eq!(kubectl("delete").stdout, b"no\n");
}
