//! The operator, run as the Deployment of config/manager would run it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::DemoError;
use super::person::Person;
use crate::quoted;

/// How long the operator may take to have seen everything.
const LIMIT: Duration = Duration::from_secs(30);

/// Starts the operator, in place of one of an earlier demo; returns once it is ready.
pub(super) fn start(person: &Person, state: Option<&Path>) -> Result<(), DemoError> {
    let free = || TcpListener::bind(("127.0.0.1", 0))?.local_addr();
    let command = "longshore run".to_owned();
    let address = free().map_err(|source| DemoError::Run { command, source })?;
    let state = state.map_or_else(String::new, |state| format!("--state={} ", quoted(&state.to_string_lossy())));
    person.types(&format!(
        "test-cluster {state}run --as=longshore-system/longshore \"$(command -v longshore)\" run --admin-address={address}"
    ))?;
    let started = Instant::now();
    while !is_ready(address) {
        if started.elapsed() > LIMIT {
            return Err(DemoError::NotReady(LIMIT));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer.lines().next().is_some_and(|line| line.contains(" 200 ")))
}
