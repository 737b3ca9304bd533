//! Properties over random histories.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{World, image, without_essential};

/// What can happen to a family.
#[derive(Debug, Clone)]
enum Event {
    Apply(&'static str),
    ApplyInvalid,
    DeregisterNewest,
    Delete,
    Recreate,
    /// A pass that is cut off after so many writes, before its status is written.
    CrashAfter(usize),
    Pass,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(Event::Apply),
        1 => Just(Event::ApplyInvalid),
        1 => Just(Event::DeregisterNewest),
        1 => Just(Event::Delete),
        1 => Just(Event::Recreate),
        2 => (0..3_usize).prop_map(Event::CrashAfter),
        6 => Just(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn over_random_histories_no_number_is_given_out_twice_and_the_latest_revision_is_what_is_asked_for(
        events in vec(event(), 1..40),
    ) {
        let mut world = World::new(image("a"));
        for event in events {
            match event {
                Event::Apply(name) => world.apply(image(name)),
                Event::ApplyInvalid => world.apply(without_essential()),
                Event::DeregisterNewest => {
                    if let Some(newest) = world.numbers().into_iter().max() {
                        world.deregister(newest);
                    }
                }
                Event::Delete => world.deleting = true,
                Event::Recreate if world.deleting => {
                    world.settle();
                    world.recreate();
                }
                Event::Recreate => {}
                Event::CrashAfter(writes) => {
                    let plan = world.plan();
                    plan.actions.iter().take(writes).for_each(|action| world.perform(action));
                }
                Event::Pass => drop(world.pass()),
            }
        }
        world.settle();
        let newest = world.revisions.iter().max_by_key(|kept| kept.number).cloned();
        match newest {
            _ if world.deleting => prop_assert!(world.active().is_empty()),
            Some(newest) if !newest.deregister && world.spec.container_definitions[0].essential.is_none() => {
                prop_assert_eq!(world.active().last().copied(), Some(newest.number));
                prop_assert_eq!(world.image(newest.number), world.spec.container_definitions[0].image.as_deref());
            }
            _ => {}
        }
    }
}
