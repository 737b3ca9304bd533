//! Where the values of a task definition are.

use serde_json::{Value, json};

use super::*;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition;

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";

/// What a container takes, in a cluster.
fn found(container: &Value, cluster: Value) -> Result<TaskSecrets, Vec<Problem>> {
    let mut app = json!({ "name": "app", "image": "ghcr.io/shop/app" });
    app.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let spec = serde_json::from_value(json!({ "containerDefinitions": [app] })).unwrap();
    let definition = task_definition::resolve(&spec, Features::ALL).unwrap();
    find(&definition.secrets, Some(&serde_json::from_value(cluster).unwrap()))
}

/// The key that a variable is taken from, and what is made for it.
fn variable(value_from: &str, cluster: Value) -> Result<(String, Vec<String>), String> {
    let container = json!({ "secrets": [{ "name": "A", "valueFrom": value_from }] });
    let secrets = found(&container, cluster).map_err(|problems| Problem::join(&problems))?;
    let key = &secrets.containers["app"].variables[0].1;
    let made = secrets.derived.iter().map(Derived::source).collect();
    Ok((format!("{}, key {}", key.source, key.key), made))
}

fn mapping(from: &str, key: Option<&str>) -> Value {
    json!({ "secretMappings": [{ "from": from, "name": "db", "key": key }] })
}

#[test]
fn a_mapping_says_in_which_object_and_under_which_key_a_value_is() {
    let taken = |text: &str| Ok((text.to_owned(), vec![]));
    for (sentence, value_from, cluster, expected) in [
        ("the whole secret", ARN.to_owned(), mapping(ARN, Some("all")), taken("Secret db, key all")),
        (
            "whoever has keys needs no document",
            format!("{ARN}:user::"),
            mapping(ARN, None),
            taken("Secret db, key user"),
        ),
        (
            "AWSCURRENT is what is meant anyway",
            format!("{ARN}:user:AWSCURRENT:"),
            mapping(ARN, None),
            taken("Secret db, key user"),
        ),
        (
            "one JSON key may have a place of its own",
            format!("{ARN}:user::"),
            mapping(&format!("{ARN}:user::"), Some("name")),
            taken("Secret db, key name"),
        ),
        (
            "a version is another one than the current one",
            format!("{ARN}:::9d4c"),
            mapping(&format!("{ARN}:::9d4c"), Some("old")),
            taken("Secret db, key old"),
        ),
        (
            "a parameter by its name",
            "/prod/db".to_owned(),
            mapping("/prod/db", Some("all")),
            taken("Secret db, key all"),
        ),
        (
            "a parameter by its ARN",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db".to_owned(),
            mapping("arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db", Some("all")),
            taken("Secret db, key all"),
        ),
    ] {
        assert_eq!(variable(&value_from, cluster), expected, "{sentence}");
    }
    let (key, made) = variable(&format!("{ARN}:user::"), mapping(ARN, Some("all"))).unwrap();
    assert!(
        key.starts_with("Secret longshore-json-db-") && key.ends_with(", key user"),
        "a member of a document: {key}"
    );
    assert_eq!(made, ["Secret db, key all"]);
}

#[test]
fn what_is_not_found_is_named_with_what_to_do() {
    for (value_from, cluster, said) in [
        (
            ARN.to_owned(),
            json!({}),
            "waiting for the Cluster to say where arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf is",
        ),
        (ARN.to_owned(), mapping(ARN, None), "add its key"),
        (format!("{ARN}:user name::"), mapping(ARN, None), "add its key"),
        (format!("{ARN}::AWSPREVIOUS:"), mapping(ARN, Some("all")), "secret:db-AbCdEf::AWSPREVIOUS: is"),
        ("db".to_owned(), mapping(ARN, Some("all")), "say where db is"),
    ] {
        let message = variable(&value_from, cluster).unwrap_err();
        assert!(message.starts_with("spec.containerDefinitions[app].secrets[A].valueFrom: "), "{message}");
        assert!(message.contains(said), "{message}");
    }
    let file = json!({ "environmentFiles": [{ "value": "arn:aws:s3:::b/a.env", "type": "s3" }] });
    let message = Problem::join(&found(&file, json!({})).unwrap_err());
    assert!(
        message.contains("environmentFiles[0].value: waiting for the Cluster to say where arn:aws:s3:::b/a.env"),
        "{message}"
    );
}

