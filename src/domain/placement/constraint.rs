//! Placement constraints: on which nodes a task may be placed at all.

use crate::api::{PlacementConstraint, PlacementConstraintType, TaskDefinitionPlacementConstraint};
use crate::domain::placement::node::Instance;
use crate::domain::placement::query::{Expression, QueryError};

/// A constraint whose expression has been read.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// No two tasks of one group on a node.
    DistinctInstance,
    /// Only nodes that the cluster query selects.
    MemberOf(Expression),
}

impl Constraint {
    /// Whether a task of this group (`service:web`, `family:batch`) may be placed on the instance, which does not have the
    /// task yet. Of the tasks of a service, ECS holds only daemons to their constraints once they run; then it is
    /// [`Constraint::MemberOf`] alone that can be asked again.
    pub fn satisfied_by(&self, instance: &Instance<'_>, group: &str) -> bool {
        match self {
            Self::DistinctInstance => !instance.task_groups.contains(group),
            Self::MemberOf(expression) => expression.matches(instance),
        }
    }

    /// Whether tasks may be on the instance at all, however many there are.
    pub fn admits(&self, instance: &Instance<'_>) -> bool {
        match self {
            Self::DistinctInstance => true,
            Self::MemberOf(expression) => expression.matches(instance),
        }
    }

    /// Whether it asks anything of the Availability Zone.
    pub fn names_zone(&self) -> bool {
        match self {
            Self::DistinctInstance => false,
            Self::MemberOf(expression) => expression.names_zone(),
        }
    }
}

impl TryFrom<&PlacementConstraint> for Constraint {
    type Error = ConstraintError;

    fn try_from(constraint: &PlacementConstraint) -> Result<Self, Self::Error> {
        match (constraint.type_, &constraint.expression) {
            (PlacementConstraintType::DistinctInstance, None) => Ok(Self::DistinctInstance),
            (PlacementConstraintType::DistinctInstance, Some(_)) => Err(ConstraintError::ExpressionNotAllowed),
            (PlacementConstraintType::MemberOf, expression) => member_of(expression.as_deref()),
        }
    }
}

/// Task definitions have `memberOf` alone.
impl TryFrom<&TaskDefinitionPlacementConstraint> for Constraint {
    type Error = ConstraintError;

    fn try_from(constraint: &TaskDefinitionPlacementConstraint) -> Result<Self, Self::Error> {
        member_of(constraint.expression.as_deref())
    }
}

fn member_of(expression: Option<&str>) -> Result<Constraint, ConstraintError> {
    Ok(Constraint::MemberOf(expression.ok_or(ConstraintError::ExpressionMissing)?.parse()?))
}

/// A constraint that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// `memberOf` without an expression.
    #[error("memberOf needs an expression, for example attribute:stack == prod")]
    ExpressionMissing,
    /// `distinctInstance` with an expression.
    #[error("distinctInstance takes no expression; leave it out, or make it a memberOf constraint of its own")]
    ExpressionNotAllowed,
    /// An expression that cannot be read.
    #[error("the expression cannot be read, {0}")]
    Expression(#[from] QueryError),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::TaskDefinitionPlacementConstraintType;
    use crate::domain::placement::node::NodeFact;

    fn constraint(type_: PlacementConstraintType, expression: Option<&str>) -> Result<Constraint, ConstraintError> {
        Constraint::try_from(&PlacementConstraint { type_, expression: expression.map(str::to_owned) })
    }

    /// Whether a task of the service web may join the tasks of these groups on the node `i-1`.
    fn web_may_join(constraint: &Constraint, groups: &[&str]) -> bool {
        let node = NodeFact { name: "i-1".to_owned(), ..NodeFact::default() };
        let task_groups: BTreeSet<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        constraint.satisfied_by(&Instance { node: &node, task_groups: &task_groups, running_tasks: 0 }, "service:web")
    }

    #[test]
    fn distinct_instance_places_each_task_of_a_group_on_an_instance_of_its_own() {
        let distinct = constraint(PlacementConstraintType::DistinctInstance, None).unwrap();
        assert!(web_may_join(&distinct, &["service:api", "family:batch"]));
        assert!(!web_may_join(&distinct, &["service:api", "service:web"]));
    }

    #[test]
    fn member_of_places_tasks_on_instances_that_satisfy_the_expression() {
        let member = |expression| constraint(PlacementConstraintType::MemberOf, Some(expression)).unwrap();
        assert!(web_may_join(&member("ec2InstanceId == i-1"), &[]));
        assert!(!web_may_join(&member("ec2InstanceId == i-2"), &[]));
        assert!(web_may_join(&member("task:group == service:api"), &["service:api"]));
    }

    #[test]
    fn a_task_definition_has_member_of_alone() {
        let type_ = TaskDefinitionPlacementConstraintType::MemberOf;
        let constraint = |expression: Option<&str>| {
            Constraint::try_from(&TaskDefinitionPlacementConstraint {
                type_,
                expression: expression.map(str::to_owned),
            })
        };
        let expression = "attribute:stack == prod";
        assert_eq!(constraint(Some(expression)), Ok(Constraint::MemberOf(expression.parse().unwrap())));
        assert_eq!(constraint(None), Err(ConstraintError::ExpressionMissing));
    }

    #[test]
    fn a_constraint_that_cannot_be_used_says_why() {
        let problem = |type_, expression| constraint(type_, expression).unwrap_err().to_string();
        assert_eq!(
            problem(PlacementConstraintType::MemberOf, None),
            "memberOf needs an expression, for example attribute:stack == prod"
        );
        assert_eq!(
            problem(PlacementConstraintType::DistinctInstance, Some("attribute:stack exists")),
            "distinctInstance takes no expression; leave it out, or make it a memberOf constraint of its own"
        );
        assert_eq!(
            problem(PlacementConstraintType::MemberOf, Some("attribute:stack ==")),
            "the expression cannot be read, at character 19: a value is missing after ==, before the end; quote it if it is a \
             word or sign of the language"
        );
    }
}
