//! From an expression to its text: signs for operators, quotes only where they are needed.

use std::fmt::{self, Display};

use crate::domain::placement::query::cursor::is_bare;
use crate::domain::placement::query::operator::Operator;
use crate::domain::placement::query::{AttributeTest, Expression, Test, TextMatch, TextTest};

impl Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
            Self::Not(inner) => write!(f, "not({inner})"),
            Self::Test(test) => test.fmt(f),
        }
    }
}

/// Parts that are joined themselves get parentheses, whether or not they need them to be read alike: people need them.
fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expression], connective: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(connective)?;
        }
        match part {
            Expression::All(_) | Expression::Any(_) => write!(f, "({part})")?,
            Expression::Not(_) | Expression::Test(_) => part.fmt(f)?,
        }
    }
    Ok(())
}

impl Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentConnected(test) => write!(f, "agentConnected {test}"),
            Self::AgentVersion(comparison, version) => {
                write!(f, "agentVersion {} {version}", Operator::from(*comparison).sign())
            }
            Self::Attribute(name, test) => write!(f, "attribute:{name} {test}"),
            Self::InstanceId(test) => write!(f, "ec2InstanceId {test}"),
            Self::RegisteredAt(comparison, time) => {
                write!(f, "registeredAt {} {time}", Operator::from(*comparison).sign())
            }
            Self::RunningTasksCount(comparison, count) => {
                write!(f, "runningTasksCount {} {count}", Operator::from(*comparison).sign())
            }
            Self::TaskGroup(test) => write!(f, "task:group {test}"),
        }
    }
}

impl Display for AttributeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str(Operator::Exists.sign()),
            Self::NotExists => f.write_str(Operator::NotExists.sign()),
            Self::Text(test) => test.fmt(f),
            Self::Order(order, value) => write!(f, "{} {}", Operator::Order(*order).sign(), Value(value)),
        }
    }
}

impl Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, negation) = match &self.with {
            TextMatch::Equals(_) => (Operator::Equals, Operator::NotEquals),
            TextMatch::In(_) => (Operator::In, Operator::NotIn),
            TextMatch::Matches(_) => (Operator::Matches, Operator::NotMatches),
        };
        f.write_str(if self.negated { negation } else { operator }.sign())?;
        match &self.with {
            TextMatch::Equals(value) => write!(f, " {}", Value(value)),
            TextMatch::In(values) => {
                let values: Vec<String> = values.iter().map(|value| Value(value).to_string()).collect();
                write!(f, " [{}]", values.join(", "))
            }
            TextMatch::Matches(pattern) => write!(f, " {}", Value(&pattern.to_string())),
        }
    }
}

/// A value, quoted if it has to be.
struct Value<'a>(&'a str);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_bare(self.0) {
            return f.write_str(self.0);
        }
        write!(f, "'{}'", self.0.replace('\\', r"\\").replace('\'', r"\'"))
    }
}
