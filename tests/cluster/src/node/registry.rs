//! A registry of container images on loopback.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tokio::net::TcpStream;

use super::{LIMIT, run};
use crate::guarded::Guarded;
use crate::program::Program;
use crate::programs::Programs;
use crate::{Error, TestCluster};

/// Who may pull from the private registry.
pub(super) const CREDENTIALS: Credentials = Credentials {
    username: "longshore",
    password: "open sesame",
    // bcrypt: `htpasswd -nbB longshore 'open sesame'`.
    htpasswd: "longshore:$2b$04$w3o57/hZHrQyUc.QOwsUAezEfQDAyIfRJ4FsPMdwHKJfCjBTT2lM6\n",
};

/// A user of a registry.
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// The user's name.
    pub username: &'static str,
    /// The user's password.
    pub password: &'static str,
    htpasswd: &'static str,
}

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    _running: Guarded,
    address: String,
    credentials: Option<Credentials>,
    crane: PathBuf,
    /// The folder with crane's `config.json`.
    login: PathBuf,
}

impl Registry {
    pub(super) async fn start(
        cluster: &TestCluster,
        programs: &Programs,
        name: &str,
        credentials: Option<Credentials>,
    ) -> Result<Self, Error> {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).map_err(Error::Port)?.port();
        let address = format!("127.0.0.1:{port}");
        let mut configuration = json!({
            "version": "0.1",
            "log": { "level": "warn", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": cluster.folder().join(format!("registry-{name}")) } },
            "http": { "addr": address, "secret": "of no use" },
        });
        let login = cluster.folder().join(format!("login-{name}"));
        fs::create_dir(&login).map_err(|source| Error::Write { path: login.clone(), source })?;
        let mut logins = json!({});
        if let Some(Credentials { username, password, htpasswd }) = credentials {
            let users = cluster.write(&format!("registry-{name}.htpasswd"), htpasswd)?;
            let auth = json!({ "htpasswd": { "realm": name, "path": users } });
            configuration.as_object_mut().map(|members| members.insert("auth".to_owned(), auth));
            logins = json!({ "auths": { &address: { "username": username, "password": password } } });
        }
        cluster.write(&format!("login-{name}/config.json"), &logins.to_string())?;
        // JSON is YAML too.
        let file = cluster.write(&format!("registry-{name}.json"), &configuration.to_string())?;
        let program = programs.path(Program::Registry);
        let arguments = ["serve".into(), file.into()];
        let mut running = Guarded::spawn(cluster.files(), &format!("registry-{name}"), &program, &arguments, &[])?;
        running.ready(LIMIT, async || TcpStream::connect(&address).await.is_ok()).await?;
        Ok(Self { _running: running, address, credentials, crane: programs.path(Program::Crane), login })
    }

    /// Host and port, with which its images begin.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Who may pull, unless everybody may.
    pub const fn credentials(&self) -> Option<Credentials> {
        self.credentials
    }

    /// The name of an image of this registry: `127.0.0.1:5000/task:1` of `task:1`.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Copies an image under another name, as whoever pushes the next build under a tag does.
    pub fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        self.crane(&["copy", &self.image(from), &self.image(to)]).map(drop)
    }

    pub(super) fn crane(&self, arguments: &[&str]) -> Result<String, Error> {
        run(Command::new(&self.crane).args(arguments).env("DOCKER_CONFIG", &self.login))
    }
}
