//! The API server's audit log: who asked for what, when, and what came of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{Error, TestCluster, wait};

/// The request that shows how far the log has been written.
const MARK: &str = "/version?longshore-audit-mark=";

/// A request that the API server has answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Event")]
pub struct AuditRecord {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Who asked.
    pub user: String,
    /// What program they asked with, in its own words.
    pub user_agent: String,
    /// The path and query.
    pub uri: String,
    /// The API group; empty for the core group and for what is no resource.
    pub group: String,
    /// The resource, such as `pods`; empty for what is no resource.
    pub resource: String,
    /// The subresource, such as `status`; empty for the resource itself.
    pub subresource: String,
    /// The namespace; empty for cluster-wide requests.
    pub namespace: String,
    /// The object's name; empty for requests about several, and where the server makes it up.
    pub name: String,
    /// The HTTP status code of the response.
    pub code: u16,
    /// When the request arrived.
    pub received: Timestamp,
    /// When the response was complete.
    pub completed: Timestamp,
}

impl AuditRecord {
    /// Whether the request was to change something. One that is only tried, with `dryRun`, changes nothing.
    pub fn is_mutating(&self) -> bool {
        let tried = self.uri.contains("dryRun=All");
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection") && !tried
    }

    /// Whether it succeeded.
    pub const fn succeeded(&self) -> bool {
        self.code < 400
    }

    /// How long the API server took.
    pub fn took(&self) -> SignedDuration {
        self.completed.duration_since(self.received)
    }
}

/// A point in the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditMark(u64);

impl TestCluster {
    /// This point in the audit log: what was answered before is before it.
    pub async fn audit_mark(&self) -> Result<AuditMark, Error> {
        let (_, end) = self.audit_until_now(self.audit_end()?).await?;
        Ok(end)
    }

    /// Every request answered since `mark`, in the order of their answers.
    ///
    /// A watch is answered when it ends.
    pub async fn audit_since(&self, mark: AuditMark) -> Result<Vec<AuditRecord>, Error> {
        let (text, _) = self.audit_until_now(mark).await?;
        text.lines()
            .filter(|line| !line.contains(MARK))
            .map(|line| {
                serde_json::from_str(line).map_err(|error| Error::Malformed {
                    what: format!("the audit record {line}"),
                    source: error.into(),
                })
            })
            .collect()
    }

    /// Every request answered since the start of the cluster.
    pub async fn audit(&self) -> Result<Vec<AuditRecord>, Error> {
        self.audit_since(AuditMark::default()).await
    }

    /// The log from `mark` to a request made now, and the point right after that.
    ///
    /// The API server writes a record after the response, so a record may not be there yet
    /// when its response is.
    async fn audit_until_now(&self, mark: AuditMark) -> Result<(String, AuditMark), Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let uri = format!("{MARK}{}.{count}.", std::process::id());
        let request = http::Request::get(&uri)
            .body(Vec::new())
            .map_err(|error| Error::Malformed { what: format!("the address {uri}"), source: error.into() })?;
        self.client()?.request_text(request).await.map_err(Error::request("mark the audit log"))?;
        let mut text = String::new();
        let limit = Duration::from_secs(30);
        wait::until("the record of a request in the audit log", limit, async || {
            text = self.audit_from(mark)?;
            let Some(found) = text.find(&uri) else {
                return Ok(false);
            };
            // The rest of the line may be missing yet.
            let Some((_, rest)) = text.split_at_checked(found) else {
                return Ok(false);
            };
            let Some(length) = rest.find('\n') else {
                return Ok(false);
            };
            text.truncate(found.saturating_add(length).saturating_add(1));
            Ok(true)
        })
        .await?;
        let end = AuditMark(mark.0.saturating_add(text.len() as u64));
        Ok((text, end))
    }

    fn audit_from(&self, mark: AuditMark) -> Result<String, Error> {
        let read = || {
            let mut file = File::open(self.audit_log())?;
            file.seek(SeekFrom::Start(mark.0))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            // A partly written last line may end inside a character; it is cut off either way.
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        read().map_err(self.unreadable())
    }

    fn audit_end(&self) -> Result<AuditMark, Error> {
        std::fs::metadata(self.audit_log()).map(|metadata| AuditMark(metadata.len())).map_err(self.unreadable())
    }

    fn unreadable(&self) -> impl FnOnce(io::Error) -> Error {
        let path = self.audit_log().to_owned();
        |source| Error::Read { path, source }
    }
}

/// A record as the API server writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<Event> for AuditRecord {
    fn from(event: Event) -> Self {
        Self {
            verb: event.verb,
            user: event.user.username,
            user_agent: event.user_agent,
            uri: event.request_uri,
            group: event.object_ref.api_group,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            code: event.response_status.code,
            received: event.request_received_timestamp,
            completed: event.stage_timestamp,
        }
    }
}
