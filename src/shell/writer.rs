//! The only file that changes anything in the cluster, but for Events and the lease of the leader.
//!
//! Every write is idempotent or guarded: creates have derived names, deletes carry the uid, status is applied to the version
//! it was computed from. Each has a time limit, because one that hangs would hold up the service it is for.

use std::fmt::{self, Debug};
use std::time::Duration;

use http::HeaderValue;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ObjectMeta, Request};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::names::Uid;

/// How long a write may take.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// In place of the object, an answer of no more than its metadata.
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// A write that failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server did not take a create.
    #[error("creating {kind} {name} was refused: {source}")]
    Create {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What the server said.
        source: Refusal,
    },
    /// There is an object of this name, and it is not the one that we made, or not any more.
    #[error("{kind} {name} exists already, and is not the one that should have the name; delete it")]
    Foreign {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// The API server did not take a delete.
    #[error("deleting {kind} {name} was refused: {source}")]
    Delete {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What the server said.
        source: Refusal,
    },
    /// The API server did not take a change of status or finalizers.
    #[error("updating {kind} {name} was refused: {source}")]
    Update {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What the server said.
        source: Refusal,
    },
    /// What has to be read first was not.
    #[error("reading {name} failed: {why}")]
    Read {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// The API server did not answer.
    #[error("writing {kind} {name} took longer than {} seconds", TIME_LIMIT.as_secs())]
    TimedOut {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
}

/// What the API server answered, in its own words. kube's text has the whole answer behind them a second time.
#[derive(Debug)]
pub struct Refusal(Box<kube::Error>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            kube::Error::Api(status) => f.write_str(&status.message),
            error => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl WriteError {
    /// Whether the write has certainly not happened: the server answered, and refused.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Foreign { .. }) || self.status().is_some_and(|status| (400..500).contains(&status.code))
    }

    /// Whether somebody does not want the object to be: a quota, a policy, or a rule of the API server. That we may write none at
    /// all is not a matter of the object; only the sentence tells the two apart.
    pub fn is_refusal(&self) -> bool {
        let has_no_right = |message: &str| {
            ["create", "patch", "delete"].iter().any(|verb| message.contains(&format!(" cannot {verb} resource ")))
        };
        let is_denied = |status: &kube::core::Status| match status.code {
            403 => !has_no_right(&status.message),
            422 => true,
            // That of a webhook which gives no code.
            400 => status.message.contains(" denied the request"),
            _ => false,
        };
        self.status().is_some_and(is_denied)
    }

    /// Whether the object itself breaks a rule of the API server: trying again changes nothing.
    pub fn is_invalid(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_invalid)
    }

    /// Whether another write came first: what to do has to be decided anew.
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_conflict)
    }

    /// Whether what was to be written to is not there any more.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_not_found)
    }

    /// The same, without words that may repeat what was written, as a whole, in part or in other letters: whoever refuses a Secret may
    /// quote it. What is left are the sentences that the API server makes of names alone, and who it is that refuses.
    #[must_use]
    pub fn withholding(mut self, is_quoted: impl Fn(&str) -> bool) -> Self {
        if let Self::Create { source, .. } | Self::Delete { source, .. } | Self::Update { source, .. } = &mut self
            && let kube::Error::Api(status) = &mut *source.0
            && (is_quoted(&status.message) || !names_alone(&status.message))
        {
            let who = refuser(&status.message).filter(|who| !is_quoted(who)).map(|who| format!("{who}: "));
            let (who, code, reason) = (who.unwrap_or_default(), status.code, &status.reason);
            status.message = format!(
                "{who}the API server's answer ({code} {reason}) may repeat a value of the Secret and is withheld"
            );
            status.details = None;
        }
        self
    }

    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Create { source, .. } | Self::Delete { source, .. } | Self::Update { source, .. } => {
                match &*source.0 {
                    kube::Error::Api(status) => Some(status),
                    _ => None,
                }
            }
            Self::Foreign { .. } | Self::Read { .. } | Self::TimedOut { .. } => None,
        }
    }
}

