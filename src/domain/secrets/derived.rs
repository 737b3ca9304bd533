//! The objects that are made for what tasks take from secrets and files.
//!
//! Pods can name a key of a Secret and nothing finer, and only Secrets of one type serve to pull images. So a member of a JSON
//! document, the variables of a file and the credentials of a registry become Secrets of their own, and what is in AWS an
//! `ExternalSecret`. Each is called after all that it is made from: services that need the same have the same, and what it holds
//! changes only when its source does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::names::short_hash;
use crate::api::{DerivedSecretKind, SecretMappingKind, SecretStoreKind, SecretStoreRef};
use crate::domain::resolve::value_from::{Source, is_key};

/// The key for a value that is not a member of anything.
pub const WHOLE: &str = "whole-value";

/// An object to be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Derived {
    /// A Secret.
    Secret(DerivedSecret),
    /// An `ExternalSecret`.
    External(ExternalSecret),
}

/// A Secret, and what it is made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DerivedSecret {
    /// Where the value is.
    pub source: Source,
    /// Under which key.
    pub key: String,
    /// What is made of it.
    pub form: Form,
}

/// What a Secret is made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// To pull images, with the credentials under these keys.
    Registry(BTreeSet<String>),
    /// For variables, each from a member of a JSON document.
    JsonMembers(BTreeSet<String>),
    /// For variables, all that a file sets.
    EnvironmentFile,
}

/// What the External Secrets Operator is asked for: one secret or parameter in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalSecret {
    /// The store.
    pub store: SecretStoreRef,
    /// How often the values are fetched anew.
    pub refresh_interval: Option<String>,
    /// The ARN or name.
    pub remote_key: String,
    /// The version, as the External Secrets Operator names it.
    pub version: Option<String>,
    /// The members of the JSON document; `None` is the whole value.
    pub members: BTreeSet<Option<String>>,
}

/// The name of an object that is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DerivedName {
    /// Its kind.
    pub kind: DerivedSecretKind,
    /// Its name.
    pub name: String,
}

impl Derived {
    /// What it is called.
    pub fn name(&self) -> DerivedName {
        match self {
            Self::Secret(secret) => DerivedName { kind: DerivedSecretKind::Secret, name: secret.name() },
            Self::External(external) => DerivedName { kind: DerivedSecretKind::ExternalSecret, name: external.name() },
        }
    }

    /// It, if it is a Secret that is made from this source.
    pub fn made_from(&self, source: &Source) -> Option<&DerivedSecret> {
        match self {
            Self::Secret(secret) => Some(secret).filter(|secret| secret.source == *source),
            Self::External(_) => None,
        }
    }

    /// It, if this is the Secret that comes of it.
    pub fn that_makes(&self, target: &Source) -> Option<&ExternalSecret> {
        match self {
            Self::External(external) => Some(external).filter(|external| external.target() == *target),
            Self::Secret(_) => None,
        }
    }

    /// What people are told that it is made from.
    pub fn source(&self) -> String {
        match self {
            Self::Secret(secret) => format!("{}, key {}", secret.source, secret.key),
            Self::External(external) => external.remote_key.clone(),
        }
    }
}

impl DerivedSecret {
    /// `registry`, the source and a hash of all that it is made from.
    pub fn name(&self) -> String {
        let (what, members) = match &self.form {
            Form::Registry(keys) => ("registry", Some(keys)),
            Form::JsonMembers(members) => ("json", Some(members)),
            Form::EnvironmentFile => ("env", None),
        };
        let kind = match self.source.kind {
            SecretMappingKind::Secret => "Secret",
            SecretMappingKind::ConfigMap => "ConfigMap",
        };
        let mut parts = vec![what, kind, &self.source.name, &self.key];
        parts.extend(members.into_iter().flatten().map(String::as_str));
        named(what, &self.source.name, &parts)
    }
}

impl ExternalSecret {
    /// `aws`, the end of the ARN and a hash of all that is asked for. The Secret that comes of it has the same name.
    pub fn name(&self) -> String {
        let store_kind = store_kind(self.store.kind);
        let mut parts = vec!["external", store_kind, self.store.name.as_str(), self.remote_key.as_str()];
        parts.extend([&self.refresh_interval, &self.version].map(|part| part.as_deref().unwrap_or_default()));
        // The whole value is another thing than a member without a name, which cannot be written.
        parts.extend(self.members.iter().map(|member| member.as_deref().unwrap_or_default()));
        let name = self.remote_key.rsplit([':', '/']).next().unwrap_or_default();
        named("aws", name, &parts)
    }

    /// The Secret that comes of it.
    pub fn target(&self) -> Source {
        Source { kind: SecretMappingKind::Secret, name: self.name() }
    }

    /// The key of the target under which a member stands, or the whole value.
    pub fn key(member: Option<&str>) -> String {
        member.map_or_else(|| WHOLE.to_owned(), secret_key)
    }

    /// The spec, as `external-secrets.io/v1` has it. What a later version of that adds by default is not in it.
    pub fn spec(&self) -> Value {
        let data = |member: &Option<String>| {
            let mut remote = BTreeMap::from([("key", self.remote_key.clone())]);
            remote.extend(member.as_ref().map(|member| ("property", escaped(member))));
            remote.extend(self.version.clone().map(|version| ("version", version)));
            json!({ "secretKey": Self::key(member.as_deref()), "remoteRef": remote })
        };
        let mut spec = json!({
            "secretStoreRef": { "kind": store_kind(self.store.kind), "name": self.store.name },
            "target": { "name": self.name(), "creationPolicy": "Owner" },
            "data": self.members.iter().map(data).collect::<Vec<_>>(),
        });
        if let (Some(interval), Some(spec)) = (&self.refresh_interval, spec.as_object_mut()) {
            spec.insert("refreshInterval".to_owned(), json!(interval));
        }
        spec
    }
}

