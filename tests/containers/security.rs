//! `user`, `readonlyRootFilesystem`, `linuxParameters.capabilities` and `systemControls`: what the processes may do.

use longshore::api::StopCode;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::namespace::{Namespace, shell};

/// The numbers of capabilities in the kernel's masks.
const CHOWN: u32 = 0;
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;

/// Prints what the kernel says of the shell, and what it answers to some requests.
const TELL: &str = "
    echo \"user $(id -u):$(id -g)\"
    echo \"capabilities $(grep CapEff /proc/self/status | cut -f 2)\"
    echo \"write $(touch /mine 2>&1)\"
    echo \"chown $(touch /tmp/mine && chown 1000 /tmp/mine 2>&1)\"
    echo \"ports $(cat /proc/sys/net/ipv4/ip_local_port_range | tr '\\t' ' ')\"
    exec /task pause";

/// One task, whose containers differ in what they may do.
pub(crate) async fn each_container_of_a_task_may_do_what_its_definition_says(cluster: &'static Cluster) {
    let tells = |name: &str, members: Value| shell(name, TELL, &members);
    let capabilities = json!({ "add": ["NET_ADMIN"], "drop": ["CHOWN", "NET_RAW"] });
    let ports = json!({ "namespace": "net.ipv4.ip_local_port_range", "value": "20000 30000" });
    let containers = json!([
        tells("plain", json!({ "systemControls": [ports] })),
        tells("user", json!({ "user": "1000:2000" })),
        tells("read-only", json!({ "readonlyRootFilesystem": true })),
        tells("capabilities", json!({ "linuxParameters": { "capabilities": capabilities } })),
    ]);
    let namespace = Namespace::with_task(cluster, "security", containers).await;
    let printed = async |name, begins| namespace.until_printed(name, begins).await;
    let has = async |name, capability: u32| {
        let mask = u64::from_str_radix(&printed(name, "capabilities ").await, 16).unwrap();
        mask >> capability & 1 == 1
    };

    // As Docker leaves them: root, with its default capabilities.
    assert_eq!(printed("plain", "user ").await, "0:0");
    assert_eq!((printed("plain", "write ").await, printed("plain", "chown ").await), Default::default());
    assert_eq!(
        [has("plain", CHOWN).await, has("plain", NET_ADMIN).await, has("plain", NET_RAW).await],
        [true, false, true]
    );

    assert_eq!(printed("user", "user ").await, "1000:2000");
    assert_eq!(printed("user", "capabilities ").await, "0000000000000000");
    assert_eq!(printed("user", "write ").await, "touch: /mine: Permission denied");

    // "When this parameter is true, the container is given read-only access to its root file system."
    assert_eq!(printed("read-only", "write ").await, "touch: /mine: Read-only file system");

    let name = "capabilities";
    assert_eq!([has(name, CHOWN).await, has(name, NET_ADMIN).await, has(name, NET_RAW).await], [false, true, false]);
    assert_eq!(printed(name, "chown ").await, "chown: /tmp/mine: Operation not permitted");

    // A parameter of the pod, as the verdict says.
    for name in ["plain", "user", "read-only", "capabilities"] {
        assert_eq!(printed(name, "ports ").await, "20000 30000", "{name}");
    }
    let verdict = namespace.verdict(1).await;
    assert!(verdict.contains("(PodWide)") && !verdict.contains("(UnsafeSysctl"), "{verdict}");
}

/// What the verdict says of parameters that Kubernetes holds to be unsafe is so: a node refuses them unless it was told to.
pub(crate) async fn a_node_refuses_a_kernel_parameter_that_it_does_not_allow(cluster: &'static Cluster) {
    let unsafe_one = json!({ "namespace": "net.core.somaxconn", "value": "512" });
    let app = json!({ "name": "app", "systemControls": [unsafe_one] });
    let namespace = Namespace::with_task(cluster, "security-sysctl", json!([app])).await;
    let stopped = namespace.until_stopped().await;
    assert_eq!(stopped.stop_code, Some(StopCode::TaskFailedToStart));
    assert!(stopped.stopped_reason.starts_with("SysctlForbidden: "), "{}", stopped.stopped_reason);
    assert!(stopped.stopped_reason.contains("net.core.somaxconn"), "{}", stopped.stopped_reason);
    assert_eq!((stopped.started_at, stopped.containers.len()), (None, 0));
    let verdict = namespace.verdict(1).await;
    assert!(verdict.contains("(UnsafeSysctl: net.core.somaxconn)"), "{verdict}");
}
