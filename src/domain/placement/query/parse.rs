//! From text to an expression, by recursive descent: one function for each rule of the grammar in the module's documentation.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::domain::placement::node::AttributeName;
use crate::domain::placement::query::cursor::Cursor;
use crate::domain::placement::query::operator::Operator;
use crate::domain::placement::query::{
    AttributeTest, Comparison, Expression, Pattern, QueryError, QueryProblem, Test, TextMatch, TextTest, Version,
};

/// ECS's limit.
const LENGTH_MAX: usize = 2000;
/// How deep expressions may be nested. Reading, printing and asking take stack for each level.
const DEPTH_MAX: usize = 50;

impl FromStr for Expression {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().nth(LENGTH_MAX).is_some() {
            return Err(QueryError { position: LENGTH_MAX.saturating_add(1), problem: QueryProblem::TooLong });
        }
        let mut cursor = Cursor::new(text);
        let expression = any(&mut cursor, 0)?;
        cursor.skip_space();
        if cursor.is_at_end() {
            Ok(expression)
        } else {
            Err(cursor.error(QueryProblem::Trailing { found: cursor.found() }))
        }
    }
}

fn any(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, QueryError> {
    joined(cursor, ("||", "or"), |cursor| all(cursor, depth), Expression::Any)
}

fn all(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, QueryError> {
    joined(cursor, ("&&", "and"), |cursor| unary(cursor, depth), Expression::All)
}

/// One or more parts with a sign or word between them. One part stands for itself.
fn joined(
    cursor: &mut Cursor<'_>,
    (sign, keyword): (&str, &str),
    part: impl Fn(&mut Cursor<'_>) -> Result<Expression, QueryError>,
    join: fn(Vec<Expression>) -> Expression,
) -> Result<Expression, QueryError> {
    let first = part(cursor)?;
    let mut others = Vec::new();
    loop {
        cursor.skip_space();
        if !(cursor.take_sign(sign) || cursor.take_keyword(keyword)) {
            break;
        }
        others.push(part(cursor)?);
    }
    if others.is_empty() {
        return Ok(first);
    }
    others.insert(0, first);
    Ok(join(others))
}

fn unary(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, QueryError> {
    cursor.skip_space();
    if depth > DEPTH_MAX {
        return Err(cursor.error(QueryProblem::TooDeep(DEPTH_MAX)));
    }
    let deeper = depth.saturating_add(1);
    let opened = cursor.position();
    if cursor.take_sign("!") || cursor.take_keyword("not") {
        return Ok(Expression::Not(Box::new(unary(cursor, deeper)?)));
    }
    if !cursor.take_sign("(") {
        return test(cursor).map(Expression::Test);
    }
    let inner = any(cursor, deeper)?;
    cursor.skip_space();
    if cursor.take_sign(")") {
        Ok(inner)
    } else {
        Err(cursor.error(QueryProblem::UnclosedParenthesis { opened, found: cursor.found() }))
    }
}

fn test(cursor: &mut Cursor<'_>) -> Result<Test, QueryError> {
    let start = *cursor;
    let subject = cursor.take_word();
    match subject {
        "agentConnected" => {
            let truth = |value: &str| matches!(value, "true" | "false").then_some(());
            let operator = operator(cursor, subject, "==, !=, in, !in, =~ or !~", Operator::is_text)?;
            text_test(cursor, operator, |cursor, value| {
                convert(cursor, "agentConnected", value, "true or false", truth).map(drop)
            })
            .map(Test::AgentConnected)
        }
        "agentVersion" => {
            let (comparison, version) = compared(cursor, "agentVersion", "a version such as 1.14.5", Version::parse)?;
            Ok(Test::AgentVersion(comparison, version))
        }
        "ec2InstanceId" => {
            let operator = operator(cursor, subject, "==, !=, in, !in, =~ or !~", Operator::is_text)?;
            text_test(cursor, operator, |_, _| Ok(())).map(Test::InstanceId)
        }
        "registeredAt" => {
            let (comparison, time) =
                compared(cursor, "registeredAt", "a time such as 2018-06-18T22:28:28Z or 2018-06-18", timestamp)?;
            Ok(Test::RegisteredAt(comparison, time))
        }
        "runningTasksCount" => {
            let number = |value: &str| value.parse().ok();
            let (comparison, count) = compared(cursor, "runningTasksCount", "a whole number", number)?;
            Ok(Test::RunningTasksCount(comparison, count))
        }
        "task:group" => {
            let operator = operator(cursor, subject, "==, !=, in, !in, =~ or !~", Operator::is_text)?;
            text_test(cursor, operator, |_, _| Ok(())).map(Test::TaskGroup)
        }
        "" => Err(start.error(QueryProblem::TestMissing { found: start.found() })),
        other => match other.strip_prefix("attribute:") {
            Some(name) => {
                let name: AttributeName =
                    name.parse().map_err(|error| start.error(QueryProblem::AttributeName(error)))?;
                let test = attribute_test(cursor, other)?;
                Ok(Test::Attribute(name, test))
            }
            None => Err(start.error(QueryProblem::UnknownSubject(other.to_owned()))),
        },
    }
}

fn attribute_test(cursor: &mut Cursor<'_>, subject: &str) -> Result<AttributeTest, QueryError> {
    match operator(cursor, subject, "any operator", |_| true)? {
        Operator::Exists => Ok(AttributeTest::Exists),
        Operator::NotExists => Ok(AttributeTest::NotExists),
        Operator::Order(order) => Ok(AttributeTest::Order(order, value(cursor, Operator::Order(order))?)),
        operator => text_test(cursor, operator, |_, _| Ok(())).map(AttributeTest::Text),
    }
}

/// The value of a test of text. `check` sees every value that is compared as it is, and where it stands.
fn text_test(
    cursor: &mut Cursor<'_>,
    operator: Operator,
    check: impl Fn(Cursor<'_>, &str) -> Result<(), QueryError>,
) -> Result<TextTest, QueryError> {
    let negated = matches!(operator, Operator::NotEquals | Operator::NotIn | Operator::NotMatches);
    let checked = |cursor: &mut Cursor<'_>| {
        cursor.skip_space();
        let start = *cursor;
        let value = value(cursor, operator)?;
        check(start, &value).map(|()| value)
    };
    let with = match operator {
        Operator::In | Operator::NotIn => TextMatch::In(list(cursor, operator, checked)?),
        Operator::Matches | Operator::NotMatches => {
            cursor.skip_space();
            let start = *cursor;
            let pattern = value(cursor, operator)?;
            let refused = |error| start.error(QueryProblem::Pattern { pattern: pattern.clone(), error });
            TextMatch::Matches(Pattern::new(&pattern).map_err(refused)?)
        }
        _ => TextMatch::Equals(checked(cursor)?),
    };
    Ok(TextTest { negated, with })
}

fn list(
    cursor: &mut Cursor<'_>,
    operator: Operator,
    item: impl Fn(&mut Cursor<'_>) -> Result<String, QueryError>,
) -> Result<Vec<String>, QueryError> {
    cursor.skip_space();
    if !cursor.take_sign("[") {
        return Err(cursor.error(QueryProblem::ListMissing { operator: operator.sign(), found: cursor.found() }));
    }
    cursor.skip_space();
    let mut items = Vec::new();
    if cursor.take_sign("]") {
        return Ok(items);
    }
    loop {
        items.push(item(cursor)?);
        cursor.skip_space();
        if cursor.take_sign("]") {
            return Ok(items);
        }
        if !cursor.take_sign(",") {
            return Err(cursor.error(QueryProblem::UnclosedList { found: cursor.found() }));
        }
    }
}

/// An operator and a value of a kind that has an order.
fn compared<T>(
    cursor: &mut Cursor<'_>,
    subject: &'static str,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<(Comparison, T), QueryError> {
    let operator = operator(cursor, subject, "==, !=, >, >=, < or <=", |operator| operator.comparison().is_some())?;
    let comparison = operator.comparison().unwrap_or(Comparison::Equal);
    cursor.skip_space();
    let start = *cursor;
    let value = value(cursor, operator)?;
    Ok((comparison, convert(start, subject, &value, expected, read)?))
}

fn convert<T>(
    start: Cursor<'_>,
    subject: &'static str,
    value: &str,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, QueryError> {
    read(value).ok_or_else(|| start.error(QueryProblem::WrongKind { subject, value: value.to_owned(), expected }))
}

/// The operator that comes next, if it is one that the subject has.
fn operator(
    cursor: &mut Cursor<'_>,
    subject: &str,
    allowed: &'static str,
    is_allowed: impl Fn(Operator) -> bool,
) -> Result<Operator, QueryError> {
    cursor.skip_space();
    let start = *cursor;
    let operator = Operator::read(cursor, subject)?;
    if is_allowed(operator) {
        return Ok(operator);
    }
    let (subject, operator) = (subject.to_owned(), operator.sign());
    Err(start.error(QueryProblem::OperatorNotAllowed { subject, operator, allowed }))
}

fn value(cursor: &mut Cursor<'_>, operator: Operator) -> Result<String, QueryError> {
    cursor.skip_space();
    let start = *cursor;
    let missing = || start.error(QueryProblem::ValueMissing { operator: operator.sign(), found: start.found() });
    cursor.take_value()?.ok_or_else(missing)
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let without_zone = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| without_zone().map(|time| time.timestamp()))
}
