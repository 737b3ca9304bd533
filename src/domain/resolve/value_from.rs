//! Where a value comes from: what `secrets[].valueFrom`, `repositoryCredentials.credentialsParameter` and
//! `environmentFiles[].value` may say.
//!
//! | written as | means |
//! |---|---|
//! | `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME[:JSON-KEY:VERSION-STAGE:VERSION-ID]` | a secret, or a member of it |
//! | `arn:aws:ssm:REGION:ACCOUNT:parameter/NAME`, or `NAME` alone | a parameter |
//! | `arn:aws:s3:::BUCKET/KEY.env` | a file of variables |
//! | `k8s://secret/NAME/KEY`, `k8s://configmap/NAME/KEY` | what stands under a key of an object of the task's namespace |
//! | the same with `#JSON-KEY` | a member of the JSON document that stands there |
//! | `k8s://secret/NAME` | for `credentialsParameter`: an image pull secret, as it is |
//!
//! No ARN and no name of a parameter can be taken for the last three: ARNs begin with `arn:`, and names hold no colon.

use std::fmt;
use std::str::FromStr;

use crate::api::SecretMappingKind;

/// A `Secret` or a `ConfigMap` of the task's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Which of the two.
    pub kind: SecretMappingKind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SecretMappingKind::Secret => "Secret",
            SecretMappingKind::ConfigMap => "ConfigMap",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// A reference to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueFrom {
    /// A value in the Kubernetes cluster.
    Kubernetes(KubernetesValue),
    /// A secret of AWS Secrets Manager.
    SecretsManager(SecretsManagerValue),
    /// A parameter of AWS Systems Manager.
    Parameter(Parameter),
}

/// What stands under a key of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesValue {
    /// The object.
    pub source: Source,
    /// The key. Only an image pull secret is named without.
    pub key: Option<String>,
    /// The member of the JSON document that stands there, if it is not the whole value.
    pub json_key: Option<String>,
}

/// A secret of AWS Secrets Manager, or a member of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretsManagerValue {
    /// Its ARN, without JSON key and version, or its name.
    pub secret: String,
    /// Where it is. A name means the Region and account of the task.
    pub place: Option<Place>,
    /// The top-level member of the JSON document, if it is not the whole value.
    pub json_key: Option<String>,
    /// The version.
    pub version: Version,
}

/// A Region and an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The Region.
    pub region: String,
    /// The account.
    pub account: String,
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// "The default behavior is to retrieve the secret with the AWSCURRENT staging label."
    Current,
    /// Another staging label.
    Stage(String),
    /// A version id.
    Id(String),
}

/// A parameter of AWS Systems Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// As it is written: an ARN or a name.
    pub text: String,
    /// Its name, with the slash of a hierarchy in front.
    pub name: String,
    /// Where it is. A name means the Region and account of the task.
    pub place: Option<Place>,
}

/// A file of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFrom {
    /// A key of an object that holds the whole file.
    Kubernetes {
        /// The object.
        source: Source,
        /// The key.
        key: String,
    },
    /// An object in S3, by its ARN.
    S3(String),
}

impl FromStr for ValueFrom {
    type Err = ValueFromError;

    fn from_str(text: &str) -> Result<Self, ValueFromError> {
        if let Some(path) = text.strip_prefix("k8s://") {
            let value = kubernetes_value(text, path)?;
            return if value.key.is_some() { Ok(Self::Kubernetes(value)) } else { Err(malformed(text)) };
        }
        match arn(text)? {
            Some(arn) => Self::from_arn(text, &arn),
            None => Ok(Self::Parameter(Parameter { name: parameter_name(text)?, text: text.to_owned(), place: None })),
        }
    }
}

impl ValueFrom {
    /// What `credentialsParameter` names: "The Amazon Resource Name (ARN) or name of the secret".
    pub fn credentials(text: &str) -> Result<Self, ValueFromError> {
        if let Some(path) = text.strip_prefix("k8s://") {
            let value = kubernetes_value(text, path)?;
            let is_whole_secret = value.source.kind == SecretMappingKind::Secret && value.json_key.is_none();
            return if is_whole_secret {
                Ok(Self::Kubernetes(value))
            } else {
                Err(ValueFromError::Credentials(text.to_owned()))
            };
        }
        match arn(text)? {
            Some(arn) => match Self::from_arn(text, &arn)? {
                Self::SecretsManager(SecretsManagerValue { json_key: Some(_), .. }) => {
                    Err(ValueFromError::Credentials(text.to_owned()))
                }
                value => Ok(value),
            },
            None => Ok(Self::SecretsManager(SecretsManagerValue {
                secret: secret_name(text)?,
                place: None,
                json_key: None,
                version: Version::Current,
            })),
        }
    }

