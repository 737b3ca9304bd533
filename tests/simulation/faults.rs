//! What goes wrong between the operator and the API server.
//!
//! | fault | here |
//! |---|---|
//! | F1 crash before and after every write | `sweep.rs`, exhaustively with `SWEEP=all`; at random in every seed |
//! | F2 write committed, answer lost | `lost_answers` |
//! | F3 500, 503, 504, 429 with Retry-After; 502; an absurd Retry-After | `refusals`; `proxies` |
//! | F4 409 on status writes for some rounds | `conflicts` |
//! | F5 watch: end, cut, 410 in the stream, repeated events, compaction | `watches`; compaction in `scenario.rs` |
//! | F5 nothing is heard of a watch for minutes, not even a bookmark | `silences` |
//! | F6 stale lists | `stale_reads`, for what is asked for without wanting the newest; `Lagging` in `process.rs` |
//! | F7 events delivered late, for minutes | `late_events`, `silences` |
//! | F8 parent deleted and made again | `people.rs` |
//! | F9 pods without owner, with a foreign one, with two | `monkey.rs` |
//! | F10 pods relabelled, deleted, evicted; drains within a budget | `monkey.rs`; `budgets.rs` |
//! | F11 pods that never start, end, are rejected or do not go; zones without room | `kubelet.rs`, `reasons`; `scheduler.rs`; `nodes.rs` |
//! | F12 two operators at once | without an election: `Ledger::lenient`; with one: `Simulation::Elected` |
//! | F13 403 for a while; leases alone cannot be written | `refusals`; `lose_leases` |
//! | F14 clocks jump, and run fast or slow | `World::jump`; `drifts` |
//! | F15 creates refused by quota, admission, or a namespace that closes | `quotas`; `denials` |
//! | F16 others change our objects | `admission.rs`; `monkey.rs` |
//! | F17 stored objects of other versions, and junk | `isolation.rs` |
//! | F18 deletions in any order | `deletions.rs`, in all orders; `people.rs`, at random |
//! | F19 many services at once | `many.rs` |
//! | F20 SIGTERM at any write | `sweep.rs` |
//! | F21 scale during a rollout | `people.rs` |
//! | F22 rollouts superseded, rolled back, rolled back on the way back | `people.rs`; `controls.rs` |
//! | F23 targets late, failing, never told of | `targets.rs` |
//! | F24 panics | `isolation.rs` |
//! | F25 huge inputs | `limits.rs` |
//!
//! Beside them nodes join, are cordoned, tainted and lost (`nodes.rs`), also under DAEMON services (`daemons.rs`), people
//! pause, stop and force deployments and protect tasks (`controls.rs`), and ask for even Availability Zones and think better of
//! it, while zones are full and nodes do not say where they are (`zones.rs`, `scheduler.rs`; interrupted at any write: `sweep.rs`).
//!
//! Left out:
//!
//! - F5, an event that is dropped while the watch goes on, or overtaken by a bookmark: no client of the API survives a server that
//!   breaks this promise, and a relist would be the only remedy. Of pods alone it is looked after: what became of a write of our
//!   own is asked for when no event tells of it.
//! - F5, 410 as the answer to a request for a watch, and events of two kinds in another order than they happened by more than the
//!   latency of each.
//! - F13, rights that are gone for good.
//! - F14, changes of daylight saving time: there is no local time.
//! - F15, a namespace that is deleted with all that is in it, and admission that changes a pod beyond what `admission.rs` does.
//! - F16 in a single pod after it was admitted: its spec cannot be changed.
//! - F20, the second SIGTERM and the end of the grace period: they are the process's, and there is none here.
//! - F21, writes of `scale` to DAEMON services, which have no count; F22, task sets, which there are not.
//! - I13: there is nothing that is scheduled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore_test_apiserver::{After, Before, Call, Change, Delivery, Failure, FaultPlan, Lag, Verb};
use longshore_test_chance::Chance;
use serde_json::Value;
use std::sync::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::task::LEASES;
use crate::world::lock;

