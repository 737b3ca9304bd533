//! What the server answers when it does not do what it was asked, in the words of the real one.

use serde_json::{Map, Value, json};

use crate::resource::ResourceType;

/// A refusal: an HTTP status code and a `Status` object.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct Failure {
    /// The HTTP status code.
    pub code: u16,
    /// The reason that programs match on.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    /// `details`, without what is empty.
    details: Map<String, Value>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

impl Failure {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Map::new(), retry_after: None }
    }

    /// The same, to be tried again after some seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        self.retry_after = Some(seconds);
        self
    }

    fn about(mut self, resource: &ResourceType, name: &str) -> Self {
        self.details.insert("name".to_owned(), json!(name));
        self.details.insert("kind".to_owned(), json!(resource.plural));
        if !resource.group.is_empty() {
            self.details.insert("group".to_owned(), json!(resource.group));
        }
        self
    }

    /// There is no object of this name.
    pub fn not_found(resource: &ResourceType, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.id())).about(resource, name)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn already_exists(resource: &ResourceType, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.id());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// Another write came first.
    pub fn conflict(resource: &ResourceType, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.id());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    pub(crate) fn modified(resource: &ResourceType, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn invalid(resource: &ResourceType, name: &str, problems: &[String]) -> Self {
        let kind = if resource.group.is_empty() {
            resource.kind.clone()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let list = problems.join(", ");
        let list = if problems.len() > 1 { format!("[{list}]") } else { list };
        Self::new(422, "Invalid", format!("{kind} {name:?} is invalid: {list}")).about(resource, name)
    }

    /// A state is asked for that there is not yet.
    pub(crate) fn from_the_future(wanted: u64, newest: u64) -> Self {
        let message = format!("Too large resource version: {wanted}, current: {newest}");
        Self::new(504, "Timeout", message).retry_after(1)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("this server does not do {what}"))
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if !self.details.is_empty() {
            status["details"] = Value::Object(self.details.clone());
        }
        status
    }
}
