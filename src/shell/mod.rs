//! The imperative shell: everything that touches the world.

pub mod admin;
pub mod cache;
pub mod clock;
pub mod driver;
pub mod events;
pub mod features;
pub mod leader_election;
pub mod many;
pub mod secrets;
pub mod telemetry;
pub mod writer;
pub mod written;

use kube::Client;

use crate::domain::pod::PodBuilder;
use crate::domain::resolve::features::Features;
use crate::shell::cache::Caches;
use crate::shell::clock::Clock;
use crate::shell::events::Events;

/// What every controller works with.
#[derive(Clone)]
pub struct Context {
    /// The client.
    pub client: Client,
    /// What has been observed.
    pub caches: Caches,
    /// Where events go.
    pub events: Events,
    /// Tells the time.
    pub clock: Clock,
    /// How pods are built.
    pub build_pod: PodBuilder,
    /// What the API server can express.
    pub features: Features,
}
