//! `dependsOn`: the rules on the graph, and the part of a pod that each container stands in because of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::api::{ContainerCondition, ContainerDefinition, LogConfiguration, LogDriver};
use crate::domain::resolve::Problem;

/// Where a container of a task stands in the pod, so that Kubernetes starts the containers in ECS's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Others wait for its end: an init container.
    InitOnce,
    /// Others wait for its start or its health: a native sidecar.
    Sidecar {
        /// Whether another container waits until it is HEALTHY.
        awaited_healthy: bool,
    },
    /// Nothing waits for it, or for no more than its start and it has to outlive those that do: an ordinary container.
    Main,
}

/// The role of each container, and the order in which those that others wait for are started. All by index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StartOrder {
    /// In the order of declaration.
    pub(super) roles: Vec<Role>,
    /// The containers that are not [`Role::Main`], each behind those it waits for.
    pub(super) init: Vec<usize>,
    /// Those that are.
    pub(super) main: Vec<usize>,
    /// Who waits for whom.
    pub(super) edges: Vec<Edge>,
}

/// One container waits for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    /// The one that waits.
    pub(super) from: usize,
    /// The one that is waited for.
    pub(super) target: usize,
    /// What it is waited for.
    pub(super) condition: ContainerCondition,
    /// The member that asks for it.
    pub(super) member: String,
}

impl StartOrder {
    /// Whether the one waits for the other, be it through others.
    pub(super) fn waits_for(&self, from: usize, target: usize) -> bool {
        reaches(&self.edges, from, target)
    }
}

/// Checks `dependsOn` and works out the start order, in which links and log routers count too.
pub(super) fn start_order(containers: &[ContainerDefinition]) -> Result<StartOrder, Vec<Problem>> {
    let index: BTreeMap<&str, usize> =
        containers.iter().enumerate().map(|(index, container)| (container.name.as_str(), index)).collect();
    let mut problems = Vec::new();
    let mut edges: Vec<Edge> = Vec::new();
    for (from, container) in containers.iter().enumerate() {
        for (n, dependency) in container.depends_on.iter().enumerate() {
            let member = format!("containerDefinitions[{}].dependsOn[{n}]", container.name);
            let target = index.get(dependency.container_name.as_str()).copied();
            match target.and_then(|target| Some((target, containers.get(target)?))) {
                None => problems.push(Problem::new(
                    format!("{member}.containerName"),
                    format!(
                        "there is no container {:?} in this task definition; name one of it, or add it",
                        dependency.container_name
                    ),
                )),
                Some((target, definition)) => {
                    problems.extend(broken_rule(&member, dependency.condition, definition));
                    edges.push(Edge { from, target, condition: dependency.condition, member });
                }
            }
        }
    }
    for edge in implicit(containers, &index) {
        // ECS's agent orders what can be ordered: a router that itself waits for one that logs to it does so.
        if edge.from != edge.target && !reaches(&edges, edge.target, edge.from) {
            edges.push(edge);
        }
    }
    match topological(containers.len(), &edges) {
        Err(cycle) => {
            let names: Vec<&str> =
                cycle.iter().filter_map(|index| containers.get(*index)).map(|c| c.name.as_str()).collect();
            let first = names.first().copied().unwrap_or_default();
            problems.push(Problem::new(
                format!("containerDefinitions[{first}].dependsOn"),
                format!("the containers {} wait for each other; remove one of the dependencies", names.join(" -> ")),
            ));
            Err(problems)
        }
        Ok(_) if !problems.is_empty() => Err(problems),
        Ok(order) => {
            let mut roles: Vec<Role> = (0..containers.len()).map(|index| role(index, &edges)).collect();
            let is_main = |roles: &[Role], index: &usize| roles.get(*index) == Some(&Role::Main);
            if let Some(role) = essential_main(containers, &roles, &edges).and_then(|index| roles.get_mut(index)) {
                *role = Role::Main;
            }
            let init = order.into_iter().filter(|index| !is_main(&roles, index)).collect();
            let mut main: Vec<usize> = (0..containers.len()).filter(|index| is_main(&roles, index)).collect();
            main.sort_by_key(|index| Reverse(edges.iter().any(|edge| edge.target == *index)));
            Ok(StartOrder { roles, init, main, edges })
        }
    }
}

