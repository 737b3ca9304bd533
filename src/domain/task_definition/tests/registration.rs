//! When a revision is registered, and when it is deregistered.

use serde_json::{Value, json};

use super::{World, definition, image, without_essential};

#[test]
fn the_first_revision_of_a_family_is_1() {
    let mut world = World::new(image("a"));
    assert_eq!(world.pass().actions.len(), 1);
    assert_eq!(world.ready(), ("False Registered".to_owned(), "web:1 is being registered"));
    assert_eq!((world.status.last_revision, world.status.latest_active_revision.as_deref()), (None, None));
    world.settle();
    assert_eq!((world.numbers(), world.active()), (vec![1], vec![1]));
    assert_eq!(world.ready(), ("True Registered".to_owned(), "web:1 is ACTIVE"));
    assert_eq!(world.status.last_revision, Some(1));
    assert_eq!(world.status.latest_active_revision.as_deref(), Some("web:1"));
    let registered = world.revisions[0].status.as_ref().unwrap();
    assert_eq!(registered.registered_at.as_ref().map(|time| time.0), Some(world.revisions[0].created_at));
    assert_eq!(registered.deregistered_at, None);
}

#[test]
fn each_registration_adds_1_also_of_content_that_an_earlier_revision_had() {
    let mut world = World::registered([image("a"), image("b"), image("a")]);
    assert_eq!(world.numbers(), [1, 2, 3]);
    assert_eq!([1, 2, 3].map(|number| world.image(number)), [Some("a"), Some("b"), Some("a")]);
    assert_eq!(world.active(), [1, 2, 3], "a new revision deregisters none");
    assert_eq!(world.status.latest_active_revision.as_deref(), Some("web:3"));
    world.apply(image("c"));
    world.pass();
    assert_eq!(world.status.latest_active_revision.as_deref(), Some("web:3"), "until web:4 is there");
}

#[test]
fn a_family_whose_last_revision_the_watch_has_not_shown_yet_registers_its_text_no_second_time() {
    let mut world = World::registered([image("a"), image("b")]);
    let unobserved = world.revisions.pop().unwrap();
    world.waits_for_watch = true;
    for deleting in [false, true] {
        world.deleting = deleting;
        let plan = world.plan();
        assert_eq!((plan.actions, &plan.status, plan.hold), (vec![], &world.status, true), "deleting: {deleting}");
        assert_eq!(plan.wake_at.unwrap().as_second(), world.now + 10);
    }
    (world.deleting, world.waits_for_watch) = (false, false);
    world.revisions.push(unobserved);
    world.settle();
    assert_eq!(world.numbers(), [1, 2]);
}

#[test]
fn content_that_means_the_same_is_the_same_revision() {
    let container = |more: Value| {
        let mut container = json!({"name": "app", "image": "a"});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"containerDefinitions": [container]})
    };
    let port = |mode: &str, port: Value| {
        let mut change = container(json!({"portMappings": [port]}));
        change.as_object_mut().unwrap().insert("networkMode".to_owned(), json!(mode));
        change
    };
    let volume = |volume: Value| json!({"volumes": [volume]});
    for (sentence, one, other) in [
        ("essential is true by default", container(json!({})), container(json!({"essential": true}))),
        ("cpu of a container is 0 by default", container(json!({})), container(json!({"cpu": 0}))),
        ("cpu is a number or a text", json!({"cpu": 512}), json!({"cpu": "512"})),
        ("cpu is units or vCPU", json!({"cpu": "512"}), json!({"cpu": ".5 vCPU"})),
        ("memory is MiB or GB", json!({"memory": "1 GB"}), json!({"memory": 1024})),
        ("a family is the object's name by default", json!({}), json!({"family": "web"})),
        ("a list that is not there is empty", container(json!({})), container(json!({"environment": []}))),
        (
            "the protocol is tcp by default",
            port("bridge", json!({"containerPort": 80})),
            port("bridge", json!({"containerPort": 80, "protocol": "tcp"})),
        ),
        (
            "in bridge mode a host port of 0 is any, like none",
            port("bridge", json!({"containerPort": 80})),
            port("bridge", json!({"containerPort": 80, "hostPort": 0})),
        ),
        (
            "in awsvpc mode the host port is the container port",
            port("awsvpc", json!({"containerPort": 80})),
            port("awsvpc", json!({"containerPort": 80, "hostPort": 80})),
        ),
        (
            "in host mode the host port is the container port",
            port("host", json!({"containerPort": 80})),
            port("host", json!({"containerPort": 80, "hostPort": 80})),
        ),
        ("a host without a path is no source", volume(json!({"name": "v"})), volume(json!({"name": "v", "host": {}}))),
        ("how many revisions are kept is not content", json!({}), json!({"kubernetes": {"revisionHistoryLimit": 3}})),
    ] {
        for (one, other) in [(&one, &other), (&other, &one)] {
            let world = World::registered([definition(one), definition(other)]);
            assert_eq!(world.numbers(), [1], "{sentence}");
        }
    }
}

