//! The operators of the language, each with a sign and a name.

use crate::domain::placement::query::cursor::Cursor;
use crate::domain::placement::query::{Comparison, Order, QueryError, QueryProblem};

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    NotEquals,
    Order(Order),
    Exists,
    NotExists,
    In,
    NotIn,
    Matches,
    NotMatches,
}

/// Sign and name. A sign that begins like another one comes after it.
const OPERATORS: [(Operator, &str, &str); 12] = [
    (Operator::Equals, "==", "equals"),
    (Operator::NotEquals, "!=", "not_equals"),
    (Operator::Order(Order::GreaterOrEqual), ">=", "greater_than_equal"),
    (Operator::Order(Order::Greater), ">", "greater_than"),
    (Operator::Order(Order::LessOrEqual), "<=", "less_than_equal"),
    (Operator::Order(Order::Less), "<", "less_than"),
    (Operator::Exists, "exists", "exists"),
    (Operator::NotExists, "!exists", "not_exists"),
    (Operator::In, "in", "in"),
    (Operator::NotIn, "!in", "not_in"),
    (Operator::Matches, "=~", "matches"),
    (Operator::NotMatches, "!~", "not_matches"),
];

impl Operator {
    /// The operator that comes next.
    pub(super) fn read(cursor: &mut Cursor<'_>, subject: &str) -> Result<Self, QueryError> {
        cursor.skip_space();
        for (operator, sign, name) in OPERATORS {
            let mut ahead = *cursor;
            let found = match sign.strip_prefix('!') {
                _ if ahead.take_keyword(name) => true,
                Some(word @ ("exists" | "in")) => ahead.take_sign("!") && ahead.take_keyword(word),
                _ => sign != name && ahead.take_sign(sign),
            };
            if found {
                *cursor = ahead;
                return Ok(operator);
            }
        }
        let start = *cursor;
        let mut word = cursor.take_word();
        if word.is_empty() && cursor.take_sign("=") {
            word = "=";
        }
        // `and` or `)` after a subject: it is the operator that is missing, not this one that is wrong.
        Err(start.error(if word.is_empty() || ["and", "or"].contains(&word) {
            QueryProblem::OperatorMissing { subject: subject.to_owned(), found: start.found() }
        } else {
            QueryProblem::UnknownOperator(word.to_owned())
        }))
    }

    /// The sign it is printed as.
    pub(super) fn sign(self) -> &'static str {
        OPERATORS.iter().find(|(operator, _, _)| *operator == self).map_or("", |(_, sign, _)| sign)
    }

    /// Whether it asks what a text is.
    pub(super) fn is_text(self) -> bool {
        !matches!(self, Self::Order(_) | Self::Exists | Self::NotExists)
    }

    /// The comparison of values of one kind that it stands for.
    pub(super) fn comparison(self) -> Option<Comparison> {
        match self {
            Self::Equals => Some(Comparison::Equal),
            Self::NotEquals => Some(Comparison::NotEqual),
            Self::Order(order) => Some(Comparison::Order(order)),
            _ => None,
        }
    }
}

impl From<Comparison> for Operator {
    fn from(comparison: Comparison) -> Self {
        match comparison {
            Comparison::Equal => Self::Equals,
            Comparison::NotEqual => Self::NotEquals,
            Comparison::Order(order) => Self::Order(order),
        }
    }
}
