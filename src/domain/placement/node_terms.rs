//! Placement constraints as what Kubernetes' scheduler takes: alternatives of requirements on the labels of a node.
//!
//! Only what stays as it is while a task runs can be said so. `attribute:stack == prod and not(ec2InstanceId == i-1)` is one
//! alternative with two requirements.

use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::node::{AttributeName, label_of, label_value_of};
use crate::domain::placement::query::{AttributeTest, Expression, Order, Test, TextMatch};

/// Most alternatives that an expression may come to.
const TERMS_MAX: usize = 64;
/// Longest label value.
const LABEL_VALUE_MAX: usize = 63;

/// One alternative: all of its requirements must hold. Without any, every node will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeTerm {
    /// About labels.
    pub labels: Vec<Requirement>,
    /// About the name, each with one value.
    pub names: Vec<(NameOperator, String)>,
}

/// What a label must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
}

/// How a label is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// It has one of these values.
    In(Vec<String>),
    /// It has none of these values, or is not there.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
    /// It is a number greater than this.
    Gt(i64),
    /// It is a number less than this.
    Lt(i64),
}

/// How a node's name is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameOperator {
    /// It is this.
    In,
    /// It is another.
    NotIn,
}

/// Why constraints cannot be said so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStatic {
    /// What is asked changes while tasks run, or only the operator knows it.
    #[error("{0} is no label of a node, and the Kubernetes scheduler decides by labels; ask for an attribute")]
    Subject(&'static str),
    /// A regular expression.
    #[error("{0} is a regular expression, and the Kubernetes scheduler knows none; list the values with in [ ]")]
    Pattern(String),
    /// An order of texts.
    #[error(
        "{0:?} is no whole number, and the Kubernetes scheduler puts only these in order; list the values with in [ ]"
    )]
    Number(String),
    /// Not a value that a label can have.
    #[error("{0:?} cannot be the value of a label: use at most 63 letters, digits, hyphens, underscores and dots")]
    Value(String),
    /// Not a name that a label can have.
    #[error("{0:?} cannot be the name of a label: use at most 63 letters, digits, hyphens, underscores and dots")]
    Key(String),
    /// A constraint of services.
    #[error("distinctInstance is for services and not for task definitions; remove it")]
    DistinctInstance,
    /// No node will ever do.
    #[error("no node can satisfy it; tasks are placed on nodes that are in touch only")]
    Never,
    /// Too many alternatives.
    #[error("it comes to more than {TERMS_MAX} alternatives; write it shorter, with in [ ]")]
    TooMany,
}

/// The alternatives that all of the constraints together come to; none at all where every node will do.
pub fn node_terms(constraints: &[Constraint]) -> Result<Vec<NodeTerm>, NotStatic> {
    let mut terms = vec![NodeTerm::default()];
    for constraint in constraints {
        let Constraint::MemberOf(expression) = constraint else { return Err(NotStatic::DistinctInstance) };
        terms = both(&terms, &alternatives(expression, false)?)?;
    }
    match terms.as_slice() {
        [] => Err(NotStatic::Never),
        terms if terms.contains(&NodeTerm::default()) => Ok(Vec::new()),
        _ => Ok(terms),
    }
}

/// The alternatives of an expression, or of its opposite: `not` is moved inwards to the tests.
fn alternatives(expression: &Expression, negated: bool) -> Result<Vec<NodeTerm>, NotStatic> {
    match (expression, negated) {
        (Expression::Not(inner), _) => alternatives(inner, !negated),
        (Expression::All(parts), false) | (Expression::Any(parts), true) => {
            let mut terms = vec![NodeTerm::default()];
            for part in parts {
                terms = both(&terms, &alternatives(part, negated)?)?;
            }
            Ok(terms)
        }
        (Expression::Any(parts), false) | (Expression::All(parts), true) => {
            let mut terms = Vec::new();
            for part in parts {
                terms.extend(alternatives(part, negated)?);
            }
            limited(terms)
        }
        (Expression::Test(test), _) => of_test(test, negated),
    }
}

/// Each alternative of the one with each of the other.
fn both(one: &[NodeTerm], other: &[NodeTerm]) -> Result<Vec<NodeTerm>, NotStatic> {
    if one.len().saturating_mul(other.len()) > TERMS_MAX {
        return Err(NotStatic::TooMany);
    }
    let joined = |one: &NodeTerm, other: &NodeTerm| NodeTerm {
        labels: [one.labels.clone(), other.labels.clone()].concat(),
        names: [one.names.clone(), other.names.clone()].concat(),
    };
    Ok(one.iter().flat_map(|one| other.iter().map(move |other| joined(one, other))).collect())
}