#[test]
fn content_that_means_something_else_is_another_revision() {
    for (sentence, one, other) in [
        ("in bridge mode a host port is one of the node's", json!({"hostPort": 80}), json!({})),
        ("another protocol is another port", json!({"protocol": "udp"}), json!({"protocol": "tcp"})),
    ] {
        let with = |more: &Value| {
            let mut port = json!({"containerPort": 80});
            port.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            definition(&json!({"containerDefinitions": [{"name": "app", "image": "a", "portMappings": [port]}]}))
        };
        assert_eq!(World::registered([with(&one), with(&other)]).numbers(), [1, 2], "{sentence}");
    }
}

#[test]
fn a_definition_that_breaks_a_rule_is_not_registered_and_the_family_stays_as_it_was() {
    let mut world = World::registered([image("a")]);
    world.apply(without_essential());
    world.settle();
    assert_eq!((world.numbers(), world.active()), (vec![1], vec![1]));
    assert_eq!(
        world.ready(),
        (
            "False InvalidTaskDefinition".to_owned(),
            "spec.containerDefinitions: at least one container must be essential; remove essential: false from one"
        )
    );
    assert_eq!(world.status.conditions[1].type_, "Stalled");
    assert_eq!(world.status.latest_active_revision.as_deref(), Some("web:1"));
    world.apply(image("b"));
    world.settle();
    assert_eq!(world.active(), [1, 2]);
    let types: Vec<_> = world.status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Ready", "Exact"]);
}

#[test]
fn a_name_that_is_no_family_is_refused_and_the_object_s_name_is_said_to_be_one() {
    let mut world = World::new(definition(&json!({"family": "we.b"})));
    world.settle();
    assert_eq!(world.numbers(), [0_i64; 0]);
    assert_eq!(
        world.ready().1,
        "spec.family: \"we.b\" is not a family: use 1 to 255 letters, digits, hyphens and underscores; the object's name stands in \
         where spec.family is left out"
    );
}

#[test]
fn a_deregistered_revision_is_inactive_for_ever_and_nothing_is_registered_before_the_content_changes() {
    let mut world = World::registered([image("a"), image("b")]);
    world.deregister(2);
    world.settle();
    assert_eq!(world.active(), [1]);
    assert_eq!(world.numbers(), [1, 2]);
    assert_eq!(world.status.latest_active_revision.as_deref(), Some("web:1"));
    assert_eq!(world.ready().1, "web:1 is ACTIVE");
    let inactive = world.revisions[1].status.clone().unwrap();
    assert_eq!(inactive.deregistered_at.as_ref().map(|time| time.0.as_second()), Some(world.now - 1));
    assert_eq!(
        (inactive.conditions[0].status.as_str(), inactive.conditions[0].reason.as_str()),
        ("False", "RevisionInactive")
    );

    world.deregister(1);
    world.settle();
    assert_eq!(world.active(), [0_i64; 0]);
    assert_eq!(
        world.ready(),
        (
            "False RevisionInactive".to_owned(),
            "every revision is INACTIVE; change the task definition to register another"
        )
    );
    assert_eq!(world.status.latest_active_revision, None);
    assert_eq!(world.revisions[1].status.as_ref(), Some(&inactive), "the time of its deregistration stays");

    world.apply(image("c"));
    world.settle();
    assert_eq!(world.active(), [3]);
    assert_eq!(world.ready().1, "web:3 is ACTIVE");
}

#[test]
fn taking_the_wish_to_deregister_back_registers_another_revision_and_the_old_one_stays_inactive() {
    let mut world = World::registered([image("a")]);
    world.deregister(1);
    world.settle();
    world.revisions[0].deregister = false;
    world.settle();
    assert_eq!((world.numbers(), world.active()), (vec![1, 2], vec![2]));
}
