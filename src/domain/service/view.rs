//! The tasks of a service as its scheduler counts them at a moment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::StoppedTask;
use crate::api::names::{DeploymentId, TaskKey};
use crate::domain::facts::{Presence, ServiceTasks, TaskFact};
use crate::domain::placement::node::NodeFact;
use crate::domain::service::stopped::Recorded;
use crate::domain::task::{Health, HealthPeriods, StartFailure, StartFailureKind, StopRecord, TaskState};

/// The nodes, by name.
pub type Nodes = BTreeMap<String, NodeFact>;

/// The tasks of one deployment, each list in the order of slots.
#[derive(Debug, Clone, Default)]
pub(super) struct DeploymentTasks<'a> {
    /// RUNNING and healthy: what counts towards the floor.
    pub(super) healthy: Vec<&'a TaskFact>,
    /// Healthy, on a node that takes no more tasks: counts towards the floor, and is to be replaced.
    pub(super) draining: Vec<&'a TaskFact>,
    /// RUNNING and passing, but not for long enough to count: it serves.
    pub(super) warming: Vec<&'a TaskFact>,
    /// RUNNING, and not passing yet.
    pub(super) unready: Vec<&'a TaskFact>,
    /// UNHEALTHY: to be replaced.
    pub(super) unhealthy: Vec<&'a TaskFact>,
    /// Not RUNNING yet.
    pub(super) pending: Vec<&'a TaskFact>,
    /// Not RUNNING or not passing yet, and on a node that takes no more tasks; or started to balance the Availability Zones, and of no use there.
    pub(super) stranded: Vec<&'a TaskFact>,
    /// Not healthy yet, and started to balance the zones: once they are, as many others go. Until then they are none of those that
    /// there should be.
    pub(super) arriving: Vec<&'a TaskFact>,
    /// Stopped by themselves, each with its end; nobody has asked for the deletion of the pod.
    pub(super) stopped: Vec<Stopped<'a>>,
    /// The same, not on record yet, and containers or a kubelet are still at it: they keep their place until they are asked to
    /// stop.
    pub(super) ending: Vec<Stopped<'a>>,
    /// Being stopped, or gone already.
    pub(super) leaving: Vec<&'a TaskFact>,
    /// Being created, not seen yet.
    pub(super) creating: Vec<TaskKey>,
    /// When a task of it last became healthy.
    pub(super) last_healthy_at: Option<Timestamp>,
}

/// A task that has ended.
#[derive(Debug, Clone)]
pub(super) struct Stopped<'a> {
    pub(super) task: &'a TaskFact,
    pub(super) end: StopRecord,
}

impl<'a> DeploymentTasks<'a> {
    /// How many tasks count against the ceiling. ECS's API says "RUNNING or PENDING", the page on updating a service adds
    /// "or STOPPING"; as in the API, and as with a Kubernetes Deployment, a task on its way out leaves its place at once.
    pub(super) fn active(&self) -> usize {
        self.seen_active().count().saturating_add(self.ending.len()).saturating_add(self.creating.len())
    }

    /// How many tasks do their work.
    pub(super) fn serving(&self) -> usize {
        self.counted().saturating_add(self.warming.len())
    }

    /// How many tasks count towards the floor.
    pub(super) fn counted(&self) -> usize {
        self.healthy.len().saturating_add(self.draining.len())
    }

    /// How many tasks there are that are neither to be replaced nor lost.
    pub(super) fn kept(&self) -> usize {
        self.healthy.len().saturating_add(self.starting())
    }

    /// How many tasks may become healthy yet.
    pub(super) fn starting(&self) -> usize {
        [self.warming.len(), self.unready.len(), self.pending.len(), self.creating.len()].iter().sum()
    }

    /// The tasks that do no work yet, those that have come furthest last.
    pub(super) fn idle(&self) -> impl Iterator<Item = &'a TaskFact> + '_ {
        self.pending.iter().rev().chain(self.unready.iter().rev()).copied()
    }

    /// The tasks that are RUNNING.
    pub(super) fn running(&self) -> impl Iterator<Item = &'a TaskFact> + '_ {
        let lists = [&self.healthy, &self.draining, &self.warming, &self.unready, &self.unhealthy];
        let others = self.arriving.iter().chain(&self.stranded).filter(|task| is_running(task));
        lists.into_iter().flatten().chain(others).copied()
    }