#[test]
fn of_the_stores_that_fit_the_one_that_says_most_is_asked() {
    let store = |name: &str, service: &str, region: Option<&str>, account: Option<&str>| json!({ "service": service, "region": region, "account": account, "storeRef": { "name": name } });
    let secrets = "SecretsManager";
    let asked = |value_from: &str, stores: &[Value]| {
        let container = json!({ "secrets": [{ "name": "A", "valueFrom": value_from }] });
        let secrets = found(&container, json!({ "secretStores": stores })).ok()?;
        secrets.derived.iter().find_map(|derived| match derived {
            Derived::External(external) => Some(external.store.name.clone()),
            Derived::Secret(_) => None,
        })
    };
    let any = store("any", secrets, None, None);
    let (here, there) =
        (store("here", secrets, Some("eu-west-1"), None), store("there", secrets, Some("us-east-1"), None));
    let exact = store("exact", secrets, Some("eu-west-1"), Some("123456789012"));
    let parameters = store("parameters", "ParameterStore", None, None);
    let (us, eu) = (
        store("us", "ParameterStore", Some("us-east-1"), None),
        store("eu", "ParameterStore", None, Some("123456789012")),
    );
    for (sentence, value_from, stores, expected) in [
        ("any Region", ARN, vec![any.clone()], Some("any")),
        ("its Region", ARN, vec![there.clone(), any.clone(), here.clone()], Some("here")),
        ("its account", ARN, vec![here.clone(), exact.clone(), any.clone()], Some("exact")),
        ("of equals the first", ARN, vec![any.clone(), store("second", secrets, None, None)], Some("any")),
        ("not another Region", ARN, vec![there.clone()], None),
        ("not another service", ARN, vec![parameters.clone()], None),
        ("a parameter", "db", vec![any.clone(), parameters.clone()], Some("parameters")),
        ("a name is of the Region of the cluster", "db", vec![us.clone(), parameters.clone()], Some("parameters")),
        (
            "of equals the first",
            "db",
            vec![parameters, store("second", "ParameterStore", None, None)],
            Some("parameters"),
        ),
        ("which one store for a Region must be for", "db", vec![us.clone()], Some("us")),
        ("and one of two may not be", "db", vec![us.clone(), eu.clone()], None),
    ] {
        assert_eq!(asked(value_from, &stores).as_deref(), expected, "{sentence}");
    }
}

#[test]
fn a_name_that_may_be_in_several_regions_waits_to_be_told_in_which() {
    let store = |region: &str| json!({ "service": "ParameterStore", "region": region, "storeRef": { "name": region } });
    let stores = json!({ "secretStores": [store("eu-west-1"), store("us-east-1")] });
    let message = variable("/prod/db", stores).unwrap_err();
    assert!(message.contains("waiting for the Cluster to say in which Region /prod/db is"), "{message}");
    assert!(message.contains("add a store without region and account"), "{message}");

    let store =
        |region: Option<&str>| json!({ "service": "SecretsManager", "region": region, "storeRef": { "name": "aws" } });
    let credentials = json!({ "repositoryCredentials": { "credentialsParameter": "ghcr" } });
    let regional = [store(Some("eu-west-1")), store(Some("us-east-1"))];
    let problems = found(&credentials, json!({ "secretStores": regional })).unwrap_err();
    assert!(Problem::join(&problems).contains("in which Region ghcr is"), "of a secret, too: {problems:?}");
}

#[test]
fn a_mapping_comes_before_a_store() {
    let both = json!({
        "secretMappings": [{ "from": ARN, "name": "db", "key": "all" }],
        "secretStores": [{ "service": "SecretsManager", "storeRef": { "name": "aws" } }],
    });
    assert_eq!(variable(ARN, both), Ok(("Secret db, key all".to_owned(), vec![])));
}

#[test]
fn one_external_secret_fetches_all_that_is_taken_of_one_version() {
    let secret = |name: &str, suffix: &str| json!({ "name": name, "valueFrom": format!("{ARN}{suffix}") });
    let container = json!({ "secrets": [
        secret("WHOLE", ""), secret("USER", ":user::"), secret("AGAIN", ":user::"), secret("OLD", ":user:AWSPREVIOUS:"),
    ] });
    let store = json!({ "secretStores": [{ "service": "SecretsManager", "storeRef": { "name": "aws" } }] });
    let secrets = found(&container, store).unwrap();
    let asked = secrets.derived.iter().map(|derived| match derived {
        Derived::External(external) => (external.version.as_deref(), external.members.len()),
        Derived::Secret(_) => panic!("{derived:?}"),
    });
    assert_eq!(asked.collect::<BTreeSet<_>>(), BTreeSet::from([(None, 2), (Some("AWSPREVIOUS"), 1)]));
    assert_eq!(secrets.containers["app"].variables.len(), 4);
    let needed: BTreeSet<usize> = secrets.sources.values().map(|needed| needed.keys.len()).collect();
    assert_eq!(needed, BTreeSet::from([1, 2]), "the Secrets that come of them are waited for");
}

#[test]
fn credentials_are_a_document_or_an_image_pull_secret() {
    let with = |credentials: &str, cluster: Value| {
        let secrets =
            found(&json!({ "repositoryCredentials": { "credentialsParameter": credentials } }), cluster).unwrap();
        let pulls = secrets.pull_secrets.iter().next().unwrap().clone();
        (pulls, secrets.derived.len(), secrets.sources.values().next().unwrap().as_pull_secret)
    };
    assert_eq!(with("k8s://secret/pull", json!({})), ("pull".to_owned(), 0, true));
    assert_eq!(with(ARN, mapping(ARN, None)), ("db".to_owned(), 0, true));
    let store = json!({ "secretStores": [{ "service": "SecretsManager", "storeRef": { "name": "aws" } }] });
    for (credentials, cluster, derived) in [
        ("k8s://secret/db/document", json!({}), 1),
        (ARN, mapping(ARN, Some("document")), 1),
        (ARN, store.clone(), 2),
        ("db", store, 2),
    ] {
        let (pulls, made, as_it_is) = with(credentials, cluster);
        assert!(pulls.starts_with("longshore-registry-"), "{pulls}");
        assert_eq!((made, as_it_is), (derived, false), "{credentials}");
    }
}
