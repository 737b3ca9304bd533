//! What a pod reserves of its node.

use serde::{Deserialize, Serialize};

use crate::domain::placement::resources::{Resources, bytes, millicores};

/// A container, as far as its size goes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerSize {
    resources: Requirements,
    restart_policy: Option<String>,
}

/// What a container or a pod asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Requirements {
    requests: Requests,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Requests {
    cpu: Option<String>,
    memory: Option<String>,
}

impl Requirements {
    fn requested(&self) -> Resources {
        let Requests { cpu, memory } = &self.requests;
        Resources {
            cpu: cpu.as_deref().and_then(millicores).unwrap_or(0),
            memory: memory.as_deref().and_then(bytes).unwrap_or(0),
        }
    }
}

/// What the scheduler sets aside for a pod: what the pod itself requests, else what its containers need at once at most. Before the
/// main containers, each init container runs beside the sidecars that stand in front of it.
pub(super) fn reserves(of_pod: &Requirements, init: &[ContainerSize], main: &[ContainerSize]) -> Resources {
    let (mut sidecars, mut most) = (Resources::default(), Resources::default());
    for container in init {
        let needed = sidecars.plus(container.resources.requested());
        most = most.max(needed);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = needed;
        }
    }
    let main = main.iter().map(|container| container.resources.requested());
    let of_containers = most.max(main.fold(sidecars, Resources::plus));
    let (given, requested) = (&of_pod.requests, of_pod.requested());
    Resources {
        cpu: if given.cpu.is_some() { requested.cpu } else { of_containers.cpu },
        memory: if given.memory.is_some() { requested.memory } else { of_containers.memory },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn requests(cpu: &str) -> Value {
        json!({ "resources": { "requests": { "cpu": cpu, "memory": "64Mi" } } })
    }

    fn sidecar(cpu: &str) -> Value {
        let mut container = requests(cpu);
        container["restartPolicy"] = json!("Always");
        container
    }

    #[test]
    fn a_task_reserves_what_kubernetes_scheduler_sets_aside_for_its_pod() {
        let none = || json!([]);
        // (sentence, of the pod, init containers, main containers, cpu)
        for (sentence, of_pod, init, main, cpu) in [
            ("nothing", json!({}), none(), json!([{}]), 0),
            ("its containers together", json!({}), none(), json!([requests("100m"), requests("1")]), 1100),
            (
                "an init container that needs more than they do",
                json!({}),
                json!([requests("2")]),
                json!([requests("1")]),
                2000,
            ),
            ("sidecars beside them", json!({}), json!([sidecar("200m")]), json!([requests("1")]), 1200),
            (
                "sidecars beside an init container that comes later",
                json!({}),
                json!([requests("1"), sidecar("200m"), requests("1")]),
                json!([requests("0.1")]),
                1200,
            ),
            (
                "its own size instead, where it has one",
                json!({ "requests": { "cpu": "512m" } }),
                none(),
                json!([requests("1")]),
                512,
            ),
        ] {
            let of_pod = serde_json::from_value(of_pod).unwrap();
            let containers = |containers| serde_json::from_value::<Vec<ContainerSize>>(containers).unwrap();
            assert_eq!(reserves(&of_pod, &containers(init), &containers(main)).cpu, cpu, "{sentence}");
        }
    }
}
