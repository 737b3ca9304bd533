//! What may be written, and what is said of the rest.

use proptest::prelude::*;

use super::*;

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf";

/// Secret, JSON key and version.
fn secret(text: &str) -> (String, Option<String>, Version) {
    match text.parse().unwrap() {
        ValueFrom::SecretsManager(SecretsManagerValue { secret, place: Some(place), json_key, version }) => {
            assert_eq!((place.region.as_str(), place.account.as_str()), ("eu-west-1", "123456789012"), "{text}");
            (secret, json_key, version)
        }
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn the_arn_of_a_secret_may_go_on_with_json_key_version_stage_and_version_id() {
    let whole = || (ARN.to_owned(), None);
    let member = || (ARN.to_owned(), Some("password".to_owned()));
    for (sentence, suffix, expected, version) in [
        ("the whole value", "", whole(), Version::Current),
        ("a specific key within a secret", ":password::", member(), Version::Current),
        ("an empty key is none", ":::", whole(), Version::Current),
        ("AWSCURRENT is what is meant anyway", "::AWSCURRENT:", whole(), Version::Current),
        ("a specific version stage", "::AWSPREVIOUS:", whole(), Version::Stage("AWSPREVIOUS".to_owned())),
        ("a specific version", ":::9d4cb84b", whole(), Version::Id("9d4cb84b".to_owned())),
        ("a key of a version", ":password::9d4cb84b", member(), Version::Id("9d4cb84b".to_owned())),
        ("a key of a stage", ":password:AWSPREVIOUS:", member(), Version::Stage("AWSPREVIOUS".to_owned())),
    ] {
        assert_eq!(secret(&format!("{ARN}{suffix}")), (expected.0, expected.1, version), "{sentence}");
    }
}

#[test]
fn a_secret_that_another_service_of_aws_manages_has_the_service_in_front_of_its_name() {
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-3ce19e76-8a5c-4bf1-9e57-0d5d6b0f6a3e-bNjnDK";
    let expected = (arn.to_owned(), Some("password".to_owned()), Version::Current);
    assert_eq!(secret(&format!("{arn}:password::")), expected);
}

#[test]
fn a_parameter_is_named_by_arn_or_name() {
    let name = |text: &str| match text.parse().unwrap() {
        ValueFrom::Parameter(parameter) => (parameter.name, parameter.place.map(|place| place.region)),
        other => panic!("{text} is {other:?}"),
    };
    let region = || Some("eu-west-1".to_owned());
    for (text, expected) in [
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/db_password", ("db_password", region())),
        ("arn:aws-cn:ssm:eu-west-1:123456789012:parameter/prod/db", ("/prod/db", region())),
        ("db_password", ("db_password", None)),
        ("/prod/db", ("/prod/db", None)),
        ("k8s", ("k8s", None)),
        ("arn", ("arn", None)),
    ] {
        assert_eq!(name(text), (expected.0.to_owned(), expected.1), "{text}");
    }
}

#[test]
fn a_value_of_the_cluster_is_named_by_object_key_and_json_key() {
    let value = |text: &str| match text.parse().unwrap() {
        ValueFrom::Kubernetes(value) => (value.source.to_string(), value.key.unwrap(), value.json_key),
        other => panic!("{text} is {other:?}"),
    };
    let found = |source: &str, key: &str, json_key: Option<&str>| {
        (source.to_owned(), key.to_owned(), json_key.map(str::to_owned))
    };
    for (text, expected) in [
        ("k8s://secret/db/password", found("Secret db", "password", None)),
        ("k8s://configmap/app.v1/LOG_LEVEL", found("ConfigMap app.v1", "LOG_LEVEL", None)),
        ("k8s://secret/db/value#user name/#", found("Secret db", "value", Some("user name/#"))),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn credentials_are_a_secret_or_an_image_pull_secret() {
    let shown = |text: &str| ValueFrom::credentials(text).map(|value| value.to_string());
    for (text, expected) in [
        (ARN, ARN),
        ("registry", "registry"),
        ("prod/registry", "prod/registry"),
        ("k8s://secret/registry", "Secret registry"),
        ("k8s://secret/registry/credentials", "Secret registry, key credentials"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
    }
    let member = format!("{ARN}:registry::");
    for text in ["k8s://configmap/registry/credentials", "k8s://secret/all/json#registry", &member] {
        assert!(shown(text).unwrap_err().to_string().contains("is not a whole secret"), "{text}");
    }
}

#[test]
fn a_file_is_an_object_in_s3_or_a_key() {
    let shown = |text: &str| text.parse::<FileFrom>().map(|file| file.to_string());
    for (text, expected) in [
        ("arn:aws:s3:::bucket/web/app.env", "arn:aws:s3:::bucket/web/app.env"),
        ("k8s://configmap/web/app.env", "ConfigMap web, key app.env"),
        ("k8s://secret/web/app.env", "Secret web, key app.env"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
    }
    for text in ["s3://bucket/app.env", "arn:aws:s3:::bucket", "arn:aws:s3:::/key", "k8s://configmap/web", ARN, ""] {
        assert!(shown(text).is_err(), "{text}");
    }
}

#[test]
fn what_names_no_value_is_told_what_would() {
    for (text, said) in [
        (&*format!("{ARN}:password"), "an invalid ARN format for the AWS Secrets Manager secret was specified"),
        (&*format!("{ARN}:password:"), "an invalid ARN format"),
        (&*format!("{ARN}:a:b:c:d"), "an invalid ARN format"),
        (&*format!("{ARN}::stage:id"), "has a version stage and a version id"),
        ("arn:aws:secretsmanager::123456789012:secret:db", "is not an ARN"),
        ("arn:aws:secretsmanager", "is not an ARN"),
        ("arn:gcp:secretsmanager:eu-west-1:123456789012:secret:db", "is not an ARN"),
        ("arn:aws:s3:::bucket/app.env", "name a secret or a parameter"),
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/db:3", "without a version"),
        ("arn:aws:ssm:eu-west-1:123456789012:document/db", "is not a parameter"),
        ("", "is not a parameter"),
        ("/", "is not a parameter"),
        ("a b", "is not a parameter"),
        ("k8s://secret/db", "names no value"),
        ("k8s://secret/db/", "names no value"),
        ("k8s://secret/DB/password", "names no value"),
        ("k8s://secret/db/pass word", "names no value"),
        ("k8s://secret/db/password#", "names no value"),
        ("k8s://secret/other/db/password", "names no value"),
        ("k8s://Secret/db/password", "names no value"),
        ("k8s:///db/password", "names no value"),
    ] {
        let error = text.parse::<ValueFrom>().unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

fn partition() -> impl Strategy<Value = String> {
    "aws(-cn|-us-gov|-iso|-iso-b)?"
}

fn place() -> impl Strategy<Value = Place> {
    ("[a-z]{2}(-gov)?-(north|south|east|west|central)-[1-9]", "[0-9]{12}")
        .prop_map(|(region, account)| Place { region, account })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = (text.parse::<ValueFrom>(), text.parse::<FileFrom>(), ValueFrom::credentials(&text));
    }

    #[test]
    fn nothing_that_looks_like_one_makes_it_panic(fields in prop::collection::vec("[a-z0-9/#]{0,12}|arn|aws|secretsmanager|ssm|secret|k8s:/|123456789012", 0..12)) {
        for separator in [":", "/"] {
            let text = fields.join(separator);
            let _ = (text.parse::<ValueFrom>(), text.parse::<FileFrom>(), ValueFrom::credentials(&text));
        }
    }

    /// What is shown of a secret is a reference to the same one.
    #[test]
    fn a_secret_of_aws_is_what_its_arn_says_and_is_shown_as_it_is_written(
        (partition, place) in (partition(), place()),
        name in "[A-Za-z0-9/_+=.@!-]{1,30}",
        json_key in "[A-Za-z0-9_ .]{0,10}",
        stage in "[A-Z]{0,10}",
        id in "[a-z0-9-]{0,10}",
    ) {
        let secret = format!("arn:{partition}:secretsmanager:{}:{}:secret:{name}", place.region, place.account);
        let parsed = format!("{secret}:{json_key}:{stage}:{id}").parse::<ValueFrom>();
        let version = match (&*stage, &*id) {
            ("" | "AWSCURRENT", "") => Some(Version::Current),
            (stage, "") => Some(Version::Stage(stage.to_owned())),
            ("", id) => Some(Version::Id(id.to_owned())),
            (_, _) => None,
        };
        let json_key = Some(json_key).filter(|key| !key.is_empty());
        let value = |version| SecretsManagerValue { secret, place: Some(place), json_key, version };
        prop_assert_eq!(parsed.clone().ok(), version.map(|version| ValueFrom::SecretsManager(value(version))));
        if let Ok(value) = parsed {
            prop_assert_eq!(value.to_string().parse::<ValueFrom>(), Ok(value));
        }
    }

    /// "parameter/name", with the slash of a hierarchy where the parameter is in one.
    #[test]
    fn a_parameter_is_the_same_by_its_arn_and_by_its_name(
        (partition, place) in (partition(), place()),
        path in prop::collection::vec("[A-Za-z0-9_.-]{1,8}", 1..4),
    ) {
        let path = path.join("/");
        let name = if path.contains('/') { format!("/{path}") } else { path.clone() };
        let arn = format!("arn:{partition}:ssm:{}:{}:parameter/{path}", place.region, place.account);
        for (text, place) in [(&arn, Some(place)), (&name, None)] {
            let parameter = Parameter { text: text.clone(), name: name.clone(), place };
            let parsed = text.parse::<ValueFrom>();
            prop_assert_eq!(parsed.as_ref().map(ToString::to_string), Ok(text.clone()));
            prop_assert_eq!(parsed, Ok(ValueFrom::Parameter(parameter)));
        }
    }

    #[test]
    fn a_file_in_s3_is_shown_as_it_is_written(
        partition in partition(),
        bucket in "[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]",
        key in "[A-Za-z0-9/_.:-]{1,20}",
    ) {
        let arn = format!("arn:{partition}:s3:::{bucket}/{key}");
        let parsed = arn.parse::<FileFrom>();
        prop_assert_eq!(parsed.as_ref().map(ToString::to_string), Ok(arn.clone()));
        prop_assert_eq!(parsed, Ok(FileFrom::S3(arn)));
    }

    #[test]
    fn a_value_of_the_cluster_is_in_the_object_and_under_the_key_that_it_names(
        (kind, scheme) in prop_oneof![Just((SecretMappingKind::Secret, "secret")), Just((SecretMappingKind::ConfigMap, "configmap"))],
        name in "[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?){0,2}",
        key in "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,10}",
        json_key in prop::option::of("[A-Za-z0-9_ .#/]{1,10}"),
    ) {
        let suffix = json_key.as_ref().map(|member| format!("#{member}")).unwrap_or_default();
        let text = format!("k8s://{scheme}/{name}/{key}{suffix}");
        let source = Source { kind, name };
        let file = FileFrom::Kubernetes { source: source.clone(), key: key.clone() };
        prop_assert_eq!(text.parse::<FileFrom>().ok(), json_key.is_none().then_some(file));
        let value = KubernetesValue { source, key: Some(key), json_key };
        prop_assert_eq!(text.parse::<ValueFrom>(), Ok(ValueFrom::Kubernetes(value)));
    }
}
