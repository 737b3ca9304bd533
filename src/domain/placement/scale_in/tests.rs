use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::*;
// Both globs above bring one.
use crate::domain::placement::strategy::Strategy;

fn node(name: &str, zone: Option<&str>, rack: &str) -> NodeFact {
    let mut labels = BTreeMap::from([("rack".to_owned(), rack.to_owned())]);
    labels.extend(zone.map(|zone| ("topology.kubernetes.io/zone".to_owned(), zone.to_owned())));
    NodeFact { name: name.to_owned(), labels, ..NodeFact::default() }
}

/// A task by its id and the index of its node.
#[derive(Debug, Clone)]
struct Task {
    id: TaskId,
    node: Option<usize>,
    reserves: Resources,
}

fn task(id: &str, node: usize) -> Task {
    Task { id: TaskId::of_pod(id), node: Some(node), reserves: Resources { cpu: 1, memory: 1 } }
}

/// A service: its nodes, what is left of them, its candidates, and the nodes of the tasks that stay.
#[derive(Debug, Clone, Default)]
struct Service {
    strategies: Vec<Strategy>,
    nodes: Vec<NodeFact>,
    room: BTreeMap<String, Resources>,
    tasks: Vec<Task>,
    staying: Vec<usize>,
}

impl Service {
    fn order(&self) -> Vec<TaskId> {
        let node = |index: usize| &self.nodes[index];
        let mut candidates = Vec::new();
        for Task { id, node: on, reserves } in &self.tasks {
            candidates.push(Candidate { task: id, node: on.map(node), reserves: *reserves });
        }
        let staying: Vec<&NodeFact> = self.staying.iter().map(|index| node(*index)).collect();
        let around = Surroundings { strategies: &self.strategies, staying: &staying, room: &self.room };
        stop_order(&candidates, &around).into_iter().cloned().collect()
    }

    /// The ids in order, in one text.
    fn told(&self) -> String {
        self.order().iter().map(TaskId::to_string).collect::<Vec<_>>().join(" ")
    }

    /// The same service once the task is gone.
    fn without(mut self, id: &TaskId) -> Self {
        let index = self.tasks.iter().position(|task| task.id == *id).unwrap();
        let task = self.tasks.remove(index);
        let room = task.node.and_then(|node| self.room.get_mut(&self.nodes[node].name));
        if let Some(room) = room {
            *room = room.plus(task.reserves);
        }
        self
    }

    /// The ranks of a task as the rules have them, with everything counted anew.
    fn ranks(&self, task: &Task) -> Vec<Rank> {
        let Some(on) = task.node else { return vec![Rank::Most(u64::MAX)] };
        let count = |alike: &dyn Fn(usize) -> bool| {
            let nodes = self.tasks.iter().filter_map(|task| task.node).chain(self.staying.iter().copied());
            u64::try_from(nodes.filter(|node| alike(*node)).count()).unwrap()
        };
        let here = count(&|node| node == on);
        let mut ranks = Vec::new();
        let default = Strategy::service_default();
        for strategy in if self.strategies.is_empty() { &default } else { &self.strategies } {
            ranks.push(match strategy {
                Strategy::Random => return ranks,
                Strategy::Spread(SpreadField::Instance) => Rank::Most(here),
                Strategy::Spread(SpreadField::Attribute(name)) => {
                    let value = |node: usize| self.nodes[node].attribute(name.as_str());
                    Rank::Most(count(&|node| value(node) == value(on)))
                }
                Strategy::Binpack(resource) => match self.room.get(&self.nodes[on].name) {
                    Some(room) => Rank::Most(room.plus(task.reserves).of(*resource)),
                    None => Rank::Fewest(Reverse(here)),
                },
            });
        }
        let packed = self.strategies.iter().any(|strategy| matches!(strategy, Strategy::Binpack(_)));
        ranks.push(if packed { Rank::Fewest(Reverse(here)) } else { Rank::Most(here) });
        ranks
    }
}

