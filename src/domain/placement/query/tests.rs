//! The language by the sentences and examples of ECS's documentation.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::placement::node::{Instance, NodeFact, Taint, TaintEffect};

/// A node with the tasks on it: everything that a query can be about.
#[derive(Default)]
struct Seen {
    node: NodeFact,
    groups: BTreeSet<String>,
    running: u64,
}

impl Seen {
    fn attributes(attributes: &[(&str, &str)]) -> Self {
        let labels: BTreeMap<_, _> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { node: NodeFact { labels, ..NodeFact::default() }, ..Self::default() }
    }

    fn groups(groups: &[&str]) -> Self {
        Self { groups: groups.iter().map(|group| (*group).to_owned()).collect(), ..Self::default() }
    }

    fn registered(time: &str) -> Self {
        Self { node: NodeFact { created_at: Some(time.parse().unwrap()), ..NodeFact::default() }, ..Self::default() }
    }

    fn agent(version: &str) -> Self {
        Self { node: NodeFact { kubelet_version: Some(version.to_owned()), ..NodeFact::default() }, ..Self::default() }
    }

    fn named(name: &str) -> Self {
        Self { node: NodeFact { name: name.to_owned(), ..NodeFact::default() }, ..Self::default() }
    }

    fn running(running: u64) -> Self {
        Self { running, ..Self::default() }
    }

    fn is_in(&self, query: &str) -> bool {
        let expression: Expression = query.parse().unwrap_or_else(|error| panic!("{query}: {error}"));
        expression.matches(&Instance { node: &self.node, task_groups: &self.groups, running_tasks: self.running })
    }
}

const TYPE: &str = "node.kubernetes.io/instance-type";
const ZONE: &str = "topology.kubernetes.io/zone";

#[track_caller]
fn selects(query: &str, selected: &[Seen], others: &[Seen]) {
    for (index, seen) in selected.iter().enumerate() {
        assert!(seen.is_in(query), "{query} selects the instance {index}: {:?}", seen.node);
    }
    for (index, seen) in others.iter().enumerate() {
        assert!(!seen.is_in(query), "{query} leaves out the instance {index}: {:?}", seen.node);
    }
}

#[test]
fn selects_instances_with_the_specified_instance_type() {
    let small = || Seen::attributes(&[(TYPE, "t2.small")]);
    selects("attribute:ecs.instance-type == t2.small", &[small()], &[Seen::attributes(&[(TYPE, "t2.smaller")])]);
    selects("attribute:ecs.instance-type equals 't2.small'", &[small()], &[Seen::default()]);
}

#[test]
fn selects_instances_in_the_specified_availability_zones() {
    let zone = |zone| Seen::attributes(&[(ZONE, zone)]);
    for query in [
        "attribute:ecs.availability-zone in [us-east-1a, us-east-1b]",
        "attribute:ecs.availability-zone IN ['us-east-1a',\"us-east-1b\"]",
    ] {
        selects(query, &[zone("us-east-1a"), zone("us-east-1b")], &[zone("us-east-1d"), Seen::default()]);
    }
    selects("attribute:ecs.availability-zone in []", &[], &[zone("us-east-1a")]);
}

#[test]
fn selects_g2_instances_that_are_not_in_the_us_east_1d_availability_zone() {
    let node = |type_, zone| Seen::attributes(&[(TYPE, type_), (ZONE, zone)]);
    selects(
        "attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d",
        &[node("g2.2xlarge", "us-east-1a")],
        &[node("g2.2xlarge", "us-east-1d"), node("p2.xlarge", "us-east-1a"), node("xg2.large", "us-east-1a")],
    );
}

#[test]
fn selects_instances_that_are_hosting_tasks_in_the_service_production_group() {
    selects(
        "task:group == service:production",
        &[Seen::groups(&["family:batch", "service:production"])],
        &[Seen::groups(&["service:product"]), Seen::default()],
    );
}

#[test]
fn selects_instances_that_are_not_hosting_tasks_in_the_database_group() {
    for query in ["not(task:group == database)", "!(task:group == database)", "task:group != database"] {
        selects(query, &[Seen::groups(&["web"]), Seen::default()], &[Seen::groups(&["database", "web"])]);
    }
    selects("task:group !in [a, b]", &[Seen::groups(&["c"])], &[Seen::groups(&["b", "c"])]);
    selects("task:group =~ service:.*", &[Seen::groups(&["a", "service:b"])], &[Seen::groups(&["a"])]);
}

#[test]
fn selects_instances_that_were_registered_before_a_date() {
    let before = || Seen::registered("2018-02-12T23:59:59Z");
    let after = || Seen::registered("2018-02-13T00:00:00Z");
    selects("registeredAt < 2018-02-13", &[before()], &[after(), Seen::default()]);
    selects("registeredAt >= 2018-02-13", &[after()], &[before(), Seen::default()]);
}

