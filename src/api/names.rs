//! Names and ids as types, and how ECS's become Kubernetes'.
//!
//! ECS names hold upper case, `_` and up to 255 characters; Kubernetes wants DNS labels. Where a name has to change, the
//! changed form carries a hash of the original, so that two names never become one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Longest DNS label, and longest label value.
const DNS_LABEL_MAX: usize = 63;
/// `-` and eight hex digits, put behind a name that had to change.
const HASH_SUFFIX: usize = 9;

/// The uid of a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub String);

/// A family of task definitions: 1–255 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family(String);

impl Family {
    /// The name as ECS spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Family {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 255 || !name.chars().all(legal) {
            return Err(NameError::Family(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One revision of a family, written `family:revision`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionName {
    /// The family.
    pub family: Family,
    /// The number within the family, from 1.
    pub number: i64,
}

impl RevisionName {
    /// The name of the `TaskDefinitionRevision` object: `web:7` is `web-7`.
    pub fn object_name(&self) -> String {
        format!("{}-{}", dns_label(self.family.as_str(), DNS_LABEL_MAX), self.number)
    }
}

impl FromStr for RevisionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.parse()? {
            TaskDefinitionName::Revision(revision) => Ok(revision),
            TaskDefinitionName::Latest(_) => Err(NameError::Revision(text.to_owned())),
        }
    }
}

impl fmt::Display for RevisionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family, self.number)
    }
}

/// What a service's `taskDefinition` names. `web` is followed: whatever revision is the latest ACTIVE one; `web:7` is
/// pinned. A full ARN (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`) means the same as its last part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskDefinitionName {
    /// The latest ACTIVE revision of a family.
    Latest(Family),
    /// One revision.
    Revision(RevisionName),
}

impl TaskDefinitionName {
    /// The family, pinned or not.
    pub fn family(&self) -> &Family {
        match self {
            Self::Latest(family) => family,
            Self::Revision(revision) => &revision.family,
        }
    }
}

impl FromStr for TaskDefinitionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = match text.strip_prefix("arn:") {
            Some(arn) => arn
                .split_once(":task-definition/")
                .map(|(_, name)| name)
                .ok_or_else(|| NameError::TaskDefinition(text.to_owned()))?,
            None => text,
        };
        match name.split_once(':') {
            None => Ok(Self::Latest(name.parse()?)),
            Some((family, number)) => {
                let number = number.parse().ok().filter(|number| *number >= 1);
                let number = number.ok_or_else(|| NameError::Revision(text.to_owned()))?;
                Ok(Self::Revision(RevisionName { family: family.parse()?, number }))
            }
        }
    }
}

impl fmt::Display for TaskDefinitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest(family) => family.fmt(f),
            Self::Revision(revision) => revision.fmt(f),
        }
    }
}

/// The name of a cluster from a service's `cluster`: a short name or an ARN; absent means `default`, as in ECS.
pub fn cluster_name(cluster: Option<&str>) -> &str {
    match cluster {
        None | Some("") => "default",
        Some(name) => name.rsplit_once(":cluster/").map_or(name, |(_, name)| name),
    }
}

/// The id of a deployment of a service: `ecs-svc/` and a number of 19 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId(pub u64);

impl DeploymentId {
    /// Derives the id of a service's deployment. `ordinal` counts the service's deployments from 1; `content` is what a
    /// person asked to run. A crash before the id is in status derives the same id again, and so the same pod names.
    pub fn derive(service: &Uid, ordinal: i64, content: &str) -> Self {
        const LEAST: u64 = 1_000_000_000_000_000_000;
        let digest = digest(&[&service.0, &ordinal.to_string(), content]);
        let number = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // Nine tenths of the 19-digit numbers fit in 63 bits: 10^18 up to about 9.2 * 10^18.
        Self(LEAST.saturating_add(number % (8 * LEAST)))
    }
}

impl FromStr for DeploymentId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let number = text.strip_prefix("ecs-svc/").unwrap_or(text);
        number.parse().map(Self).map_err(|_| NameError::Deployment(text.to_owned()))
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ecs-svc/{}", self.0)
    }
}

/// Which task of a service a pod is: the deployment, the slot of the deployment it fills, and how many tasks have filled
/// that slot, this one included. Two leaders, or a leader and its successor after a crash, derive the same key for the same
/// gap, and so the same pod name: the API server turns the second one away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// The deployment that started the task.
    pub deployment: DeploymentId,
    /// The slot within the deployment, from 0.
    pub slot: u32,
    /// The task's number within the slot, from 1.
    pub attempt: u32,
}

impl TaskKey {
    /// The task id: 32 hex digits, as in ECS.
    pub fn task_id(&self, service: &Uid) -> TaskId {
        let (deployment, slot, attempt) = (self.deployment.0, self.slot, self.attempt);
        let digest = digest(&[&service.0, &deployment.to_string(), &slot.to_string(), &attempt.to_string()]);
        TaskId(hex(&digest, 16).into())
    }
}

/// The id of a task: 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(Arc<str>);

impl TaskId {
    /// The id at the end of a task pod's name.
    pub fn of_pod(pod: &str) -> Self {
        Self(task_id_of_pod(pod).into())
    }

