//! Real task definitions from public repositories, where a folder of them lies next to the repository.
//!
//! They are not part of the repository. `INDEX.md` beside them is a table whose first column names the file and whose
//! last says `raw` or `clean` when the AWS SDK takes the file as `RegisterTaskDefinition` input, `clean` after dropping
//! nulls and members only the API's answers have, and `no` with the reason when it does not.

use std::collections::BTreeSet;
use std::io::{Write, stderr};
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

/// Where the folder is, if not next to the repository; then it must be there.
const VARIABLE: &str = "LONGSHORE_TASKDEFS";

/// The definitions: each file of the folder. None where the folder is absent, which one line says.
pub(crate) fn definitions() -> Vec<Definition> {
    let named = env::var_os(VARIABLE).map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/taskdefs"));
    let Ok(index) = fs::read_to_string(folder.join("INDEX.md")) else {
        assert!(named.is_none(), "{VARIABLE} is {}, where there is no INDEX.md", folder.display());
        // Not `println!`, which nobody sees of a test that passes.
        let line = format!("left out: there are no real task definitions in {}\n", folder.display());
        stderr().write_all(line.as_bytes()).unwrap();
        return Vec::new();
    };
    let rows = index.lines().filter(|line| line.starts_with('|')).skip(2);
    let found = rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (name, valid) = ((*cells.first().unwrap()).to_owned(), (*cells.last().unwrap()).to_owned());
        let text = fs::read_to_string(folder.join(&name));
        assert!(text.is_ok(), "{name}, of which INDEX.md has a row: {text:?}");
        Definition { name, valid, text: text.unwrap() }
    });
    let found: Vec<_> = found.collect();
    let rows: BTreeSet<_> = found.iter().map(|definition| definition.name.clone()).collect();
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|file| file != "INDEX.md").collect::<BTreeSet<_>>(), rows, "each file has its row");
    found
}
