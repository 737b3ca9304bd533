//! The functional core: what ECS does, as pure functions.
//!
//! Nothing here is async or logs, and nothing here knows a client, a clock or a source of randomness: time, identities and
//! the writes still in flight are inputs, and the one output is a [`Plan`]. "Not yet" is data (a condition and a `wake_at`),
//! never an error.

pub mod capacity_provider;
pub mod cluster;
pub mod facts;
pub mod leader_election;
pub mod placement;
pub mod pod;
pub mod resolve;
pub mod secrets;
pub mod service;
pub mod task;
pub mod task_definition;

use jiff::Timestamp;

/// What one pass over an object decided. Pure data: comparing two plans compares two behaviours.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<Action, Status> {
    /// Writes to perform, in order. Each is idempotent and guarded by what was observed.
    pub actions: Vec<Action>,
    /// What the object's status should say.
    pub status: Status,
    /// Whether the object must outlive a request to delete it, for now.
    pub hold: bool,
    /// The earliest moment at which the plan could come out differently without any event.
    pub wake_at: Option<Timestamp>,
}
