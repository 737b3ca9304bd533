//! A Kubernetes API server inside the process of a test: no sockets, no clock of its own, every fault on request.
//!
//! It does what the real one does as far as the product relies on it; `conformance` says what that is, one sentence a row,
//! and holds against both. Behind a [`kube::Client`] the product cannot tell the two apart.
//!
//! ```text
//! server      a tower service for clients, functions for the actors beside it
//! call        one request, read from HTTP
//! machine     carries requests out       apply, fields   server-side apply and who wrote what
//! read        lists                      schema          what a custom resource may be
//! watch       what has changed           delete          grace, finalizers, owners
//! store       objects and history        subresources    scale, binding, eviction
//! faults      where a test gets a word in
//! ```
#![expect(clippy::arithmetic_side_effects, reason = "a counter that overflows fails the test that it counts for")]
#![expect(clippy::indexing_slicing, reason = "members are set in JSON that is an object: it was made so a line above")]

mod apply;
mod call;
#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::needless_pass_by_value,
    reason = "the rows are tests: they write as they like, and fail by a panic"
)]
pub mod conformance;
mod delete;
mod failure;
mod faults;
mod fields;
mod limits;
mod machine;
mod object;
mod read;
mod resource;
mod schema;
mod selector;
mod server;
mod store;
mod subresources;
mod watch;

pub use call::{Call, Verb};
pub use failure::Failure;
pub use faults::{After, Before, Commit, Delivery, FaultPlan, Lag, NoFaults, NoObserver, Observer};
pub use fields::{Manager, Path, Step};
pub use resource::ResourceType;
pub use server::ApiServer;
pub use store::{Change, ObjectKey, Store};
