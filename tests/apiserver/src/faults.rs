//! The places where a test gets a word in: faults before and after a write, on the way of an event, and an observer of all.

use std::time::Duration;

use serde_json::Value;

use crate::call::Call;
use crate::failure::Failure;
use crate::store::{Change, Store};

/// What becomes of a request before it is carried out.
#[derive(Debug)]
pub enum Before {
    /// It is carried out, after a while.
    Proceed(Duration),
    /// It is refused, after a while.
    Refuse(Duration, Failure),
    /// The connection breaks.
    Break(Duration),
    /// Nobody ever answers, and nothing happens.
    Hang,
}

/// What becomes of an answer. What was written is written.
#[derive(Debug)]
pub enum After {
    /// It arrives, after a while.
    Answer(Duration),
    /// The connection breaks.
    Break(Duration),
    /// It never arrives.
    Hang,
}

/// What becomes of an event on its way to one watch. The events of one watch never overtake each other.
#[derive(Debug)]
pub enum Delivery {
    /// It arrives so long after the write.
    Later(Duration),
    /// It arrives twice.
    Twice(Duration),
    /// The watch ends before it, as when a server restarts: the client may watch on from where it was.
    End,
    /// The connection breaks in the middle of the event.
    Cut,
    /// The watch ends with an error event of 410: the client has to list again.
    Gone,
}

/// How far the cache of a server is behind: there may be several servers, and the client has come to one that lags.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lag {
    /// By how many revisions.
    pub revisions: u64,
    /// For how long.
    pub time: Duration,
}

/// Decides about faults.
pub trait FaultPlan: Send {
    /// Before a request is carried out.
    fn before(&mut self, call: &Call) -> Before;
    /// Before its answer is sent.
    fn after(&mut self, call: &Call, outcome: Result<&Value, &Failure>) -> After;
    /// How far the cache is behind out of which a request is answered that does not ask for the newest state.
    fn lag(&mut self, call: &Call) -> Lag {
        let _ = call;
        Lag::default()
    }
    /// Before an event is sent to a watch.
    fn deliver(&mut self, watch: &Call, change: &Change) -> Delivery;
}

/// Everything works at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl FaultPlan for NoFaults {
    fn before(&mut self, _: &Call) -> Before {
        Before::Proceed(Duration::ZERO)
    }

    fn after(&mut self, _: &Call, _: Result<&Value, &Failure>) -> After {
        After::Answer(Duration::ZERO)
    }

    fn deliver(&mut self, _: &Call, _: &Change) -> Delivery {
        Delivery::Later(Duration::ZERO)
    }
}

/// A committed write, and the request that made it.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The request.
    pub call: &'a Call,
    /// Its number, as [`Observer::requested`] has told it; none if an actor beside the server has written.
    pub request: Option<u64>,
    /// What it changed.
    pub change: &'a Change,
}

/// Sees everything that happens.
pub trait Observer: Send {
    /// A request has come in.
    fn requested(&mut self, number: u64, call: &Call) {
        let _ = (number, call);
    }
    /// A write has been committed; `store` has it already.
    fn committed(&mut self, commit: &Commit<'_>, store: &Store) {
        let _ = (commit, store);
    }
    /// A request has been carried out.
    fn answered(&mut self, number: u64, call: &Call, outcome: Result<&Value, &Failure>) {
        let _ = (number, call, outcome);
    }
    /// A list has arrived.
    fn listed(&mut self, call: &Call, list: &Value) {
        let _ = (call, list);
    }
    /// An event is sent: what the object is now, or that it is gone for this watch.
    fn delivered(&mut self, watch: &Call, object: &Value, gone: bool) {
        let _ = (watch, object, gone);
    }
}

/// Looks the other way.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
