//! Carries out requests on the store, one at a time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::call::{Call, Verb};
use crate::failure::Failure;
use crate::faults::{Commit, Observer};
use crate::fields::{self, Manager};
use crate::resource::{ResourceType, ResourceTypes};
use crate::store::{ObjectKey, Store};
use crate::{apply, object};

/// Tells the time.
pub(crate) type Clock = Box<dyn Fn() -> Timestamp + Send>;
/// Changes an object that is to be created.
pub(crate) type Admission = Box<dyn FnMut(&Call, &mut Value) + Send>;

/// The server without its network.
pub(crate) struct Machine {
    pub(crate) resources: ResourceTypes,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) observer: Box<dyn Observer>,
    /// Whether what has lost its owner goes at once, or when somebody says so.
    pub(crate) collects_garbage: bool,
    /// The request that is being carried out.
    pub(crate) request: Option<u64>,
    /// How many revisions the state is behind that it is answered from, where it does not ask for the newest.
    pub(crate) lag: u64,
    pub(crate) admission: Admission,
}

impl Machine {
    /// Carries out everything but a watch.
    pub(crate) fn execute(&mut self, call: &Call) -> Result<Value, Failure> {
        let revision = self.store.revision();
        let answer = self.route(call);
        if self.collects_garbage && self.store.revision() > revision {
            self.request = None;
            self.collect_garbage();
        }
        answer
    }

    fn route(&mut self, call: &Call) -> Result<Value, Failure> {
        match (call.verb, call.subresource.as_deref()) {
            (Verb::Get, None | Some("status")) => self.live(call).map(|live| project(call, &live)),
            (Verb::List, None) => self.list(call),
            (Verb::Create, None) => self.create(call, call.body.clone(), None),
            (Verb::Update | Verb::Merge | Verb::JsonPatch | Verb::Apply, None) => self.change(call),
            (Verb::Update | Verb::Merge | Verb::JsonPatch | Verb::Apply, Some("status")) if call.resource.status => {
                self.change(call)
            }
            (Verb::Delete, None) => self.delete(call, &call.body),
            (_, Some("scale")) if call.resource.scale.is_some() => self.scale(call),
            (Verb::Create, Some("binding")) if call.resource.is_pod() => self.bind(call),
            (Verb::Create, Some("eviction")) if call.resource.is_pod() => self.evict(call),
            _ => Err(Failure::no_such_path()),
        }
    }

    pub(crate) fn key(call: &Call) -> ObjectKey {
        ObjectKey::new(&call.resource, &call.namespace, &call.name)
    }

    pub(crate) fn live(&self, call: &Call) -> Result<Arc<Value>, Failure> {
        self.store.find(&Self::key(call)).ok_or_else(|| Failure::not_found(&call.resource, &call.name))
    }

