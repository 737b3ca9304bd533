//! A family's life as rows and trajectories: the world below performs what is planned and shows it to the next pass.

#![expect(clippy::arithmetic_side_effects, reason = "a test may fail this way")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::names::Uid;
use crate::api::{RevisionState, RevisionStatus, TaskDefinitionSpec, TaskDefinitionStatus};
use crate::domain::Plan;
use crate::domain::resolve::features::Features;
use crate::domain::task_definition::{Action, Observed, Revision, plan};

/// The object `web`, and the revisions that there are.
#[derive(Debug)]
struct World {
    spec: TaskDefinitionSpec,
    status: TaskDefinitionStatus,
    generation: i64,
    deleting: bool,
    taken_by: Option<&'static str>,
    services: Vec<String>,
    used: BTreeSet<i64>,
    revisions: Vec<Kept>,
    /// The highest number of all time.
    last: i64,
    now: i64,
}

/// A revision in the API server.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    number: i64,
    created_at: Timestamp,
    deregister: bool,
    spec: TaskDefinitionSpec,
    status: Option<RevisionStatus>,
}

impl Kept {
    fn observed(&self) -> Revision<'_> {
        Revision {
            number: self.number,
            object: format!("web-{}", self.number),
            uid: Uid(format!("uid of {}", self.number)),
            resource_version: "1".to_owned(),
            generation: Some(1),
            created_at: self.created_at,
            deregister: self.deregister,
            deleting: false,
            spec: &self.spec,
            status: self.status.as_ref(),
        }
    }
}

impl World {
    fn new(spec: TaskDefinitionSpec) -> Self {
        Self {
            spec,
            status: TaskDefinitionStatus::default(),
            generation: 1,
            deleting: false,
            taken_by: None,
            services: Vec::new(),
            used: BTreeSet::new(),
            revisions: Vec::new(),
            last: 0,
            now: 0,
        }
    }

    /// A family that has registered each of these in turn.
    fn registered(specs: impl IntoIterator<Item = TaskDefinitionSpec>) -> Self {
        let mut world = Self::new(TaskDefinitionSpec::default());
        for spec in specs {
            world.apply(spec);
            world.settle();
        }
        world
    }

    fn apply(&mut self, spec: TaskDefinitionSpec) {
        self.spec = spec;
        self.generation += 1;
    }

    /// The object is deleted, and made again with the same spec.
    fn recreate(&mut self) {
        self.status = TaskDefinitionStatus::default();
        self.generation = 1;
        self.deleting = false;
    }

    fn plan(&self) -> Plan<Action, TaskDefinitionStatus> {
        let seen = Observed {
            name: "web",
            generation: Some(self.generation),
            deleting: self.deleting,
            spec: &self.spec,
            status: &self.status,
            taken_by: self.taken_by,
            revisions: self.revisions.iter().map(Kept::observed).collect(),
            services: self.services.clone(),
            used: self.used.clone(),
            features: Features::ALL,
        };
        plan(&seen, self.time())
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_second(self.now).unwrap()
    }

    /// One pass, with all of its writes.
    fn pass(&mut self) -> Plan<Action, TaskDefinitionStatus> {
        self.now += 1;
        let plan = self.plan();
        for action in &plan.actions {
            self.perform(action);
        }
        self.status = plan.status.clone();
        plan
    }

    fn perform(&mut self, action: &Action) {
        match action {
            Action::Register(name, spec) => {
                assert_eq!(name.number, spec.revision);
                assert_eq!(spec.task_definition.family.as_deref(), Some(name.family.as_str()));
                assert_eq!(name.number, self.last + 1, "numbers go up by 1 and none comes twice");
                self.last = name.number;
                self.revisions.push(Kept {
                    number: name.number,
                    created_at: self.time(),
                    deregister: false,
                    spec: spec.task_definition.clone(),
                    status: None,
                });
            }
            Action::SetStatus { object, status, .. } => {
                let kept = self.revisions.iter_mut().find(|kept| format!("web-{}", kept.number) == *object);
                kept.unwrap().status = Some((**status).clone());
            }
            Action::Prune { object, uid } => {
                let place = self.revisions.iter().position(|kept| format!("web-{}", kept.number) == *object);
                let pruned = self.revisions.remove(place.unwrap());
                assert_eq!(uid.0, format!("uid of {}", pruned.number));
            }
        }
    }

    /// Passes until one plans nothing new. What it then says has to stay.
    fn settle(&mut self) {
        for _ in 0..4 {
            let before = self.status.clone();
            if self.pass().actions.is_empty() && self.status == before {
                return;
            }
        }
        panic!("the family does not come to rest: {:?}", self.plan());
    }

    fn numbers(&self) -> Vec<i64> {
        self.revisions.iter().map(|kept| kept.number).collect()
    }