    fn from_arn(text: &str, arn: &Arn<'_>) -> Result<Self, ValueFromError> {
        match arn.service {
            "secretsmanager" => secrets_manager_value(text, arn).map(Self::SecretsManager),
            "ssm" => {
                let name = arn.resource.strip_prefix("parameter").filter(|name| name.starts_with('/'));
                // The ARN of a parameter outside of a hierarchy has a slash that the name has not.
                let is_flat = |name: &str| name.matches('/').count() == 1;
                let name = name.ok_or_else(|| ValueFromError::Parameter(text.to_owned()))?;
                parameter_name(name)?;
                let name = if is_flat(name) { name.trim_start_matches('/') } else { name };
                let place = Some(arn.place(text)?);
                Ok(Self::Parameter(Parameter { text: text.to_owned(), name: name.to_owned(), place }))
            }
            _ => Err(ValueFromError::Service(text.to_owned())),
        }
    }
}

impl fmt::Display for ValueFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes(KubernetesValue { source, key, json_key }) => {
                write!(f, "{source}")?;
                key.iter().try_for_each(|key| write!(f, ", key {key}"))?;
                json_key.iter().try_for_each(|member| write!(f, ", JSON key {member}"))
            }
            Self::SecretsManager(SecretsManagerValue { secret, place: _, json_key, version }) => {
                let json_key = json_key.as_deref().unwrap_or_default();
                match version {
                    Version::Current if json_key.is_empty() => f.write_str(secret),
                    Version::Current => write!(f, "{secret}:{json_key}::"),
                    Version::Stage(stage) => write!(f, "{secret}:{json_key}:{stage}:"),
                    Version::Id(id) => write!(f, "{secret}:{json_key}::{id}"),
                }
            }
            Self::Parameter(parameter) => f.write_str(&parameter.text),
        }
    }
}

impl FromStr for FileFrom {
    type Err = ValueFromError;

    fn from_str(text: &str) -> Result<Self, ValueFromError> {
        if let Some(path) = text.strip_prefix("k8s://") {
            return match kubernetes_value(text, path)? {
                KubernetesValue { source, key: Some(key), json_key: None } => Ok(Self::Kubernetes { source, key }),
                KubernetesValue { .. } => Err(malformed(text)),
            };
        }
        let object = arn(text).ok().flatten().filter(|arn| arn.service == "s3").map(|arn| arn.resource);
        match object.and_then(|object| object.split_once('/')) {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Self::S3(text.to_owned())),
            Some(_) | None => Err(ValueFromError::File(text.to_owned())),
        }
    }
}

impl fmt::Display for FileFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes { source, key } => write!(f, "{source}, key {key}"),
            Self::S3(arn) => f.write_str(arn),
        }
    }
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl Arn<'_> {
    fn place(&self, text: &str) -> Result<Place, ValueFromError> {
        // Neither is looked at as ECS would: a text in which they are still to be filled in is registered, and its secret waited for.
        if !self.region.is_empty() && !self.account.is_empty() {
            Ok(Place { region: self.region.to_owned(), account: self.account.to_owned() })
        } else {
            Err(ValueFromError::Arn(text.to_owned()))
        }
    }
}

fn arn(text: &str) -> Result<Option<Arn<'_>>, ValueFromError> {
    let mut parts = text.splitn(6, ':');
    if parts.next() != Some("arn") || !text.contains(':') {
        return Ok(None);
    }
    let partition = |name: &&str| name.starts_with("aws") && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    match (parts.next().filter(partition), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(service), Some(region), Some(account), Some(resource)) => {
            Ok(Some(Arn { service, region, account, resource }))
        }
        _ => Err(ValueFromError::Arn(text.to_owned())),
    }
}

/// The resource part has two fields (`secret:NAME`) or all five; each of the last three may be empty.
fn secrets_manager_value(text: &str, arn: &Arn<'_>) -> Result<SecretsManagerValue, ValueFromError> {
    let fields: Vec<&str> = arn.resource.split(':').collect();
    let (name, json_key, stage, id) = match fields.as_slice() {
        ["secret", name] => (*name, "", "", ""),
        ["secret", name, json_key, stage, id] => (*name, *json_key, *stage, *id),
        _ => return Err(ValueFromError::Secret(text.to_owned())),
    };
    let version = match (stage, id) {
        ("" | "AWSCURRENT", "") => Version::Current,
        (stage, "") => Version::Stage(stage.to_owned()),
        ("", id) => Version::Id(id.to_owned()),
        (_, _) => return Err(ValueFromError::Version(text.to_owned())),
    };
    secret_name(name)?;
    let rest = fields.iter().skip(2).map(|field| field.len().saturating_add(1)).sum::<usize>();
    let secret = text.get(..text.len().saturating_sub(rest)).unwrap_or(text).to_owned();
    let json_key = Some(json_key.to_owned()).filter(|key| !key.is_empty());
    Ok(SecretsManagerValue { secret, place: Some(arn.place(text)?), json_key, version })
}

