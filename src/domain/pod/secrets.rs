//! What a task takes from Secrets and ConfigMaps. The pod names keys; the kubelet puts the values in when a container starts.

use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, Container, EnvFromSource, EnvVar, EnvVarSource, LocalObjectReference, PodSpec,
    SecretEnvSource, SecretKeySelector,
};

use crate::api::SecretMappingKind;
use crate::domain::secrets::task_secrets::{ContainerSecrets, KeyOf, TaskSecrets};

/// Adds it to a pod. Where values are, the service's cluster says, and not the revision that the pod is built from.
///
/// A file is taken as a whole (`envFrom`), so that neither its names nor its values stand in the pod: of a private key that was
/// stored by mistake, a line may look like a name. `environment` and `secrets` win over files, as `env` does over `envFrom`; of two
/// files the first one's variable counts, of two Secrets in `envFrom` the last one's.
pub(super) fn add(spec: &mut PodSpec, secrets: &TaskSecrets) {
    let pull_secrets: Vec<_> =
        secrets.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    if !pull_secrets.is_empty() {
        spec.image_pull_secrets.get_or_insert_default().extend(pull_secrets);
    }
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        if let Some(secrets) = secrets.containers.get(&container.name) {
            add_to(container, secrets);
        }
    }
}

fn add_to(container: &mut Container, secrets: &ContainerSecrets) {
    let ContainerSecrets { variables, files } = secrets;
    let variable =
        |(name, key): &(String, KeyOf)| EnvVar { name: name.clone(), value: None, value_from: Some(value_from(key)) };
    if !variables.is_empty() {
        container.env.get_or_insert_default().extend(variables.iter().map(variable));
    }
    let file = |name: &String| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: name.clone(), optional: None }),
        ..EnvFromSource::default()
    };
    if !files.is_empty() {
        container.env_from.get_or_insert_default().extend(files.iter().rev().map(file));
    }
}

fn value_from(key: &KeyOf) -> EnvVarSource {
    let (name, key, kind) = (key.source.name.clone(), key.key.clone(), key.source.kind);
    match kind {
        SecretMappingKind::Secret => EnvVarSource {
            secret_key_ref: Some(SecretKeySelector { name, key, optional: None }),
            ..EnvVarSource::default()
        },
        SecretMappingKind::ConfigMap => EnvVarSource {
            config_map_key_ref: Some(ConfigMapKeySelector { name, key, optional: None }),
            ..EnvVarSource::default()
        },
    }
}
