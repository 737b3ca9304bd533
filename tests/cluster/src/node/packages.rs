//! What a node needs of the distribution, because it is no Go module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// A file, and the Debian package that has it.
const PACKAGES: [(&str, &str); 6] = [
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("pkg-config", "pkg-config"),
    ("seccomp.h", "libseccomp-dev"),
    ("tar", "tar"),
];

const FOLDERS: [&str; 7] =
    ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/include"];

/// Installs what is missing, on Debian and what comes from it; elsewhere says what to install.
pub(super) fn install() -> Result<(), Error> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(file, _)| find(file).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    eprintln!("test node: installing {packages}");
    let install =
        format!("apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends {packages}");
    let output = Command::new("sh").args(["-c", &install]).env("DEBIAN_FRONTEND", "noninteractive").output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Error::Packages { packages, said })
        }
        Err(error) => Err(Error::Packages { packages, said: error.to_string() }),
    }
}

/// A busybox that needs no library, to be put into images.
pub(super) fn busybox() -> PathBuf {
    find("busybox").unwrap_or_default()
}

fn find(file: &str) -> Option<PathBuf> {
    let mut paths = FOLDERS.iter().map(|folder| Path::new(folder).join(file));
    paths.find(|path| path.exists() && (file != "busybox" || is_static(path)))
}

/// A program that is linked dynamically names its loader.
fn is_static(program: &Path) -> bool {
    let loader = b"/ld-";
    fs::read(program).is_ok_and(|text| !text.windows(loader.len()).any(|window| window == loader))
}