/// Whether a refusal is one of those that the API server makes of names alone: of rights, of a quota, of a namespace that is being
/// deleted. Such as `secrets "a" is forbidden: exceeded quota: few, requested: count/secrets=1, …`.
fn names_alone(message: &str) -> bool {
    let Some(said) = message.strip_prefix("secrets ") else { return false };
    let of_the_name = said.strip_prefix('"').and_then(|said| said.split_once("\" ")).map(|(_, said)| said);
    let said = of_the_name.unwrap_or(said).strip_prefix("is forbidden: ").unwrap_or_default();
    ["User \"", "exceeded quota: ", "unable to create new content in namespace "].iter().any(|so| said.starts_with(so))
}

/// The webhook or policy that refuses an object, as the API server names it before its words.
fn refuser(message: &str) -> Option<&str> {
    let ends_with = |verb: &str| message.find(verb).and_then(|at| message.get(..at.saturating_add(verb.len())));
    let webhook = || ends_with(" denied the request").filter(|who| who.starts_with("admission webhook \""));
    let of_policy = " is forbidden: ValidatingAdmissionPolicy '";
    let policy = || ends_with(" denied request").filter(|who| who.starts_with("secrets \"") && who.contains(of_policy));
    webhook().or_else(policy)
}

/// Creates an object. One of that name that is ours already is what a replayed request or another leader has made: success.
pub async fn create<K>(
    api: &Api<K>,
    name: &str,
    object: &impl Serialize,
    is_ours: impl Fn(&ObjectMeta) -> bool,
) -> Result<Option<Uid>, WriteError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let (kind, name) = (K::kind(&()).into_owned(), name.to_owned());
    let create = async {
        let object = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
        let create = Request::new(api.resource_url()).create(&PostParams::default(), object);
        send(api, create).await
    };
    match limited(&kind, &name, create).await? {
        Ok(answer) => Ok(uid_in(&answer)),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let existing = limited(&kind, &name, api.get_metadata(&name)).await?;
            match existing {
                Ok(existing) if is_ours(&existing.metadata) => Ok(existing.metadata.uid.map(Uid)),
                Ok(_) => Err(WriteError::Foreign { kind, name }),
                Err(error) => Err(WriteError::Create { kind, name, source: Refusal(Box::new(error)) }),
            }
        }
        Err(error) => Err(WriteError::Create { kind, name, source: Refusal(Box::new(error)) }),
    }
}

/// Asks what would become of an object if it were created (`dryRun`). Nothing is written.
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
pub async fn try_create<K>(api: &Api<K>, object: &K) -> Result<K, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    api.create(&PostParams { dry_run: true, field_manager: None }, object).await
}

/// When an object was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// By this request.
    Now,
    /// By somebody, before.
    Before,
}

/// Deletes the object of this uid, and no other of its name; where a version is given, only if the object still is at it.
pub async fn delete<K>(api: &Api<K>, name: &str, uid: &Uid, version: Option<&str>) -> Result<Deleted, WriteError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let kind = K::kind(&()).into_owned();
    let preconditions = Preconditions { uid: Some(uid.0.clone()), resource_version: version.map(str::to_owned) };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    let delete = send(api, Request::new(api.resource_url()).delete(name, &params));
    match limited(&kind, name, delete).await? {
        Ok(_) => Ok(Deleted::Now),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Deleted::Before),
        Err(error) => Err(WriteError::Delete { kind, name: name.to_owned(), source: Refusal(Box::new(error)) }),
    }
}

