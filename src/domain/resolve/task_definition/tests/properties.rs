//! Properties over members that nobody would write so.

use proptest::prelude::*;
use serde_json::json;

use super::{app, spec};
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::{check, resolve};

/// Text that some member could have, or any.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9:+-]{0,8}",
        "(a|b|app)(:[a-z_]{0,3})?",
        "(label|apparmor|no-new-privileges)[:=](user|type|true)?:?[a-z]{0,2}",
        "(attribute:[a-z.]{1,4}|agentConnected|task:group) (==|!=|in|>) [a-z0-9\\[\\]]{1,4}",
        "(type|addr|device)=?[:/a-z0-9.,]{0,9}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn whatever_the_members_say_a_definition_is_refused_or_becomes_a_pod(
        texts in proptest::collection::vec(text(), 12),
        numbers in proptest::collection::vec(any::<i32>(), 4),
    ) {
        let container = json!({
            "user": texts[0], "links": [texts[1]], "hostname": texts[2], "dockerSecurityOptions": [texts[3]],
            "portMappings": [{"containerPortRange": texts[0]}, {"containerPort": numbers[0], "hostPort": numbers[1]}],
            "extraHosts": [{"hostname": texts[4], "ipAddress": texts[5]}], "volumesFrom": [{"sourceContainer": texts[1]}],
            "resourceRequirements": [{"type": "GPU", "value": texts[0]}],
            "systemControls": [{"namespace": texts[6], "value": texts[7]}],
            "linuxParameters": {
                "tmpfs": [{"containerPath": texts[8], "size": numbers[2], "mountOptions": [texts[9]]}],
                "sharedMemorySize": numbers[3],
            },
        });
        let change = app(&container, &[("b", json!({"links": ["app"], "volumesFrom": [{"sourceContainer": "app"}]}))], &json!({
            "placementConstraints": [{"type": "memberOf", "expression": texts[10]}],
            "volumes": [
                {"name": texts[11], "dockerVolumeConfiguration": {"driverOpts": {"type": "nfs", "o": texts[9], "device": texts[8]}}},
                {"name": "efs", "efsVolumeConfiguration": {"fileSystemId": texts[1], "rootDirectory": texts[5]}},
            ],
            "kubernetes": {"nodeSelector": {"a": texts[0]}, "volumes": [{"name": texts[2]}]},
        }));
        let spec = spec(&change);
        check(&spec);
        let resolved = resolve(&spec, Features::ALL);
        prop_assert!(resolved.is_ok_and(|resolved| resolved.main.iter().chain(&resolved.init).count() == 2));
    }
}