/// What a task definition does not say and ECS's agent adds: a container starts after those it has links to, and after the log
/// router that it logs to, unless the router waits for something itself.
fn implicit(containers: &[ContainerDefinition], index: &BTreeMap<&str, usize>) -> Vec<Edge> {
    let router = containers.iter().position(|container| container.firelens_configuration.is_some());
    let router = router.filter(|router| containers.get(*router).is_some_and(|router| router.depends_on.is_empty()));
    let mut edges = Vec::new();
    for (from, container) in containers.iter().enumerate() {
        let mut start = |target: usize, member: String| {
            edges.push(Edge { from, target, condition: ContainerCondition::Start, member });
        };
        for (n, link) in container.links.iter().enumerate() {
            let name = link.split(':').next().unwrap_or_default();
            if let Some(target) = index.get(name) {
                start(*target, format!("containerDefinitions[{}].links[{n}]", container.name));
            }
        }
        let logs_to_router = |log: &LogConfiguration| log.log_driver == LogDriver::Awsfirelens;
        if let Some(router) = router.filter(|_| container.log_configuration.as_ref().is_some_and(logs_to_router)) {
            start(router, format!("containerDefinitions[{}].logConfiguration", container.name));
        }
    }
    edges
}

fn reaches(edges: &[Edge], from: usize, target: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for edge in edges.iter().filter(|edge| edge.from == at) {
            if edge.target == target {
                return true;
            }
            if seen.insert(edge.target) {
                next.push(edge.target);
            }
        }
    }
    false
}

/// "If the dependent container is essential, COMPLETE and SUCCESS can't be set on it"; HEALTHY "requires that the dependent
/// container has health checks configured in the task definition".
fn broken_rule(member: &str, condition: ContainerCondition, target: &ContainerDefinition) -> Option<Problem> {
    let name = &target.name;
    match condition {
        ContainerCondition::Complete | ContainerCondition::Success if target.essential.unwrap_or(true) => {
            let message = format!(
                "{name:?} is essential, and its end stops the task; set its essential to false, or wait for START or HEALTHY"
            );
            Some(Problem::new(format!("{member}.condition"), message))
        }
        ContainerCondition::Healthy if target.health_check.is_none() => {
            let message =
                format!("{name:?} has no healthCheck, so it can never be HEALTHY; add one, or wait for START");
            Some(Problem::new(format!("{member}.condition"), message))
        }
        ContainerCondition::Start
        | ContainerCondition::Complete
        | ContainerCondition::Success
        | ContainerCondition::Healthy => None,
    }
}

/// A pod ends with the last of its ordinary containers, so that one of them has to be essential. Where none is, because others wait
/// for each that is, this is one whose start alone is waited for, and by ordinary containers: a kubelet starts these one after the
/// other. With `app` and an agent that is not essential and waits for its START, it is `app`.
fn essential_main(containers: &[ContainerDefinition], roles: &[Role], edges: &[Edge]) -> Option<usize> {
    let is_essential =
        |index: usize| containers.get(index).is_some_and(|container| container.essential.unwrap_or(true));
    let has_role = |index: usize, role: Role| roles.get(index) == Some(&role);
    let mut essential = (0..containers.len()).filter(|index| is_essential(*index));
    if essential.clone().any(|index| has_role(index, Role::Main)) {
        return None;
    }
    let is_awaited_by_mains =
        |index: usize| edges.iter().filter(|edge| edge.target == index).all(|edge| has_role(edge.from, Role::Main));
    essential.find(|index| has_role(*index, Role::Sidecar { awaited_healthy: false }) && is_awaited_by_mains(*index))
}

fn role(index: usize, edges: &[Edge]) -> Role {
    let awaited = |conditions: &[ContainerCondition]| {
        edges.iter().any(|edge| edge.target == index && conditions.contains(&edge.condition))
    };
    if awaited(&[ContainerCondition::Complete, ContainerCondition::Success]) {
        return Role::InitOnce;
    }
    let awaited_healthy = awaited(&[ContainerCondition::Healthy]);
    if awaited_healthy || awaited(&[ContainerCondition::Start]) {
        Role::Sidecar { awaited_healthy }
    } else {
        Role::Main
    }
}

