//! Which tasks a service gives up first.
//!
//! ECS stops the task whose absence is best for the placement strategies, and asks again after each one. Here a strategy ranks
//! the node of a task, the strategies together give a list of ranks, and the task with the greatest list is next:
//!
//! - `spread` takes from where the service has most tasks: the zone, the rack, the node.
//! - `binpack` takes from where most of the resource is left once the task has stopped, so that nodes become empty.
//! - `random` ends the list.
//!
//! A list that no `random` ends has one more rank, the number of the service's tasks on the node. What is still even is decided
//! by the tasks' ids: they are digests, so their order is as good as random, and the same to everyone who asks. The choice
//! depends on nothing but the tasks that are left. Whoever asks again half-way is told the rest of the same order.
//!
//! Nodes that are alike in every attribute that is spread over form a group. In a group it is nodes that compete, in a heap;
//! between groups, whose ranks change together, a scan decides: in most cases there are as many groups as zones.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::cmp::{Ordering, Reverse};
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;

use crate::api::names::TaskId;
use crate::domain::placement::node::NodeFact;
use crate::domain::placement::resources::Resources;
use crate::domain::placement::strategy::{Resource, SpreadField, Strategy};

/// A task that may be stopped.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its id.
    pub task: &'a TaskId,
    /// Where it is. A task that is on no node, or on one that is gone, holds no balance: it goes first.
    pub node: Option<&'a NodeFact>,
    /// What its node gets back when it stops.
    pub reserves: Resources,
}

/// What the choice depends on besides the candidates.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The service's strategies. None at all means [`Strategy::service_default`].
    pub strategies: &'a [Strategy],
    /// The nodes of the service's tasks that are no candidates and stay, once for each task: they count for the balance.
    pub staying: &'a [&'a NodeFact],
    /// What is left of each node's resources, by its name, with tasks that are being stopped counted as gone. Of the nodes
    /// that are not in it, `binpack` takes after all others, and from where the service has fewest tasks.
    pub room: &'a BTreeMap<String, Resources>,
}

/// All candidates, in the order in which they should be stopped.
pub fn stop_order<'a>(candidates: &[Candidate<'a>], around: &Surroundings<'a>) -> Vec<&'a TaskId> {
    let default = Strategy::service_default();
    let strategies = if around.strategies.is_empty() { &default } else { around.strategies };

    let mut nodes: BTreeMap<&str, OnNode<'_>> = BTreeMap::new();
    let mut order = Vec::with_capacity(candidates.len());
    for &Candidate { task, node, reserves } in candidates {
        match node {
            None => order.push(task),
            Some(node) => {
                let on_node = nodes.entry(&node.name).or_insert_with(|| OnNode::new(node));
                on_node.candidates.push(Waiting { reserves, task });
            }
        }
    }
    order.sort_unstable();
    for &node in around.staying {
        let on_node = nodes.entry(&node.name).or_insert_with(|| OnNode::new(node));
        on_node.staying = on_node.staying.saturating_add(1);
    }

    let mut levels: Vec<Level<'_>> = Vec::new();
    for level in levels_of(strategies).into_iter().map(|level| level.within(&nodes)) {
        // A level decides nothing the second time.
        if !levels.contains(&level) {
            levels.push(level);
        }
    }
    let mut groups = groups(nodes, &levels, around.room);
    while let Some(task) = groups.iter_mut().max_by(|a, b| a.compare(b)).and_then(|group| group.stop(&levels)) {
        order.push(task);
        groups.retain(|group| !group.places.is_empty());
    }
    order
}

/// One rank in the list of ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level<'a> {
    MostTasksWith(&'a str),
    MostTasksOnNode,
    FewestTasksOnNode,
    MostLeft(Resource),
}

fn levels_of(strategies: &[Strategy]) -> Vec<Level<'_>> {
    let mut levels = Vec::new();
    let mut last = Level::MostTasksOnNode;
    for strategy in strategies {
        let level = match strategy {
            Strategy::Random => return levels,
            Strategy::Spread(SpreadField::Attribute(name)) => Level::MostTasksWith(name.as_str()),
            Strategy::Spread(SpreadField::Instance) => Level::MostTasksOnNode,
            Strategy::Binpack(resource) => {
                last = Level::FewestTasksOnNode;
                Level::MostLeft(*resource)
            }
        };
        levels.push(level);
    }
    levels.push(last);
    levels
}

impl Level<'_> {
    /// The same for these nodes. An attribute that has another value on each of them is their name in other words, and costs
    /// no groups as that.
    fn within(self, nodes: &BTreeMap<&str, OnNode<'_>>) -> Self {
        let Self::MostTasksWith(attribute) = self else { return self };
        let mut seen = BTreeSet::new();
        let differs = nodes.values().all(|on_node| seen.insert(on_node.node.attribute(attribute)));
        if differs { Self::MostTasksOnNode } else { self }
    }
}

/// A rank. The greatest is next to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Fewest(Reverse<u64>),
    Most(u64),
}

/// The service's tasks on one node.
struct OnNode<'a> {
    node: &'a NodeFact,
    candidates: Vec<Waiting<'a>>,
    staying: u64,
}

