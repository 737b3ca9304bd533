//! What a service runs, waits for and asks for.

use serde_json::{Value, json};

use super::*;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition;

/// A service of `web` in a cluster that exists, with members replaced, or removed by `null`.
fn spec(change: &Value) -> ServiceSpec {
    let mut spec = json!({"cluster": "blue", "taskDefinition": "web", "desiredCount": 3});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn revision(name: &str) -> RevisionName {
    name.parse().unwrap()
}

/// `web:2` is the latest ACTIVE revision, and nothing runs.
fn references() -> References {
    References { cluster: true, latest: Some(revision("web:2")), pinned: None, running: None, unobserved: None }
}

fn target(change: &Value, references: &References) -> String {
    match resolve(&spec(change), &BTreeMap::new(), references).target {
        Ok(target) => target.revision.to_string(),
        Err(Summary::Reconciling(reason, message)) => format!("Reconciling {}: {message}", reason.as_str()),
        Err(Summary::Stalled(reason, message)) => format!("Stalled {}: {message}", reason.as_str()),
        Err(Summary::Ready(..)) => panic!("what is not known is not ready"),
    }
}

#[test]
fn a_service_runs_what_it_names_or_says_what_it_waits_for() {
    let pinned = json!({"taskDefinition": "web:1"});
    for (sentence, change, references, expected) in [
        ("a family stands for its latest ACTIVE revision", json!({}), references(), "web:2"),
        (
            "a pinned revision is run whatever the latest one is",
            pinned.clone(),
            References { pinned: Some(true), ..references() },
            "web:1",
        ),
        (
            "what runs is not exchanged for an older revision because the newer one has not been observed yet",
            json!({}),
            References { unobserved: Some(revision("web:3")), ..references() },
            "Reconciling TaskDefinitionNotFound: waiting to observe the revision web:3, which runs already",
        ),
        (
            "an ARN means the same as its last part",
            json!({"taskDefinition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1"}),
            References { pinned: Some(true), ..references() },
            "web:1",
        ),
        (
            "a cluster may come later",
            json!({}),
            References { cluster: false, ..references() },
            "Reconciling ClusterNotFound: waiting for the Cluster \"blue\"; create it, or name another in spec.cluster",
        ),
        (
            "a cluster that is not named is default",
            json!({"cluster": null}),
            References { cluster: false, ..references() },
            "Reconciling ClusterNotFound: waiting for the Cluster \"default\"; create it, or name another in spec.cluster",
        ),
        (
            "a family may come later, and so may its first ACTIVE revision",
            json!({}),
            References { latest: None, ..references() },
            "Reconciling TaskDefinitionNotFound: waiting for the TaskDefinition \"web\" to have an ACTIVE revision",
        ),
        (
            "a pinned revision may come later",
            pinned.clone(),
            references(),
            "Reconciling TaskDefinitionNotFound: waiting for the revision web:1, which does not exist (yet); spec.taskDefinition \
             names it",
        ),
        (
            "no service can be moved onto an INACTIVE revision",
            pinned.clone(),
            References { pinned: Some(false), running: Some(revision("web:2")), ..references() },
            "Stalled RevisionInactive: the revision web:1 is INACTIVE; name an ACTIVE one in spec.taskDefinition",
        ),
        (
            "no service can be created with an INACTIVE revision",
            pinned.clone(),
            References { pinned: Some(false), ..references() },
            "Stalled RevisionInactive: the revision web:1 is INACTIVE; name an ACTIVE one in spec.taskDefinition",
        ),
        (
            "a service that runs a revision goes on when that becomes INACTIVE",
            pinned,
            References { pinned: Some(false), running: Some(revision("web:1")), ..references() },
            "web:1",
        ),
        (
            "a task definition is named",
            json!({"taskDefinition": null}),
            references(),
            "Stalled InvalidSpec: spec.taskDefinition: name a family, or a revision as family:revision",
        ),
        (
            "revisions are counted from 1",
            json!({"taskDefinition": "web:0"}),
            references(),
            "Stalled InvalidSpec: spec.taskDefinition: \"web:0\" is not a revision: write family:revision with a revision \
             number from 1, for example web:7",
        ),
        (
            "a family has no dots",
            json!({"taskDefinition": "web.api"}),
            references(),
            "Stalled InvalidSpec: spec.taskDefinition: \"web.api\" is not a family: use 1 to 255 letters, digits, hyphens and \
             underscores",
        ),
        (
            "an ARN is that of a task definition",
            json!({"taskDefinition": "arn:aws:ecs:eu-west-1:123456789012:cluster/web"}),
            references(),
            "Stalled InvalidSpec: spec.taskDefinition: \"arn:aws:ecs:eu-west-1:123456789012:cluster/web\" is not a task \
             definition: write family, family:revision or a task definition ARN",
        ),
    ] {
        assert_eq!(target(&change, &references), expected, "{sentence}");
    }
}

/// The service, once it has seen the definition of `web:2` with these members.
fn with_definition(change: &Value, definition: &Value) -> ResolvedService {
    let mut task = json!({"containerDefinitions": [{"name": "app", "image": "i"}]});
    task.as_object_mut().unwrap().extend(definition.as_object().unwrap().clone());
    let definition = task_definition::resolve(&serde_json::from_value(task).unwrap(), Features::ALL).unwrap();
    let spec = spec(change);
    let mut service = resolve(&spec, &BTreeMap::new(), &references());
    service.check_volumes(&definition, &spec);
    service
}

#[test]
fn a_service_configures_the_volumes_that_its_task_definition_leaves_to_it_and_no_others() {
    let left = |more: Value| {
        let mut definition = json!({"volumes": [{"name": "Disk", "configuredAtLaunch": true}, {"name": "tmp"}]});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        definition
    };
    let disk = |disk: Value| json!({"volumeConfigurations": [{"name": "Disk", "managedEBSVolume": disk}]});
    let none = || json!({});
    let known = json!({"kubernetes": {"volumes": [{"name": "Disk", "emptyDir": {}}]}});
    for (sentence, service, definition, expected) in [
        ("it does", disk(json!({"roleArn": "r", "sizeInGiB": 1})), left(none()), None),
        ("nothing is left to it", none(), none(), None),
        (
            "it does not",
            none(),
            left(none()),
            Some(": the volume \"Disk\" is configuredAtLaunch; add an entry of that name (web:2 is to run)"),
        ),
        (
            "it says nothing of the volume",
            json!({"volumeConfigurations": [{"name": "Disk"}]}),
            left(none()),
            Some("[Disk].managedEBSVolume: say at least sizeInGiB and roleArn (web:2 is to run)"),
        ),
        (
            "a volume has a size, one from a snapshot too",
            disk(json!({"roleArn": "r", "snapshotId": "snap-1"})),
            left(none()),
            Some(
                "[Disk].managedEBSVolume.sizeInGiB: say how large the volume is; of a snapshot, at least as large as what it \
                 was made from (web:2 is to run)",
            ),
        ),
        (
            "there is no such volume",
            disk(json!({"roleArn": "r", "sizeInGiB": 1})),
            none(),
            Some(
                "[Disk]: there is no volume of that name that is configuredAtLaunch; remove the entry (web:2 is to run)",
            ),
        ),
        ("spec.kubernetes says what the volume is", disk(json!({"roleArn": "r"})), left(known.clone()), None),
        ("and the service need not", none(), left(known), None),
    ] {
        let found = match with_definition(&service, &definition).target {
            Ok(_) => None,
            Err(Summary::Stalled(Reason::InvalidSpec, message)) => Some(message),
            Err(other) => panic!("{sentence}: {other:?}"),
        };
        let expected = expected.map(|part| format!("spec.volumeConfigurations{part}"));
        assert_eq!(found, expected, "{sentence}");
    }
}

#[test]
fn counts_and_percentages_are_those_of_the_spec_or_the_defaults_of_a_replica_service() {
    let percents = |minimum: Value, maximum: Value| json!({"deploymentConfiguration": {"minimumHealthyPercent": minimum, "maximumPercent": maximum}});
    for (sentence, change, expected) in [
        ("the floor is 100 percent by default and the ceiling 200", json!({}), (3, 100, 200)),
        ("an empty configuration changes neither", percents(Value::Null, Value::Null), (3, 100, 200)),
        ("the floor alone", percents(json!(50), Value::Null), (3, 50, 200)),
        ("the ceiling alone", percents(Value::Null, json!(150)), (3, 100, 150)),
        ("a floor of 0 is one", percents(json!(0), json!(100)), (3, 0, 100)),
        ("no tasks are a number of tasks", json!({"desiredCount": 0}), (0, 100, 200)),
        ("for DAEMON the floor is 0 and the ceiling 100", json!({"schedulingStrategy": "DAEMON"}), (3, 0, 100)),
    ] {
        let service = resolve(&spec(&change), &BTreeMap::new(), &references());
        let found = (service.desired_count, service.minimum_healthy_percent, service.maximum_percent);
        assert_eq!(found, expected, "{sentence}");
    }
}

#[test]
fn only_what_ecs_deploys_anew_starts_a_deployment() {
    let content = |change: Value| resolve(&spec(&change), &BTreeMap::new(), &references()).target.unwrap().content;
    let before = content(json!({}));
    for (sentence, change, starts_one) in [
        ("another number of tasks", json!({"desiredCount": 4}), false),
        ("other percentages", json!({"deploymentConfiguration": {"maximumPercent": 150}}), false),
        ("another grace period", json!({"healthCheckGracePeriodSeconds": 30}), false),
        ("another placement", json!({"placementStrategy": [{"type": "random"}]}), false),
        ("a load balancer", json!({"loadBalancers": [{"containerName": "app", "containerPort": 80}]}), true),
        ("a network", json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a"]}}}), true),
        ("a platform", json!({"platformVersion": "1.4.0"}), true),
    ] {
        assert_eq!(content(change) != before, starts_one, "{sentence}");
    }
    let other = References { latest: Some(revision("web:3")), ..references() };
    assert_ne!(
        resolve(&spec(&json!({})), &BTreeMap::new(), &other).target.unwrap().content,
        before,
        "another revision"
    );
}

#[test]
fn availability_zone_rebalancing_is_for_replica_services_that_ask_for_it_and_spread_over_zones_first() {
    let member = "spec.availabilityZoneRebalancing";
    let zone = "attribute:ecs.availability-zone";
    for (sentence, change, rebalances, without_effect) in [
        ("never set is DISABLED", json!({}), false, None),
        ("so is what says so", json!({"availabilityZoneRebalancing": "DISABLED"}), false, None),
        ("a service without a strategy", json!({}), true, None),
        (
            "one whose first strategy is spread over zones",
            json!({"placementStrategy": [{"type": "spread", "field": zone}, {"type": "binpack", "field": "memory"}]}),
            true,
            None,
        ),
        (
            "not one with another strategy first",
            json!({"placementStrategy": [{"type": "binpack", "field": "memory"}, {"type": "spread", "field": zone}]}),
            false,
            Some("the first placementStrategy is not spread over attribute:ecs.availability-zone"),
        ),
        (
            "not one that uses the zone as a constraint",
            json!({"placementConstraints": [{"type": "memberOf", "expression": format!("not({zone} == eu-1a)")}]}),
            false,
            Some("placementConstraints name the Availability Zone"),
        ),
        (
            "other constraints do not matter",
            json!({"placementConstraints": [{"type": "memberOf", "expression": "attribute:stack == prod"}]}),
            true,
            None,
        ),
        (
            "not one that must not start a task before it stops one",
            json!({"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 100}}),
            false,
            Some("maximumPercent leaves no room to start a task first; make it more"),
        ),
        (
            "nor one that must not for its few tasks: 133 percent of 3 are 3",
            json!({"deploymentConfiguration": {"maximumPercent": 133}}),
            false,
            Some("maximumPercent leaves no room to start a task first; make it more"),
        ),
        (
            "a single task, of which one zone has enough",
            json!({"desiredCount": 1, "deploymentConfiguration": {"maximumPercent": 133}}),
            true,
            None,
        ),
    ] {
        let mut change = change;
        if !matches!(sentence, "never set is DISABLED" | "so is what says so") {
            change["availabilityZoneRebalancing"] = json!("ENABLED");
        }
        let service = resolve(&spec(&change), &BTreeMap::new(), &references());
        assert_eq!(service.rebalances_zones, rebalances, "{sentence}");
        let told = service.not_implemented.iter().find(|told| told.starts_with(member));
        let expected = without_effect.map(|why| format!("{member} ({why})"));
        assert_eq!(told, expected.as_ref(), "{sentence}");
    }
    let asks = json!({"availabilityZoneRebalancing": "ENABLED"});
    for (expression, rebalances) in [
        ("attribute:stack == prod", true),
        ("attribute:ecs.availability-zone != eu-1d", false),
        ("attribute:topology.kubernetes.io/zone != eu-1d", false),
    ] {
        let definition = json!({
            "containerDefinitions": [{"name": "app", "image": "example.com/app:1"}],
            "placementConstraints": [{"type": "memberOf", "expression": expression}],
        });
        let definition = task_definition::resolve(&serde_json::from_value(definition).unwrap(), Features::ALL).unwrap();
        let mut service = resolve(&spec(&asks), &BTreeMap::new(), &references());
        service.check_zones(&definition);
        assert_eq!(service.rebalances_zones, rebalances, "{expression}");
        assert_eq!(service.not_implemented.iter().any(|told| told.starts_with(member)), !rebalances, "{expression}");
    }
    let daemon = json!({"schedulingStrategy": "DAEMON", "availabilityZoneRebalancing": "ENABLED"});
    let service = resolve(&spec(&daemon), &BTreeMap::new(), &references());
    assert!(!service.rebalances_zones && service.not_implemented.iter().any(|told| told == member));
}
