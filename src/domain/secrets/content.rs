//! What a derived Secret holds: the one place where values of secrets are looked into.
//!
//! Values are here for as long as something is made of them. Their types print nothing, and no error repeats any of what it is
//! about.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Value, json};

use crate::domain::resolve::value_from::is_key;
use crate::domain::secrets::derived::{Form, secret_key};
use crate::domain::secrets::{environment_file, json_member};

/// The type of a Secret with which images are pulled.
pub const PULL_SECRET: &str = "kubernetes.io/dockerconfigjson";
/// Its key.
const PULL_SECRET_KEY: &str = ".dockerconfigjson";

/// The values of a Secret or ConfigMap, by key.
pub type Values = BTreeMap<String, SecretSlice<u8>>;

/// What a derived Secret holds. It has no `Debug`: even a key may be a line of a file that is none, such as a private key.
pub struct Content {
    /// Its type.
    pub type_: &'static str,
    /// Its values.
    pub data: Values,
    /// The lines of a file whose variables no Secret can hold, from 1.
    pub skipped_lines: Vec<usize>,
}

/// Why nothing can be made of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not text.
    #[error("is not UTF-8 text; store a text there")]
    NotText,
    /// Not a JSON document with members.
    #[error("is not a JSON object; store one there, or name the whole value")]
    NotAnObject,
    /// A member that is not there.
    #[error("has no JSON key {0:?}; add it, or name another")]
    NoMember(String),
    /// Not the credentials of a registry.
    #[error("must be a JSON object with the texts username and password, and neither empty; store them there")]
    NotCredentials,
}

/// Makes the content of a derived Secret from the value of its source.
pub fn make(form: &Form, value: &SecretSlice<u8>) -> Result<Content, ContentError> {
    let text = std::str::from_utf8(value.expose_secret()).map_err(|_| ContentError::NotText)?;
    match form {
        Form::Registry(keys) => {
            let config = docker_config(keys.iter(), text)?;
            let data = BTreeMap::from([(PULL_SECRET_KEY.to_owned(), secret(config))]);
            Ok(Content { type_: PULL_SECRET, data, skipped_lines: Vec::new() })
        }
        Form::JsonMembers(members) => {
            let document = object(text).ok_or(ContentError::NotAnObject)?;
            let value = |member: &String| {
                let value = document.get(member).ok_or_else(|| ContentError::NoMember(member.clone()))?;
                Ok((secret_key(member), secret(json_member::shown(value))))
            };
            Ok(opaque(members.iter().map(value).collect::<Result<_, _>>()?, Vec::new()))
        }
        Form::EnvironmentFile => {
            let (fit, unfit): (Vec<_>, Vec<_>) =
                environment_file::parse(text).partition(|variable| is_key(variable.name));
            let data = fit.iter().map(|variable| (variable.name.to_owned(), secret(variable.value.to_owned())));
            Ok(opaque(data.collect(), unfit.iter().map(|variable| variable.line).collect()))
        }
    }
}

fn opaque(data: Values, skipped_lines: Vec<usize>) -> Content {
    Content { type_: "Opaque", data, skipped_lines }
}

fn secret(text: String) -> SecretSlice<u8> {
    text.into_bytes().into()
}

fn object(text: &str) -> Option<serde_json::Map<String, Value>> {
    serde_json::from_str(text).ok()
}

