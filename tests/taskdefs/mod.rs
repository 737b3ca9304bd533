//! Real task definitions from public repositories, where a folder of them lies next to the repository.
//!
//! They are not part of the repository. `INDEX.md` beside them is a table whose first column names the file and whose
//! last says `raw` or `clean` when the AWS SDK takes the file as `RegisterTaskDefinition` input, `clean` after dropping
//! nulls and members only the API's answers have, and `no` with the reason when it does not.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A real task definition.
pub(crate) struct Definition {
    /// The file's name.
    pub(crate) name: String,
    /// What the AWS SDK says of it.
    pub(crate) valid: String,
    /// The file's content.
    pub(crate) text: String,
}

impl Definition {
    /// Whether AWS takes it as it stands, or once nulls and members of answers are dropped.
    pub(crate) fn is_valid(&self) -> bool {
        matches!(self.valid.as_str(), "raw" | "clean")
    }
}

/// The definitions; none, with one line that says so, where the folder is absent.
pub(crate) fn definitions() -> Vec<Definition> {
    let folder = env::var_os("LONGSHORE_TASKDEFS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/taskdefs"), PathBuf::from);
    let Ok(index) = fs::read_to_string(folder.join("INDEX.md")) else {
        println!("left out: there are no real task definitions in {}", folder.display());
        return Vec::new();
    };
    let rows = index.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (name, valid) = ((*cells.first()?).to_owned(), (*cells.last()?).to_owned());
        let text = fs::read_to_string(folder.join(&name)).ok()?;
        Some(Definition { name, valid, text })
    });
    let found: Vec<_> = rows.collect();
    assert!(!found.is_empty(), "{} names no definition", folder.join("INDEX.md").display());
    found
}
