//! Which revisions are kept, and what becomes of a family that is deleted.

use std::collections::BTreeSet;

use super::{World, image, without_essential};
use crate::api::TaskDefinitionSpec;

#[test]
fn revisions_that_nothing_uses_are_kept_up_to_the_limit_and_the_newest_and_used_ones_always() {
    let families = |limit: Option<i32>, count: i32| {
        let spec = |n: i32| TaskDefinitionSpec {
            kubernetes: Some(crate::api::TaskDefinitionKubernetes {
                revision_history_limit: limit,
                ..Default::default()
            }),
            ..image(&n.to_string())
        };
        World::registered((1..=count).map(spec))
    };
    assert_eq!(families(None, 13).numbers(), (3..=13).collect::<Vec<_>>(), "ten besides the newest by default");
    assert_eq!(families(Some(1), 5).numbers(), [4, 5]);
    let mut world = families(Some(3), 4);
    world.used = BTreeSet::from([1, 3]);
    for n in 5..=9 {
        world.apply(TaskDefinitionSpec { kubernetes: world.spec.kubernetes.clone(), ..image(&n.to_string()) });
        world.settle();
    }
    assert_eq!(world.numbers(), [1, 3, 6, 7, 8, 9]);
    world.used.clear();
    world.settle();
    assert_eq!(world.numbers(), [6, 7, 8, 9]);
}

#[test]
fn the_latest_active_revision_is_kept_however_many_inactive_ones_are_newer() {
    let mut world = World::registered(["1", "2", "3", "4"].map(image));
    for number in 2..=4 {
        world.deregister(number);
    }
    world.spec.kubernetes =
        Some(crate::api::TaskDefinitionKubernetes { revision_history_limit: Some(1), ..Default::default() });
    world.settle();
    assert_eq!(world.numbers(), [1, 3, 4]);
    assert_eq!(world.status.latest_active_revision.as_deref(), Some("web:1"));
}

#[test]
fn a_family_in_use_is_not_deleted_and_says_by_whom_it_is_used() {
    let mut world = World::registered([image("a"), image("b")]);
    world.services = vec!["api".to_owned(), "worker".to_owned()];
    world.used = BTreeSet::from([1]);
    world.deleting = true;
    world.settle();
    assert!(world.plan().hold);
    assert_eq!(world.active(), [1, 2]);
    assert_eq!(
        world.ready(),
        (
            "False InUse".to_owned(),
            "the family is still used by the services api, worker; delete them, or let them run another family"
        )
    );
    world.apply(image("c"));
    assert_eq!(world.pass().actions, [], "what is being deleted registers nothing");
}

#[test]
fn a_deleted_family_leaves_its_newest_revision_inactive_and_is_held_until_that_is_so() {
    let mut world = World::registered([image("a"), image("b"), image("c")]);
    world.deleting = true;
    assert!(world.pass().hold, "the revisions were ACTIVE when it was planned");
    assert_eq!(world.ready(), ("False Draining".to_owned(), "the revisions become INACTIVE"));
    assert_eq!(world.status.latest_active_revision, None);
    assert!(!world.pass().hold);
    assert_eq!((world.numbers(), world.active()), (vec![3], vec![]));
}

#[test]
fn a_deleted_family_keeps_the_revisions_that_tasks_still_run() {
    let mut world = World::registered([image("a"), image("b"), image("c")]);
    world.used = BTreeSet::from([1]);
    world.deleting = true;
    world.settle();
    assert_eq!((world.numbers(), world.active()), (vec![1, 3], vec![]));
    assert!(!world.plan().hold);
}

#[test]
fn a_family_that_never_had_a_revision_goes_at_once() {
    let mut world = World::new(without_essential());
    world.settle();
    world.deleting = true;
    assert!(!world.pass().hold);
}

#[test]
fn numbers_are_never_used_again_not_even_after_the_family_was_deleted() {
    let mut world = World::registered([image("a"), image("b")]);
    world.deleting = true;
    world.settle();
    world.recreate();
    world.settle();
    assert_eq!((world.numbers(), world.active()), (vec![2, 3], vec![3]), "the same content, and still a new number");

    world.revisions.clear();
    world.settle();
    assert_eq!(world.numbers(), [4], "status remembers the number when no revision does");
    assert_eq!(world.status.last_revision, Some(4));
}

#[test]
fn of_two_objects_with_one_family_the_older_has_it_and_the_other_leaves_its_revisions_alone() {
    let mut younger = World::registered([image("a"), image("b")]);
    younger.recreate();
    let revisions = younger.revisions.clone();
    younger.taken_by = Some("web-old");
    younger.services = vec!["api".to_owned()];
    younger.apply(image("c"));
    younger.settle();
    assert_eq!(
        younger.ready(),
        (
            "False InvalidTaskDefinition".to_owned(),
            "spec.family: the TaskDefinition \"web-old\" has the family \"web\" already; give this one another"
        )
    );
    assert_eq!((younger.status.last_revision, younger.status.latest_active_revision.as_deref()), (None, None));
    assert_eq!(younger.revisions, revisions);

    younger.deleting = true;
    assert!(!younger.pass().hold, "the services use the older one");
    assert_eq!(younger.revisions, revisions);

    younger.deleting = false;
    younger.taken_by = None;
    younger.settle();
    assert_eq!(younger.active(), [1, 2, 3], "once the older one is gone the family is the other's");
}
