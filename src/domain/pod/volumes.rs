//! Volumes and where containers find them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, EphemeralVolumeSource, HostPathVolumeSource, NFSVolumeSource, PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate, PersistentVolumeClaimVolumeSource, TypedLocalObjectReference, Volume, VolumeMount,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::ServiceVolumeConfiguration;
use crate::domain::resolve::size::MiB;
use crate::domain::resolve::task_definition::{Container, Mount, ResolvedTaskDefinition, TaskVolume, VolumeSource};

/// The smallest disk of EBS, where a service has stopped to say how large it is while tasks of it run on.
const SIZE_DEFAULT_GIB: i32 = 1;

/// The volumes of the pod. `configured` are the service's `volumeConfigurations`.
pub(super) fn build(definition: &ResolvedTaskDefinition, configured: &[ServiceVolumeConfiguration]) -> Vec<Volume> {
    let own = definition.volumes.iter().map(|volume| self::volume(volume, configured));
    own.chain(definition.extension.volumes.iter().cloned()).collect()
}

fn volume(volume: &TaskVolume, configured: &[ServiceVolumeConfiguration]) -> Volume {
    let TaskVolume { name, source } = volume;
    let mut built = Volume { name: name.pod.clone(), ..Volume::default() };
    match source {
        VolumeSource::Empty => built.empty_dir = Some(EmptyDirVolumeSource::default()),
        VolumeSource::Memory(size) => {
            built.empty_dir = Some(EmptyDirVolumeSource {
                medium: Some("Memory".to_owned()),
                size_limit: size.map(|MiB(size)| Quantity(format!("{size}Mi"))),
            });
        }
        // Without a type the path may be anything, and the runtime makes a directory where there is nothing, as Docker does.
        VolumeSource::HostPath(path) => {
            built.host_path = Some(HostPathVolumeSource { path: path.clone(), type_: None });
        }
        VolumeSource::Nfs { server, path } => {
            built.nfs = Some(NFSVolumeSource { server: server.clone(), path: path.clone(), read_only: None });
        }
        VolumeSource::Claim(claim) => {
            built.persistent_volume_claim =
                Some(PersistentVolumeClaimVolumeSource { claim_name: claim.clone(), read_only: None });
        }
        VolumeSource::ConfiguredAtLaunch => {
            let configuration = configured.iter().find(|configured| configured.name == name.ecs);
            built.ephemeral = Some(own_disk(configuration));
        }
    }
    built
}

/// A disk that comes and goes with the task: "Amazon EBS volumes attached to tasks that are managed by a service … are always
/// deleted upon task termination".
fn own_disk(configuration: Option<&ServiceVolumeConfiguration>) -> EphemeralVolumeSource {
    let disk = configuration.and_then(|configuration| configuration.managed_ebs_volume.as_ref());
    let size = disk.and_then(|disk| disk.size_in_gib).unwrap_or(SIZE_DEFAULT_GIB);
    let storage = BTreeMap::from([("storage".to_owned(), Quantity(format!("{size}Gi")))]);
    EphemeralVolumeSource {
        volume_claim_template: Some(PersistentVolumeClaimTemplate {
            metadata: None,
            spec: PersistentVolumeClaimSpec {
                access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                resources: Some(VolumeResourceRequirements { requests: Some(storage), limits: None }),
                storage_class_name: disk.and_then(|disk| disk.volume_type.clone()),
                data_source: disk.and_then(|disk| disk.snapshot_id.clone()).map(snapshot),
                ..PersistentVolumeClaimSpec::default()
            },
        }),
    }
}

/// A snapshot of EBS is the VolumeSnapshot that has its id for a name.
fn snapshot(id: String) -> TypedLocalObjectReference {
    let (api_group, kind) = ("snapshot.storage.k8s.io".to_owned(), "VolumeSnapshot".to_owned());
    TypedLocalObjectReference { api_group: Some(api_group), kind, name: id }
}

/// Where a container finds the volumes.
pub(super) fn mounts(container: &Container) -> Vec<VolumeMount> {
    let mount = |mount: &Mount| {
        let Mount { volume, path, sub_path, read_only } = mount;
        VolumeMount {
            name: volume.pod.clone(),
            mount_path: path.clone(),
            sub_path: sub_path.clone(),
            read_only: read_only.then_some(true),
            ..VolumeMount::default()
        }
    };
    container.mounts.iter().map(mount).collect()
}