fn spread(attribute: &str) -> Strategy {
    Strategy::Spread(SpreadField::Attribute(attribute.parse().unwrap()))
}

/// Nodes 0 and 1 in zone a, node 2 in zone b.
fn two_zones() -> Vec<NodeFact> {
    vec![node("n0", Some("a"), "r0"), node("n1", Some("a"), "r1"), node("n2", Some("b"), "r0")]
}

#[test]
fn by_default_the_zone_with_most_tasks_loses_one_and_in_it_the_instance_with_most() {
    let tasks = vec![task("1", 0), task("2", 0), task("3", 1), task("4", 2), task("5", 0)];
    let service = Service { nodes: two_zones(), tasks, ..Service::default() };
    // Zone a has 4 and loses one of node 0's 3, again one of its 2, and then, with 2 in a and 1 in b, the lower id.
    assert_eq!(service.told(), "1 2 3 4 5");
}

#[test]
fn the_tasks_that_stay_count_for_the_balance() {
    let service = Service {
        nodes: two_zones(),
        tasks: vec![task("1", 0), task("2", 2)],
        staying: vec![2, 2],
        ..Service::default()
    };
    assert_eq!(service.told(), "2 1");
}

#[test]
fn tasks_that_are_on_no_node_go_first() {
    let waiting = |id: &str| Task { node: None, ..task(id, 0) };
    let tasks = vec![task("1", 0), waiting("9"), task("2", 0), waiting("8")];
    let service = Service { nodes: two_zones(), tasks, ..Service::default() };
    assert_eq!(service.told(), "8 9 1 2");
}

#[test]
fn nodes_without_a_zone_are_a_zone_of_their_own() {
    let nodes = vec![node("n0", None, "r"), node("n1", None, "r"), node("n2", Some("a"), "r")];
    let tasks = vec![task("1", 2), task("2", 1), task("3", 0), task("4", 2), task("5", 0)];
    let service = Service { nodes, tasks, ..Service::default() };
    assert_eq!(service.told(), "3 1 2 4 5");
}

#[test]
fn spread_keeps_any_attribute_in_balance() {
    // Rack r0 has 3 tasks on the nodes 0 and 2, rack r1 has 2 on node 1.
    let tasks = vec![task("1", 1), task("2", 1), task("3", 0), task("4", 2), task("5", 2)];
    let service = Service { strategies: vec![spread("rack")], nodes: two_zones(), tasks, ..Service::default() };
    assert_eq!(service.told(), "4 1 3 2 5");
}

#[test]
fn strategies_break_ties_in_the_order_they_are_written_in() {
    // Every node has one task: the zone decides, and zone a has two.
    let strategies = vec![Strategy::Spread(SpreadField::Instance), spread("ecs.availability-zone")];
    let tasks = vec![task("1", 2), task("2", 1), task("3", 0)];
    let service = Service { strategies, nodes: two_zones(), tasks, ..Service::default() };
    assert_eq!(service.told(), "2 1 3");
}

#[test]
fn binpack_stops_where_most_is_left_after_the_stop() {
    let tasks = vec![task("1", 0), task("2", 0), task("3", 1), task("4", 1)];
    let left = |memory| Resources { cpu: 0, memory };
    let service = Service {
        strategies: vec![Strategy::Binpack(Resource::Memory)],
        nodes: two_zones(),
        room: BTreeMap::from([("n0".to_owned(), left(5)), ("n1".to_owned(), left(7))]),
        tasks,
        ..Service::default()
    };
    assert_eq!(service.told(), "3 4 1 2");
    // A task that gives back more counts for more.
    let mut service = service;
    service.tasks[1].reserves.memory = 4;
    assert_eq!(service.told(), "2 1 3 4");
}

