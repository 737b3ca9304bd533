//! The only file that changes anything in the cluster, but for Events and the lease of the leader.
//!
//! Every write is idempotent or guarded: creates have derived names, deletes carry the uid, status is applied to the version
//! it was computed from. Each has a time limit, because one that hangs would hold up the service it is for.

use std::fmt::Debug;
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

mod error;

use error::Refusal;
pub use error::WriteError;

/// How long a write may take.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// In place of the object, an answer of no more than its metadata.
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

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
