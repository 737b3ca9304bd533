//! Volumes of Docker.

use crate::api::names::dns_label;
use crate::api::{DockerVolumeConfiguration, Scope};
use crate::domain::resolve::task_definition::POD_NAME_MAX;
use crate::domain::resolve::task_definition::volumes::VolumeSource;

/// A Docker volume: of the task, or shared by all tasks. Options are those of `mount`: `type=nfs,o=addr=10.0.0.1,device=:/export`, or
/// `type=none,o=bind,device=/data` for a path of the node.
pub(super) fn source(name: &str, docker: &DockerVolumeConfiguration) -> Option<VolumeSource> {
    let DockerVolumeConfiguration { scope, autoprovision: _, driver, driver_opts, labels: _ } = docker;
    if *scope == Some(Scope::Shared) {
        return Some(VolumeSource::Claim(dns_label(name, POD_NAME_MAX)));
    }
    if driver.as_deref().is_some_and(|driver| driver != "local") {
        return None;
    }
    let option = |option: &str| driver_opts.get(option).map(String::as_str);
    let has =
        |wanted: &str| option("o").is_some_and(|options| options.split(',').any(|option| option.trim() == wanted));
    // Whoever mounts a volume may write to it: read only is a member of `mountPoints`.
    if has("ro") {
        return None;
    }
    match option("type") {
        None if driver_opts.is_empty() => Some(VolumeSource::Empty),
        Some("tmpfs") => Some(VolumeSource::Memory(None)),
        Some("none") => {
            let path = option("device").filter(|path| has("bind") && path.starts_with('/'))?;
            Some(VolumeSource::HostPath(path.to_owned()))
        }
        Some("nfs" | "nfs4") => {
            let options = option("o").unwrap_or_default();
            let server = options.split(',').find_map(|option| option.trim().strip_prefix("addr="))?;
            let path = option("device")?.trim_start_matches(':');
            path.starts_with('/').then(|| VolumeSource::Nfs { server: server.to_owned(), path: path.to_owned() })
        }
        _ => None,
    }
}
