//! What it costs to plan one pass over a service: it happens at every change of one of its tasks.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use longshore::api::ServiceStatus;
use longshore::api::names::{DeploymentId, Family, RevisionName, TaskKey, Uid};
use longshore::domain::facts::{PendingWrites, Presence, ServiceTasks, StopCause, TaskChange, TaskFact, Unannounced};
use longshore::domain::placement::node::NodeFact;
use longshore::domain::placement::resources::Resources;
use longshore::domain::resolve::control::Control;
use longshore::domain::resolve::service::{ResolvedService, Scheduling, Target};
use longshore::domain::secrets::plan::SecretPlan;
use longshore::domain::service::{Nodes, Observed, plan};
use longshore::domain::task::{Checks, Gate, HealthPeriods, TaskState};

/// A service, its tasks, and the status of the pass before.
struct Seen {
    uid: Uid,
    service: ResolvedService,
    tasks: ServiceTasks,
    status: ServiceStatus,
    nodes: Nodes,
}

/// How many nodes there are, in three zones.
const NODES: u32 = 300;

fn node_name(number: u32) -> String {
    format!("node-{number}")
}

fn nodes() -> Nodes {
    let node = |number: u32| {
        let zone = ("topology.kubernetes.io/zone".to_owned(), format!("zone-{}", number % 3));
        let name = node_name(number);
        (name.clone(), NodeFact { name, labels: [zone].into(), ..NodeFact::default() })
    };
    (0..NODES).map(node).collect()
}

impl Seen {
    /// A service of healthy tasks, the first `old` of them still of the revision before, and the next `gone` gone: status has not
    /// told of those yet.
    fn of(family: &Family, count: u32, old: u32, gone: u32) -> Self {
        let uid = Uid("6d1a7c52-8f0b-4f0e-9c58-0d6b5b3f1e7a".to_owned());
        let revision = |number| RevisionName { family: family.clone(), number };
        let deployment = |number| DeploymentId::derive(&uid, number, &revision(number).to_string());
        let task = |slot: u32| {
            let number = if slot < old { 1 } else { 2 };
            let key = TaskKey { deployment: deployment(number), slot, attempt: 1 };
            let pod = key.task_id(&uid).pod_name("web");
            Arc::new(TaskFact {
                uid: Uid(format!("uid of {pod}")),
                pod,
                resource_version: "1".to_owned(),
                key,
                revision: revision(number),
                state: TaskState::Running(Checks {
                    running_since: Some(Timestamp::UNIX_EPOCH),
                    passing: true,
                    passing_changed_at: Some(Timestamp::UNIX_EPOCH),
                    gate: Gate::HealthCheck { deadline: SignedDuration::from_secs(90) },
                    targets: Vec::new(),
                }),
                presence: Presence::Present,
                node: Some(node_name(slot % NODES).into()),
                pinned_to: None,
                zone: None,
                reserves: Resources::default(),
                protected_until: None,
                stop_requested_at: None,
                disruption: None,
                stopped_for: None,
            })
        };
        let gone_task = |slot: u32| {
            let of_old = TaskFact::clone(&task(0));
            let key = TaskKey { slot, ..of_old.key };
            let pod = key.task_id(&uid).pod_name("web");
            let uid = Uid(format!("uid of {pod}"));
            let stopped_for = Some(StopCause::Scaling);
            Arc::new(TaskFact { pod, uid, key, presence: Presence::Gone, stopped_for, ..of_old })
        };
        let gone: Vec<_> = (old..old.saturating_add(gone)).map(gone_task).collect();
        let stopped = gone.iter().map(|task| TaskChange { task: task.task_id(), zone: None }).collect();
        let tasks = ServiceTasks {
            tasks: (0..count).map(task).chain(gone).collect(),
            pending: PendingWrites::default(),
            losses: 0,
            unannounced: Unannounced { stopped, ..Unannounced::default() },
            images: BTreeMap::new(),
        };
        let mut seen =
            Self { service: service(revision(1), count), status: ServiceStatus::default(), uid, tasks, nodes: nodes() };
        seen.status = seen.plan();
        seen.service = service(revision(2), count);
        seen.status = seen.plan();
        seen
    }

    /// Plans a pass; returns the status that it wants.
    fn plan(&self) -> ServiceStatus {
        let observed = Observed {
            uid: &self.uid,
            name: "web",
            object_name: "web",
            generation: Some(1),
            deleting: false,
            service: &self.service,
            definitions: &BTreeMap::new(),
            status: &self.status,
            tasks: &self.tasks,
            nodes: &self.nodes,
            node_tasks: &BTreeMap::new(),
        };
        plan(black_box(&observed), Timestamp::UNIX_EPOCH).status
    }
}

fn service(revision: RevisionName, desired: u32) -> ResolvedService {
    ResolvedService {
        desired_count: desired,
        scheduling: Scheduling::Replica,
        minimum_healthy_percent: 100,
        maximum_percent: 125,
        target: Ok(Target { content: revision.to_string(), revision }),
        has_cluster: true,
        health_periods: HealthPeriods { healthy_after: SignedDuration::from_secs(40), grace: SignedDuration::ZERO },
        circuit_breaker: None,
        count_early_exits: true,
        deregistration_delay: 0,
        rebalances_zones: false,
        strategies: Vec::new(),
        control: Control::default(),
        not_implemented: Vec::new(),
        secrets: SecretPlan::default(),
    }
}

/// Under 10 ms for 10,000 tasks, and the time for one task (`thrpt`) the same however many there are.
fn plans(criterion: &mut Criterion) {
    let Ok(family) = "web".parse::<Family>() else { return };
    let situations = [("at rest", None, None), ("mid-rollout", Some(2), None), ("late in a rollout", Some(8), Some(2))];
    for (situation, old_in, gone_in) in situations {
        let mut group = criterion.benchmark_group(format!("plan {situation}"));
        for count in [100_u32, 1_000, 10_000] {
            let part = |part: Option<u32>| part.and_then(|part| count.checked_div(part)).unwrap_or(0);
            let seen = Seen::of(&family, count, part(old_in), part(gone_in));
            group.throughput(Throughput::Elements(u64::from(count)));
            group.bench_with_input(BenchmarkId::from_parameter(count), &seen, |bencher, seen| {
                bencher.iter(|| seen.plan());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, plans);
criterion_main!(benches);
