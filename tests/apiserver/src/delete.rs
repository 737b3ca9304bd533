//! Deletion: grace, finalizers, preconditions, and what goes with its owner.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::call::{Call, Verb};
use crate::failure::Failure;
use crate::machine::{Machine, raise_generation};
use crate::object;
use crate::resource::ResourceType;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl Machine {
    pub(crate) fn delete(&mut self, call: &Call, options: &Value) -> Result<Value, Failure> {
        let live = self.live(call)?;
        check_preconditions(call, &live, options)?;
        let grace = grace_period(&call.resource, &live, options);
        let key = Self::key(call);
        let mut new = (*live).clone();
        if object::is_deleting(&live) {
            let granted = live.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
            if grace >= granted && (granted > 0 || !object::finalizers(&live).is_empty()) {
                return Ok(crate::machine::project(call, &live));
            }
        } else if let Some(finalizer) = propagation(options) {
            let mut finalizers: Vec<String> = object::finalizers(&live).into_iter().map(str::to_owned).collect();
            finalizers.push(finalizer.to_owned());
            object::metadata(&mut new).insert("finalizers".to_owned(), json!(finalizers));
        }
        if grace > 0 || !object::finalizers(&new).is_empty() {
            if !object::is_deleting(&live) {
                raise_generation(&mut new);
            }
            let at = self.now(grace);
            let metadata = object::metadata(&mut new);
            metadata.insert("deletionTimestamp".to_owned(), json!(at));
            metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
            let managers = self.store.managers(&key).to_vec();
            return Ok(self.commit(call, &key, Some(new), managers));
        }
        let gone = self.commit(call, &key, None, Vec::new());
        if call.resource.is_pod() {
            return Ok(gone);
        }
        Ok(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": { "name": call.name, "kind": call.resource.plural, "uid": object::uid(&live) },
        }))
    }

    /// Deletes what has lost all its owners, and lets those go that wait for what they own, until there is nothing to do.
    pub(crate) fn collect_garbage(&mut self) {
        while let Some(call) = self.next_garbage() {
            let collected = match call.verb {
                Verb::Delete => self.delete(&call, &call.body),
                _ => self.live(&call).and_then(|live| {
                    let mut wanted = (*live).clone();
                    json_patch::merge(&mut wanted, &call.body);
                    self.revise(&call, &live, wanted, None)
                }),
            };
            if collected.is_err() {
                return;
            }
        }
    }

    fn next_garbage(&self) -> Option<Call> {
        let uids: BTreeSet<&str> = self.store.everything().map(|(_, object)| object::uid(object)).collect();
        let about = |key: &crate::store::ObjectKey, verb, body| {
            let resource = self.resources.by_id(&key.resource)?;
            let mut call = Call::internal("garbage-collector", verb, resource, &key.namespace, &key.name);
            call.body = body;
            Some(call)
        };
        for (key, object) in self.store.everything() {
            if object::owners(object).next().is_some()
                && !object::is_deleting(object)
                && object::owners(object).all(|owner| !uids.contains(owner))
            {
                let options = json!({ "preconditions": { "uid": object::uid(object) } });
                return about(key, Verb::Delete, options);
            }
            let finalizers = object::finalizers(object);
            let without = |finalizer: &str| {
                let left: Vec<&str> = finalizers.iter().copied().filter(|one| *one != finalizer).collect();
                json!({ "metadata": { "finalizers": left } })
            };
            let mut owned =
                self.store.everything().filter(|(_, one)| object::owners(one).any(|uid| uid == object::uid(object)));
            if finalizers.contains(&FOREGROUND) {
                match owned.find(|(_, one)| !object::is_deleting(one)) {
                    Some((key, _)) => return about(key, Verb::Delete, Value::Null),
                    None if self.is_alone(object) => return about(key, Verb::Merge, without(FOREGROUND)),
                    None => {}
                }
            } else if finalizers.contains(&ORPHAN) {
                return match owned.next() {
                    Some((key, _)) => about(key, Verb::Merge, json!({ "metadata": { "ownerReferences": [] } })),
                    None => about(key, Verb::Merge, without(ORPHAN)),
                };
            }
        }
        None
    }

    fn is_alone(&self, owner: &Value) -> bool {
        !self.store.everything().any(|(_, one)| object::owners(one).any(|uid| uid == object::uid(owner)))
    }
}

fn check_preconditions(call: &Call, live: &Value, options: &Value) -> Result<(), Failure> {
    let wanted = |name: &str| options.pointer(&format!("/preconditions/{name}")).and_then(Value::as_str);
    let (uid, version) = (object::uid(live), object::version(live));
    if let Some(wanted) = wanted("uid").filter(|wanted| *wanted != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        );
        return Err(Failure::conflict(&call.resource, &call.name, &why));
    }
    if let Some(wanted) = wanted("resourceVersion").filter(|wanted| *wanted != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        );
        return Err(Failure::conflict(&call.resource, &call.name, &why));
    }
    Ok(())
}

/// How long a kubelet may take: only a pod that a kubelet knows of, and that has not ended, has any time at all.
fn grace_period(resource: &ResourceType, live: &Value, options: &Value) -> i64 {
    let has_kubelet = resource.is_pod()
        && !object::text(live, "/spec/nodeName").is_empty()
        && !matches!(object::text(live, "/status/phase"), "Succeeded" | "Failed");
    if !has_kubelet {
        return 0;
    }
    let asked = options.get("gracePeriodSeconds").and_then(Value::as_i64);
    let own = live.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    let period = asked.or(own).unwrap_or(0);
    if period < 0 { 1 } else { period }
}

fn propagation(options: &Value) -> Option<&'static str> {
    match options.get("propagationPolicy").and_then(Value::as_str) {
        Some("Foreground") => Some(FOREGROUND),
        Some("Orphan") => Some(ORPHAN),
        _ => None,
    }
}
