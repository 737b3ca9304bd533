//! `volumes` and `mountPoints`.

use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::{Namespace, shell};

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
