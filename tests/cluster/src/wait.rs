//! Waiting for what the cluster does in its own time.

use std::time::Duration;

use tokio::time::Instant;

use crate::Error;

/// Asks again and again until the answer is yes.
pub(crate) async fn until(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<bool, Error>,
) -> Result<(), Error> {
    let started = Instant::now();
    while !probe().await? {
        if started.elapsed() > limit {
            return Err(Error::TimedOut { what: what.to_owned(), limit });
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}
