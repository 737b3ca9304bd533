//! `memory` of containers and tasks.

use longshore::api::{ServiceStatus, StopCode, StoppedContainer, StoppedTask};
use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::Namespace;

/// "If your container attempts to exceed the memory specified here, the container is killed."
pub(crate) async fn a_container_beyond_its_memory_is_killed(cluster: &'static Cluster) {
    let app = json!({ "name": "app", "entryPoint": ["/task", "allocate", "128"], "memory": 32 });
    let namespace = Namespace::with_task(cluster, "memory-container", json!([app])).await;
    let stopped = namespace.until_stopped().await;
    assert_eq!(stopped.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(stopped.containers, [killed("app")]);
}

/// A container that the kernel has killed.
fn killed(name: &str) -> StoppedContainer {
    let reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
    StoppedContainer { name: name.to_owned(), exit_code: Some(137), reason }
}

/// `memory` of the task is a limit for all of its containers together, and none of them has a part of it for its own.
pub(crate) async fn the_containers_of_a_task_share_its_memory(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "memory-task").await;
    let allocates =
        |name: &str, mebibytes: &str| json!({ "name": name, "entryPoint": ["/task", "allocate", mebibytes] });
    let task = json!({ "cpu": "128", "memory": "128" });
    namespace.register(&task, json!([allocates("most", "90"), allocates("little", "10")]));
    namespace.create_service(&json!({}));
    namespace.until_printed("most", "allocated 90").await;
    namespace.until_printed("little", "allocated 10").await;
    let status = namespace.until_steady(1).await;
    assert!(status.stopped_tasks.is_empty(), "{:?}", status.stopped_tasks);

    namespace.register(&task, json!([allocates("most", "90"), allocates("little", "90")]));
    let of_second = |stopped: &&StoppedTask| stopped.task_definition == "app:2";
    let ended = |status: &ServiceStatus| status.stopped_tasks.iter().any(|stopped| of_second(&stopped));
    let status = namespace.until_service("a task of the second revision ends", ended).await;
    let stopped = status.stopped_tasks.iter().find(of_second).unwrap();
    assert_eq!(stopped.stop_code, Some(StopCode::EssentialContainerExited));
    let is_killed = |container: &StoppedContainer| *container == killed(&container.name);
    assert!(stopped.containers.iter().any(is_killed), "{stopped:?}");
}
