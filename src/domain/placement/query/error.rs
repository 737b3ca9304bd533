//! What can be wrong with a query, and what to do about it.

use crate::domain::placement::node::AttributeNameError;
use crate::domain::placement::query::pattern::PatternError;

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {problem}")]
pub struct QueryError {
    /// Where, counted in characters from 1.
    pub position: usize,
    /// What.
    pub problem: QueryProblem,
}

/// What is wrong at one place of a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryProblem {
    /// It is longer than ECS allows.
    #[error("the expression is longer than 2000 characters; split it into several memberOf constraints")]
    TooLong,
    /// Its parentheses and negations are nested without reason.
    #[error("parentheses and negations are nested more than {0} deep; take some out")]
    TooDeep(usize),
    /// No test where one has to be.
    #[error("a test is missing before {found}; write for example attribute:stack == prod")]
    TestMissing {
        /// What is there instead.
        found: String,
    },
    /// A test of something that ECS does not know.
    #[error(
        "{0:?} is nothing that can be tested; use agentConnected, agentVersion, attribute:NAME, ec2InstanceId, registeredAt, \
         runningTasksCount or task:group"
    )]
    UnknownSubject(String),
    /// `attribute:` and something that is no name.
    #[error(transparent)]
    AttributeName(#[from] AttributeNameError),
    /// No operator after a subject.
    #[error("an operator is missing after {subject}, before {found}; write for example {subject} == …")]
    OperatorMissing {
        /// What is tested.
        subject: String,
        /// What is there instead.
        found: String,
    },
    /// A word or sign that is no operator.
    #[error(
        "{0:?} is not an operator; use ==, !=, >, >=, <, <=, exists, !exists, in, !in, =~ or !~, or their names, \
         such as not_equals"
    )]
    UnknownOperator(String),
    /// An operator that its subject does not have.
    #[error("{subject} cannot be tested with {operator}; use {allowed}")]
    OperatorNotAllowed {
        /// What is tested.
        subject: String,
        /// With what.
        operator: &'static str,
        /// With what it can be.
        allowed: &'static str,
    },
    /// No value after an operator.
    #[error("a value is missing after {operator}, before {found}; quote it if it is a word or sign of the language")]
    ValueMissing {
        /// The operator.
        operator: &'static str,
        /// What is there instead.
        found: String,
    },
    /// A word with a character in it that ends words.
    #[error("a value that holds {0:?} needs quotes around all of it")]
    ValueNeedsQuotes(char),
    /// A quote without its partner.
    #[error("the value that begins here has no closing {0}")]
    UnclosedQuote(char),
    /// `in` without its list.
    #[error("{operator} takes a list, but here is {found}; write {operator} [a, b]")]
    ListMissing {
        /// `in` or `!in`.
        operator: &'static str,
        /// What is there instead.
        found: String,
    },
    /// A list that does not go on and does not end.
    #[error("the list has to go on with a comma or end with ], but here is {found}")]
    UnclosedList {
        /// What is there instead.
        found: String,
    },
    /// A parenthesis without its partner.
    #[error("the parenthesis opened at character {opened} has to be closed before {found}")]
    UnclosedParenthesis {
        /// Where it was opened.
        opened: usize,
        /// What is there instead.
        found: String,
    },
    /// More text after a complete expression.
    #[error("the expression is complete before {found}; join tests with and or or, and quote values that hold spaces")]
    Trailing {
        /// The text.
        found: String,
    },
    /// A value of the wrong kind.
    #[error("{subject} cannot be compared with {value:?}; write {expected}")]
    WrongKind {
        /// What is tested.
        subject: &'static str,
        /// The value.
        value: String,
        /// What a value looks like.
        expected: &'static str,
    },
    /// A regular expression that cannot be used.
    #[error("the regular expression {pattern:?} cannot be used: {error}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// Why.
        error: PatternError,
    },
}
