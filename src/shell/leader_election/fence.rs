//! What lets an operator write only while it leads.

use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http::Request;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, Layer, Service};

/// Until when an operator leads, by the clock of its own process. Each renewal of the lease sets it later.
#[derive(Debug, Clone)]
pub(super) struct Leadership(watch::Receiver<Instant>);

impl Leadership {
    /// Leadership until then, and what sets it later or ends it.
    pub(super) fn until(deadline: Instant) -> (watch::Sender<Instant>, Self) {
        let (sender, receiver) = watch::channel(deadline);
        (sender, Self(receiver))
    }

    fn is_held(&self) -> bool {
        // Where who would set it later is gone, nobody leads.
        self.0.has_changed().is_ok() && Instant::now() < *self.0.borrow()
    }

    /// Waits until it has ended.
    async fn ended(&mut self) {
        loop {
            let deadline = *self.0.borrow_and_update();
            if Instant::now() >= deadline {
                return;
            }
            tokio::select! {
                () = sleep_until(deadline) => {}
                changed = self.0.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Why a request was not sent, or its answer is not waited for.
#[derive(Debug, thiserror::Error)]
enum Fenced {
    #[error("this operator does not lead any more, so it writes nothing")]
    Refused,
    #[error("this operator does not lead any more, so it gives up what it was writing")]
    GivenUp,
}

/// A layer of a client: requests that may change something are sent, and stay under way, only while this operator leads.
///
/// One that ends with the leadership ends 5 s before another operator may begin ([`RENEW_DEADLINE`], [`LEASE_DURATION`]).
/// Until then it may take its time: a slow admission webhook is no reason to fail as long as the lease is renewed.
///
/// [`RENEW_DEADLINE`]: crate::domain::leader_election::RENEW_DEADLINE
/// [`LEASE_DURATION`]: crate::domain::leader_election::LEASE_DURATION
#[derive(Debug, Clone)]
pub struct Fence(pub(super) Leadership);

impl<S> Layer<S> for Fence {
    type Service = Behind<S>;

    fn layer(&self, inner: S) -> Behind<S> {
        Behind { inner, leadership: self.0.clone() }
    }
}

/// What is behind a [`Fence`].
#[derive(Debug, Clone)]
pub struct Behind<S> {
    inner: S,
    leadership: Leadership,
}

impl<S, B> Service<Request<B>> for Behind<S>
where
    S: Service<Request<B>>,
    S::Response: Send + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.method().is_safe() {
            return self.inner.call(request).map(|answer| answer.map_err(Into::into)).boxed();
        }
        if !self.leadership.is_held() {
            return ready(Err(Fenced::Refused.into())).boxed();
        }
        let (mut leadership, answer) = (self.leadership.clone(), self.inner.call(request));
        let answered = async move {
            tokio::select! {
                // In this order: a process that was stopped and goes on looks at the clock before it sends anything more.
                biased;
                () = leadership.ended() => Err(Fenced::GivenUp.into()),
                answer = answer => answer.map_err(Into::into),
            }
        };
        answered.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use http::Method;
    use tokio::time::{advance, sleep};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::domain::leader_election::{LEASE_DURATION, RENEW_DEADLINE};

    /// Until when a leader leads that has just renewed its lease.
    fn deadline() -> Instant {
        Instant::now().checked_add(RENEW_DEADLINE).unwrap()
    }

    /// A server that answers after a while, behind the fence of a leader that has just renewed its lease.
    struct World {
        renewal: watch::Sender<Instant>,
        fence: Fence,
        takes: Duration,
        begun: Arc<AtomicUsize>,
    }

    impl World {
        fn new(takes: Duration) -> Self {
            let (renewal, leadership) = Leadership::until(deadline());
            Self { renewal, fence: Fence(leadership), takes, begun: Arc::default() }
        }

        /// Sends a request; returns what came of it.
        async fn send(&self, method: Method) -> Result<(), String> {
            let (takes, begun) = (self.takes, self.begun.clone());
            let server = service_fn(move |_| {
                begun.fetch_add(1, Ordering::Relaxed);
                async move {
                    sleep(takes).await;
                    Ok::<_, BoxError>(())
                }
            });
            let request = Request::builder().method(method).body(()).unwrap();
            self.fence.layer(server).oneshot(request).await.map_err(|error| error.to_string())
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_leader_writes() {
        let world = World::new(Duration::from_secs(1));
        advance(RENEW_DEADLINE.saturating_sub(Duration::from_secs(2))).await;
        assert_eq!(world.send(Method::POST).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn from_the_deadline_on_nothing_is_written_and_all_is_read() {
        let world = World::new(Duration::from_secs(1));
        advance(RENEW_DEADLINE).await;
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(world.send(method).await.is_err_and(|error| error.ends_with("writes nothing")));
        }
        assert_eq!(world.begun(), 0);
        assert_eq!(world.send(Method::GET).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_write_is_under_way_when_another_operator_may_begin() {
        let (world, renewed) = (World::new(Duration::from_mins(1)), Instant::now());
        advance(RENEW_DEADLINE.saturating_sub(Duration::from_millis(1))).await;
        assert!(world.send(Method::PATCH).await.is_err_and(|error| error.contains("gives up")));
        assert_eq!(world.begun(), 1);
        assert!(renewed.elapsed() < RENEW_DEADLINE + Duration::from_millis(2) && RENEW_DEADLINE < LEASE_DURATION);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_takes_long_goes_on_as_long_as_the_lease_is_renewed() {
        let world = World::new(Duration::from_secs(25));
        let renewals = async {
            loop {
                world.renewal.send_replace(deadline());
                sleep(Duration::from_secs(2)).await;
            }
        };
        let answer = tokio::select! { answer = world.send(Method::POST) => answer, () = renewals => Ok(()) };
        assert_eq!((answer, world.begun()), (Ok(()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_steps_down_or_is_gone_writes_nothing_more() {
        let world = World::new(Duration::from_secs(5));
        let steps_down = async {
            sleep(Duration::from_secs(1)).await;
            world.renewal.send_replace(Instant::now());
        };
        let before = Instant::now();
        let (answer, ()) = tokio::join!(world.send(Method::DELETE), steps_down);
        assert!(answer.is_err() && before.elapsed() < Duration::from_secs(2));

        let World { renewal, fence, .. } = World::new(Duration::from_secs(5));
        drop(renewal);
        let never = service_fn(|_| std::future::pending::<Result<(), BoxError>>());
        let request = Request::builder().method(Method::POST).body(()).unwrap();
        assert!(fence.layer(never).oneshot(request).await.is_err());
    }
}
