//! The operator itself, as the product starts it.

use longshore::controllers::run::{Ended, Inputs, run};
use longshore::domain::pod::PodBuilder;
use longshore::domain::resolve::features::Features;
use longshore::shell::cache::Scope;
use longshore::shell::clock::Clock;
use longshore::shell::events::Events;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{World, lock};

/// A running operator.
pub(crate) struct Operator {
    name: String,
    running: JoinHandle<Ended>,
    stop: CancellationToken,
}

impl Operator {
    /// Starts one. Each has a name of its own, as each process has.
    pub(crate) fn start(world: &World, name: &str, build_pod: PodBuilder) -> Self {
        let client = world.server.client(name);
        let events = Events::new(client.clone(), Some(name.to_owned()));
        let (ready, _) = watch::channel(false);
        let stop = CancellationToken::new();
        let inputs = Inputs { clock: Clock::new(world.clock()), build_pod, features: Features::ALL };
        let running = tokio::spawn(run(client, Scope::All, true, events, ready, stop.clone(), inputs));
        Self { name: name.to_owned(), running, stop }
    }

    /// `kill -9`: what is on its way does not arrive.
    pub(crate) async fn kill(self, world: &World) {
        lock(&world.faults.0).dead.insert(self.name.clone());
        lock(&world.ledger).dead.insert(self.name);
        self.running.abort();
        // It was aborted: that is all that can come out.
        let _ = self.running.await;
    }

    /// SIGTERM, and the wait for the end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }

    /// Whether it is the one of a name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether it has ended by itself, which it must not.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.is_finished()
    }
}
