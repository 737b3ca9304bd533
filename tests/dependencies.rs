//! The rules of `deny.toml` that can be told from the lock file: what must not come in, and what may come in twice.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]

use std::collections::BTreeMap;

/// A crate in the lock file, for whatever platform.
struct Crate {
    name: String,
    version: String,
    /// The names of the crates it depends on.
    dependencies: Vec<String>,
}

/// All of them. Not from `cargo metadata`, which wants crates of other platforms downloaded.
fn crates() -> Vec<Crate> {
    let lock = include_str!("../Cargo.lock");
    let described = |package: &str| {
        let value = |key: &str| {
            let line =
                package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'));
            line.unwrap().to_owned()
        };
        let dependencies = package.lines().filter_map(|line| line.strip_prefix(" \"")?.split([' ', '"']).next());
        Crate {
            name: value("name"),
            version: value("version"),
            dependencies: dependencies.map(str::to_owned).collect(),
        }
    };
    lock.split("[[package]]\n").skip(1).map(described).collect()
}

/// The entries of a list in `deny.toml`, one a line: the crate, and the quoted words after it.
fn listed(list: &str) -> Vec<(String, Vec<String>)> {
    let rules = include_str!("../deny.toml");
    let from = rules.lines().skip_while(|line| *line != format!("{list} = ["));
    let lines = from.skip(1).take_while(|line| *line != "]");
    let words = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let entries: Vec<_> = lines.map(words).map(|words| (words[0].clone(), words[1..].to_vec())).collect();
    assert!(!entries.is_empty(), "deny.toml has no list {list}");
    entries
}

#[test]
fn nothing_depends_on_what_is_banned() {
    let crates = crates();
    for (banned, words) in listed("deny") {
        let (reason, excepted) = words.split_last().unwrap();
        let dependents = crates.iter().filter(|found| found.dependencies.contains(&banned));
        let more: Vec<_> = dependents.map(|found| &found.name).filter(|name| !excepted.contains(name)).collect();
        assert!(more.is_empty(), "{more:?} bring in {banned}, but {reason}");
    }
}

#[test]
fn tls_has_one_provider() {
    let providers = ["aws-lc-rs", "boring", "graviola", "mbedtls", "native-tls", "openssl", "ring", "rustls-openssl"];
    let crates = crates();
    let found: Vec<_> =
        crates.iter().map(|found| found.name.as_str()).filter(|name| providers.contains(name)).collect();
    assert_eq!(found, ["ring"]);
}

#[test]
fn a_crate_comes_in_once_or_deny_toml_says_why_not() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for found in crates() {
        versions.entry(found.name).or_default().push(found.version);
    }
    for (skipped, _) in listed("skip") {
        let (name, prefix) = skipped.split_once(':').unwrap();
        let versions = versions.entry(name.to_owned()).or_default();
        let before = versions.len();
        versions.retain(|version| !version.starts_with(&format!("{prefix}.")));
        assert!(
            versions.len() < before && before > 1,
            "{skipped} comes in no more than once: remove it from deny.toml"
        );
    }
    let twice: Vec<_> = versions.into_iter().filter(|(_, versions)| versions.len() > 1).collect();
    assert!(twice.is_empty(), "align the versions, or explain them in deny.toml: {twice:?}");
}
