//! Leader election with a Lease: of several operators one leads, and the others stand by.
//!
//! The rules are those of Kubernetes' own components (client-go's `leaderelection`). No two machines' clocks are compared: a
//! holder that is alive changes the lease, and each operator measures by its own clock for how long it has not changed.
//!
//! ```text
//! the leader         renews at 0 s ........ has to stop at 10 s
//! the others                                                   may take the lease over 15 s after they saw it change
//! ```

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// How long the lease has to be seen unchanged before another operator may take it over. In whole seconds.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after the beginning of its last renewal a leader leads. What is left until [`LEASE_DURATION`] is for requests
/// that are under way, and for clocks that do not run alike.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How long after one look at the lease the next one is.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Why a leader leads no more. Its process has to end: what it has begun was begun as a leader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The lease was not renewed in time.
    #[error(
        "the lease was not renewed within {} seconds, so another operator may lead soon; this one ends, and stands by once it is \
         started again. If that happens often, look at the log for what renewing it failed of",
        RENEW_DEADLINE.as_secs()
    )]
    Overdue,
    /// Another operator has the lease.
    #[error("{holder} leads now; this operator ends, and stands by once it is started again")]
    Taken {
        /// Its identity.
        holder: String,
    },
}

/// What follows from a look at the lease.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To lead, or to go on leading, write this in place of what was read.
    Write(LeaseSpec),
    /// Stand by: this one leads, or led a moment ago.
    StandBy(String),
}

/// The part that one operator takes in an election. `now` is the time since its process began, on a clock that nobody sets.
#[derive(Debug, Clone)]
pub struct Election {
    identity: String,
    /// The last record that had a holder, and when it was first seen.
    held: Option<Held>,
    /// Until when this operator leads; none as long as it never did.
    deadline: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Held {
    holder: String,
    record: LeaseSpec,
    since: Duration,
}

impl Election {
    /// One that has not seen the lease yet. `identity` is no other process's, not even one's of the same name before.
    pub const fn new(identity: String) -> Self {
        Self { identity, held: None, deadline: None }
    }

    /// Until when this operator leads; none as long as it never did.
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Whether what was led is led still. Once it is not, it never is again.
    pub fn check(&self, now: Duration) -> Result<(), Loss> {
        if self.deadline.is_some_and(|deadline| now >= deadline) { Err(Loss::Overdue) } else { Ok(()) }
    }

    /// What follows from what was read: none if there is no lease. `time` is for people to read, and nothing is decided by it.
    pub fn decide(&mut self, read: Option<&LeaseSpec>, now: Duration, time: Timestamp) -> Result<Step, Loss> {
        self.check(now)?;
        self.observe(read, now);
        let holder = read.and_then(holder);
        match (holder, &self.held) {
            (Some(holder), _) if holder == self.identity => {}
            (Some(holder), _) if self.deadline.is_some() => return Err(Loss::Taken { holder: holder.to_owned() }),
            // Whoever releases a lease has stopped before.
            (None, _) if read.is_some() => {}
            // A lease that was deleted was not released: its holder may not know yet.
            (_, Some(held)) if held.holder != self.identity && now < held.expires() => {
                return Ok(Step::StandBy(held.holder.clone()));
            }
            _ => {}
        }
        Ok(Step::Write(self.record(read, time)))
    }

    /// A record was written that was decided upon at `begun`, before the request was sent: others see it later than that.
    pub fn written(&mut self, record: LeaseSpec, begun: Duration) {
        self.held = Some(Held { holder: self.identity.clone(), record, since: begun });
        self.deadline = Some(begun.saturating_add(RENEW_DEADLINE));
    }

    /// The record that lets another operator lead at once; none if it is not this one's lease to give up.
    pub fn released(&self, read: &LeaseSpec, time: Timestamp) -> Option<LeaseSpec> {
        let is_ours = holder(read) == Some(&self.identity);
        is_ours.then(|| LeaseSpec {
            holder_identity: None,
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(time)),
            renew_time: Some(MicroTime(time)),
            lease_transitions: read.lease_transitions,
            ..LeaseSpec::default()
        })
    }

