//! Acting as a ServiceAccount, with its rights and no others.

use std::path::PathBuf;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};

use crate::{Error, TestCluster};

/// How long a token is good for: longer than any test, and than a person leaves a cluster up.
const SECONDS: i64 = 30 * 24 * 60 * 60;

/// A way to the cluster with the rights of one ServiceAccount.
#[derive(Clone)]
pub struct ServiceAccountAccess {
    /// The user name, as the audit log has it.
    pub user: String,
    /// A kubeconfig file. It needs no other file, so copies of it work.
    pub kubeconfig: PathBuf,
    /// A client.
    pub client: Client,
}

impl TestCluster {
    /// A kubeconfig file and a client for a ServiceAccount, which must exist.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<ServiceAccountAccess, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(SECONDS), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let token = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(Error::request(format!("get a token for the ServiceAccount {namespace}/{name}")))?
            .status
            .map(|status| status.token)
            .unwrap_or_default();
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let access = self.access(&user, &token);
        let file = format!("kubeconfigs/{namespace}.{name}");
        Ok(ServiceAccountAccess {
            kubeconfig: self.write(&file, &access.text())?,
            client: access.client().await?,
            user,
        })
    }
}