/// Evicts the pod of this uid: a delete that the disruption budgets of people have a say in. The API server counts it against them
/// together with the evictions of others, such as those of `kubectl drain`.
pub async fn evict(api: &Api<Pod>, name: &str, uid: &Uid) -> Result<Deleted, WriteError> {
    let kind = Pod::kind(&()).into_owned();
    let preconditions = Preconditions { uid: Some(uid.0.clone()), resource_version: None };
    // kube's own `evict` calls the member `delete_options`, which the API server does not know: the uid would not count.
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": name },
        "deleteOptions": { "preconditions": preconditions },
    });
    let request = Request::new(api.resource_url());
    let request =
        request.create_subresource("eviction", name, &PostParams::default(), eviction.to_string().into_bytes());
    match limited(&kind, name, send(api, request)).await? {
        Ok(_) => Ok(Deleted::Now),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Deleted::Before),
        Err(error) => Err(WriteError::Delete { kind, name: name.to_owned(), source: Refusal(Box::new(error)) }),
    }
}

/// Applies a status to the version of the object that it was computed from; a newer version is a conflict. Returns the version
/// that the status made.
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
pub async fn apply_status<K, S>(
    api: &Api<K>,
    name: &str,
    version: &str,
    field_manager: &str,
    status: &S,
) -> Result<String, WriteError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    S: Serialize,
{
    let kind = K::kind(&()).into_owned();
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": kind,
        "metadata": { "name": name, "resourceVersion": version },
        "status": status,
    });
    let params = PatchParams::apply(field_manager).force();
    match limited(&kind, name, api.patch_status(name, &params, &Patch::Apply(&object))).await? {
        Ok(object) => Ok(object.resource_version().unwrap_or_default()),
        Err(error) => Err(WriteError::Update { kind, name: name.to_owned(), source: Refusal(Box::new(error)) }),
    }
}

/// Replaces members of the status of an object that does not fit its schema: the API server cannot apply anything to such an
/// object, only merge.
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
pub async fn merge_status<K, S>(api: &Api<K>, name: &str, version: &str, status: &S) -> Result<(), WriteError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    S: Serialize,
{
    let kind = K::kind(&()).into_owned();
    let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
    match limited(&kind, name, api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch))).await? {
        // The answer to a success is the object, which cannot be read any more than before.
        Ok(_) | Err(kube::Error::SerdeError(_)) => Ok(()),
        Err(error) => Err(WriteError::Update { kind, name: name.to_owned(), source: Refusal(Box::new(error)) }),
    }
}

/// Sets the finalizers of an object at the version at which they were read. Nothing else of the object is touched.
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
pub async fn set_finalizers<K>(api: &Api<K>, name: &str, version: &str, finalizers: &[String]) -> Result<(), WriteError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let kind = K::kind(&()).into_owned();
    let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": finalizers } });
    match limited(&kind, name, api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch))).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(WriteError::Update { kind, name: name.to_owned(), source: Refusal(Box::new(error)) }),
    }
}

/// Changes members of an object of ours, and of its metadata, at the version at which it was read. The answer has its metadata alone.
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
pub async fn merge<K>(
    api: &Api<K>,
    name: &str,
    version: &str,
    change: ObjectMeta,
    members: &(impl Serialize + Debug),
) -> Result<(), WriteError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    #[derive(Debug, Serialize)]
    struct Changes<'a, M> {
        metadata: ObjectMeta,
        #[serde(flatten)]
        members: &'a M,
    }
    let kind = K::kind(&()).into_owned();
    let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..change };
    let changes = Changes { metadata, members };
    match limited(&kind, name, api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&changes))).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(WriteError::Update { kind, name: name.to_owned(), source: Refusal(Box::new(error)) }),
    }
}

