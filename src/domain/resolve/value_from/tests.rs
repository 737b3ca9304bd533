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
    fn a_secret_is_shown_as_it_is_written(
        name in "[A-Za-z0-9/_+=.@!-]{1,30}",
        json_key in "[A-Za-z0-9_ .]{0,10}",
        stage in "[A-Z]{0,10}",
        id in "[a-z0-9-]{0,10}",
    ) {
        let text = format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}:{json_key}:{stage}:{id}");
        let parsed = text.parse::<ValueFrom>();
        prop_assert_eq!(parsed.is_ok(), stage.is_empty() || id.is_empty());
        if let Ok(value) = parsed {
            prop_assert_eq!(value.to_string().parse::<ValueFrom>(), Ok(value));
        }
    }
}
