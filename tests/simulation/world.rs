//! Server, operators and everybody else, in one thread and in simulated time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use longshore_test_apiserver::{ApiServer, Verb};
use longshore_test_chance::Chance;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::admission;
use crate::faults::{Classes, Faults};
use crate::invariants::{Ledger, Watchdog};

/// Locks. Whoever panicked with the lock in hand has failed its test already.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The world that an operator runs in.
pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) faults: Faults,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    began: Instant,
    /// How far the operators' clocks are off.
    jumped: Arc<Mutex<SignedDuration>>,
    /// How fast they run beside the right time, one after the other, in thousandths.
    drifts: Arc<Mutex<Vec<i32>>>,
}

/// When every simulation begins.
const BEGINNING: i64 = 1_767_225_600;

/// The time so long after the beginning.
pub(crate) fn after(elapsed: Duration) -> Timestamp {
    let beginning = Timestamp::from_second(BEGINNING).unwrap();
    beginning.saturating_add(SignedDuration::try_from(elapsed).unwrap()).unwrap()
}

/// Later than any clock of a simulation ever shows.
pub(crate) fn latest() -> Timestamp {
    Timestamp::from_second(BEGINNING).unwrap().saturating_add(SignedDuration::from_hours(24 * 900)).unwrap()
}

impl World {
    /// Where everything happens.
    pub(crate) const NAMESPACE: &str = "sim";

    pub(crate) fn new(seed: u64) -> Self {
        let began = Instant::now();
        let server = ApiServer::new(&longshore::api::crds(), move || after(began.elapsed()));
        let ledger = Arc::new(Mutex::new(Ledger::new(began)));
        server.set_observer(Watchdog(ledger.clone()));
        let faults = Faults::new(seed);
        server.set_faults(faults.clone());
        server.set_admission(admission::admit(faults.clone()));
        let world = Self { server, faults, ledger, began, jumped: Arc::default(), drifts: Arc::default() };
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": Self::NAMESPACE } });
        world.act_on("person", Verb::Create, "namespaces", ("", ""), None, namespace);
        world
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        after(self.began.elapsed())
    }

    /// The clock of the operator that is started as the one of a number.
    pub(crate) fn clock(&self, number: usize) -> impl Fn() -> Timestamp + Send + Sync + 'static {
        let (began, jumped, drifts) = (self.began, self.jumped.clone(), self.drifts.clone());
        move || {
            let elapsed = SignedDuration::try_from(began.elapsed()).unwrap();
            let drifts = lock(&drifts);
            let thousandths = drifts.get(number % drifts.len().max(1)).copied().unwrap_or(0);
            let drifted = SignedDuration::from_millis(elapsed.as_secs() * i64::from(thousandths));
            after(began.elapsed()).saturating_add(*lock(&jumped)).unwrap().saturating_add(drifted).unwrap()
        }
    }

    /// Somebody sets the clocks of the operators' machines.
    pub(crate) fn jump(&self, off: SignedDuration) {
        lock(&self.ledger).is_clock_off = true;
        *lock(&self.jumped) = off;
    }

    /// From now on those clocks do not run alike: one is slow, one is right, and one is twice as fast at times.
    pub(crate) fn drift(&self, seed: u64) {
        lock(&self.ledger).is_clock_off = true;
        let mut chance = Chance::new(seed, 19);
        let speeds = [-500, -20, 0, 20, 1000];
        let drawn = (0..3).map(|_| chance.one_of(&speeds).copied().unwrap_or(0));
        *lock(&self.drifts) = drawn.collect();
    }

    /// All clocks show the time again.
    pub(crate) fn set_clocks_right(&self) {
        *lock(&self.jumped) = SignedDuration::ZERO;
        lock(&self.drifts).clear();
    }

    /// Lets faults of some classes happen from now on.
    pub(crate) fn let_fail(&self, classes: Classes) {
        lock(&self.faults.0).classes = classes;
    }

    /// Somebody writes to an object in the namespace; whether it was taken.
    pub(crate) fn act(
        &self,
        actor: &str,
        verb: Verb,
        resource: &str,
        name: &str,
        sub: Option<&str>,
        body: Value,
    ) -> bool {
        self.act_on(actor, verb, resource, (Self::NAMESPACE, name), sub, body)
    }

    /// Somebody writes to an object anywhere; whether it was taken.
    pub(crate) fn act_on(
        &self,
        actor: &str,
        verb: Verb,
        resource: &str,
        object: (&str, &str),
        subresource: Option<&str>,
        body: Value,
    ) -> bool {
        self.server.act(actor, verb, resource, object, subresource, body).is_ok()
    }
}