/// How long the server cannot be asked.
const SILENCE: Duration = Duration::from_secs(3);

/// How the operator is to be interrupted at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Killed before the write reaches the server.
    Before,
    /// Killed after it was committed, before the answer.
    After,
    /// Told to stop while it is carried out.
    Stop,
    /// Not at all: the server says that it has failed, which may mean anything, and cannot be asked for a while.
    Unclear,
}

/// Which faults there are.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is there or not, whatever the others are")]
pub(crate) struct Classes {
    pub(crate) refusals: bool,
    pub(crate) conflicts: bool,
    pub(crate) lost_answers: bool,
    pub(crate) watches: bool,
    pub(crate) late_events: bool,
    pub(crate) quotas: bool,
    pub(crate) stale_reads: bool,
    /// Not faults, but they stay: what a mesh and a load balancer controller add to pods.
    pub(crate) sidecars: bool,
    pub(crate) targets: bool,
    /// Nodes come, go and fall silent.
    pub(crate) nodes: bool,
    /// Not a fault: there is a DAEMON service.
    pub(crate) daemons: bool,
    /// Nor this: people pause deployments, protect tasks, and so on.
    pub(crate) controls: bool,
    /// Nor these: nodes are drained, and a service has a disruption budget; container runtimes tell the digests of images.
    pub(crate) budgets: bool,
    pub(crate) digests: bool,
    /// A proxy answers in place of the server, or asks for an absurd patience.
    pub(crate) proxies: bool,
    /// Watches of which nothing at all is heard for minutes.
    pub(crate) silences: bool,
    /// Nothing is created for a while: the namespace is closed, or a webhook has its way.
    pub(crate) denials: bool,
    /// The clocks of operators run fast or slow.
    pub(crate) drifts: bool,
    /// Kubelets have more than one reason.
    pub(crate) reasons: bool,
    /// Not a fault: services are balanced between Availability Zones, and the scheduler says which tasks it cannot place.
    pub(crate) zones: bool,
}

impl Classes {
    /// What is left of them when everything works again.
    pub(crate) fn calm(self) -> Self {
        Self { sidecars: self.sidecars, targets: self.targets, ..Self::default() }
    }

    /// Each of them, or not: faults that always come together hide each other's bugs.
    pub(crate) fn draw(chance: &mut Chance, seed: u64) -> Self {
        // From numbers of their own, so that the seeds of before draw what they drew.
        let mut later = Chance::new(seed, 6);
        let stale_reads = later.happens(500);
        let (sidecars, targets) = (later.happens(400), later.happens(400));
        let (nodes, daemons, controls) = (later.happens(400), later.happens(400), later.happens(400));
        let (budgets, digests) = (later.happens(300), later.happens(500));
        let (proxies, silences, denials) = (later.happens(300), later.happens(200), later.happens(300));
        let (drifts, reasons) = (later.happens(200), later.happens(500));
        let mut half = || chance.happens(500);
        Self {
            refusals: half(),
            conflicts: half(),
            lost_answers: half(),
            watches: half(),
            late_events: half(),
            quotas: half(),
            stale_reads,
            sidecars,
            targets,
            nodes,
            daemons,
            controls,
            budgets,
            digests,
            proxies,
            silences,
            denials,
            drifts,
            reasons,
            zones: Chance::new(seed, 22).happens(400),
        }
    }
}

/// The state that world and server share.
pub(crate) struct Control {
    began: Instant,
    chance: Chance,
    lags: Chance,
    later: Chance,
    pub(crate) classes: Classes,
    /// Clients that were killed: nobody hears them.
    pub(crate) dead: BTreeSet<String>,
    pub(crate) interrupt: Option<(u64, Moment)>,
    /// Most requests a second that are answered, and how many have been in which.
    pub(crate) budget: Option<u32>,
    spent: (u64, u32),
    /// Until when no object can be read.
    silent_until: Option<Instant>,
    /// Until when leases can be neither read nor written.
    no_leases_until: Option<Instant>,
    /// Until when nothing is created, and what is said of it.
    closed_until: Option<(Instant, u64)>,
    /// Writes of operators so far.
    pub(crate) writes: u64,
    /// How an operator is to be interrupted now, and which.
    pub(crate) interrupted: Option<(Moment, String)>,
    pub(crate) wake: Arc<Notify>,
}