    /// The tasks that are there and have not ended.
    pub(super) fn seen_active(&self) -> impl Iterator<Item = &'a TaskFact> + '_ {
        let others = self.arriving.iter().chain(&self.stranded).filter(|task| !is_running(task));
        self.running().chain(self.pending.iter().chain(others).copied())
    }

    /// The keys of the tasks that count against the ceiling.
    pub(super) fn active_keys(&self) -> impl Iterator<Item = TaskKey> + '_ {
        let ending = self.ending.iter().map(|stopped| stopped.task.key);
        self.seen_active().map(|task| task.key).chain(ending).chain(self.creating.iter().copied())
    }

    /// The tasks that are no longer of use.
    pub(super) fn ended(&self) -> impl Iterator<Item = &'a TaskFact> + '_ {
        let stopped = self.stopped.iter().chain(&self.ending).map(|stopped| stopped.task);
        stopped.chain(self.leaving.iter().copied())
    }

    /// Every task that has a pod, or had one.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a TaskFact> + '_ {
        self.seen_active().chain(self.ended())
    }

    /// Why tasks that no node takes are not placed, in the scheduler's words.
    pub(super) fn unplaced(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.pending.iter().filter_map(|task| match &task.state {
            TaskState::Pending {
                failing: Some(StartFailure { kind: StartFailureKind::Unplaced, message, since: _ }),
            } => Some(message.as_str()),
            TaskState::Pending { .. } | TaskState::Running(_) | TaskState::Stopped(_) => None,
        })
    }

    /// The tasks that no node has taken for so long that their launch has failed.
    pub(super) fn not_launched(&self, now: Timestamp) -> impl Iterator<Item = &'a TaskFact> + '_ {
        let has_failed = move |task: &&TaskFact| match &task.state {
            TaskState::Pending { failing: Some(failing) } => failing.launch_fails_at().is_some_and(|at| at <= now),
            TaskState::Pending { failing: None } | TaskState::Running(_) | TaskState::Stopped(_) => false,
        };
        self.pending.iter().copied().filter(has_failed)
    }

    /// A deployment is ACTIVE, "still has running tasks, but is in the process of being replaced", until its last pod has gone.
    pub(super) fn has_pods(&self) -> bool {
        self.active() > 0 || self.ended().any(|task| task.presence != Presence::Gone)
    }
}

/// All tasks of a service.
#[derive(Debug, Clone, Default)]
pub(super) struct View<'a> {
    /// By deployment.
    pub(super) deployments: BTreeMap<DeploymentId, DeploymentTasks<'a>>,
    /// The earliest moment at which time alone makes a task something else.
    pub(super) changes_at: Option<Timestamp>,
}

impl<'a> View<'a> {
    /// The tasks of all deployments but one. There may be deployments among them that nothing else knows of yet: their first
    /// tasks are being created.
    pub(super) fn all_but(
        &self,
        deployment: Option<DeploymentId>,
    ) -> impl Iterator<Item = (DeploymentId, &DeploymentTasks<'a>)> {
        self.deployments.iter().map(|(id, tasks)| (*id, tasks)).filter(move |(id, _)| Some(*id) != deployment)
    }

    /// How many tasks of the service count against the ceiling.
    pub(super) fn active(&self) -> usize {
        self.deployments.values().map(DeploymentTasks::active).sum()
    }

    /// Sets tasks aside that were started to balance the zones: those beyond the desired count that are on their way, and those
    /// that wait in vain for a node in their zone, or to pass their checks there.
    pub(super) fn set_aside(
        &mut self,
        desired: usize,
        is_awaited: impl Fn(&TaskFact) -> bool,
        is_late: impl Fn(&TaskFact) -> bool,
    ) {
        for tasks in self.deployments.values_mut() {
            // Where a task is lacking, one that is on its way takes its place, if it has found one.
            let surplus = tasks.kept().saturating_sub(desired);
            for list in [&mut tasks.pending, &mut tasks.unready, &mut tasks.warming] {
                let left = surplus.saturating_sub(tasks.arriving.len());
                tasks.arriving.extend(list.extract_if(.., |task| is_awaited(task)).take(left));
            }
            tasks.arriving.sort_unstable_by_key(|task| task.key);
            // One that goes anywhere may find a place sooner.
            let waits_in_vain = |task: &mut &TaskFact| task.zone.is_some() && is_unplaced(task);
            tasks.stranded.extend(tasks.pending.extract_if(.., waits_in_vain));
            tasks.stranded.extend(tasks.unready.extract_if(.., |task| is_late(task)));
        }
    }

