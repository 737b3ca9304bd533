//! `scale` of custom resources, `binding` and `eviction` of pods.

use serde_json::{Value, json};

use crate::call::{Call, Verb};
use crate::failure::Failure;
use crate::machine::Machine;
use crate::object;
use crate::resource::{ResourceType, Scale};
use crate::selector::Selector;

impl Machine {
    pub(crate) fn scale(&mut self, call: &Call) -> Result<Value, Failure> {
        let live = self.live(call)?;
        let Some(paths) = call.resource.scale.clone() else { return Err(Failure::no_such_path()) };
        let mut scale = scale_of(&live, &paths);
        match call.verb {
            Verb::Get => return Ok(scale),
            Verb::Merge => json_patch::merge(&mut scale, &call.body),
            Verb::Update => scale = call.body.clone(),
            _ => return Err(Failure::unsupported("this kind of write to a scale")),
        }
        let mut wanted = (*live).clone();
        let count = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| json!(0));
        set_at(&mut wanted, &paths.wanted, count);
        if !object::version(&scale).is_empty() {
            object::metadata(&mut wanted).insert("resourceVersion".to_owned(), json!(object::version(&scale)));
        }
        self.revise(call, &live, wanted, None)?;
        self.live(call).map(|live| scale_of(&live, &paths))
    }

    pub(crate) fn bind(&mut self, call: &Call) -> Result<Value, Failure> {
        let live = self.live(call)?;
        let why = if !object::text(&live, "/spec/nodeName").is_empty() {
            Some(format!("pod {} is already assigned to node {:?}", call.name, object::text(&live, "/spec/nodeName")))
        } else if object::is_deleting(&live) {
            Some(format!("pod {} is being deleted, cannot be assigned to a host", call.name))
        } else {
            None
        };
        if let Some(why) = why {
            return Err(Failure::conflict(&binding_of(&call.resource), &call.name, &why));
        }
        let mut new = (*live).clone();
        set_at(&mut new, "/spec/nodeName", json!(object::text(&call.body, "/target/name")));
        let scheduled = json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": self.now(0) });
        let status = object::member(&mut new, "status");
        let conditions = status.entry("conditions").or_insert(json!([]));
        if let Some(conditions) = conditions.as_array_mut() {
            conditions.retain(|condition| object::text(condition, "/type") != "PodScheduled");
            conditions.push(scheduled);
        }
        let key = Self::key(call);
        let managers = self.store.managers(&key).to_vec();
        self.commit(call, &key, Some(new), managers);
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }))
    }

    pub(crate) fn evict(&mut self, call: &Call) -> Result<Value, Failure> {
        let live = self.live(call)?;
        let counts = !matches!(object::text(&live, "/status/phase"), "Pending" | "Succeeded" | "Failed")
            && !object::is_deleting(&live);
        if counts {
            self.take_from_budget(call, &live)?;
        }
        let options = call.body.get("deleteOptions").cloned().unwrap_or_default();
        self.delete(call, &options)?;
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }))
    }

    /// Nobody here keeps the status of a budget; what it says is taken as it is, and each eviction is taken off it at once: whoever
    /// keeps it may be late.
    fn take_from_budget(&mut self, call: &Call, pod: &Value) -> Result<(), Failure> {
        let mut taken = Vec::new();
        for (key, budget) in self.store.of("poddisruptionbudgets.policy") {
            let labels = budget.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
            let terms: Vec<String> = labels
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            let selector = Selector::parse(Some(&terms.join(",")), None)?;
            if key.namespace != call.namespace || !selector.matches(pod) {
                continue;
            }
            let allowed = budget.pointer("/status/disruptionsAllowed").and_then(Value::as_i64).unwrap_or(0);
            if allowed <= 0 {
                let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                return Err(Failure::new(429, "TooManyRequests", message));
            }
            let mut left = (**budget).clone();
            set_at(&mut left, "/status/disruptionsAllowed", json!(allowed - 1));
            taken.push((key.clone(), left));
        }
        for (key, left) in taken {
            let managers = self.store.managers(&key).to_vec();
            self.commit(call, &key, Some(left), managers);
        }
        Ok(())
    }
}

fn binding_of(pods: &ResourceType) -> ResourceType {
    ResourceType { plural: "pods/binding".to_owned(), ..pods.clone() }
}

fn scale_of(object: &Value, paths: &Scale) -> Value {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut scale = json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {
            "name": object::name(object),
            "namespace": object::text(object, "/metadata/namespace"),
            "uid": object::uid(object),
            "resourceVersion": object::version(object),
            "creationTimestamp": object.pointer("/metadata/creationTimestamp"),
        },
        "spec": { "replicas": number(&paths.wanted) },
        "status": { "replicas": number(&paths.actual) },
    });
    if let Some(selector) = paths.selector.as_ref().and_then(|pointer| object.pointer(pointer)) {
        scale["status"]["selector"] = selector.clone();
    }
    scale
}

fn set_at(object: &mut Value, pointer: &str, value: Value) {
    if let Some((parent, name)) = pointer.trim_start_matches('/').split_once('/') {
        object::member(object, parent).insert(name.to_owned(), value);
    }
}
