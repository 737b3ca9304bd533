//! A rollout, interrupted at every write (F1, F20).

use crate::faults::Moment;
use crate::people::People;
use crate::process::{Outcome, Simulation};
use crate::scenario::Cast;
use crate::world::lock;

/// Two services come up, and then one is changed and the other scaled.
pub(crate) async fn rollout(interrupt: Option<(u64, Moment)>) -> Outcome {
    let mut cast = Cast::new(1, 2);
    lock(&cast.world.faults.0).interrupt = interrupt;
    cast.start_operator();
    cast.people.begin(&cast.world);
    if let Some(difference) = cast.converge().await {
        lock(&cast.world.ledger).broken.push(format!("before the rollout: {difference}"));
    }
    cast.people.release(&cast.world, "web");
    People::scale(&cast.world, "api", 2);
    cast.become_right().await
}

/// The rollout for each write and each moment, or for as many of them as a test may take.
pub(crate) fn interruptions(writes: u64) -> Vec<Simulation> {
    let moments = [Moment::Before, Moment::After, Moment::Stop];
    let all = (0..writes).flat_map(|write| moments.map(|moment| Simulation::Rollout(Some((write, moment)))));
    // Not a divisor of the number of moments: each write is hit at one moment or another.
    let every = if std::env::var("SWEEP").is_ok_and(|sweep| sweep == "all") { 1 } else { 40 };
    all.step_by(every).collect()
}
