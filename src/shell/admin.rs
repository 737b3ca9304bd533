//! `/livez` and `/readyz`: two different questions. A restart helps a process that hangs; it does not make an API server answer.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why the admin server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for /livez and /readyz: {source}; choose another --admin-address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Starts to listen; the returned future serves until `stop` says so. Ready are we while we stand by, or once every cache of every
/// scope holds what there is, and no longer once we are stopping.
pub async fn serve(
    address: SocketAddr,
    ready: Vec<watch::Receiver<bool>>,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()>, AdminError> {
    let listener = TcpListener::bind(address).await.map_err(|source| AdminError::Listen { address, source })?;
    let stopping = stop.clone();
    let readyz = move || {
        let all = ready.iter().all(|ready| *ready.borrow()) && !stopping.is_cancelled();
        async move { if all { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") } }
    };
    let router = Router::new().route("/livez", get(|| async { "ok" })).route("/readyz", get(readyz));
    Ok(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "/livez and /readyz are not served any more");
        }
    })
}
