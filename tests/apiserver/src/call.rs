//! One request, read from HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::failure::Failure;
use crate::resource::{ResourceType, ResourceTypes};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read many.
    List,
    /// Follow the changes.
    Watch,
    /// Make one; of a subresource, ask for a binding or an eviction.
    Create,
    /// Replace one.
    Update,
    /// Change one by a merge patch.
    Merge,
    /// Change one by a list of operations.
    JsonPatch,
    /// Change one by server-side apply.
    Apply,
    /// Delete one.
    Delete,
}

impl Verb {
    /// Whether it changes anything.
    pub fn is_mutating(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks.
    pub actor: Arc<str>,
    /// What for.
    pub verb: Verb,
    /// Of which kind.
    pub resource: Arc<ResourceType>,
    /// In which namespace; empty for all, and for kinds that lie in none.
    pub namespace: String,
    /// Of which name; empty for lists, watches and creates.
    pub name: String,
    /// Through which subresource.
    pub subresource: Option<String>,
    /// What is sent; null if nothing is.
    pub body: Value,
    pub(crate) query: BTreeMap<String, String>,
    /// Whether only metadata is to be answered.
    pub(crate) metadata_only: bool,
    pub(crate) field_manager: Option<String>,
    pub(crate) force: bool,
}

impl Call {
    /// A request of somebody who is no client: an actor beside the server.
    pub(crate) fn internal(actor: &str, verb: Verb, resource: Arc<ResourceType>, namespace: &str, name: &str) -> Self {
        Self {
            actor: actor.into(),
            verb,
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: None,
            body: Value::Null,
            query: BTreeMap::new(),
            metadata_only: false,
            field_manager: (verb == Verb::Apply).then(|| actor.to_owned()),
            force: false,
        }
    }

    /// Reads a request.
    pub(crate) fn read(
        actor: &Arc<str>,
        head: &http::request::Parts,
        body: &[u8],
        resources: &ResourceTypes,
    ) -> Result<Self, Failure> {
        let path: Vec<&str> = head.uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match path.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Failure::no_such_path()),
        };
        // The path of a namespace itself looks like the beginning of that of what lies in it.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, inner @ ..]
                if inner.first().is_some_and(|first| !matches!(*first, "status" | "finalize")) =>
            {
                (*namespace, inner)
            }
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", None),
            [plural, name] => (*plural, *name, None),
            [plural, name, subresource] => (*plural, *name, Some((*subresource).to_owned())),
            _ => return Err(Failure::no_such_path()),
        };
        let resource = resources.by_path(group, version, plural).ok_or_else(Failure::no_such_path)?;
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let header = |name: http::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = header(http::header::CONTENT_TYPE).unwrap_or_default();
        let watch = query.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
        let verb = match head.method.as_str() {
            "GET" if watch => Verb::Watch,
            "GET" if name.is_empty() => Verb::List,
            "GET" => Verb::Get,
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "DELETE" if !name.is_empty() => Verb::Delete,
            "PATCH" if content_type.starts_with("application/merge-patch+json") => Verb::Merge,
            "PATCH" if content_type.starts_with("application/json-patch+json") => Verb::JsonPatch,
            "PATCH" if content_type.starts_with("application/apply-patch+yaml") => Verb::Apply,
            method => return Err(Failure::unsupported(&format!("{method} {content_type} {}", head.uri.path()))),
        };
        let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(body) };
        let body = body.map_err(|error| Failure::bad_request(format!("the body is no JSON: {error}")))?;
        let accept = header(http::header::ACCEPT).unwrap_or_default();
        Ok(Self {
            actor: actor.clone(),
            verb,
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource,
            body,
            metadata_only: accept.contains("as=PartialObjectMetadata"),
            field_manager: query.get("fieldManager").cloned(),
            force: query.get("force").is_some_and(|force| force == "true"),
            query,
        })
    }
}
