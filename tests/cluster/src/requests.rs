//! What people ask of a cluster that stands in the background.
//!
//! One request and one answer, each a line of JSON, over a socket in the cluster's folder, which is open to its owner only.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use longshore_test_cluster::{Companion, Error, TestCluster};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Run a program beside the cluster, in place of one of the same file name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// The ServiceAccount whose rights it has.
    pub(crate) account: Account,
}

/// A ServiceAccount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What became of a request: where the program's log is, or why it does not run.
pub(crate) type Answer = Result<PathBuf, String>;

/// Answers one request after the other.
pub(crate) async fn serve(cluster: &TestCluster, listener: &UnixListener) -> io::Result<()> {
    let mut companions = BTreeMap::new();
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut line = String::new();
        // Whoever hangs up in the middle has asked for nothing and waits for no answer.
        if tokio::io::BufReader::new(&mut stream).read_line(&mut line).await.is_ok() {
            let answer: Answer = match serde_json::from_str(&line) {
                Ok(request) => run(cluster, &mut companions, request).await.map_err(|error| told(&error)),
                Err(error) => Err(format!("the request is not one: {error}; stop the cluster and start it anew")),
            };
            let text = serde_json::to_string(&answer)?;
            let _unheard = stream.write_all(format!("{text}\n").as_bytes()).await;
        }
    }
}

async fn run(
    cluster: &TestCluster,
    companions: &mut BTreeMap<String, Companion>,
    request: Request,
) -> Result<PathBuf, Error> {
    let Request { program, arguments, account } = request;
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let access = cluster.service_account(&account.namespace, &account.name).await?;
    drop(companions.remove(&name));
    let companion = cluster.accompany(&name, &program, &arguments, &access)?;
    let log = companion.log().to_owned();
    companions.insert(name, companion);
    Ok(log)
}

/// Sends a request and waits for its answer.
pub(crate) fn ask(socket: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