/// The key for a member of a JSON document: the member itself where it can be one.
pub fn secret_key(member: &str) -> String {
    if is_key(member) && member != WHOLE { member.to_owned() } else { format!("member-{}", short_hash(&[member])) }
}

fn store_kind(kind: SecretStoreKind) -> &'static str {
    match kind {
        SecretStoreKind::SecretStore => "SecretStore",
        SecretStoreKind::ClusterSecretStore => "ClusterSecretStore",
    }
}

/// What it is for, a hint at its source for people, and a hash that alone makes it unique.
fn named(what: &str, after: &str, parts: &[&str]) -> String {
    let after = after.strip_prefix("longshore-").unwrap_or(after).to_ascii_lowercase();
    let hint: String = after.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(24).collect();
    let hash: String = short_hash(parts).chars().take(16).collect();
    format!("longshore-{what}-{}-{hash}", hint.trim_matches('-'))
}

/// The External Secrets Operator takes a property for a gjson path; a JSON key is one name, whatever stands in it.
fn escaped(member: &str) -> String {
    let special = |c: char| ".*?|#@!{}[]\\".contains(c);
    member.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(members: &[Option<&str>]) -> ExternalSecret {
        ExternalSecret {
            store: SecretStoreRef { kind: SecretStoreKind::ClusterSecretStore, name: "aws".to_owned() },
            refresh_interval: None,
            remote_key: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf".to_owned(),
            version: None,
            members: members.iter().map(|member| member.map(str::to_owned)).collect(),
        }
    }

    fn secret(form: Form) -> DerivedSecret {
        let source = Source { kind: SecretMappingKind::Secret, name: "db".to_owned() };
        DerivedSecret { source, key: "value".to_owned(), form }
    }

    #[test]
    fn what_is_made_from_the_same_has_one_name_and_all_else_another() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        let other_source = |change: fn(&mut DerivedSecret)| {
            let mut other = secret(Form::EnvironmentFile);
            change(&mut other);
            other.name()
        };
        let other_external = |change: fn(&mut ExternalSecret)| {
            let mut other = external(&[None]);
            change(&mut other);
            other.name()
        };
        let names = [
            secret(Form::EnvironmentFile).name(),
            secret(Form::Registry(keys(&["ghcr.io"]))).name(),
            secret(Form::Registry(keys(&["ghcr.io", "quay.io"]))).name(),
            secret(Form::JsonMembers(keys(&["ghcr.io"]))).name(),
            other_source(|other| other.source.name.push('2')),
            other_source(|other| other.source.kind = SecretMappingKind::ConfigMap),
            other_source(|other| other.key.push('2')),
            external(&[None]).name(),
            external(&[Some("password")]).name(),
            external(&[None, Some("password")]).name(),
            other_external(|other| other.remote_key.push('2')),
            other_external(|other| other.version = Some("AWSPREVIOUS".to_owned())),
            other_external(|other| other.refresh_interval = Some("15m".to_owned())),
            other_external(|other| other.store.kind = SecretStoreKind::SecretStore),
            other_external(|other| other.store.name.push('2')),
        ];
        for (n, name) in names.iter().enumerate() {
            assert!(name.len() <= 63, "{name}");
            assert!(!names[..n].contains(name), "{name} twice");
        }
        assert!(names[1].starts_with("longshore-registry-db-"), "{}", names[1]);
        assert!(names[7].starts_with("longshore-aws-db-abcdef-"), "{}", names[7]);
    }

    #[test]
    fn an_external_secret_asks_for_each_member_of_one_version() {
        let asked = ExternalSecret {
            refresh_interval: Some("15m".to_owned()),
            version: Some("uuid/9d4c".to_owned()),
            ..external(&[None, Some("password"), Some("user.name")])
        };
        let remote = |property: Value| {
            let mut remote = json!({ "key": asked.remote_key, "version": "uuid/9d4c" });
            remote.as_object_mut().unwrap().extend(property.as_object().unwrap().clone());
            remote
        };
        let expected = json!({
            "refreshInterval": "15m",
            "secretStoreRef": { "kind": "ClusterSecretStore", "name": "aws" },
            "target": { "name": asked.name(), "creationPolicy": "Owner" },
            "data": [
                { "secretKey": "whole-value", "remoteRef": remote(json!({})) },
                { "secretKey": "password", "remoteRef": remote(json!({ "property": "password" })) },
                { "secretKey": "user.name", "remoteRef": remote(json!({ "property": "user\\.name" })) },
            ],
        });
        assert_eq!(asked.spec(), expected);
    }

    #[test]
    fn a_member_that_cannot_be_a_key_has_one_made_of_it() {
        assert_eq!(secret_key("db.password_1-a"), "db.password_1-a");
        for odd in ["user name", "", "ü", WHOLE, ".."] {
            assert!(is_key(&secret_key(odd)) && secret_key(odd).starts_with("member-"), "{odd}");
        }
    }

    #[test]
    fn a_json_key_is_one_name_and_no_path() {
        assert_eq!(escaped("a.b*c?d|e#f@g!h{i}j[k]l\\m"), "a\\.b\\*c\\?d\\|e\\#f\\@g\\!h\\{i\\}j\\[k\\]l\\\\m");
    }
}