/// `{"auths": {"ghcr.io": {"username": …, "password": …, "auth": …}}}`, as `docker login` writes it.
fn docker_config<'a>(keys: impl Iterator<Item = &'a String>, credentials: &str) -> Result<String, ContentError> {
    let credentials = object(credentials).ok_or(ContentError::NotCredentials)?;
    // The ECS agent reads them into a Go struct, to which the case of names makes no difference.
    let named =
        |name: &str| credentials.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let text = |name: &str| {
        let value = credentials.get(name).or_else(|| named(name));
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(ContentError::NotCredentials)
    };
    let (username, password) = (text("username")?, text("password")?);
    let auth = STANDARD.encode(format!("{username}:{password}"));
    let entry = json!({ "username": username, "password": password, "auth": auth });
    let auths: serde_json::Map<String, Value> = keys.map(|key| (key.clone(), entry.clone())).collect();
    Ok(json!({ "auths": auths }).to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Type, values and left-out lines.
    type Made = (String, BTreeMap<String, String>, Vec<usize>);

    fn made(form: &Form, value: &str) -> Result<Made, ContentError> {
        let Content { type_, data, skipped_lines } = make(form, &secret(value.to_owned()))?;
        let text = |value: &SecretSlice<u8>| String::from_utf8(value.expose_secret().to_vec()).unwrap();
        let data = data.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        Ok((type_.to_owned(), data, skipped_lines))
    }

    #[test]
    fn credentials_become_what_docker_login_writes() {
        let (type_, data, _) = made(
            &Form::Registry(set(&["ghcr.io", "quay.io"])),
            r#"{"username": "ann", "password": "s3\"cret", "email": "x"}"#,
        )
        .unwrap();
        assert_eq!(type_, "kubernetes.io/dockerconfigjson");
        let entry = json!({ "username": "ann", "password": "s3\"cret", "auth": "YW5uOnMzImNyZXQ=" });
        let found: Value = serde_json::from_str(&data[".dockerconfigjson"]).unwrap();
        assert_eq!(found, json!({ "auths": { "ghcr.io": entry, "quay.io": entry } }));
    }

    #[test]
    fn the_names_of_username_and_password_may_be_in_any_case_as_for_the_ecs_agent() {
        for (sentence, value) in [
            ("as they are documented", r#"{"username": "ann", "password": "a"}"#),
            ("as others write them", r#"{"Username": "ann", "PASSWORD": "a"}"#),
            (
                "the documented one counts",
                r#"{"Password": "b", "Username": "eve", "password": "a", "username": "ann"}"#,
            ),
        ] {
            let (_, data, _) = made(&Form::Registry(set(&["ghcr.io"])), value).unwrap();
            let found: Value = serde_json::from_str(&data[".dockerconfigjson"]).unwrap();
            let found = &found["auths"]["ghcr.io"];
            assert_eq!((&found["username"], &found["password"]), (&json!("ann"), &json!("a")), "{sentence}");
        }
    }

    #[test]
    fn username_and_password_are_texts_that_are_not_empty() {
        for value in [
            "",
            "ann:secret",
            "[]",
            r#"{"username": "ann"}"#,
            r#"{"username": "ann", "password": ""}"#,
            r#"{"username": 1, "password": "secret"}"#,
        ] {
            assert_eq!(made(&Form::Registry(set(&["ghcr.io"])), value), Err(ContentError::NotCredentials), "{value}");
        }
    }

    #[test]
    fn members_of_a_document_stand_under_their_own_names() {
        let document = r#"{"user name": "ann", "port": 5432, "nested": {"port": 1}}"#;
        let (_, data, _) = made(&Form::JsonMembers(set(&["user name", "port"])), document).unwrap();
        assert_eq!(
            data,
            BTreeMap::from([("port".to_owned(), "5432".to_owned()), (secret_key("user name"), "ann".to_owned())])
        );
        let missing = Form::JsonMembers(set(&["nested.port"]));
        assert_eq!(made(&missing, document), Err(ContentError::NoMember("nested.port".to_owned())), "top-level only");
        assert_eq!(made(&missing, "hunter2"), Err(ContentError::NotAnObject));
    }

    #[test]
    fn a_file_becomes_its_variables_and_says_which_lines_it_cannot_hold() {
        let (_, data, skipped) = made(&Form::EnvironmentFile, "# web\nA=1\nexport B=2\nA=3\nC.d-e=4\nü=5").unwrap();
        assert_eq!(data, BTreeMap::from([("A".to_owned(), "3".to_owned()), ("C.d-e".to_owned(), "4".to_owned())]));
        assert_eq!(skipped, [3, 6]);
    }

    #[test]
    fn what_is_not_text_is_told_so() {
        let binary: SecretSlice<u8> = vec![0xff, 0xfe].into();
        assert_eq!(make(&Form::EnvironmentFile, &binary).err(), Some(ContentError::NotText));
    }

    proptest! {
        #[test]
        fn no_error_shows_a_value(value in "[a-z]{8,16}", shape in 0..4_usize) {
            let text = match shape {
                0 => value.clone(),
                1 => json!({ "username": "ann", "password": value }).to_string(),
                2 => format!("{{\"password\": {value}}}"),
                _ => format!("A={value}\n{value} ={value}"),
            };
            for form in [Form::Registry(set(&["ghcr.io"])), Form::JsonMembers(set(&["password"])), Form::EnvironmentFile] {
                let shown = make(&form, &secret(text.clone())).err().map(|error| format!("{error:?} {error}"));
                prop_assert!(!shown.is_some_and(|shown| shown.contains(&value)));
            }
        }
    }
}
