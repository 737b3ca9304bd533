//! The cluster query language: which nodes a `memberOf` constraint means.
//!
//! ```text
//! expr    := and (("||" | "or") and)*
//! and     := unary (("&&" | "and") unary)*
//! unary   := ("!" | "not") unary | "(" expr ")" | test
//! test    := subject ("exists" | "!exists") | subject ("in" | "!in") "[" value, … "]" | subject operator value
//! subject := agentConnected | agentVersion | attribute:NAME | ec2InstanceId | registeredAt | runningTasksCount | task:group
//! value   := a word | 'quoted' | "quoted"
//! ```
//!
//! AWS documents the language by examples. Where they leave a choice, this is what holds here:
//!
//! - A test of something that a node does not have is false, whether it says `==` or `!=`: `attribute:stack != prod` selects
//!   nodes that have a stack, another one. `not(attribute:stack == prod)` selects the others too.
//! - A regular expression has to match the whole value. AWS's examples all end in `.*`, which only then makes a difference.
//! - `task:group` means "a task of the group is on the node", and its negated operators mean that none is.
//! - Attributes are put in order as numbers where both sides are numbers, and as text otherwise.
//! - In quotes, `\` before the same quote or before another `\` is left out; before anything else it stands for itself, so that
//!   most regular expressions can be quoted as they are.
//! - Operators and connectives (`not_equals`, `in`, `and`) are read in upper and in lower case. The values `and`, `or` and
//!   `not` need quotes.
//! - A time without a zone is UTC; a date is its midnight.

mod cursor;
mod error;
mod evaluate;
mod operator;
mod parse;
mod pattern;
mod print;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod version;

use jiff::Timestamp;

pub use self::error::{QueryError, QueryProblem};
pub use self::pattern::{Pattern, PatternError};
pub use self::version::Version;
use crate::domain::placement::node::AttributeName;

/// A cluster query. It is read with [`str::parse`], printed with [`ToString::to_string`], and asked with
/// [`Expression::matches`].
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// Every one of two or more.
    All(Vec<Self>),
    /// At least one of two or more.
    Any(Vec<Self>),
    /// The opposite.
    Not(Box<Self>),
    /// A question about one subject.
    Test(Test),
}

/// A question about one subject, each with the operators that ECS allows there.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Whether the node's agent is in touch: `true` or `false`.
    AgentConnected(TextTest),
    /// The version of the node's agent.
    AgentVersion(Comparison, Version),
    /// An attribute of the node.
    Attribute(AttributeName, AttributeTest),
    /// The node's name.
    InstanceId(TextTest),
    /// When the node joined.
    RegisteredAt(Comparison, Timestamp),
    /// How many tasks run on the node.
    RunningTasksCount(Comparison, u64),
    /// The groups of the tasks on the node.
    TaskGroup(TextTest),
}

/// What may be asked of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeTest {
    /// Whether the node has it, whatever its value.
    Exists,
    /// Whether the node does not have it.
    NotExists,
    /// What its value is.
    Text(TextTest),
    /// How its value compares.
    Order(Order, String),
}

/// What may be asked of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextTest {
    /// Whether the text must match, or must not (`!=`, `!in`, `!~`).
    pub negated: bool,
    /// What it is compared with.
    pub with: TextMatch,
}

/// What a text is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum TextMatch {
    /// It is this text.
    Equals(String),
    /// It is one of these.
    In(Vec<String>),
    /// All of it matches the regular expression.
    Matches(Pattern),
}

/// How two values of one kind are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same.
    Equal,
    /// They are not.
    NotEqual,
    /// One comes before the other.
    Order(Order),
}

/// Which of two values comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The subject is greater.
    Greater,
    /// The subject is greater or the same.
    GreaterOrEqual,
    /// The subject is less.
    Less,
    /// The subject is less or the same.
    LessOrEqual,
}