    /// The name of the task's pod: `web` and the id. At most 63 characters, so that it serves as the host name too.
    pub fn pod_name(&self, service: &str) -> String {
        format!("{}-{}", dns_label(service, 30), self.0)
    }
}

/// The text of the id at the end of a task pod's name, for those who only compare it.
pub fn task_id_of_pod(pod: &str) -> &str {
    pod.rsplit_once('-').map_or(pod, |(_, id)| id)
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A DNS label for an ECS name: lower case, `-` for what a label may not hold, and a hash when anything changed.
pub fn dns_label(name: &str, max: usize) -> String {
    let label: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' })
        .collect();
    let label = label.trim_matches('-');
    if label == name && label.len() <= max && !label.is_empty() {
        return label.to_owned();
    }
    let kept: String = label.chars().take(max.saturating_sub(HASH_SUFFIX)).collect();
    let kept = kept.trim_end_matches('-');
    let suffix = hex(&digest(&[name]), 4);
    if kept.is_empty() { suffix } else { format!("{kept}-{suffix}") }
}

/// A label value for an ECS name: as it is where it is legal (letters, digits, `-`, `_`, `.`, 63 characters), else cut and
/// hashed.
pub fn label_value(name: &str) -> String {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let whole = name.len() <= DNS_LABEL_MAX && name.chars().all(legal);
    if whole && edge(name.chars().next()) && edge(name.chars().next_back()) {
        return name.to_owned();
    }
    dns_label(name, DNS_LABEL_MAX)
}

/// SHA-256 over parts, each with its length in front, so that `("ab", "c")` and `("a", "bc")` differ.
fn digest(parts: &[&str]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}

/// The first `bytes` of a digest as hex digits.
fn hex(digest: &[u8], bytes: usize) -> String {
    let digits = digest.iter().take(bytes).flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// A short hash of a text, for ids that only have to differ.
pub fn short_hash(parts: &[&str]) -> String {
    hex(&digest(parts), 16)
}

/// A number made of a text, for numbers that only have to differ.
pub fn short_number(text: &str) -> u32 {
    digest(&[text]).iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte))
}

/// Why a text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a family.
    #[error("{0:?} is not a family: use 1 to 255 letters, digits, hyphens and underscores")]
    Family(String),
    /// Not `family:revision`.
    #[error("{0:?} is not a revision: write family:revision with a revision number from 1, for example web:7")]
    Revision(String),
    /// Not a task definition.
    #[error("{0:?} is not a task definition: write family, family:revision or a task definition ARN")]
    TaskDefinition(String),
    /// Not a deployment id.
    #[error("{0:?} is not a deployment id (ecs-svc/ and a number)")]
    Deployment(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_kubernetes_takes_stays_as_it_is() {
        assert_eq!(dns_label("web-api", 63), "web-api");
        assert_eq!(label_value("Web_API"), "Web_API");
    }

    #[test]
    fn a_changed_name_carries_a_hash_so_that_two_names_never_become_one() {
        let names = ["Web", "web_", "w_eb", "_web", "web-"].map(|name| dns_label(name, 63));
        for (i, name) in names.iter().enumerate() {
            assert!(name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-'), "{name}");
            assert!(!names[..i].contains(name), "{name} twice");
        }
        assert_eq!(dns_label(&"x".repeat(255), 30).len(), 30);
        assert_eq!(dns_label("___", 30).len(), 8);
    }

    #[test]
    fn task_definitions_are_named_by_family_revision_or_arn() {
        let parse = |text: &str| text.parse::<TaskDefinitionName>().map(|name| name.to_string());
        assert_eq!(parse("web").unwrap(), "web");
        assert_eq!(parse("web:7").unwrap(), "web:7");
        assert_eq!(parse("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7").unwrap(), "web:7");
        for bad in ["", "web:", "web:0", "web:-1", "we b", "web:7:8", "arn:aws:ecs:eu-west-1:1:cluster/web"] {
            assert!(parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_cluster_that_is_not_named_is_default() {
        assert_eq!(cluster_name(None), "default");
        assert_eq!(cluster_name(Some("arn:aws:ecs:eu-west-1:123456789012:cluster/blue")), "blue");
        assert_eq!(cluster_name(Some("blue")), "blue");
    }

    #[test]
    fn deployment_ids_have_19_digits_and_differ_by_service_ordinal_and_content() {
        let id = |uid: &str, ordinal, content| DeploymentId::derive(&Uid(uid.to_owned()), ordinal, content);
        let first = id("u", 1, "web:1");
        assert_eq!(first.0.to_string().len(), 19);
        assert_eq!(first, id("u", 1, "web:1"));
        assert_eq!(first.to_string().parse::<DeploymentId>().unwrap(), first);
        for other in [id("v", 1, "web:1"), id("u", 2, "web:1"), id("u", 1, "web:2")] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_pod_name_is_a_host_name_and_ends_with_the_task_id() {
        let key = TaskKey { deployment: DeploymentId(1), slot: 2, attempt: 3 };
        let id = key.task_id(&Uid("u".to_owned()));
        let pod = id.pod_name(&"Service_".repeat(30));
        assert!(pod.len() <= 63, "{pod}");
        assert_eq!(TaskId::of_pod(&pod), id);
    }
}
