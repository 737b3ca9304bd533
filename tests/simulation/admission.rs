//! What others do to our objects: a service mesh adds its sidecar to pods, a load balancer controller its readiness gate.

use longshore::api::labels;
use longshore_test_apiserver::{Call, Verb};
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::targets;
use crate::task::{PODS, label};
use crate::world::lock;

/// The name of the container that the mesh adds.
pub(crate) const SIDECAR: &str = "mesh-proxy";

/// Changes pods on their way in.
pub(crate) fn admit(faults: Faults) -> impl FnMut(&Call, &mut Value) + Send + 'static {
    move |call, object| {
        if call.resource.id() != PODS || call.verb != Verb::Create {
            return;
        }
        let classes = lock(&faults.0).classes;
        if classes.sidecars {
            inject(object);
        }
        if classes.targets && label(object, labels::SERVICE) == "web" {
            object["spec"]["readinessGates"] = json!([{ "conditionType": targets::GATE }]);
        }
    }
}

/// As a mesh does: labels, annotations, tolerations, a volume, a container that prepares and one that stays, the latter first.
fn inject(pod: &mut Value) {
    pod["metadata"]["labels"]["mesh.example.com/revision"] = json!("default");
    pod["metadata"]["annotations"]["mesh.example.com/status"] = json!("injected");
    let spec = &mut pod["spec"];
    spec["schedulerName"] = json!("default-scheduler");
    let mut push_first = |list: &str, item: Value| {
        let mut items = vec![item];
        items.extend(spec[list].as_array().into_iter().flatten().cloned());
        spec[list] = Value::Array(items);
    };
    push_first("tolerations", json!({ "key": "example.com/spot", "operator": "Exists" }));
    push_first("volumes", json!({ "name": "mesh", "emptyDir": {} }));
    push_first("initContainers", json!({ "name": "mesh-init", "image": "mesh:1" }));
    push_first("containers", json!({ "name": SIDECAR, "image": "mesh:1" }));
}
