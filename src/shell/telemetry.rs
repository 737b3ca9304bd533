//! Logs.

use std::io::IsTerminal;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, filter};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("--log-filter {filter:?} is not a filter: {source}; write for example info, or longshore=debug,kube=info")]
pub struct FilterError {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Sends logs to standard error.
pub fn init(format: LogFormat, filter: &str) -> Result<(), FilterError> {
    let parsed = EnvFilter::try_new(filter).map_err(|source| FilterError { filter: filter.to_owned(), source })?;
    subscriber(format, parsed, std::io::stderr, std::io::stderr().is_terminal()).init();
    Ok(())
}

fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W, ansi: bool) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Text => Box::new(subscriber.finish().with(filter::filter_fn(repeats_no_answer))),
        LogFormat::Json => Box::new(subscriber.json().finish().with(filter::filter_fn(repeats_no_answer))),
    }
}

/// Whatever the filter says: kube logs each refusal of the API server word for word, and that of a Secret may quote it.
fn repeats_no_answer(metadata: &Metadata<'_>) -> bool {
    metadata.target() != "kube_client::client" || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_brings_the_answers_of_the_api_server_into_the_log() {
        for (format, filter) in
            [(LogFormat::Text, "trace"), (LogFormat::Json, "trace"), (LogFormat::Text, "kube_client::client=trace")]
        {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = subscriber(format, EnvFilter::new(filter), move || writer.clone(), false);
            tracing::subscriber::with_default(subscriber, || {
                tracing::debug!(target: "kube_client::client", "Unsuccessful: canary");
                tracing::trace!(target: "kube_client::client", "canary");
                tracing::warn!(target: "kube_client::client", "a warning");
            });
            let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert!(log.contains("a warning") && !log.contains("canary"), "{log}");
        }
    }
}