/// Sends a request of whose answer, if it is no refusal, a new object's uid is all that tells something: the watch will show what has
/// become of the object. So the server need not write the object out again, nor do we read it.
#[expect(clippy::disallowed_methods, reason = "this is the writer")]
async fn send<K: Resource + Clone>(
    api: &Api<K>,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<String, kube::Error> {
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    request.headers_mut().insert(http::header::ACCEPT, METADATA_ONLY);
    api.clone().into_client().request_text(request).await
}

/// The uid of the object in an answer.
fn uid_in(answer: &str) -> Option<Uid> {
    #[derive(Deserialize)]
    struct Answer {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        uid: String,
    }
    serde_json::from_str(answer).ok().map(|Answer { metadata: Metadata { uid } }| Uid(uid))
}

async fn limited<T>(kind: &str, name: &str, call: impl Future<Output = T>) -> Result<T, WriteError> {
    let timed_out = |_| WriteError::TimedOut { kind: kind.to_owned(), name: name.to_owned() };
    tokio::time::timeout(TIME_LIMIT, call).await.map_err(timed_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, message: &str) -> WriteError {
        let status = kube::core::Status::failure(message, "Forbidden").with_code(code).boxed();
        let source = Refusal(Box::new(kube::Error::Api(status)));
        WriteError::Create { kind: "Secret".to_owned(), name: "a".to_owned(), source }
    }

    #[test]
    fn of_a_refused_secret_no_words_are_told_that_may_repeat_it_and_it_stays_clear_who_refuses() {
        let withheld = "the API server's answer (403 Forbidden) may repeat a value of the Secret and is withheld";
        let policy = "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'strong' with binding 'all' denied request";
        let kept = |message: &str| message.to_owned();
        for (sentence, message, expected) in [
            (
                "a quota counts",
                "secrets \"a\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=1",
                kept(
                    "secrets \"a\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=1",
                ),
            ),
            (
                "rights are of kinds",
                "secrets is forbidden: User \"longshore\" cannot create resource \"secrets\" in API group \"\"",
                kept("secrets is forbidden: User \"longshore\" cannot create resource \"secrets\" in API group \"\""),
            ),
            (
                "a webhook may quote a part",
                "admission webhook \"secrets.example.com\" denied the request: hunt is too short",
                format!("admission webhook \"secrets.example.com\" denied the request: {withheld}"),
            ),
            (
                "a policy may quote what it likes",
                &format!("{policy}: {{\\\"password\\\":\\\"hunter2\\\"}}"),
                format!("{policy}: {withheld}"),
            ),
            (
                "a rule quotes the value itself",
                "Secret \"a\" is invalid: data[b]: Invalid value: \"hunter2 denied the request\"",
                kept(withheld),
            ),
            ("and so may anybody", "hunter2", kept(withheld)),
        ] {
            let told = refused(403, message).withholding(|_| false).to_string();
            assert_eq!(told, format!("creating Secret a was refused: {expected}"), "{sentence}");
        }
        let webhook = refused(400, "admission webhook \"secrets.example.com\" denied the request: hunter2");
        assert!(webhook.withholding(|_| false).is_refusal(), "it counts as before");
        let quota = refused(403, "secrets \"a\" is forbidden: exceeded quota: hunter2");
        assert!(!quota.withholding(|text| text.contains("hunter2")).to_string().contains("hunter2"));
    }

    #[test]
    fn an_object_is_refused_for_what_it_is_by_a_rule_a_policy_or_a_quota_and_not_for_want_of_rights() {
        for (code, message, expected) in [
            (
                403,
                "pods \"web-1\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=3, limited: pods=3",
                true,
            ),
            (403, "pods \"web-1\" is forbidden: violates PodSecurity \"baseline:latest\": privileged", true),
            (403, "pods is forbidden: User \"longshore\" cannot create resource \"pods\" in API group \"\"", false),
            (
                403,
                "secrets \"a\" is forbidden: User \"longshore\" cannot patch resource \"secrets\" in API group \"\"",
                false,
            ),
            (422, "Pod \"web-1\" is invalid: spec.containers[0].image: Required value", true),
            (400, "admission webhook \"policy.example.com\" denied the request", true),
            (400, "the object provided is unrecognized", false),
            (429, "too many requests", false),
            (500, "failed calling webhook \"policy.example.com\"", false),
        ] {
            assert_eq!(refused(code, message).is_refusal(), expected, "{message}");
        }
    }
}
