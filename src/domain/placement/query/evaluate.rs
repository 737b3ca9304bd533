//! Asking an instance. Every expression has an answer for every instance.

use std::cmp::Ordering;

use crate::domain::placement::node::Instance;
use crate::domain::placement::query::{
    AttributeTest, Comparison, Expression, Order, Test, TextMatch, TextTest, Version,
};

impl Expression {
    /// Whether the query selects the instance.
    pub fn matches(&self, instance: &Instance<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(instance)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(instance)),
            Self::Not(inner) => !inner.matches(instance),
            Self::Test(test) => test.matches(instance),
        }
    }

    /// Whether anything is asked of the Availability Zone.
    pub fn names_zone(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::names_zone),
            Self::Not(inner) => inner.names_zone(),
            Self::Test(Test::Attribute(name, _)) => name.is_zone(),
            Self::Test(_) => false,
        }
    }
}

impl Test {
    fn matches(&self, instance: &Instance<'_>) -> bool {
        let node = instance.node;
        match self {
            Self::AgentConnected(test) => test.matches(if node.is_agent_connected() { "true" } else { "false" }),
            Self::AgentVersion(comparison, version) => {
                let actual = node.kubelet_version.as_deref().and_then(Version::of_agent);
                actual.is_some_and(|actual| comparison.holds(actual.cmp(version)))
            }
            Self::Attribute(name, test) => test.matches(node.attribute(name.as_str())),
            Self::InstanceId(test) => test.matches(&node.name),
            Self::RegisteredAt(comparison, time) => {
                node.created_at.is_some_and(|created| comparison.holds(created.cmp(time)))
            }
            Self::RunningTasksCount(comparison, count) => comparison.holds(instance.running_tasks.cmp(count)),
            Self::TaskGroup(test) => instance.task_groups.iter().any(|group| test.with.matches(group)) != test.negated,
        }
    }
}

impl AttributeTest {
    fn matches(&self, actual: Option<&str>) -> bool {
        match self {
            Self::Exists => actual.is_some(),
            Self::NotExists => actual.is_none(),
            Self::Text(test) => actual.is_some_and(|actual| test.matches(actual)),
            Self::Order(order, value) => actual.is_some_and(|actual| order.holds(compare(actual, value))),
        }
    }
}

impl TextTest {
    fn matches(&self, actual: &str) -> bool {
        self.with.matches(actual) != self.negated
    }
}

impl TextMatch {
    fn matches(&self, actual: &str) -> bool {
        match self {
            Self::Equals(value) => actual == value,
            Self::In(values) => values.iter().any(|value| actual == value),
            Self::Matches(pattern) => pattern.matches(actual),
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Order(order) => order.holds(ordering),
        }
    }
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

/// As numbers where both are numbers, otherwise as text.
fn compare(left: &str, right: &str) -> Ordering {
    let number = |text: &str| {
        let decimal = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
        text.parse::<f64>().ok().filter(|_| decimal)
    };
    let numbers = number(left).zip(number(right)).and_then(|(left, right)| left.partial_cmp(&right));
    numbers.unwrap_or_else(|| left.cmp(right))
}