#[test]
fn a_time_may_be_written_in_four_formats() {
    let seen = || [Seen::registered("2018-06-18T22:28:28Z")];
    for time in
        ["2018-06-18T22:28:28+00:00", "2018-06-18T22:28:28Z", "2018-06-18T22:28:28", "2018-06-19T00:28:28+02:00"]
    {
        selects(&format!("registeredAt == {time}"), &seen(), &[]);
        selects(&format!("registeredAt != '{time}'"), &[], &seen());
    }
    selects("registeredAt == 2018-06-18", &[Seen::registered("2018-06-18T00:00:00Z")], &seen());
}

#[test]
fn selects_instances_with_the_specified_agent_version() {
    selects(
        "agentVersion < 1.14.5",
        &[Seen::agent("1.9.0"), Seen::agent("v1.14.4+k3s1")],
        &[Seen::agent("1.14.5"), Seen::agent("v1.34.2"), Seen::agent("unknown"), Seen::default()],
    );
    selects("agentVersion == 1.34", &[Seen::agent("v1.34.0-eks-1a2b")], &[Seen::agent("v1.34.1")]);
    selects("agentVersion != 1.34", &[Seen::agent("v1.34.1")], &[Seen::agent("v1.34.0"), Seen::default()]);
}

#[test]
fn selects_instances_whose_agent_is_connected() {
    let lost = || {
        let key = "node.kubernetes.io/unreachable".to_owned();
        let taint = Taint { key, value: None, effect: TaintEffect::NoExecute };
        Seen { node: NodeFact { taints: vec![taint], ..NodeFact::default() }, ..Seen::default() }
    };
    selects("agentConnected == true", &[Seen::default()], &[lost()]);
    selects("agentConnected in [false]", &[lost()], &[Seen::default()]);
}

#[test]
fn selects_instances_by_their_ids() {
    selects("ec2InstanceId in ['i-abcd1234', 'i-wxyx7890']", &[Seen::named("i-wxyx7890")], &[Seen::named("i-1")]);
    selects("ec2InstanceId !~ i-.*", &[Seen::named("node-1")], &[Seen::named("i-1")]);
}

#[test]
fn selects_instances_by_the_number_of_running_tasks() {
    selects("runningTasksCount == 1", &[Seen::running(1)], &[Seen::running(0), Seen::running(2)]);
    selects("runningTasksCount>=2", &[Seen::running(2)], &[Seen::running(1)]);
    selects("runningTasksCount less_than_equal 2", &[Seen::running(2)], &[Seen::running(3)]);
}

#[test]
fn parentheses_say_what_belongs_together_and_and_binds_closer_than_or() {
    let query = "(attribute:a == 1 or attribute:b exists) and runningTasksCount == 1";
    let one = |attributes: &[(&str, &str)]| Seen { running: 1, ..Seen::attributes(attributes) };
    selects(query, &[one(&[("a", "1")]), one(&[("b", "")])], &[one(&[("a", "2")]), Seen::attributes(&[("a", "1")])]);
    for query in [
        "attribute:a exists or attribute:b exists and attribute:c exists",
        "attribute:a exists||attribute:b exists&&attribute:c exists",
    ] {
        selects(query, &[Seen::attributes(&[("a", "")])], &[Seen::attributes(&[("b", "")])]);
    }
}

#[test]
fn not_equal_selects_instances_that_have_the_attribute_with_another_value() {
    let (prod, test) = (|| Seen::attributes(&[("stack", "prod")]), || Seen::attributes(&[("stack", "test")]));
    for query in ["attribute:stack != prod", "attribute:stack !in [prod]", "attribute:stack !~ pr.*"] {
        selects(query, &[test()], &[prod(), Seen::default()]);
    }
    selects("not(attribute:stack == prod)", &[test(), Seen::default()], &[prod()]);
}

#[test]
fn exists_asks_for_the_attribute_whatever_its_value() {
    let with = || Seen::attributes(&[("gpu", "")]);
    for query in ["attribute:gpu exists", "!attribute:gpu not_exists", "not attribute:gpu !exists"] {
        selects(query, &[with()], &[Seen::default()]);
    }
}

#[test]
fn attributes_are_put_in_order_as_numbers_where_both_are_numbers() {
    let tier = |tier| Seen::attributes(&[("tier", tier)]);
    selects("attribute:tier > 9", &[tier("10"), tier("9.5")], &[tier("9"), tier("-10"), Seen::default()]);
    selects("attribute:tier less_than b", &[tier("a"), tier("10")], &[tier("b"), tier("c")]);
}

