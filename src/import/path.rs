//! Where something stands in a file.

use std::fmt;

/// A path to a value, such as `containerDefinitions[0].cpu`; empty for the whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(String);

impl Path {
    /// The path of a member of the object at this path.
    pub(super) fn member(&self, name: &str) -> Self {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        match (plain, self.0.as_str()) {
            (false, path) => Self(format!("{path}[{name:?}]")),
            (true, "") => Self(name.to_owned()),
            (true, path) => Self(format!("{path}.{name}")),
        }
    }

    /// The path of an item of the list at this path.
    pub(super) fn item(&self, n: usize) -> Self {
        Self(format!("{}[{n}]", self.0))
    }

    /// Whether this is the whole file.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path with a text behind it that is the rest of a path already: `[0].cpu`.
    pub(super) fn rest(&self, rest: &str) -> Self {
        Self(format!("{}{rest}", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