impl<'a> OnNode<'a> {
    fn new(node: &'a NodeFact) -> Self {
        Self { node, candidates: Vec::new(), staying: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting<'a> {
    reserves: Resources,
    task: &'a TaskId,
}

/// How many tasks the service has where an attribute has one value. The groups with that value share it.
type Count = Rc<Cell<u64>>;

/// Nodes that are alike in every attribute that is spread over.
struct Group<'a> {
    /// For each level that is about an attribute, the count of the group's value.
    counts: Vec<Option<Count>>,
    places: BinaryHeap<Place<'a>>,
}

/// A node with candidates on it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    // These two decide which node is next: they come first.
    ranks: Vec<Rank>,
    next: Reverse<&'a TaskId>,
    next_reserves: Resources,
    /// The candidates after `next`, the last one first.
    others: Vec<Waiting<'a>>,
    /// How many tasks the service has here.
    tasks: u64,
    room: Option<Resources>,
}

fn groups<'a>(
    nodes: BTreeMap<&'a str, OnNode<'a>>,
    levels: &[Level<'_>],
    room: &BTreeMap<String, Resources>,
) -> Vec<Group<'a>> {
    let mut counts: BTreeMap<(&str, Option<&str>), Count> = BTreeMap::new();
    let mut groups: BTreeMap<Vec<Option<&str>>, Group<'a>> = BTreeMap::new();
    for (name, on_node) in nodes {
        let tasks = on_node.staying.saturating_add(u64::try_from(on_node.candidates.len()).unwrap_or(u64::MAX));
        let mut values = Vec::new();
        let mut of_group = Vec::new();
        for level in levels {
            let Level::MostTasksWith(attribute) = *level else {
                of_group.push(None);
                continue;
            };
            let value = on_node.node.attribute(attribute);
            let count = counts.entry((attribute, value)).or_default();
            count.set(count.get().saturating_add(tasks));
            of_group.push(Some(Rc::clone(count)));
            values.push(value);
        }
        if let Some(place) = Place::new(on_node.candidates, tasks, room.get(name).copied(), levels) {
            let group = groups.entry(values).or_insert_with(|| Group { counts: of_group, places: BinaryHeap::new() });
            group.places.push(place);
        }
    }
    groups.into_values().collect()
}

impl<'a> Group<'a> {
    /// Which of two groups has the task that is to stop first: that one is greater.
    fn compare(&self, other: &Self) -> Ordering {
        let next = |group: &Self| group.places.peek().map(|place| place.next);
        self.ranks().cmp(other.ranks()).then_with(|| next(self).cmp(&next(other)))
    }

    /// The ranks of the task that is next in this group.
    fn ranks(&self) -> impl Iterator<Item = Rank> {
        let of_place = self.places.peek().into_iter().flat_map(|place| &place.ranks);
        self.counts.iter().zip(of_place).map(|(count, rank)| match count {
            Some(count) => Rank::Most(count.get()),
            None => *rank,
        })
    }

    /// Takes the next task out of the group.
    fn stop(&mut self, levels: &[Level<'_>]) -> Option<&'a TaskId> {
        let mut place = self.places.peek_mut()?;
        let task = place.next.0;
        if !place.stop(levels) {
            PeekMut::pop(place);
        }
        for count in self.counts.iter().flatten() {
            count.set(count.get().saturating_sub(1));
        }
        Some(task)
    }
}

impl<'a> Place<'a> {
    /// `None` where there are no candidates.
    fn new(
        mut candidates: Vec<Waiting<'a>>,
        tasks: u64,
        room: Option<Resources>,
        levels: &[Level<'_>],
    ) -> Option<Self> {
        // On one node it is what they reserve that tells tasks apart, and where nothing is known of the room, their ids alone.
        let largest = |task: &Waiting<'_>| -> Vec<u64> {
            let resource = |level: &Level<'_>| match level {
                Level::MostLeft(resource) if room.is_some() => Some(task.reserves.of(*resource)),
                _ => None,
            };
            levels.iter().filter_map(resource).collect()
        };
        candidates.sort_by_cached_key(|task| (largest(task), Reverse(task.task)));
        let next = candidates.pop()?;
        let (ranks, others) = (Vec::new(), candidates);
        let mut place = Self { ranks, next: Reverse(next.task), next_reserves: next.reserves, others, tasks, room };
        place.rank(levels);
        Some(place)
    }

    /// Goes on to the candidate after the next one, if there is one.
    fn stop(&mut self, levels: &[Level<'_>]) -> bool {
        let Some(next) = self.others.pop() else { return false };
        self.tasks = self.tasks.saturating_sub(1);
        self.room = self.room.map(|room| room.plus(self.next_reserves));
        self.next = Reverse(next.task);
        self.next_reserves = next.reserves;
        self.rank(levels);
        true
    }

    fn rank(&mut self, levels: &[Level<'_>]) {
        let fewest = Rank::Fewest(Reverse(self.tasks));
        let left = self.room.map(|room| room.plus(self.next_reserves));
        let rank = |level: &Level<'_>| match level {
            // The count of the group stands for it.
            Level::MostTasksWith(_) => Rank::Most(0),
            Level::MostTasksOnNode => Rank::Most(self.tasks),
            Level::FewestTasksOnNode => fewest,
            Level::MostLeft(resource) => left.map_or(fewest, |left| Rank::Most(left.of(*resource))),
        };
        self.ranks.clear();
        self.ranks.extend(levels.iter().map(rank));
    }
}

impl Resources {
    fn of(self, resource: Resource) -> u64 {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }
}
