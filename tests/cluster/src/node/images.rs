//! The images of the registries: one file system with the program `task` and a shell, under several names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::registry::Registry;
use super::{packages, run};
use crate::program::Program;
use crate::programs::Programs;
use crate::{Error, TestCluster};

/// What keeps the namespaces of a pod alive.
pub(super) const PAUSE: &str = "pause:1";

/// The tags of the image `task`: as many builds, which differ in nothing but their digest and the variable `VERSION`.
const TAGS: [&str; 2] = ["1", "2"];

const USERS: &str = "root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n";
const GROUPS: &str = "root:x:0:\napp:x:1000:\n";

/// Makes the images and pushes them into each registry.
pub(super) fn push(cluster: &TestCluster, programs: &Programs, registries: &[&Registry]) -> Result<(), Error> {
    let root = cluster.folder().join("image");
    furnish(&root, programs).map_err(|source| Error::Write { path: root.clone(), source })?;
    let layer = cluster.folder().join("image.tar");
    run(Command::new("tar").arg("--create").arg("--file").arg(&layer).arg("--directory").arg(&root).arg("."))?;
    let layer = layer.to_string_lossy();
    let platform = format!("linux/{}", architecture());
    for registry in registries {
        let base = registry.image(PAUSE);
        registry.crane(&[
            "append",
            "--oci-empty-base",
            "--platform",
            &platform,
            "--new_layer",
            &layer,
            "--new_tag",
            &base,
        ])?;
        let pause = ["--entrypoint", "/task,pause", "--env", "PATH=/bin"];
        registry.crane(&[&["mutate", &base, "--tag", &base][..], &pause].concat())?;
        for tag in TAGS {
            let image = registry.image(&format!("task:{tag}"));
            registry.crane(&["mutate", &base, "--tag", &image, "--env", &format!("VERSION={tag}")])?;
        }
    }
    Ok(())
}

/// `amd64` where Rust says `x86_64`.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn furnish(root: &Path, programs: &Programs) -> std::io::Result<()> {
    for folder in ["bin", "etc", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy(programs.path(Program::Task), root.join("task"))?;
    let busybox = packages::busybox();
    fs::copy(&busybox, root.join("bin/busybox"))?;
    let list = Command::new(&busybox).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    fs::write(root.join("etc/passwd"), USERS)?;
    fs::write(root.join("etc/group"), GROUPS)
}
