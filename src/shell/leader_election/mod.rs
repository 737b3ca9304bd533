//! Takes part in the election of a leader: reads the lease, writes it, and tells until when this operator leads.
//!
//! What is decided is decided in [`domain::leader_election`](crate::domain::leader_election). The floor, the ceiling and the
//! names of tasks do not depend on it for what one operator may do; it keeps two from deciding at the same time.

mod fence;
#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::domain::leader_election::{Election, Loss, RENEW_DEADLINE, RETRY_PERIOD, Step};
use crate::shell::clock::Clock;
use fence::Leadership;
pub use fence::{Behind, Fence};

/// How long one request may take: one without an answer does not use up the time in which the lease has to be renewed.
const REQUEST_LIMIT: Duration = Duration::from_secs(4);

/// Why a look at the lease came to nothing. There is another one soon.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("reading it failed: {0}")]
    Read(#[source] Error),
    #[error("writing it failed: {0}")]
    Write(#[source] Error),
    #[error("the API server did not answer within {} seconds", REQUEST_LIMIT.as_secs())]
    TimedOut,
    #[error(transparent)]
    Lost(#[from] Loss),
}

/// An operator that stands by until it leads.
pub struct Candidate {
    leases: Api<Lease>,
    name: String,
    election: Election,
    clock: Clock,
    /// Since when the election counts time.
    began: Instant,
    /// Whom it has last told that it waits for.
    waits_for: Option<String>,
}

impl Candidate {
    /// A candidate for a lease. The client is for this alone, so that no other request delays a renewal, and tries nothing
    /// again by itself: what is late must not be sent twice.
    ///
    /// It is known by the name of its pod, or else of the machine, and by something that no other process has.
    pub fn new(client: Client, namespace: &str, name: &str, pod: Option<&str>, clock: Clock) -> Self {
        let host = || hostname::get().ok().and_then(|host| host.into_string().ok());
        let instance = pod.map(str::to_owned).or_else(host).unwrap_or_else(|| "longshore".to_owned());
        let identity = format!("{instance}_{:016x}", fastrand::u64(..));
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            election: Election::new(identity),
            clock,
            began: Instant::now(),
            waits_for: None,
        }
    }

    /// Stands by until it leads; none if it was told to stop before that.
    pub async fn lead(mut self, stop: &CancellationToken) -> Result<Option<Leader>, Loss> {
        tracing::info!(lease = self.name, "standing by until this operator leads");
        loop {
            match self.look().await {
                Ok(()) => {}
                Err(LeaseError::Lost(loss)) => return Err(loss),
                Err(error) => tracing::warn!(lease = self.name, %error, "the lease is looked at again"),
            }
            if let Some(deadline) = self.deadline() {
                tracing::info!(lease = self.name, "this operator leads");
                let (leadership, held) = Leadership::until(deadline);
                return Ok(Some(Leader { candidate: self, leadership, held }));
            }
            if stop.run_until_cancelled(sleep(retry_period())).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// Reads the lease, and writes it where this operator may lead, or goes on leading.
    async fn look(&mut self) -> Result<(), LeaseError> {
        let read = limited(self.leases.get_opt(&self.name)).await?.map_err(LeaseError::Read)?;
        let spec = read.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let begun = self.began.elapsed();
        match self.election.decide(spec.as_ref(), begun, self.clock.now_in_microseconds())? {
            Step::StandBy(holder) => {
                if self.waits_for.as_ref() != Some(&holder) {
                    tracing::info!(lease = self.name, holder, "another operator leads");
                    self.waits_for = Some(holder);
                }
            }
            Step::Write(record) => {
                if self.write(read, record.clone()).await? {
                    self.election.written(record, begun);
                }
            }
        }
        Ok(())
    }

    /// Writes the lease at the version at which it was read. Returns whether nobody was faster.
    #[expect(
        clippy::disallowed_methods,
        reason = "the lease has a client of its own, and limits that are the election's"
    )]
    async fn write(&self, read: Option<Lease>, record: LeaseSpec) -> Result<bool, LeaseError> {
        let params = PostParams::default();
        let written = if let Some(mut lease) = read {
            lease.spec = Some(record);
            limited(self.leases.replace(&self.name, &params, &lease)).await?
        } else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            limited(self.leases.create(&params, &Lease { metadata, spec: Some(record) })).await?
        };
        match written {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(LeaseError::Write(error)),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.began.checked_add(self.election.deadline()?)
    }
}

/// An operator that leads.
pub struct Leader {
    candidate: Candidate,
    leadership: watch::Sender<Instant>,
    held: Leadership,
}

impl Leader {
    /// What whoever writes has to be behind.
    pub fn fence(&self) -> Fence {
        Fence(self.held.clone())
    }

    /// Renews the lease while the work goes on. Where the lease is lost, the work is dropped where it is.
    pub async fn while_leading<T>(mut self, work: impl Future<Output = T>) -> Result<(T, Self), Loss> {
        let done = CancellationToken::new();
        let work = async {
            let outcome = work.await;
            done.cancel();
            Ok(outcome)
        };
        let (outcome, ()) = tokio::try_join!(work, self.renew(&done))?;
        Ok((outcome, self))
    }

    async fn renew(&mut self, done: &CancellationToken) -> Result<(), Loss> {
        loop {
            let deadline = *self.leadership.borrow();
            let next = Instant::now().checked_add(retry_period()).map_or(deadline, |next| next.min(deadline));
            if done.run_until_cancelled(sleep_until(next)).await.is_none() {
                return Ok(());
            }
            self.candidate.election.check(self.candidate.began.elapsed())?;
            match timeout_at(deadline, self.candidate.look()).await {
                Ok(Ok(())) => {
                    if let Some(deadline) = self.candidate.deadline() {
                        self.leadership.send_replace(deadline);
                    }
                }
                Ok(Err(LeaseError::Lost(loss))) => return Err(loss),
                Ok(Err(error)) => {
                    let left = deadline.saturating_duration_since(Instant::now()).as_secs();
                    tracing::warn!(lease = self.candidate.name, %error, left, "the lease was not renewed");
                }
                Err(_) => return Err(Loss::Overdue),
            }
        }
    }

    /// Gives up the lease, so that another operator need not wait for it to expire. Nothing may be under way any more.
    pub async fn release(self) {
        self.leadership.send_replace(Instant::now());
        let candidate = &self.candidate;
        let release = async {
            let read = candidate.leases.get_opt(&candidate.name).await.map_err(LeaseError::Read)?;
            let spec = read.as_ref().and_then(|lease| lease.spec.as_ref());
            match spec.and_then(|spec| candidate.election.released(spec, candidate.clock.now_in_microseconds())) {
                Some(record) => candidate.write(read, record).await,
                None => Ok(false),
            }
        };
        match timeout(REQUEST_LIMIT, release).await.unwrap_or(Err(LeaseError::TimedOut)) {
            Ok(released) => tracing::info!(lease = candidate.name, released, "this operator leads no more"),
            Err(error) => tracing::warn!(lease = candidate.name, %error, "the lease was not released, and expires"),
        }
    }
}

/// Somewhat longer each time, so that operators that began together do not all look together.
fn retry_period() -> Duration {
    RETRY_PERIOD.mul_f64(1.0 + fastrand::f64() / 4.0)
}

async fn limited<T>(request: impl Future<Output = T>) -> Result<T, LeaseError> {
    timeout(REQUEST_LIMIT, request).await.map_err(|_| LeaseError::TimedOut)
}

const _: () = assert!(REQUEST_LIMIT.as_secs() * 2 < RENEW_DEADLINE.as_secs());