/// Decides about faults.
#[derive(Clone)]
pub(crate) struct Faults(pub(crate) Arc<Mutex<Control>>);

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Control {
            began: Instant::now(),
            chance: Chance::new(seed, 1),
            lags: Chance::new(seed, 7),
            later: Chance::new(seed, 18),
            classes: Classes::default(),
            dead: BTreeSet::new(),
            interrupt: None,
            budget: None,
            spent: (0, 0),
            silent_until: None,
            no_leases_until: None,
            closed_until: None,
            writes: 0,
            interrupted: None,
            wake: Arc::new(Notify::new()),
        })))
    }
}

impl Control {
    fn latency(&mut self) -> Duration {
        Duration::from_millis(self.chance.between(1, 20))
    }

    /// From now on for a while nobody can renew a lease, and everything else goes on.
    pub(crate) fn lose_leases(&mut self, time: Duration) {
        self.no_leases_until = Some(Instant::now() + time);
    }

    fn refusal(&mut self, call: &Call) -> Option<Failure> {
        if call.resource.id() == LEASES && self.no_leases_until.is_some_and(|until| Instant::now() < until) {
            return Some(Failure::new(500, "InternalError", "etcdserver: request timed out"));
        }
        if self.classes.conflicts && call.subresource.as_deref() == Some("status") && self.chance.happens(150) {
            return Some(Failure::conflict(&call.resource, &call.name, "the object has been modified; injected"));
        }
        if self.classes.quotas && call.verb == Verb::Create && call.resource.id() == "pods" && self.chance.happens(100)
        {
            return Some(Failure::new(403, "Forbidden", format!("pods {:?} is forbidden: exceeded quota", call.name)));
        }
        if let Some(failure) = self.refusal_of_others(call) {
            return Some(failure);
        }
        if !self.classes.refusals || !self.chance.happens(60) {
            return None;
        }
        let seconds = u32::try_from(self.chance.below(40)).unwrap_or(0);
        Some(match self.chance.below(6) {
            0 => Failure::new(429, "TooManyRequests", "too many requests").retry_after(seconds),
            1 => Failure::new(503, "ServiceUnavailable", "the server is not ready"),
            2 => Failure::new(504, "Timeout", "the request timed out"),
            3 => {
                let what = &call.resource.plural;
                Failure::new(403, "Forbidden", format!("User \"longshore\" cannot create resource \"{what}\""))
            }
            _ => Failure::new(500, "InternalError", "etcdserver: leader changed"),
        })
    }

    /// What proxies and admission say.
    fn refusal_of_others(&mut self, call: &Call) -> Option<Failure> {
        let later = &mut self.later;
        if self.classes.proxies && later.happens(30) {
            let absurd = || Failure::new(503, "ServiceUnavailable", "come back next month").retry_after(30 * 24 * 3600);
            return Some(if later.happens(500) { absurd() } else { Failure::new(502, "", "Bad Gateway") });
        }
        if !self.classes.denials || call.verb != Verb::Create {
            return None;
        }
        let closed = self.closed_until.filter(|(until, _)| Instant::now() < *until);
        if closed.is_none() && later.happens(20) {
            let until = Instant::now() + Duration::from_secs(later.between(5, 60));
            self.closed_until = Some((until, later.below(3)));
        }
        Some(match closed?.1 {
            0 => {
                let why = "unable to create new content in namespace sim because it is being terminated";
                Failure::new(403, "Forbidden", why)
            }
            1 => Failure::new(400, "BadRequest", "admission webhook \"policy.example.com\" denied the request"),
            // Other words each time.
            _ => {
                let why = format!("failed calling webhook \"policy.example.com\": request {} was reset", self.writes);
                Failure::new(500, "InternalError", why)
            }
        })
    }