#[test]
fn values_in_quotes_may_hold_anything() {
    selects(r"attribute:a == 'it\'s, (a) [b]'", &[Seen::attributes(&[("a", "it's, (a) [b]")])], &[]);
    selects(r#"attribute:a == "it's \\""#, &[Seen::attributes(&[("a", r"it's \")])], &[]);
    selects(r"attribute:a =~ '(t2|t3)\.small'", &[Seen::attributes(&[("a", "t3.small")])], &[]);
    selects("attribute:a == 'and' or attribute:a == orange", &[Seen::attributes(&[("a", "and")])], &[]);
}

#[test]
fn an_error_says_where_and_what_to_do() {
    for (query, error) in [
        ("", "at character 1: a test is missing before the end; write for example attribute:stack == prod"),
        (
            "attribute:a exists and",
            "at character 23: a test is missing before the end; write for example attribute:stack == prod",
        ),
        (
            "instanceType == t2.small",
            "at character 1: \"instanceType\" is nothing that can be tested; use agentConnected, agentVersion, \
             attribute:NAME, ec2InstanceId, registeredAt, runningTasksCount or task:group",
        ),
        (
            "attribute: == a",
            "at character 1: \"\" is not the name of an attribute: use 1 to 128 letters, digits and -_./\\",
        ),
        (
            "attribute:a and attribute:b",
            "at character 13: an operator is missing after attribute:a, before \"and attribute:b\"; write for example \
             attribute:a == …",
        ),
        (
            "attribute:a = b",
            "at character 13: \"=\" is not an operator; use ==, !=, >, >=, <, <=, exists, !exists, in, !in, =~ or !~, or \
             their names, such as not_equals",
        ),
        (
            "ec2InstanceId > i-1",
            "at character 15: ec2InstanceId cannot be tested with >; use ==, !=, in, !in, =~ or !~",
        ),
        (
            "runningTasksCount in [1]",
            "at character 19: runningTasksCount cannot be tested with in; use ==, !=, >, >=, < or <=",
        ),
        (
            "(attribute:a == )",
            "at character 17: a value is missing after ==, before \")\"; quote it if it is a word or sign of the language",
        ),
        ("attribute:a =~ (b|c)", "at character 16: a value that holds '(' needs quotes around all of it"),
        ("attribute:a =~ b[cd]", "at character 17: a value that holds '[' needs quotes around all of it"),
        ("attribute:a == 'b", "at character 16: the value that begins here has no closing '"),
        ("attribute:a in b", "at character 16: in takes a list, but here is \"b\"; write in [a, b]"),
        (
            "attribute:a in [b c]",
            "at character 19: the list has to go on with a comma or end with ], but here is \"c]\"",
        ),
        (
            "not (attribute:a exists",
            "at character 24: the parenthesis opened at character 5 has to be closed before the end",
        ),
        (
            "attribute:a == b c",
            "at character 18: the expression is complete before \"c\"; join tests with and or or, and quote values that hold \
             spaces",
        ),
        (
            "agentVersion > new",
            "at character 16: agentVersion cannot be compared with \"new\"; write a version such as 1.14.5",
        ),
        (
            "registeredAt < yesterday",
            "at character 16: registeredAt cannot be compared with \"yesterday\"; write a time such as 2018-06-18T22:28:28Z or \
             2018-06-18",
        ),
        (
            "runningTasksCount == -1",
            "at character 22: runningTasksCount cannot be compared with \"-1\"; write a whole number",
        ),
        (
            "agentConnected == yes",
            "at character 19: agentConnected cannot be compared with \"yes\"; write true or false",
        ),
        (
            "attribute:a =~ '(?!b).*'",
            "at character 16: the regular expression \"(?!b).*\" cannot be used: look-around is not supported; combine tests \
             with and, or and not",
        ),
    ] {
        assert_eq!(query.parse::<Expression>().unwrap_err().to_string(), error, "{query}");
    }
}

#[test]
fn an_expression_has_at_most_2000_characters_and_is_nested_at_most_50_deep() {
    let of_length = |length: usize| format!("attribute:a == {}", "ä".repeat(length - 15));
    assert!(of_length(2000).parse::<Expression>().is_ok());
    let error = of_length(2001).parse::<Expression>().unwrap_err();
    assert_eq!((error.position, error.problem), (2001, QueryProblem::TooLong));

    let nested = |depth: usize| format!("{}attribute:a exists{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(50).parse::<Expression>().is_ok());
    for query in [nested(51), "!".repeat(51) + "attribute:a exists", "not ".repeat(51) + "attribute:a exists"] {
        assert_eq!(query.parse::<Expression>().unwrap_err().problem, QueryProblem::TooDeep(50));
    }
}

#[test]
fn an_expression_is_printed_in_one_way() {
    for (query, printed) in [
        ("attribute:a equals 'b'", "attribute:a == b"),
        ("!attribute:a not_exists", "not(attribute:a !exists)"),
        (
            "attribute:a==1&&(attribute:b in[x,'y z']||agentVersion>=v1.0)",
            "attribute:a == 1 and (attribute:b in [x, 'y z'] or agentVersion >= 1)",
        ),
        ("registeredAt < 2018-02-13", "registeredAt < 2018-02-13T00:00:00Z"),
        (r#"attribute:a =~ "b\.'c'""#, r"attribute:a =~ 'b\\.\'c\''"),
        (r"attribute:a =~ g2\..*", r"attribute:a =~ g2\..*"),
        ("task:group not_in ['or', '']", "task:group !in ['or', '']"),
    ] {
        assert_eq!(
            query.parse::<Expression>().map(|expression| expression.to_string()),
            Ok(printed.to_owned()),
            "{query}"
        );
    }
}