    /// The time as objects have it: no finer than a second.
    pub(crate) fn now(&self, later: i64) -> String {
        let now = (self.clock)().saturating_add(SignedDuration::from_secs(later)).unwrap_or_default();
        now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    pub(crate) fn commit(
        &mut self,
        call: &Call,
        key: &ObjectKey,
        after: Option<Value>,
        managers: Vec<Manager>,
    ) -> Value {
        let after = after.map(|mut after| {
            let managed = fields::managed_fields(&managers, &call.resource.api_version());
            object::metadata(&mut after).insert("managedFields".to_owned(), managed);
            after
        });
        let change = self.store.commit(key, after, managers);
        let commit = Commit { call, request: self.request, change: &change };
        self.observer.committed(&commit, &self.store);
        change.after.or(change.before).map(|object| project(call, &object)).unwrap_or_default()
    }

    fn create(&mut self, call: &Call, body: Value, applied: Option<Vec<Manager>>) -> Result<Value, Failure> {
        let resource = &call.resource;
        let mut new = Self::acceptable(call, body)?;
        let name = object::name(&new).to_owned();
        if name.is_empty() {
            return Err(if object::text(&new, "/metadata/generateName").is_empty() {
                Failure::invalid(
                    resource,
                    "",
                    &["metadata.name: Required value: name or generateName is required".to_owned()],
                )
            } else {
                Failure::unsupported("generateName")
            });
        }
        if !object::version(&new).is_empty() {
            return Err(Failure::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let key = ObjectKey::new(resource, &call.namespace, &name);
        if resource.namespaced && self.store.get("namespaces", "", &call.namespace).is_none() {
            let namespaces = self.resources.by_id("namespaces").ok_or_else(Failure::no_such_path)?;
            return Err(Failure::not_found(&namespaces, &call.namespace));
        }
        if self.store.find(&key).is_some() {
            return Err(Failure::already_exists(resource, &name));
        }
        let now = self.now(0);
        let uid = format!("00000000-0000-4000-8000-{:012x}", self.store.revision() + 1);
        let metadata = object::metadata(&mut new);
        for system in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"] {
            metadata.remove(system);
        }
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(now));
        if resource.namespaced {
            metadata.insert("namespace".to_owned(), json!(call.namespace));
        }
        if resource.schema.is_some() || resource.is_pod() {
            metadata.insert("generation".to_owned(), json!(1));
        }
        if resource.status {
            let status = resource.is_pod().then(|| json!({ "phase": "Pending" }));
            object::set_member(&mut new, "status", status.as_ref());
        }
        complete_pod(resource, &mut new);
        (self.admission)(call, &mut new);
        Self::check(call, None, &mut new)?;
        crate::limits::check(resource, &new)?;
        let managers = applied.unwrap_or_else(|| apply::update(call, None, &new, &[], &now));
        Ok(self.commit(call, &key, Some(new), managers))
    }

    /// A body that says of itself what the path says of it.
    fn acceptable(call: &Call, mut body: Value) -> Result<Value, Failure> {
        let resource = &call.resource;
        let (kind, version) = (object::text(&body, "/kind"), object::text(&body, "/apiVersion"));
        if kind != resource.kind || version != resource.api_version() {
            let wanted = format!("{} {}", resource.api_version(), resource.kind);
            return Err(Failure::bad_request(format!("the object provided is {version} {kind}, and not {wanted}")));
        }
        let namespace = object::text(&body, "/metadata/namespace");
        if !namespace.is_empty() && namespace != call.namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if let Some(members) = object::metadata(&mut body).get_mut("name")
            && members.is_null()
        {
            *members = json!("");
        }
        Ok(body)
    }

    fn change(&mut self, call: &Call) -> Result<Value, Failure> {
        let key = Self::key(call);
        let live = match self.store.find(&key) {
            Some(live) => live,
            None if call.verb == Verb::Apply && call.subresource.is_none() => return self.create_by_apply(call),
            None => return Err(Failure::not_found(&call.resource, &call.name)),
        };
        let managers = self.store.managers(&key).to_vec();
        let mut wanted = (*live).clone();
        let mut applied = None;
        match call.verb {
            Verb::Merge => json_patch::merge(&mut wanted, &call.body),
            Verb::JsonPatch => {
                let patch: json_patch::Patch = serde_json::from_value(call.body.clone())
                    .map_err(|error| Failure::bad_request(format!("the patch cannot be read: {error}")))?;
                json_patch::patch(&mut wanted, &patch).map_err(|_| {
                    Failure::new(422, "Invalid", "the server rejected our request due to an error in our request")
                })?;
            }
            Verb::Apply => {
                Self::acceptable(call, call.body.clone())?;
                let result = apply::apply(call, &live, &managers, &self.now(0))?;
                wanted = result.object;
                let version = object::version(&call.body);
                if !version.is_empty() {
                    object::metadata(&mut wanted).insert("resourceVersion".to_owned(), json!(version));
                }
                applied = Some(result.managers);
            }
            _ => {
                wanted = Self::acceptable(call, call.body.clone())?;
                if object::version(&wanted).is_empty() && call.resource.schema.is_some() {
                    let problem = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
                    return Err(Failure::invalid(&call.resource, &call.name, &[problem.to_owned()]));
                }
            }
        }
        self.revise(call, &live, wanted, applied)
    }

    fn create_by_apply(&mut self, call: &Call) -> Result<Value, Failure> {
        let nothing = json!({});
        let applied = apply::apply(call, &nothing, &[], &self.now(0))?;
        let mut new = applied.object;
        for member in ["apiVersion", "kind"] {
            object::set_member(&mut new, member, call.body.get(member));
        }
        object::metadata(&mut new).insert("name".to_owned(), json!(call.name));
        self.create(call, new, Some(applied.managers))
    }

    /// Puts a changed object in place of the live one. What a write of its kind cannot change stays as it is.
    pub(crate) fn revise(
        &mut self,
        call: &Call,
        live: &Value,
        wanted: Value,
        applied: Option<Vec<Manager>>,
    ) -> Result<Value, Failure> {
        let resource = &call.resource;
        let version = object::version(&wanted);
        if !version.is_empty() && version != object::version(live) {
            return Err(Failure::modified(resource, &call.name));
        }
        let uid = object::uid(&wanted);
        if !uid.is_empty() && uid != object::uid(live) {
            let problem = format!("metadata.uid: Invalid value: {uid:?}: field is immutable");
            return Err(Failure::invalid(resource, &call.name, &[problem]));
        }
        let mut new;
        if call.subresource.as_deref() == Some("status") {
            new = live.clone();
            object::set_member(&mut new, "status", wanted.get("status"));
        } else {
            new = wanted;
            if resource.status {
                object::set_member(&mut new, "status", live.get("status"));
            }
        }
        for system in [
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
        ] {
            let kept = live.pointer(&format!("/metadata/{system}"));
            object::set(object::metadata(&mut new), system, kept);
        }
        tidy_metadata(&mut new);
        Self::check(call, Some(live), &mut new)?;
        crate::limits::check(resource, &new)?;
        let had = object::finalizers(live);
        let added: Vec<&str> = object::finalizers(&new).into_iter().filter(|one| !had.contains(one)).collect();
        if object::is_deleting(live) && !added.is_empty() {
            let problem = format!(
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            return Err(Failure::invalid(resource, &call.name, &[problem]));
        }
        if resource.is_pod() && call.subresource.is_none() && !is_same_pod(live, &new) {
            let problem = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`";
            return Err(Failure::invalid(resource, &call.name, &[problem.to_owned()]));
        }
        let key = Self::key(call);
        let before = self.store.managers(&key).to_vec();
        let managers = applied.unwrap_or_else(|| apply::update(call, Some(live), &new, &before, &self.now(0)));
        let owned = |managers: &[Manager]| -> Vec<_> {
            managers
                .iter()
                .map(|one| (one.name.clone(), one.applies, one.subresource.clone(), one.fields.clone()))
                .collect()
        };
        if new == *live && owned(&managers) == owned(&before) {
            return Ok(project(call, live));
        }
        if is_spec_changed(live, &new) && live.pointer("/metadata/generation").is_some() {
            raise_generation(&mut new);
        }
        let held = !object::finalizers(&new).is_empty();
        let grace = new.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
        if object::is_deleting(&new) && !held && grace == 0 {
            self.commit(call, &key, None, Vec::new());
            return Ok(project(call, &new));
        }
        Ok(self.commit(call, &key, Some(new), managers))
    }

    /// What the schema says of a custom resource. What it would not let in any more, but is there, may stay ("ratcheting").
    fn check(call: &Call, live: Option<&Value>, new: &mut Value) -> Result<(), Failure> {
        let Some(schema) = &call.resource.schema else { return Ok(()) };
        crate::schema::prune(&call.resource, new);
        let mut problems = Vec::new();
        for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let system = matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
            let unchanged = live.is_some_and(|live| live.get(name) == new.get(name));
            if let Some(value) = new.get(name).filter(|_| !system && !unchanged) {
                problems.extend(crate::schema::problems(value, schema, name));
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| new.get(*name).is_none()) {
            problems.push(format!("{name}: Required value"));
        }
        if problems.is_empty() { Ok(()) } else { Err(Failure::invalid(&call.resource, &call.name, &problems)) }
    }
}

/// What is answered of an object.
pub(crate) fn project(call: &Call, object: &Value) -> Value {
    if !call.metadata_only {
        return object.clone();
    }
    json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object.get("metadata") })
}

pub(crate) fn raise_generation(object: &mut Value) {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    object::metadata(object).insert("generation".to_owned(), json!(generation + 1));
}

fn is_spec_changed(before: &Value, after: &Value) -> bool {
    let members = |object: &Value| -> Vec<(String, Value)> {
        let all = object.as_object().into_iter().flatten();
        let spec = all.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"));
        spec.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    members(before) != members(after)
}

/// Metadata as the real server reads and writes it: nothing null, no empty lists and maps.
fn tidy_metadata(object: &mut Value) {
    object::metadata(object).retain(|_, value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            !members.is_empty()
        }
        _ => true,
    });
}

/// Defaults of a pod that matter here.
fn complete_pod(resource: &ResourceType, pod: &mut Value) {
    if resource.is_pod() {
        let spec = object::member(pod, "spec");
        spec.entry("terminationGracePeriodSeconds").or_insert(json!(30));
        spec.entry("restartPolicy").or_insert(json!("Always"));
    }
}

fn is_same_pod(before: &Value, after: &Value) -> bool {
    let without_images = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            object::set_member(container, "image", None);
        }
        spec
    };
    without_images(before) == without_images(after)
}
