//! The operator itself, as the product starts it.

use kube::Client;
use longshore::controllers::run::{Ended, Inputs, run};
use longshore::domain::pod::PodBuilder;
use longshore::domain::resolve::features::Features;
use longshore::shell::cache::Scope;
use longshore::shell::clock::Clock;
use longshore::shell::events::Events;
use longshore::shell::leader_election::Candidate;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::{Layer, service_fn};

use crate::world::{World, lock};

/// A running operator.
pub(crate) struct Operator {
    name: String,
    running: JoinHandle<()>,
    stop: CancellationToken,
}

/// Whether an operator works at once, or once it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    AtOnce,
    Elected,
}

impl Operator {
    /// Starts one. Each has a name of its own, as each process has.
    pub(crate) fn start(world: &World, (name, number): (&str, usize), build_pod: PodBuilder, begins: Begins) -> Self {
        let client = world.server.client(name);
        let stop = CancellationToken::new();
        let inputs = Inputs { clock: Clock::new(world.clock(number)), build_pod, features: Features::ALL };
        let running = match begins {
            Begins::AtOnce => {
                let work = Box::pin(work(client, name, stop.clone(), inputs));
                tokio::spawn(async move {
                    work.await;
                })
            }
            Begins::Elected => tokio::spawn(lead(client, name.to_owned(), stop.clone(), inputs)),
        };
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

    /// Whether it has ended by itself: only one that has lost its leadership may.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.is_finished()
    }
}

fn work(client: Client, name: &str, stop: CancellationToken, inputs: Inputs) -> impl Future<Output = Ended> + use<> {
    let events = Events::new(client.clone(), Some(name.to_owned()));
    let (ready, _) = watch::channel(false);
    run(client, Scope::All, true, events, ready, stop, inputs)
}

/// As `longshore run --leader-elect` does it.
async fn lead(client: Client, name: String, stop: CancellationToken, inputs: Inputs) {
    let candidate = Candidate::new(client.clone(), World::NAMESPACE, "longshore", Some(&name), inputs.clock.clone());
    let Ok(Some(leader)) = candidate.lead(&stop).await else { return };
    let send = service_fn(move |request| {
        let client = client.clone();
        async move { client.send(request).await }
    });
    let fenced = Client::new(leader.fence().layer(send), World::NAMESPACE);
    if let Ok((Ended::Finished, leader)) = leader.while_leading(Box::pin(work(fenced, &name, stop, inputs))).await {
        leader.release().await;
    }
}