    /// "Too many requests", as priority and fairness says it.
    fn over_budget(&mut self, second: u64) -> Option<Failure> {
        let budget = self.budget?;
        if self.spent.0 != second {
            self.spent = (second, 0);
        }
        self.spent.1 += 1;
        let over = self.spent.1 > budget;
        over.then(|| Failure::new(429, "TooManyRequests", "too many requests, please try again later").retry_after(1))
    }

    fn interrupt(&mut self, moment: Moment, actor: &str) {
        self.interrupt = None;
        self.interrupted = Some((moment, actor.to_owned()));
        self.wake.notify_one();
    }
}

impl FaultPlan for Faults {
    fn before(&mut self, call: &Call) -> Before {
        let mut control = lock(&self.0);
        if control.dead.contains(&*call.actor) {
            return Before::Hang;
        }
        if call.verb.is_mutating() {
            let index = control.writes;
            control.writes += 1;
            match control.interrupt {
                Some((at, Moment::Before)) if at == index => {
                    control.dead.insert(call.actor.to_string());
                    control.interrupt(Moment::Before, &call.actor);
                    return Before::Hang;
                }
                Some((at, Moment::Stop)) if at == index => control.interrupt(Moment::Stop, &call.actor),
                Some((at, Moment::Unclear)) if at == index => {
                    control.interrupt = None;
                    control.silent_until = Some(Instant::now() + SILENCE);
                    return Before::Refuse(control.latency(), Failure::new(500, "InternalError", "etcd is in trouble"));
                }
                _ => {}
            }
        }
        if call.verb == Verb::Get && control.silent_until.is_some_and(|until| Instant::now() < until) {
            return Before::Refuse(control.latency(), Failure::new(500, "InternalError", "etcd is in trouble"));
        }
        let latency = control.latency();
        let second = control.began.elapsed().as_secs();
        if let Some(failure) = control.over_budget(second).or_else(|| control.refusal(call)) {
            return Before::Refuse(latency, failure);
        }
        if control.classes.lost_answers && call.verb.is_mutating() && control.chance.happens(20) {
            return Before::Break(latency);
        }
        Before::Proceed(latency)
    }

    fn after(&mut self, call: &Call, _: Result<&Value, &Failure>) -> After {
        let mut control = lock(&self.0);
        let index = control.writes.saturating_sub(1);
        if call.verb.is_mutating()
            && let Some((at, Moment::After)) = control.interrupt
            && at <= index
        {
            control.dead.insert(call.actor.to_string());
            control.interrupt(Moment::After, &call.actor);
            return After::Hang;
        }
        let latency = control.latency();
        if control.classes.lost_answers && call.verb.is_mutating() && control.chance.happens(60) {
            return if control.chance.happens(300) { After::Hang } else { After::Break(latency) };
        }
        After::Answer(latency)
    }

    fn lag(&mut self, _: &Call) -> Lag {
        let mut control = lock(&self.0);
        if !control.classes.stale_reads || control.lags.happens(300) {
            return Lag::default();
        }
        Lag { revisions: control.lags.between(1, 60), time: Duration::from_secs(control.lags.below(30)) }
    }

    fn deliver(&mut self, _: &Call, _: &Change) -> Delivery {
        let mut control = lock(&self.0);
        let latency = control.latency();
        if control.classes.watches && control.chance.happens(20) {
            return match control.chance.below(4) {
                0 => Delivery::End,
                1 => Delivery::Cut,
                2 => Delivery::Gone,
                _ => Delivery::Twice(latency),
            };
        }
        if control.classes.silences && control.later.happens(4) {
            return Delivery::Later(Duration::from_secs(control.later.between(120, 600)));
        }
        if control.classes.late_events && control.chance.happens(15) {
            return Delivery::Later(Duration::from_secs(control.chance.between(1, 90)));
        }
        Delivery::Later(latency)
    }
}