/// The containers in an order in which each stands behind those it waits for, and otherwise as declared; or the containers of
/// a cycle.
fn topological(containers: usize, edges: &[Edge]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = (0..containers).collect();
    let targets = |index: &usize| {
        let index = *index;
        edges.iter().filter(move |edge| edge.from == index).map(|edge| edge.target)
    };
    while !left.is_empty() {
        let Some(next) = left.iter().position(|index| targets(index).all(|target| order.contains(&target))) else {
            return Err(cycle(&left, |index| targets(&index).find(|target| left.contains(target))));
        };
        order.push(left.remove(next));
    }
    Ok(order)
}

/// Follows one dependency after another, where all lead on, until one comes back.
fn cycle(left: &[usize], next: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut path: Vec<usize> = left.iter().take(1).copied().collect();
    while let Some(following) = path.last().copied().and_then(&next) {
        if let Some(start) = path.iter().position(|index| *index == following) {
            path.push(following);
            return path.split_off(start);
        }
        path.push(following);
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::api::ContainerDependency;

    /// `app: envoy HEALTHY, xds SUCCESS` as a container; a trailing `*` makes it essential, `+` gives it a health check.
    fn containers(lines: &[&str]) -> Vec<ContainerDefinition> {
        let container = |line: &&str| {
            let (name, dependencies) = line.split_once(':').unwrap();
            let depends_on: Vec<_> = dependencies
                .split_terminator(',')
                .map(|dependency| {
                    let (name, condition) = dependency.trim().split_once(' ').unwrap();
                    serde_json::json!({"containerName": name, "condition": condition})
                })
                .collect();
            let mut json = serde_json::json!({
                "name": name.trim_end_matches(['*', '+']), "image": "i", "essential": name.contains('*'), "dependsOn": depends_on,
            });
            if name.contains('+') {
                json["healthCheck"] = serde_json::json!({"command": ["CMD", "true"]});
            }
            serde_json::from_value(json).unwrap()
        };
        lines.iter().map(container).collect()
    }

    fn init(lines: &[&str]) -> Vec<String> {
        let containers = containers(lines);
        let order = start_order(&containers).unwrap();
        order.init.iter().map(|index| format!("{} {:?}", containers[*index].name, order.roles[*index])).collect()
    }

    fn refused(lines: &[&str]) -> String {
        Problem::join(&start_order(&containers(lines)).unwrap_err())
    }

    #[test]
    fn a_container_that_others_wait_for_is_started_before_them() {
        assert_eq!(
            init(&["app*: envoy HEALTHY", "envoy*+: xds SUCCESS", "xds:"]),
            ["xds InitOnce", "envoy Sidecar { awaited_healthy: true }"]
        );
        assert_eq!(
            init(&["migrate: db HEALTHY", "db*+:", "app*: migrate SUCCESS, db START"]),
            ["db Sidecar { awaited_healthy: true }", "migrate InitOnce"]
        );
        assert_eq!(init(&["app*: log START", "log:"]), ["log Sidecar { awaited_healthy: false }"]);
        assert_eq!(init(&["app*:", "other:"]), Vec::<String>::new());
    }

    #[test]
    fn of_containers_whose_end_ends_the_pod_one_is_essential_where_that_can_be() {
        let main = |lines: &[&str]| {
            let containers = containers(lines);
            let order = start_order(&containers).unwrap();
            order.main.iter().map(|index| containers[*index].name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(main(&["agent: app START", "app*:"]), ["app", "agent"], "started in this order");
        assert_eq!(main(&["agent: app START", "app*:", "web*:"]), ["agent", "web"], "there is another one");
        assert_eq!(main(&["agent: app HEALTHY", "app*+:"]), ["agent"], "its health cannot be waited for so");
        let by_sidecar = ["agent: proxy START", "proxy: app START", "app*:"];
        assert_eq!(main(&by_sidecar), ["agent"], "nor can a sidecar wait for it");
    }

    #[test]
    fn a_container_starts_after_those_it_has_links_to_and_after_its_log_router() {
        let mut linked = containers(&["app*:", "db:"]);
        linked[0].links = vec!["db:database".to_owned()];
        assert_eq!(start_order(&linked).unwrap().roles[1], Role::Sidecar { awaited_healthy: false });
        linked[1].links = vec!["app".to_owned()];
        assert_eq!(start_order(&linked).unwrap().init, [1], "a link back adds nothing");

        let mut logging = containers(&["app*:", "router:"]);
        logging[0].log_configuration =
            Some(serde_json::from_value(serde_json::json!({"logDriver": "awsfirelens"})).unwrap());
        logging[1].firelens_configuration =
            Some(serde_json::from_value(serde_json::json!({"type": "fluentbit"})).unwrap());
        assert_eq!(start_order(&logging).unwrap().init, [1]);
        let waits = containers(&["app*:", "router: app START"]).remove(1).depends_on;
        logging[1].depends_on = waits;
        assert_eq!(start_order(&logging).unwrap().main, [0, 1], "a router that waits itself is not waited for");
    }

    proptest! {
        // Most wishes contradict each other.
        #![proptest_config(ProptestConfig::with_cases(4000))]
        /// What a kubelet does with a pod: init containers one after the other, each until it has ended or, of a sidecar, until its
        /// startup probe has passed; then the ordinary ones, one after the other.
        #[test]
        fn every_order_in_which_a_pod_starts_its_containers_is_one_that_depends_on_allows(
            essential in vec(any::<bool>(), 6),
            wishes in vec((0..6_usize, 0..6_usize, 0..4_usize), 0..8),
        ) {
            use ContainerCondition::{Complete, Healthy, Start, Success};
            let condition = |kind: usize| [Start, Healthy, Complete, Success][kind];
            let mut tasks = containers(&["a+:", "b+:", "c+:", "d+:", "e+:", "f+:"]);
            tasks.iter_mut().zip(&essential).for_each(|(container, essential)| container.essential = Some(*essential));
            for (from, target, kind) in wishes {
                let name = tasks[target].name.clone();
                let wish = ContainerDependency { container_name: name, condition: condition(kind) };
                tasks[from].depends_on.push(wish);
            }
            let Ok(order) = start_order(&tasks) else { return Ok(()) };
            let started: Vec<usize> = order.init.iter().chain(&order.main).copied().collect();
            prop_assert_eq!(started.iter().collect::<BTreeSet<_>>().len(), tasks.len(), "each is started once");
            let place = |index: usize| started.iter().position(|started| *started == index);
            for Edge { from, target, condition, member: _ } in &order.edges {
                prop_assert!(place(*target) < place(*from), "{:?}", order);
                let allowed = match condition {
                    Complete | Success => order.roles[*target] == Role::InitOnce,
                    Healthy => matches!(order.roles[*target], Role::InitOnce | Role::Sidecar { awaited_healthy: true }),
                    Start => true,
                };
                prop_assert!(allowed, "{:?}", order);
            }
            let essential_main = order.main.iter().any(|index| essential[*index]);
            let only_start = |index: usize| {
                let mut on = order.edges.iter().filter(|edge| edge.target == index);
                on.all(|edge| edge.condition == Start && order.roles[edge.from] == Role::Main)
            };
            let could_be = (0..tasks.len()).any(|index| essential[index] && only_start(index));
            prop_assert_eq!(essential_main, could_be, "{:?}", order);
        }
    }

    #[test]
    fn a_cycle_is_refused_with_its_containers() {
        let refusal = refused(&["app*: a START", "a: b START", "b: a START"]);
        assert_eq!(
            refusal,
            "spec.containerDefinitions[a].dependsOn: the containers a -> b -> a wait for each other; remove one of the dependencies"
        );
        assert!(refused(&["app*: app START"]).contains("app -> app"));
    }

    #[test]
    fn complete_and_success_cannot_be_awaited_of_an_essential_container() {
        assert!(
            refused(&["app*: a SUCCESS", "a*:"])
                .contains("containerDefinitions[app].dependsOn[0].condition: \"a\" is essential")
        );
    }

    #[test]
    fn healthy_can_be_awaited_only_where_there_is_a_health_check() {
        assert!(refused(&["app*: a HEALTHY", "a:"]).contains("\"a\" has no healthCheck"));
    }

    #[test]
    fn a_container_that_does_not_exist_cannot_be_awaited() {
        assert!(refused(&["app*: a START"]).contains("dependsOn[0].containerName: there is no container \"a\""));
    }
}
