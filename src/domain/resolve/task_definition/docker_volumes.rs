//! Volumes of Docker.

use crate::api::names::dns_label;
use crate::api::{DockerVolumeConfiguration, Scope};
use crate::domain::resolve::size::MiB;
use crate::domain::resolve::task_definition::POD_NAME_MAX;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::volumes::VolumeSource;

/// The driver of Docker itself, and of a volume that names none.
const LOCAL: &str = "local";
/// The options of the driver local.
const OPTIONS: &[&str] = &["type", "o", "device"];
/// What is so anyway where a file system is mounted.
const DEFAULTS: &[&str] = &["defaults", "rw", "suid", "dev", "exec", "async"];

/// What a Docker volume becomes, and by name the options that have no effect on it. None for one that is refused.
///
/// It is of the task, or shared by all tasks. Options are those of `mount`: `type=nfs,o=addr=10.0.0.1,device=:/export`, or
/// `type=none,o=bind,device=/data` for a path of the node.
pub(super) fn source<'a>(name: &str, docker: &'a DockerVolumeConfiguration) -> Option<(VolumeSource, Vec<&'a str>)> {
    let DockerVolumeConfiguration { scope, autoprovision: _, driver, driver_opts, labels: _ } = docker;
    if *scope == Some(Scope::Shared) {
        return Some((VolumeSource::Claim(dns_label(name, POD_NAME_MAX)), Vec::new()));
    }
    if driver.as_deref().is_some_and(|driver| driver != LOCAL) {
        return None;
    }
    let option = |option: &str| driver_opts.get(option).map(String::as_str);
    let of_mount: Vec<(&str, &str)> = option("o").map(mount_options).unwrap_or_default();
    let value = |wanted: &str| of_mount.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    // Whoever mounts a volume may write to it: read only is a member of `mountPoints`.
    if value("ro").is_some() {
        return None;
    }
    let (source, used) = match option("type") {
        None if driver_opts.is_empty() => (VolumeSource::Empty, None),
        Some("tmpfs") => {
            let size = value("size").and_then(size);
            (VolumeSource::Memory(size), size.map(|_| "size"))
        }
        Some("none") => {
            let path = option("device").filter(|path| value("bind").is_some() && path.starts_with('/'))?;
            (VolumeSource::HostPath(path.to_owned()), Some("bind"))
        }
        Some("nfs" | "nfs4") => {
            let server = value("addr")?.to_owned();
            // `:/export` or `server:/export`, in which the server is what addr says; or the path alone.
            let device = option("device")?;
            let path = device.split_once(":/").map_or_else(|| device.to_owned(), |(_, path)| format!("/{path}"));
            (path.starts_with('/').then_some(VolumeSource::Nfs { server, path })?, Some("addr"))
        }
        _ => return None,
    };
    let has_effect = |name: &&str| used == Some(*name) || DEFAULTS.contains(name);
    let ignored = of_mount.iter().map(|(name, _)| *name).filter(|name| !has_effect(name));
    let unknown = driver_opts.keys().map(String::as_str).filter(|name| !OPTIONS.contains(name));
    Some((source, ignored.chain(unknown).collect()))
}

/// Names and values of `size=100m,ro`.
fn mount_options(text: &str) -> Vec<(&str, &str)> {
    let options = text.split(',').map(str::trim).filter(|option| !option.is_empty());
    options.map(|option| option.split_once('=').unwrap_or((option, ""))).collect()
}

/// The size of a tmpfs: bytes, or `k`, `m` or `g`. What is a part of the node's memory (`50%`) is no size of a volume.
fn size(text: &str) -> Option<MiB> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.strip_prefix(digits)?.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    let bytes = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    u32::try_from(bytes.div_ceil(1 << 20)).ok().filter(|mib| *mib > 0).map(MiB)
}

/// What is not as on ECS. Options are told by name: of one such as `password` the value is nobody's business.
pub(super) fn note(name: &str, docker: &DockerVolumeConfiguration, verdict: &mut Verdict) {
    let place = format!("volumes[{name}].dockerVolumeConfiguration");
    if !docker.labels.is_empty() {
        verdict.note(DeviationCode::VolumeLabelsIgnored, format!("{place}.labels"));
    }
    let Some((source, ignored)) = source(name, docker) else { return };
    if !ignored.is_empty() {
        verdict.note_with(DeviationCode::VolumeOptionsIgnored, format!("{place}.driverOpts"), ignored.join(","));
    }
    match source {
        VolumeSource::Claim(claim) => {
            verdict.note_with(DeviationCode::ClaimNeeded, place, format!("{claim}{}", stands_for(docker)));
        }
        VolumeSource::Empty => verdict.note(DeviationCode::NoCopyUp, format!("volumes[{name}]")),
        VolumeSource::Memory(_)
        | VolumeSource::HostPath(_)
        | VolumeSource::Nfs { .. }
        | VolumeSource::ConfiguredAtLaunch => {}
    }
}

/// What the claim of a shared volume has to be like.
fn stands_for(docker: &DockerVolumeConfiguration) -> String {
    let options: Vec<&str> = docker.driver_opts.keys().map(String::as_str).collect();
    let driver = docker.driver.as_deref().unwrap_or(LOCAL);
    match options.as_slice() {
        [] if driver == LOCAL => String::new(),
        [] => format!(", for a volume of the driver {driver}"),
        options => format!(", for a volume of the driver {driver} with the options {}", options.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_tmpfs_is_in_bytes_or_in_a_unit() {
        for (text, mib) in [
            ("1048576", Some(1)),
            ("1048577", Some(2)),
            ("64k", Some(1)),
            ("100m", Some(100)),
            ("100M", Some(100)),
            ("2g", Some(2048)),
            ("0", None),
            ("50%", None),
            ("1t", None),
            ("m", None),
            ("", None),
            ("99999999999999999999g", None),
            ("9999999999999g", None),
        ] {
            assert_eq!(size(text), mib.map(MiB), "{text}");
        }
    }
}