#[test]
fn binpack_stops_where_the_service_has_fewest_tasks_if_nothing_is_known_of_the_nodes() {
    let tasks = vec![task("1", 0), task("2", 0), task("3", 0), task("4", 1), task("5", 1)];
    let strategies = vec![Strategy::Binpack(Resource::Cpu)];
    let service = Service { strategies, nodes: two_zones(), tasks, ..Service::default() };
    assert_eq!(service.told(), "4 5 1 2 3");
}

#[test]
fn random_follows_nothing_but_the_ids() {
    let tasks = vec![task("3", 0), task("1", 0), task("4", 1), task("2", 2)];
    let mut service = Service { strategies: vec![Strategy::Random], nodes: two_zones(), tasks, ..Service::default() };
    assert_eq!(service.told(), "1 2 3 4");
    service.strategies = vec![spread("ecs.availability-zone"), Strategy::Random];
    assert_eq!(service.told(), "1 3 2 4");
}

fn any_strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        Just(spread("ecs.availability-zone")),
        Just(spread("rack")),
        Just(Strategy::Spread(SpreadField::Instance)),
        Just(Strategy::Binpack(Resource::Cpu)),
        Just(Strategy::Binpack(Resource::Memory)),
        Just(Strategy::Random),
    ]
}

fn any_service() -> impl proptest::strategy::Strategy<Value = Service> {
    let resources = || (0_u64..4, 0_u64..4).prop_map(|(cpu, memory)| Resources { cpu, memory });
    let nodes = vec((proptest::option::of(0_u8..3), 0_u8..3, proptest::option::of(resources())), 1..7);
    let tasks = vec((proptest::option::weighted(0.9, any::<prop::sample::Index>()), resources()), 0..20);
    let staying = vec(any::<prop::sample::Index>(), 0..6);
    (vec(any_strategy(), 0..4), nodes, tasks, staying, any::<u32>()).prop_map(
        |(strategies, places, tasks, staying, seed)| {
            let mut service = Service { strategies, ..Service::default() };
            for (index, (zone, rack, room)) in places.iter().enumerate() {
                let (name, zone) = (format!("n{index}"), zone.map(|zone| zone.to_string()));
                service.nodes.push(node(&name, zone.as_deref(), &rack.to_string()));
                service.room.extend(room.map(|room| (name, room)));
            }
            let count = places.len();
            service.staying = staying.iter().map(|at| at.index(count)).collect();
            for (number, (at, reserves)) in (0_u32..).zip(tasks) {
                // Ids in no order: a product with an odd number is different for every number.
                let id = TaskId::of_pod(&format!("{:08x}", number.wrapping_add(seed).wrapping_mul(0x9e37_79b1)));
                service.tasks.push(Task { id, node: at.map(|at| at.index(count)), reserves });
            }
            service
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Each stop is the best one for what is left then, by ranks that are counted anew for each.
    #[test]
    fn every_stop_is_the_best_one_at_its_time(service in any_service()) {
        let order = service.order();
        prop_assert_eq!(order.len(), service.tasks.len());
        let mut service = service;
        for id in order {
            let best = service.tasks.iter().max_by_key(|task| (service.ranks(task), Reverse(&task.id))).unwrap();
            prop_assert_eq!(&id, &best.id);
            service = service.without(&id);
        }
    }

    /// An operator that is restarted half-way, or told of some stops before others, goes on as it began.
    #[test]
    fn whoever_asks_again_half_way_is_told_the_rest_of_the_same_order(service in any_service(), stopped in 0_usize..20) {
        let order = service.order();
        let stopped = stopped.min(order.len());
        let later = order[..stopped].iter().fold(service.clone(), Service::without);
        prop_assert_eq!(later.order(), &order[stopped..]);
    }

    #[test]
    fn the_order_in_which_tasks_are_seen_makes_no_difference(service in any_service()) {
        let mut reversed = service.clone();
        reversed.tasks.reverse();
        reversed.staying.reverse();
        prop_assert_eq!(reversed.order(), service.order());
    }
}