fn limited(terms: Vec<NodeTerm>) -> Result<Vec<NodeTerm>, NotStatic> {
    if terms.len() > TERMS_MAX { Err(NotStatic::TooMany) } else { Ok(terms) }
}

fn of_test(test: &Test, negated: bool) -> Result<Vec<NodeTerm>, NotStatic> {
    match test {
        // Kubernetes places no pod on a node that is not in touch.
        Test::AgentConnected(test) => {
            let connected = values(&test.with)?.iter().any(|value| value == "true") != (test.negated != negated);
            Ok(if connected { vec![NodeTerm::default()] } else { Vec::new() })
        }
        Test::Attribute(name, test) => of_attribute(name, test, negated),
        Test::InstanceId(test) => {
            let names = values(&test.with)?;
            if test.negated == negated {
                let name = |name: String| NodeTerm { names: vec![(NameOperator::In, name)], ..NodeTerm::default() };
                return limited(names.into_iter().map(name).collect());
            }
            let names = names.into_iter().map(|name| (NameOperator::NotIn, name)).collect();
            Ok(vec![NodeTerm { names, ..NodeTerm::default() }])
        }
        Test::AgentVersion(..) => Err(NotStatic::Subject("agentVersion")),
        Test::RegisteredAt(..) => Err(NotStatic::Subject("registeredAt")),
        Test::RunningTasksCount(..) => Err(NotStatic::Subject("runningTasksCount")),
        Test::TaskGroup(..) => Err(NotStatic::Subject("task:group")),
    }
}

/// A test of an attribute that a node does not have is false, so its opposite holds there.
fn of_attribute(name: &AttributeName, test: &AttributeTest, negated: bool) -> Result<Vec<NodeTerm>, NotStatic> {
    let key = label_of(name.as_str());
    if !is_label_name(key) {
        return Err(NotStatic::Key(key.to_owned()));
    }
    let term = |operators: Vec<Operator>| {
        let requirement = |operator| Requirement { key: key.to_owned(), operator };
        NodeTerm { labels: operators.into_iter().map(requirement).collect(), names: Vec::new() }
    };
    Ok(match (test, negated) {
        (AttributeTest::Exists, false) | (AttributeTest::NotExists, true) => vec![term(vec![Operator::Exists])],
        (AttributeTest::NotExists, false) | (AttributeTest::Exists, true) => vec![term(vec![Operator::DoesNotExist])],
        (AttributeTest::Text(test), negated) => {
            let values = label_values(name, &test.with)?;
            match (test.negated, negated) {
                (false, false) => vec![term(vec![Operator::In(values)])],
                (false, true) => vec![term(vec![Operator::NotIn(values)])],
                (true, false) => vec![term(vec![Operator::Exists, Operator::NotIn(values)])],
                (true, true) => vec![term(vec![Operator::DoesNotExist]), term(vec![Operator::In(values)])],
            }
        }
        (AttributeTest::Order(order, value), false) => vec![term(vec![compared(*order, value)?])],
        (AttributeTest::Order(order, value), true) => {
            let opposite = match order {
                Order::Greater => Order::LessOrEqual,
                Order::GreaterOrEqual => Order::Less,
                Order::Less => Order::GreaterOrEqual,
                Order::LessOrEqual => Order::Greater,
            };
            vec![term(vec![Operator::DoesNotExist]), term(vec![compared(opposite, value)?])]
        }
    })
}

fn compared(order: Order, value: &str) -> Result<Operator, NotStatic> {
    let number: i64 = value.parse().map_err(|_| NotStatic::Number(value.to_owned()))?;
    Ok(match order {
        Order::Greater => Operator::Gt(number),
        Order::GreaterOrEqual => Operator::Gt(number.saturating_sub(1)),
        Order::Less => Operator::Lt(number),
        Order::LessOrEqual => Operator::Lt(number.saturating_add(1)),
    })
}

fn values(with: &TextMatch) -> Result<Vec<String>, NotStatic> {
    match with {
        TextMatch::Equals(value) => Ok(vec![value.clone()]),
        TextMatch::In(values) => Ok(values.clone()),
        TextMatch::Matches(pattern) => Err(NotStatic::Pattern(pattern.to_string())),
    }
}

fn label_values(name: &AttributeName, with: &TextMatch) -> Result<Vec<String>, NotStatic> {
    let values = values(with)?;
    let illegal = values.iter().find(|value| !is_label_text(value) && !value.is_empty());
    match illegal {
        Some(value) => Err(NotStatic::Value(value.clone())),
        None => Ok(values.iter().map(|value| label_value_of(name.as_str(), value).to_owned()).collect()),
    }
}

