//! `linuxParameters` and `ulimits`: memory file systems, and what has no effect and says so.

use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::{Namespace, shell};

/// Prints how large a memory file system is that is mounted there.
fn size(path: &str) -> String {
    format!("echo \"{path} $(awk '$2 == \"{path}\" {{ print $3, $4 }}' /proc/mounts)\"")
}

/// "The container path, mount options, and size (in MiB) of the tmpfs mount"; "the value for the size (in MiB) of the /dev/shm volume".
pub(crate) async fn a_container_has_its_memory_file_systems_in_their_size(cluster: &'static Cluster) {
    let fill = "echo \"fill $(dd if=/dev/zero of=/scratch/file bs=1M count=17 2>&1 | grep -o 'No space.*')\"";
    let read_only = "echo \"touch $(touch /fixed/mine 2>&1)\"";
    let line = [&size("/scratch"), &size("/dev/shm"), fill, read_only, "exec /task pause"].join("\n");
    let tmpfs = json!([
        { "containerPath": "/scratch", "size": 16, "mountOptions": ["rw", "noexec", "suid", "dev"] },
        { "containerPath": "/fixed", "size": 1, "mountOptions": ["ro", "exec"] },
    ]);
    let members = json!({ "memory": 64, "linuxParameters": { "tmpfs": tmpfs, "sharedMemorySize": 32 } });
    let namespace = Namespace::with_task(cluster, "linux-tmpfs", json!([shell("app", &line, &members)])).await;
    let scratch = namespace.until_printed("app", "/scratch ").await;
    assert!(scratch.starts_with("tmpfs rw,") && scratch.contains("size=16384k"), "{scratch}");
    let shared = namespace.until_printed("app", "/dev/shm ").await;
    assert!(shared.starts_with("tmpfs rw,") && shared.contains("size=32768k"), "{shared}");
    assert_eq!(namespace.until_printed("app", "fill ").await, "No space left on device");
    assert_eq!(namespace.until_printed("app", "touch ").await, "touch: /fixed/mine: Read-only file system");
    let verdict = namespace.verdict(1).await;
    for (n, ignored) in [(0, "noexec"), (1, "nosuid,nodev")] {
        let deviation = format!(
            "tmpfs[{n}].mountOptions: these mount options have no effect on the tmpfs (TmpfsOptionsIgnored: {ignored})"
        );
        assert!(verdict.contains(&deviation), "{verdict}");
    }
}

/// Nothing is silent: what a pod cannot have is told, and the container runs without.
pub(crate) async fn what_has_no_effect_is_told_and_the_container_runs(cluster: &'static Cluster) {
    let line = "echo \"open files $(ulimit -n)\"; echo \"first process $(cat /proc/1/comm)\"; exec /task pause";
    let limit = json!({ "name": "nofile", "softLimit": 1234, "hardLimit": 2345 });
    let members = json!({ "ulimits": [limit], "linuxParameters": { "initProcessEnabled": true } });
    let namespace = Namespace::with_task(cluster, "linux-ignored", json!([shell("app", line, &members)])).await;
    assert_ne!(namespace.until_printed("app", "open files ").await, "1234");
    assert_eq!(namespace.until_printed("app", "first process ").await, "sh");
    namespace.until_steady(1).await;
    let verdict = namespace.verdict(1).await;
    for deviation in ["[app].ulimits", "(UlimitsIgnored)", "initProcessEnabled", "(InitProcessIgnored)"] {
        assert!(verdict.contains(deviation), "{deviation}: {verdict}");
    }
}
