//! What a person wrote, with what it refers to, becomes what the core works on. After this step invalid states cannot be
//! written down; what is wrong comes out as [`Problem`]s, each naming a member and what to do about it.

mod canonical;
pub mod control;
pub mod dependencies;
mod deployment_content;
pub mod features;
pub mod image;
pub mod members;
pub mod secret_references;
pub mod service;
pub mod size;
pub mod task_definition;
#[cfg(test)]
mod tests;
pub mod value_from;

use std::fmt;

pub use canonical::canonical_json;
pub use deployment_content::deployment_content;

/// A rule that a spec breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the JSON path below `spec`, for example `containerDefinitions[web].dependsOn[0].containerName`.
    pub member: String,
    /// Which rule, and what to do.
    pub message: String,
}

impl Problem {
    fn new(member: impl Into<String>, message: impl Into<String>) -> Self {
        Self { member: member.into(), message: message.into() }
    }

    /// All problems in one sentence, for a condition.
    pub fn join(problems: &[Self]) -> String {
        problems.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.{}: {}", self.member, self.message)
    }
}