    /// Counts the tasks at a moment, with the writes in flight applied.
    pub(super) fn new(
        tasks: &'a ServiceTasks,
        recorded: &[StoppedTask],
        nodes: &Nodes,
        periods: HealthPeriods,
        now: Timestamp,
    ) -> Self {
        let recorded = Recorded::of(recorded);
        let mut view = Self::default();
        let mut creating = tasks.pending.creates.clone();
        let draining_nodes: BTreeSet<&str> =
            nodes.values().filter(|node| node.is_draining()).map(|node| node.name.as_str()).collect();
        for task in &tasks.tasks {
            let leaving = task.presence != Presence::Present || tasks.pending.deletes.contains(&task.uid);
            // One that is not there any more may have left its name to the one that is being created.
            if !leaving && !matches!(task.state, TaskState::Stopped(_)) {
                creating.remove(&task.key);
            }
            let draining = task.node.as_deref().is_some_and(|node| draining_nodes.contains(node));
            view.count(task, leaving, draining, periods, now);
        }
        for tasks in view.deployments.values_mut() {
            let is_ending = |stopped: &Stopped<'_>| stopped.end.others_running && !recorded.has(stopped.task);
            (tasks.ending, tasks.stopped) = std::mem::take(&mut tasks.stopped).into_iter().partition(is_ending);
        }
        for key in creating {
            view.deployments.entry(key.deployment).or_default().creating.push(key);
        }
        for tasks in view.deployments.values_mut() {
            let lists = [
                &mut tasks.healthy,
                &mut tasks.draining,
                &mut tasks.warming,
                &mut tasks.unready,
                &mut tasks.unhealthy,
                &mut tasks.pending,
                &mut tasks.stranded,
                &mut tasks.leaving,
            ];
            for list in lists {
                list.sort_unstable_by_key(|task| task.key);
            }
            tasks.stopped.sort_unstable_by_key(|stopped| stopped.task.key);
        }
        view
    }

    fn count(&mut self, task: &'a TaskFact, leaving: bool, draining: bool, periods: HealthPeriods, now: Timestamp) {
        let deployment = self.deployments.entry(task.key.deployment).or_default();
        if leaving {
            deployment.leaving.push(task);
            return;
        }
        let changes_at = match &task.state {
            TaskState::Stopped(end) => {
                deployment.stopped.push(Stopped { task, end: (**end).clone() });
                None
            }
            TaskState::Pending { failing } => {
                let gives_up_at = failing.as_ref().and_then(StartFailure::gives_up_at);
                match failing {
                    Some(failing) if gives_up_at.is_some_and(|at| at <= now) => {
                        let end = StopRecord::of_failed_start(failing);
                        deployment.stopped.push(Stopped { task, end });
                        None
                    }
                    Some(_) | None => {
                        let list = if draining { &mut deployment.stranded } else { &mut deployment.pending };
                        list.push(task);
                        let launch_fails_at = || failing.as_ref().and_then(StartFailure::launch_fails_at);
                        gives_up_at.or_else(launch_fails_at).filter(|at| *at > now)
                    }
                }
            }
            TaskState::Running(checks) => match checks.health(periods, now) {
                Health::Healthy { since } => {
                    deployment.last_healthy_at = deployment.last_healthy_at.max(since);
                    let list = if draining { &mut deployment.draining } else { &mut deployment.healthy };
                    list.push(task);
                    None
                }
                Health::Unknown { until } => {
                    let list = match checks.passing {
                        true => &mut deployment.warming,
                        // It does no work that another one would have to take over first.
                        false if draining => &mut deployment.stranded,
                        false => &mut deployment.unready,
                    };
                    list.push(task);
                    until
                }
                Health::Unhealthy => {
                    deployment.unhealthy.push(task);
                    None
                }
            },
        };
        self.changes_at = [self.changes_at, changes_at].into_iter().flatten().min();
    }
}

/// Whether no node takes a task.
pub(super) fn is_unplaced(task: &TaskFact) -> bool {
    let failing = match &task.state {
        TaskState::Pending { failing } => failing.as_ref(),
        TaskState::Running(_) | TaskState::Stopped(_) => None,
    };
    failing.is_some_and(|failing| failing.kind == StartFailureKind::Unplaced)
}

/// Whether a task has come to run and has not ended.
pub(super) fn is_running(task: &TaskFact) -> bool {
    matches!(task.state, TaskState::Running(_))
}
