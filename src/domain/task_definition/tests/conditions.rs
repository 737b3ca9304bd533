//! What is told of a definition and of its revisions.

use serde_json::json;

use super::{World, definition, image, without_essential};

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