/// Letters, digits and `/_+=.@-`; and `!`, which AWS alone may write: `rds!db-3ce19e76-…` is the secret that RDS makes for the master
/// user of a database.
fn secret_name(text: &str) -> Result<String, ValueFromError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-!".contains(c);
    let is_name = !text.is_empty() && text.len() <= 512 && text.chars().all(legal);
    is_name.then(|| text.to_owned()).ok_or_else(|| ValueFromError::Secret(text.to_owned()))
}

fn parameter_name(text: &str) -> Result<String, ValueFromError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    let is_name = !text.trim_matches('/').is_empty() && text.len() <= 2048 && text.chars().all(legal);
    is_name.then(|| text.to_owned()).ok_or_else(|| ValueFromError::Parameter(text.to_owned()))
}

/// `secret/NAME/KEY#JSON-KEY`; key and JSON key may be missing.
fn kubernetes_value(text: &str, path: &str) -> Result<KubernetesValue, ValueFromError> {
    let (path, json_key) = path.split_once('#').map_or((path, None), |(path, json_key)| (path, Some(json_key)));
    let mut parts = path.split('/');
    let kind = match parts.next() {
        Some("secret") => SecretMappingKind::Secret,
        Some("configmap") => SecretMappingKind::ConfigMap,
        Some(_) | None => return Err(malformed(text)),
    };
    let (name, key) = (parts.next().unwrap_or_default(), parts.next());
    let json_key_needs_a_key = json_key.is_none_or(|json_key| !json_key.is_empty() && key.is_some());
    if is_object_name(name) && key.is_none_or(is_key) && parts.next().is_none() && json_key_needs_a_key {
        let source = Source { kind, name: name.to_owned() };
        Ok(KubernetesValue { source, key: key.map(str::to_owned), json_key: json_key.map(str::to_owned) })
    } else {
        Err(malformed(text))
    }
}

fn malformed(text: &str) -> ValueFromError {
    ValueFromError::Kubernetes(text.to_owned())
}

/// A DNS subdomain.
fn is_object_name(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(alphanumeric)
            && label.ends_with(alphanumeric)
            && label.chars().all(|c| alphanumeric(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// Whether a Secret or ConfigMap can have a key.
pub fn is_key(key: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !key.is_empty() && key.len() <= 253 && key.chars().all(legal) && key != "." && !key.starts_with("..")
}

/// Why a text names no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueFromError {
    /// Not an ARN.
    #[error("{0:?} is not an ARN: write arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE")]
    Arn(String),
    /// Not the ARN or name of a secret.
    #[error(
        "{0:?}: an invalid ARN format for the AWS Secrets Manager secret was specified; write \
         arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME or all of …:secret:NAME:JSON-KEY:VERSION-STAGE:VERSION-ID, where each of \
         the last three may be empty"
    )]
    Secret(String),
    /// A stage and an id.
    #[error("{0:?} has a version stage and a version id; leave one of them empty")]
    Version(String),
    /// Not the ARN or name of a parameter.
    #[error(
        "{0:?} is not a parameter: write its name (letters, digits and /_.-) or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME, without \
         a version"
    )]
    Parameter(String),
    /// An ARN of something else.
    #[error("{0:?} is neither of Secrets Manager nor of Systems Manager; name a secret or a parameter")]
    Service(String),
    /// Not a value in the cluster.
    #[error(
        "{0:?} names no value: write k8s://secret/NAME/KEY or k8s://configmap/NAME/KEY, with #JSON-KEY behind it for a member of a \
         JSON document; repositoryCredentials may name an image pull secret as k8s://secret/NAME"
    )]
    Kubernetes(String),
    /// Less than a secret.
    #[error(
        "{0:?} is not a whole secret: name the one that holds username and password, without JSON key, or k8s://secret/NAME/KEY, or \
         an image pull secret as k8s://secret/NAME"
    )]
    Credentials(String),
    /// Not a file of variables.
    #[error(
        "{0:?} is not a file: write arn:aws:s3:::BUCKET/FILE.env, k8s://configmap/NAME/KEY or k8s://secret/NAME/KEY"
    )]
    File(String),
}

#[cfg(test)]
mod tests;