    fn active(&self) -> Vec<i64> {
        let state = |kept: &&Kept| kept.status.as_ref().and_then(|status| status.status);
        let active = self.revisions.iter().filter(|kept| state(kept) == Some(RevisionState::Active));
        active.map(|kept| kept.number).collect()
    }

    fn image(&self, number: i64) -> Option<&str> {
        let kept = self.revisions.iter().find(|kept| kept.number == number)?;
        kept.spec.container_definitions[0].image.as_deref()
    }

    fn deregister(&mut self, number: i64) {
        self.revisions.iter_mut().find(|kept| kept.number == number).unwrap().deregister = true;
    }

    /// `Ready` with its reason, and its message.
    fn ready(&self) -> (String, &str) {
        let ready = &self.status.conditions[0];
        assert_eq!(ready.type_, "Ready");
        (format!("{} {}", ready.status, ready.reason), &ready.message)
    }
}

/// A definition with members replaced.
fn definition(change: &Value) -> TaskDefinitionSpec {
    let mut spec = json!({"containerDefinitions": [{"name": "app", "image": "a"}]});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn image(image: &str) -> TaskDefinitionSpec {
    definition(&json!({"containerDefinitions": [{"name": "app", "image": image}]}))
}

fn without_essential() -> TaskDefinitionSpec {
    definition(&json!({"containerDefinitions": [{"name": "app", "image": "a", "essential": false}]}))
}

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

#[test]
fn members_without_effect_are_named_on_the_definition_and_on_its_revision() {
    let port = json!([{"containerPort": 80, "appProtocol": "http"}]);
    let container = json!({"name": "app", "image": "a", "portMappings": port});
    let world = World::registered([definition(&json!({"containerDefinitions": [container]}))]);
    let named = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| {
        let condition = conditions.iter().find(|condition| condition.type_ == "NotImplemented");
        condition.map(|condition| condition.message.clone())
    };
    let message = Some(
        "accepted, but without effect in this version: spec.containerDefinitions[app].portMappings[0].appProtocol"
            .to_owned(),
    );
    assert_eq!(named(&world.status.conditions), message);
    assert_eq!(named(&world.revisions[0].status.as_ref().unwrap().conditions), message);
}

#[test]
fn what_is_not_as_on_ecs_is_told_on_the_definition_and_on_its_revision() {
    let exact = |world: &World| {
        let of = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| {
            let condition = conditions.iter().find(|condition| condition.type_ == "Exact")?;
            Some(format!("{} {}: {}", condition.status, condition.reason, condition.message))
        };
        let revision = world.revisions.first().and_then(|kept| of(&kept.status.as_ref()?.conditions));
        (of(&world.status.conditions), revision)
    };
    let told = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
    assert_eq!(exact(&World::registered([image("a")])), told("True AsOnEcs: tasks do what they do on ECS"));
    let deviating = definition(&json!({"enableFaultInjection": true}));
    assert_eq!(
        exact(&World::registered([deviating])),
        told(
            "False Deviates: spec.enableFaultInjection: there is no endpoint for fault injection (FaultInjectionIgnored)"
        )
    );
    let refused = World::registered([without_essential()]);
    assert_eq!(exact(&refused), (None, None), "of what is refused there are no tasks");
}

#[test]
fn strict_refuses_what_is_not_as_on_ecs_and_names_each() {
    let strict = json!({"enableFaultInjection": true, "executionRoleArn": "pull", "kubernetes": {"strict": true}});
    let mut world = World::registered([definition(&strict)]);
    let (ready, message) = world.ready();
    assert_eq!((ready.as_str(), world.numbers()), ("False InvalidTaskDefinition", vec![]));
    for named in [
        "spec.executionRoleArn: ",
        "(ExecutionRoleUnused); change it, or take spec.kubernetes.strict away",
        "spec.enableFaultInjection: ",
    ] {
        assert!(message.contains(named), "{message}");
    }
    world.apply(definition(&json!({"kubernetes": {"strict": true}})));
    world.settle();
    assert_eq!(world.numbers(), [1]);
    world.apply(definition(&json!({})));
    world.settle();
    assert_eq!(world.numbers(), [1], "strict is no part of a revision");
}

#[test]
fn what_tasks_need_of_kubernetes_is_part_of_a_revision() {
    let labelled =
        |team: &str| definition(&json!({"kubernetes": {"revisionHistoryLimit": 5, "labels": {"team": team}}}));
    let world = World::registered([labelled("a"), labelled("a"), labelled("b")]);
    assert_eq!(world.numbers(), [1, 2]);
    let kept = world.revisions[0].spec.kubernetes.as_ref().unwrap();
    assert_eq!((kept.revision_history_limit, kept.labels["team"].as_str()), (None, "a"));
}

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
