//! `volumes` and `mountPoints`.

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::cluster::{Cluster, succeed};
use crate::namespace::{Namespace, shell, waiting};

async fn with_volume(cluster: &'static Cluster, name: &str, writer: &str, reader: &str, read_only: bool) -> Namespace {
    let namespace = Namespace::new(cluster, name).await;
    let mount = |path: &str, read_only: bool| json!({ "mountPoints": [{ "sourceVolume": "data", "containerPath": path, "readOnly": read_only }] });
    let containers =
        [shell("writer", writer, &mount("/out", false)), shell("reader", reader, &mount("/in", read_only))];
    namespace.register(&json!({ "volumes": [{ "name": "data" }] }), json!(containers));
    namespace.create_service(&json!({}));
    namespace
}

pub(crate) async fn containers_share_a_volume(cluster: &'static Cluster) {
    let writer = "echo hello >/out/part; mv /out/part /out/whole; exec /task pause";
    let reader = "until [ -e /in/whole ]; do sleep 0.1; done; echo \"read $(cat /in/whole)\"; exec /task pause";
    let namespace = with_volume(cluster, "volume-shared", writer, reader, false).await;
    assert_eq!(namespace.until_printed("reader", "read ").await, "hello");
}

/// "If this value is true, the container has read-only access to the volume."
pub(crate) async fn a_volume_can_be_mounted_read_only(cluster: &'static Cluster) {
    let reader = "touch /in/mine 2>/tmp/error; echo \"touch $(cat /tmp/error)\"; exec /task pause";
    let namespace = with_volume(cluster, "volume-read-only", "exec /task pause", reader, true).await;
    assert_eq!(namespace.until_printed("reader", "touch ").await, "touch: /in/mine: Read-only file system");
}

/// "Data volumes to mount from another container", where they are there; read-only, "if this value is true".
pub(crate) async fn a_container_has_the_volumes_of_another_one(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "volumes-from").await;
    let mounts = json!({ "mountPoints": [
        { "sourceVolume": "data", "containerPath": "/data" },
        { "sourceVolume": "fixed", "containerPath": "/fixed", "readOnly": true },
    ] });
    let from = |read_only: bool| json!({ "volumesFrom": [{ "sourceContainer": "owner", "readOnly": read_only }] });
    let takes = |name: &str, read_only: bool| {
        let tell = format!(
            "until [ -e /data/whole ]; do sleep 0.1; done
            echo \"read $(cat /data/whole)\"
            for place in data fixed; do echo \"$place $(touch /$place/{name} 2>&1)\"; done
            exec /task pause"
        );
        shell(name, &tell, &from(read_only))
    };
    let owner = "echo hello >/data/part; mv /data/part /data/whole; exec /task pause";
    let containers = [shell("owner", owner, &mounts), takes("editor", false), takes("reader", true)];
    namespace.register(&json!({ "volumes": [{ "name": "data" }, { "name": "fixed" }] }), json!(containers));
    namespace.create_service(&json!({}));
    for (name, place, said) in [
        ("editor", "read", "hello"),
        ("editor", "data", ""),
        ("editor", "fixed", "touch: /fixed/editor: Read-only file system"),
        ("reader", "read", "hello"),
        ("reader", "data", "touch: /data/reader: Read-only file system"),
        ("reader", "fixed", "touch: /fixed/reader: Read-only file system"),
    ] {
        assert_eq!(namespace.until_printed(name, &format!("{place} ")).await, said, "{name} {place}");
    }
}

/// What the operator goes by: such a task is given up after five minutes, and nothing else in the status of its pod tells it from one
/// whose image is being pulled.
pub(crate) async fn a_node_that_cannot_mount_a_volume_says_so_in_a_condition_of_the_pod(cluster: &'static Cluster) {
    let namespace = Namespace::new(cluster, "volume-not-mounted").await;
    let nfs = json!({ "type": "nfs", "o": "addr=127.0.0.1", "device": ":/not-there" });
    let volume = json!({ "name": "data", "dockerVolumeConfiguration": { "driverOpts": nfs } });
    let mounts = json!({ "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }] });
    namespace.register(&json!({ "volumes": [volume] }), json!([shell("app", "exec /task pause", &mounts)]));
    namespace.create_service(&json!({}));
    let mount_failed =
        async || succeed(namespace.kubectl().args(["get", "events"])).contains("FailedMount").then_some(());
    namespace.until("the volume is not mounted", mount_failed).await;
    let task = namespace.tasks().await.remove(0);
    let is_prepared = |task: &Pod| {
        let conditions = task.status.clone().unwrap().conditions.unwrap_or_default();
        let condition =
            conditions.into_iter().find(|condition| condition.type_ == "PodReadyToStartContainers").unwrap();
        assert!(condition.last_transition_time.is_some());
        condition.status
    };
    assert_eq!(is_prepared(&task), "False");
    assert_eq!(waiting(&task, "app"), Some("ContainerCreating"));
}
