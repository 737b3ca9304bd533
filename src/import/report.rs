//! What is said of a file: what was dropped or changed, and what cannot be taken.

use std::fmt;

use crate::api::names::NameError;
use crate::import::document::DocumentError;
use crate::import::path::Path;
use crate::import::rules::RuleError;
use crate::import::schema::SchemaError;

/// Something a person should know of a file that was imported: `web.json: dropped revision, status (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub(super) file: String,
    pub(super) path: Path,
    pub(super) text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, &self.file, &self.path, &self.text)
    }
}

/// Why a file was not imported: `web.json: containerDefinitions[0].cpu: expected an integer, found the string "256"`.
#[derive(Debug)]
pub struct Problem {
    pub(super) file: String,
    pub(super) path: Path,
    pub(super) error: ImportError,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, &self.file, &self.path, &self.error)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

fn line(f: &mut fmt::Formatter<'_>, file: &str, path: &Path, text: &dyn fmt::Display) -> fmt::Result {
    if path.is_root() { write!(f, "{file}: {text}") } else { write!(f, "{file}: {path}: {text}") }
}

/// What is wrong at one place of a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error("line {line}, column {column}: {reason}")]
    Syntax { line: usize, column: usize, reason: String },
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error(transparent)]
    TaskDefinition(#[from] NameError),
    #[error("required, as there is no file name to name the {0} after")]
    Unnamed(&'static str),
    #[error("a second {kind} named {name}, after the one in {first}; rename one of them, or import them apart")]
    Duplicate { kind: &'static str, name: String, first: String },
}

/// What has been found in a file so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) notes: Vec<(Path, String)>,
    pub(super) problems: Vec<(Path, ImportError)>,
}

impl Findings {
    pub(super) fn note(&mut self, path: Path, text: impl Into<String>) {
        self.notes.push((path, text.into()));
    }

    pub(super) fn problem(&mut self, path: Path, error: impl Into<ImportError>) {
        self.problems.push((path, error.into()));
    }
}
