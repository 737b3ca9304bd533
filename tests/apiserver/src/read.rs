//! Lists, page by page.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::Failure;
use crate::machine::{Machine, project};
use crate::object;
use crate::selector::Selector;
use crate::store::ObjectKey;

impl Machine {
    pub(crate) fn list(&self, call: &Call) -> Result<Value, Failure> {
        let selector = Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
        let newest = self.store.revision();
        let number = |name: &str| call.query.get(name).and_then(|text| text.parse::<u64>().ok());
        let wanted = number("resourceVersion");
        if let Some(wanted) = wanted.filter(|wanted| *wanted > newest) {
            return Err(Failure::from_the_future(wanted, newest));
        }
        // Without a version the newest state is asked for; with one, any that is not older will do.
        let oldest = wanted.map_or(newest, |wanted| newest.saturating_sub(self.lag).max(wanted));
        let (revision, objects) = self.store.at(&call.resource.id(), oldest);
        let token = call.query.get("continue").filter(|token| !token.is_empty());
        let after = match token {
            None => None,
            Some(token) => Some(self.read_token(token)?),
        };
        let is_next = |key: &ObjectKey| {
            (call.namespace.is_empty() || key.namespace == call.namespace)
                && after.as_ref().is_none_or(|(_, namespace, name)| {
                    (key.namespace.as_str(), key.name.as_str()) > (namespace.as_str(), name.as_str())
                })
        };
        let found = objects.into_iter().filter(|(key, object)| is_next(key) && selector.matches(object));
        let mut items: Vec<Arc<Value>> = found.map(|(_, object)| object).collect();
        let limit = number("limit").filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
        let left = limit.map_or(0, |limit| items.len().saturating_sub(limit));
        items.truncate(limit.unwrap_or(usize::MAX));
        let version = after.map_or(revision, |(version, _, _)| version);
        let mut metadata = json!({ "resourceVersion": version.to_string() });
        if let Some(last) = items.last().filter(|_| left > 0) {
            let token = format!("{version}|{}|{}", object::text(last, "/metadata/namespace"), object::name(last));
            metadata["continue"] = json!(token);
            metadata["remainingItemCount"] = json!(left);
        }
        let (version, kind) = if call.metadata_only {
            ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned())
        } else {
            (call.resource.api_version(), format!("{}List", call.resource.kind))
        };
        let items: Vec<Value> = items.iter().map(|object| project(call, object)).collect();
        Ok(json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "items": items }))
    }

    /// Version, namespace and name. What has been written since the first page shows in later ones; the real server keeps
    /// the old state of each page, and nobody may rely on more than that every object that stays is listed once.
    fn read_token(&self, token: &str) -> Result<(u64, String, String), Failure> {
        let mut parts = token.splitn(3, '|');
        let version = parts.next().and_then(|version| version.parse::<u64>().ok());
        let (Some(version), Some(namespace), Some(name)) = (version, parts.next(), parts.next()) else {
            return Err(Failure::bad_request("continue key is not valid"));
        };
        if version < self.store.compacted() {
            return Err(Failure::expired(
                "The provided continue parameter is too old to display a consistent list result.",
            ));
        }
        Ok((version, namespace.to_owned(), name.to_owned()))
    }
}
