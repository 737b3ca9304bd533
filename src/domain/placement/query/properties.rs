//! What holds for every expression and every text.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_text() -> impl Strategy<Value = String> {
    let words =
        vec!["and", "OR", "not", "in", "exists", "'", "\\", "a&&b", "||", "|", "&", "=", "é", "\\'", "[", ")", ",", ""];
    prop_oneof![prop::sample::select(words).prop_map(str::to_owned), "[ -~]{0,12}", "[a-z0-9:./-]{1,12}", ".{0,6}"]
}

fn any_text_test(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = TextTest> {
    let patterns = prop::sample::select(vec!["", "g2.*", r"a\.'b'", "(a|b)[cd]+", r"\\", "or", "a b"]);
    let with = prop_oneof![
        value.clone().prop_map(TextMatch::Equals),
        vec(value, 0..4).prop_map(TextMatch::In),
        patterns.prop_map(|pattern| TextMatch::Matches(Pattern::new(pattern).unwrap())),
    ];
    (any::<bool>(), with).prop_map(|(negated, with)| TextTest { negated, with })
}

fn any_test() -> impl Strategy<Value = Test> {
    let orders = [Order::Greater, Order::GreaterOrEqual, Order::Less, Order::LessOrEqual];
    let order = prop::sample::select(orders.to_vec());
    let comparison =
        prop_oneof![Just(Comparison::Equal), Just(Comparison::NotEqual), order.clone().prop_map(Comparison::Order)];
    let name = r"[A-Za-z0-9_./\\-]{1,12}".prop_map(|name: String| name.parse::<AttributeName>().unwrap());
    let attribute = prop_oneof![
        Just(AttributeTest::Exists),
        Just(AttributeTest::NotExists),
        any_text_test(any_text().boxed()).prop_map(AttributeTest::Text),
        (order, any_text()).prop_map(|(order, value)| AttributeTest::Order(order, value)),
    ];
    let truth = prop::sample::select(vec!["true".to_owned(), "false".to_owned()]);
    let version = vec(0_u64..30, 1..4).prop_map(|numbers| {
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        Version::parse(&numbers.join(".")).unwrap()
    });
    let time =
        (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second()).prop_map(|s| Timestamp::from_second(s).unwrap());
    prop_oneof![
        any_text_test(truth).prop_map(Test::AgentConnected),
        (comparison.clone(), version).prop_map(|(comparison, version)| Test::AgentVersion(comparison, version)),
        (name, attribute).prop_map(|(name, test)| Test::Attribute(name, test)),
        any_text_test(any_text().boxed()).prop_map(Test::InstanceId),
        (comparison.clone(), time).prop_map(|(comparison, time)| Test::RegisteredAt(comparison, time)),
        (comparison, any::<u64>()).prop_map(|(comparison, count)| Test::RunningTasksCount(comparison, count)),
        any_text_test(any_text().boxed()).prop_map(Test::TaskGroup),
    ]
}

fn any_expression() -> impl Strategy<Value = Expression> {
    any_test().prop_map(Expression::Test).prop_recursive(4, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expression::All),
            vec(inner.clone(), 2..4).prop_map(Expression::Any),
            inner.prop_map(|inner| Expression::Not(Box::new(inner))),
        ]
    })
}

/// Pieces of queries, put together as they come: most of it is wrong, and wrong in a different place each time.
fn almost_a_query() -> impl Strategy<Value = String> {
    let pieces = vec![
        "attribute:a",
        "task:group",
        "registeredAt",
        "agentVersion",
        "==",
        "!",
        "not",
        "(",
        ")",
        "[",
        "]",
        ",",
        "'",
        "\"",
        "\\",
        "in",
        "exists",
        "and",
        "||",
        "=~",
        "<",
        "1.2",
        "2018-02-13",
        "é",
        "(?",
        "*",
        " ",
    ];
    vec(prop::sample::select(pieces), 0..25).prop_map(|pieces| pieces.join(" ").replace("  ", ""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![any::<String>(), "[ -~]{0,60}", almost_a_query()]) {
        let read = text.parse::<Expression>();
        if let Err(error) = read {
            prop_assert!((1..=text.chars().count().saturating_add(1)).contains(&error.position));
        }
    }

    #[test]
    fn what_is_printed_reads_as_what_was_printed(expression in any_expression()) {
        let printed = expression.to_string();
        prop_assume!(printed.chars().count() <= 2000);
        prop_assert_eq!(printed.parse::<Expression>(), Ok(expression));
    }
}
