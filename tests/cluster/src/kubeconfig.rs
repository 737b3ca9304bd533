//! Kubeconfig files: how people and programs reach the cluster.

use k8s_openapi::ByteString;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::Error;
use crate::certificates::Identity;

/// What a user shows to prove who they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Credentials<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// One user's way to one server, with all certificates inside so that a copy works too.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    user: String,
    kubeconfig: Value,
}

impl Access {
    pub(crate) fn new(server: &str, authority: &str, user: &str, credentials: Credentials<'_>) -> Self {
        let credentials = match credentials {
            Credentials::Certificate(identity) => json!({
                "client-certificate-data": base64(&identity.certificate),
                "client-key-data": base64(&identity.key),
            }),
            Credentials::Token(token) => json!({ "token": token }),
        };
        let cluster = json!({ "server": server, "certificate-authority-data": base64(authority) });
        Self {
            user: user.to_owned(),
            kubeconfig: json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{ "name": "longshore", "cluster": cluster }],
                "users": [{ "name": user, "user": credentials }],
                "contexts": [{
                    "name": "longshore",
                    "context": { "cluster": "longshore", "user": user },
                }],
                "current-context": "longshore",
            }),
        }
    }

    /// The text of the kubeconfig file. JSON is YAML too, and every client reads it.
    pub(crate) fn text(&self) -> String {
        format!("{:#}\n", self.kubeconfig)
    }

    pub(crate) async fn config(&self) -> Result<Config, Error> {
        let kubeconfig: Kubeconfig =
            serde_json::from_value(self.kubeconfig.clone()).map_err(|error| self.failed(error.into()))?;
        let options = KubeConfigOptions::default();
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| self.failed(error.into()))?;
        // A proxy of the environment cannot reach the loopback of this machine.
        config.proxy_url = None;
        Ok(config)
    }

    pub(crate) async fn client(&self) -> Result<Client, Error> {
        self.client_of(self.config().await?)
    }

    pub(crate) fn client_of(&self, config: Config) -> Result<Client, Error> {
        Client::try_from(config).map_err(|error| self.failed(error.into()))
    }

    fn failed(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::Client { user: self.user.clone(), source }
    }
}

fn base64(pem: &str) -> ByteString {
    ByteString(pem.as_bytes().to_vec())
}