/// `name` or `prefix/name`.
fn is_label_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => {
            let part = |part: &str| is_label_text(part) && part == part.to_ascii_lowercase() && !part.contains('_');
            prefix.len() <= 253 && prefix.split('.').all(part) && is_label_text(name)
        }
        None => is_label_text(key),
    }
}

fn is_label_text(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= LABEL_VALUE_MAX
        && text.chars().all(legal)
        && edge(text.chars().next())
        && edge(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(expression: &str) -> Result<Vec<NodeTerm>, NotStatic> {
        node_terms(&[Constraint::MemberOf(expression.parse().unwrap())])
    }

    /// `zone In a,b & name In n` for each alternative.
    fn shown(expression: &str) -> Vec<String> {
        let requirement = |requirement: &Requirement| {
            let key = &requirement.key;
            match &requirement.operator {
                Operator::In(values) => format!("{key} In {}", values.join(",")),
                Operator::NotIn(values) => format!("{key} NotIn {}", values.join(",")),
                Operator::Exists => format!("{key} Exists"),
                Operator::DoesNotExist => format!("{key} DoesNotExist"),
                Operator::Gt(number) => format!("{key} Gt {number}"),
                Operator::Lt(number) => format!("{key} Lt {number}"),
            }
        };
        let name = |(operator, name): &(NameOperator, String)| format!("name {operator:?} {name}");
        let term = |term: &NodeTerm| {
            let parts = term.labels.iter().map(requirement).chain(term.names.iter().map(name));
            parts.collect::<Vec<_>>().join(" & ")
        };
        terms(expression).unwrap().iter().map(term).collect()
    }

    #[test]
    fn a_constraint_that_asks_for_labels_is_what_the_scheduler_of_kubernetes_takes() {
        let rows: [(&str, &[&str]); 16] = [
            ("attribute:stack == prod", &["stack In prod"]),
            ("attribute:stack in [prod, test]", &["stack In prod,test"]),
            ("attribute:stack != prod", &["stack Exists & stack NotIn prod"]),
            ("not(attribute:stack == prod)", &["stack NotIn prod"]),
            ("not(attribute:stack != prod)", &["stack DoesNotExist", "stack In prod"]),
            ("attribute:stack exists", &["stack Exists"]),
            ("attribute:stack !exists", &["stack DoesNotExist"]),
            ("attribute:cores > 4", &["cores Gt 4"]),
            ("attribute:cores >= 4", &["cores Gt 3"]),
            ("attribute:cores <= 4", &["cores Lt 5"]),
            ("attribute:ecs.cpu-architecture == x86_64", &["kubernetes.io/arch In amd64"]),
            ("attribute:ecs.availability-zone == eu-1a", &["topology.kubernetes.io/zone In eu-1a"]),
            ("ec2InstanceId in [n-1, n-2]", &["name In n-1", "name In n-2"]),
            ("not(ec2InstanceId in [n-1, n-2])", &["name NotIn n-1 & name NotIn n-2"]),
            ("(attribute:a == 1 or attribute:b == 2) and attribute:c == 3", &["a In 1 & c In 3", "b In 2 & c In 3"]),
            ("not(attribute:a == 1 or attribute:b == 2)", &["a NotIn 1 & b NotIn 2"]),
        ];
        for (expression, expected) in rows {
            assert_eq!(shown(expression), expected, "{expression}");
        }
    }

    #[test]
    fn nodes_are_in_touch_anyway() {
        assert_eq!(terms("agentConnected == true"), Ok(Vec::new()));
        assert_eq!(shown("agentConnected == true and attribute:a == 1"), ["a In 1"]);
        assert_eq!(terms("agentConnected == false"), Err(NotStatic::Never));
        assert_eq!(terms("not(agentConnected == true)"), Err(NotStatic::Never));
        assert_eq!(terms("agentConnected != false"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for (expression, refusal) in [
            ("runningTasksCount == 1", NotStatic::Subject("runningTasksCount")),
            ("task:group == service:web", NotStatic::Subject("task:group")),
            ("attribute:stack =~ pro.*", NotStatic::Pattern("pro.*".to_owned())),
            ("attribute:stack > a", NotStatic::Number("a".to_owned())),
            ("attribute:stack == 'a b'", NotStatic::Value("a b".to_owned())),
            ("attribute:a/b/c == 1", NotStatic::Key("a/b/c".to_owned())),
        ] {
            assert_eq!(terms(expression), Err(refusal), "{expression}");
        }
        let either = |n: usize| format!("(attribute:a{n} == 1 or attribute:b{n} == 1)");
        let seven: Vec<String> = (0..7).map(either).collect();
        assert_eq!(terms(&seven.join(" and ")), Err(NotStatic::TooMany));
    }
}
