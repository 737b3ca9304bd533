//! Volumes of Elastic File System.

use crate::api::names::{dns_label, short_hash};
use crate::api::{EfsAuthorizationConfig, EfsAuthorizationConfigIam, EfsTransitEncryption, EfsVolumeConfiguration};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::POD_NAME_MAX;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};

/// "If an access point is specified, the root directory value must be omitted or /" and "transit encryption must be enabled"; so
/// for IAM.
pub(super) fn refused(volume: &str, efs: &EfsVolumeConfiguration) -> Vec<Problem> {
    let at = |name: &str| format!("volumes[{volume}].efsVolumeConfiguration.{name}");
    let authorization = efs.authorization_config.clone().unwrap_or_default();
    let encrypted = efs.transit_encryption == Some(EfsTransitEncryption::Enabled);
    let root = efs.root_directory.as_deref().unwrap_or("/");
    let mut problems = Vec::new();
    if authorization.access_point_id.is_some() && root != "/" {
        problems.push(Problem::new(
            at("rootDirectory"),
            "the access point has a root of its own; leave it out, or make it /",
        ));
    }
    let needs =
        authorization.access_point_id.is_some() || authorization.iam == Some(EfsAuthorizationConfigIam::Enabled);
    if needs && !encrypted {
        problems.push(Problem::new(at("transitEncryption"), "must be ENABLED with an access point or with IAM"));
    }
    problems
}

/// EFS has a CSI driver for volumes that somebody has made, and none for volumes in a pod: the claim is one for each file system and
/// way to mount it, since directory, access point, port, encryption and `iam` are those of a PersistentVolume.
pub(super) fn claim(place: &str, efs: &EfsVolumeConfiguration, verdict: &mut Verdict) -> String {
    let EfsVolumeConfiguration {
        file_system_id,
        root_directory,
        transit_encryption,
        transit_encryption_port,
        authorization_config,
    } = efs;
    let EfsAuthorizationConfig { access_point_id, iam } = authorization_config.clone().unwrap_or_default();
    let root = root_directory.as_deref().filter(|root| *root != "/").unwrap_or_default();
    let point = access_point_id.as_deref().unwrap_or_default();
    let encrypted = *transit_encryption == Some(EfsTransitEncryption::Enabled);
    let port = transit_encryption_port.map(|port| port.to_string()).unwrap_or_default();
    let by_iam = iam == Some(EfsAuthorizationConfigIam::Enabled);
    let mut parts = vec![root, point, &port, if encrypted { "tls" } else { "" }];
    // Only where it is so: the names of the others stay what they have been.
    parts.extend(by_iam.then_some("iam"));
    let mut claim = dns_label(file_system_id, POD_NAME_MAX);
    if parts.iter().any(|part| !part.is_empty()) {
        claim = dns_label(&format!("{claim}-{}", short_hash(&parts)), POD_NAME_MAX);
    }
    let handle = match (root, point) {
        ("", "") => file_system_id.clone(),
        (root, "") => format!("{file_system_id}:{root}"),
        (_, point) => format!("{file_system_id}::{point}"),
    };
    let tls_port = transit_encryption_port.filter(|port| *port > 0).map(|port| format!("tlsport={port}"));
    let options: Vec<String> = tls_port.into_iter().chain(by_iam.then(|| "iam".to_owned())).collect();
    let options =
        if options.is_empty() { String::new() } else { format!(", and the mount options {}", options.join(",")) };
    let detail = format!(
        "{claim}, for a PersistentVolume of the CSI driver efs.csi.aws.com with volumeHandle {handle} and encryptInTransit \
         {encrypted}{options}"
    );
    verdict.note_with(DeviationCode::ClaimNeeded, place, detail);
    if by_iam {
        verdict.note(DeviationCode::IamOfNode, format!("{place}.authorizationConfig.iam"));
    }
    claim
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_mounted_in_another_way_is_another_claim() {
        let claim = |more: serde_json::Value| {
            let mut efs = json!({"fileSystemId": "fs-1"});
            efs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            claim("", &serde_json::from_value(efs).unwrap(), &mut Verdict::default())
        };
        let encrypted = |authorization: serde_json::Value| {
            claim(json!({"transitEncryption": "ENABLED", "authorizationConfig": authorization}))
        };
        let others = [
            claim(json!({})),
            claim(json!({"rootDirectory": "/a"})),
            encrypted(json!({})),
            encrypted(json!({"iam": "ENABLED"})),
            encrypted(json!({"accessPointId": "a"})),
            encrypted(json!({"accessPointId": "a", "iam": "ENABLED"})),
            claim(json!({"transitEncryption": "ENABLED", "transitEncryptionPort": 3049})),
        ];
        assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len(), "{others:?}");
        assert_eq!(encrypted(json!({"iam": "DISABLED"})), encrypted(json!({})));
        // A claim that somebody has made is found again: these names never change.
        assert_eq!(encrypted(json!({})), "fs-1-44902f7d64fc327950f9f9e876e877eb");
    }
}