    fn observe(&mut self, read: Option<&LeaseSpec>, now: Duration) {
        let Some((record, holder)) = read.and_then(|record| Some((record, holder(record)?))) else { return };
        if self.held.as_ref().is_none_or(|held| held.record != *record) {
            self.held = Some(Held { holder: holder.to_owned(), record: record.clone(), since: now });
        }
    }

    fn record(&self, read: Option<&LeaseSpec>, time: Timestamp) -> LeaseSpec {
        let transitions = read.map_or(0, |read| read.lease_transitions.unwrap_or(0));
        let (acquired, transitions) = match read {
            Some(read) if holder(read) == Some(&self.identity) => (read.acquire_time.clone(), transitions),
            Some(_) => (None, transitions.saturating_add(1)),
            None => (None, transitions),
        };
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: acquired.or(Some(MicroTime(time))),
            renew_time: Some(MicroTime(time)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}

impl Held {
    /// When others may take over. A holder of another version may have promised to be gone later than ours would be.
    fn expires(&self) -> Duration {
        let promised = self.record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        self.since.saturating_add(Duration::from_secs(promised).max(LEASE_DURATION))
    }
}

/// Who holds a lease; nobody if it was released.
fn holder(record: &LeaseSpec) -> Option<&str> {
    record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment at which `a`, which this is about, looks at the lease or has written it.
    enum At {
        /// It reads what its holder has written for the nth time.
        Reads(u64, &'static str, i32),
        /// It finds the lease released.
        ReadsReleased(u64),
        /// It finds no lease.
        ReadsNone(u64),
        /// Its write, decided upon then, succeeds.
        Writes(u64),
    }
    use At::{Reads, ReadsNone, ReadsReleased, Writes};

    #[derive(Debug, PartialEq)]
    enum Outcome {
        /// It may write itself into the lease, as so many changes of holder.
        Leads(i32),
        StandsBy(&'static str),
        Overdue,
        TakenBy(&'static str),
    }
    use Outcome::{Leads, Overdue, StandsBy, TakenBy};

    fn record(holder: Option<&str>, renewed: i32) -> LeaseSpec {
        let time = Timestamp::from_second(renewed.into()).unwrap();
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            renew_time: Some(MicroTime(time)),
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        }
    }

    /// What comes of the last moment.
    fn outcome(moments: &[At]) -> Outcome {
        let mut election = Election::new("a".to_owned());
        let mut last = None;
        for moment in moments {
            let (read, now) = match moment {
                Reads(now, holder, renewed) => (Some(record(Some(holder), *renewed)), now),
                ReadsReleased(now) => (Some(record(Some(""), 0)), now),
                ReadsNone(now) => (None, now),
                Writes(begun) => {
                    election.written(record(Some("a"), 0), Duration::from_secs(*begun));
                    continue;
                }
            };
            last = Some(election.decide(read.as_ref(), Duration::from_secs(*now), Timestamp::UNIX_EPOCH));
        }
        let known = |holder: String| ["b", "c"].into_iter().find(|known| holder == *known).unwrap();
        match last.unwrap() {
            Ok(Step::Write(record)) => {
                assert_eq!(record.holder_identity.as_deref(), Some("a"));
                Leads(record.lease_transitions.unwrap())
            }
            Ok(Step::StandBy(holder)) => StandsBy(known(holder)),
            Err(Loss::Overdue) => Overdue,
            Err(Loss::Taken { holder }) => TakenBy(known(holder)),
        }
    }

    #[test]
    fn an_election() {
        let table: &[(&str, &[At], Outcome)] = &[
            ("Whoever finds no lease makes it", &[ReadsNone(0)], Leads(0)),
            ("A lease that was released is taken over at once", &[ReadsReleased(0)], Leads(5)),
            ("… also by who has just seen it held", &[Reads(0, "b", 1), ReadsReleased(2)], Leads(5)),
            ("A lease that is held is waited for, however old it says it is", &[Reads(900, "b", 1)], StandsBy("b")),
            ("… until 15 s after it was seen", &[Reads(900, "b", 1), Reads(914, "b", 1)], StandsBy("b")),
            ("… and then taken over", &[Reads(900, "b", 1), Reads(915, "b", 1)], Leads(5)),
            (
                "A renewal begins the 15 s anew, also one that sets the time of the record back",
                &[Reads(0, "b", 9), Reads(10, "b", 3), Reads(24, "b", 3)],
                StandsBy("b"),
            ),
            (
                "So does another that was faster",
                &[Reads(0, "b", 1), Reads(15, "c", 2), Reads(29, "c", 2)],
                StandsBy("c"),
            ),
            ("A lease that was deleted was not released", &[Reads(0, "b", 1), ReadsNone(14)], StandsBy("b")),
            ("… and is made anew when it would have expired", &[Reads(0, "b", 1), ReadsNone(15)], Leads(0)),
            ("The leader renews", &[ReadsNone(0), Writes(0), Reads(2, "a", 0)], Leads(4)),
            ("… for as long as it does", &[Writes(0), Reads(9, "a", 0), Writes(9), Reads(18, "a", 0)], Leads(4)),
            (
                "It stops 10 s after its last renewal began, though the lease is its own",
                &[Writes(0), Reads(10, "a", 0)],
                Overdue,
            ),
            ("It stops as soon as another leads", &[Writes(0), Reads(2, "b", 1)], TakenBy("b")),
            ("It makes a lease anew that somebody has deleted", &[Writes(0), ReadsNone(2)], Leads(0)),
            ("It takes a lease back that somebody has emptied", &[Writes(0), ReadsReleased(2)], Leads(5)),
            ("A write that succeeded unheard is the writer's own", &[ReadsReleased(0), Reads(2, "a", 0)], Leads(4)),
            ("A write heard of too late makes no leader", &[ReadsReleased(0), Writes(0), Reads(30, "a", 0)], Overdue),
        ];
        for (sentence, moments, expected) in table {
            assert_eq!(outcome(moments), *expected, "{sentence}");
        }
    }

    #[test]
    fn the_record_tells_since_when_who_leads_and_for_how_long() {
        let mut election = Election::new("a".to_owned());
        let [first, second] = [100, 102].map(|second| Timestamp::from_second(second).unwrap());
        let mut write = |read: Option<&LeaseSpec>, now: u64, time| {
            let now = Duration::from_secs(now);
            let Ok(Step::Write(record)) = election.decide(read, now, time) else { panic!("{election:?}") };
            election.written(record.clone(), now);
            record
        };
        let acquired = write(None, 0, first);
        let renewed = write(Some(&acquired), 2, second);
        assert_eq!(acquired.lease_duration_seconds, Some(15));
        assert_eq!((acquired.acquire_time, acquired.renew_time), (Some(MicroTime(first)), Some(MicroTime(first))));
        assert_eq!((&renewed.acquire_time, &renewed.renew_time), (&Some(MicroTime(first)), &Some(MicroTime(second))));
        let released = election.released(&renewed, second).unwrap();
        assert_eq!((released.holder_identity, released.lease_duration_seconds), (None, Some(1)));
        assert_eq!(released.lease_transitions, renewed.lease_transitions);
        assert_eq!(election.released(&record(Some("b"), 0), second), None, "another's lease is not given up");
    }

    #[test]
    fn a_holder_that_has_asked_for_longer_is_waited_for() {
        let mut election = Election::new("a".to_owned());
        let read = LeaseSpec { lease_duration_seconds: Some(60), ..record(Some("b"), 0) };
        let mut at = |second| election.decide(Some(&read), Duration::from_secs(second), Timestamp::UNIX_EPOCH);
        assert_eq!(at(0), Ok(Step::StandBy("b".to_owned())));
        assert_eq!(at(59), Ok(Step::StandBy("b".to_owned())));
        assert!(matches!(at(60), Ok(Step::Write(_))));
    }

    #[test]
    fn a_leader_has_stopped_before_another_may_begin() {
        assert!(RETRY_PERIOD.saturating_mul(2) < RENEW_DEADLINE, "one renewal may fail");
        assert!(RENEW_DEADLINE < LEASE_DURATION);
    }
}
