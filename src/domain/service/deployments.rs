//! Which deployments a service has, and which of them is PRIMARY.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::names::{DeploymentId, RevisionName};
use crate::api::{
    ContainerImage, Deployment as DeploymentStatus, DeploymentState, Launches, RolloutState, ServiceDeployment,
    ServiceDeploymentStatus,
};
use crate::domain::resolve::service::Target;
use crate::domain::service::Observed;
use crate::domain::service::slots::SlotAttempts;
use crate::domain::service::view::{DeploymentTasks, View};

/// A deployment of a service.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    pub(super) id: DeploymentId,
    pub(super) revision: RevisionName,
    pub(super) used_attempts: SlotAttempts,
    /// What status said of it before, or would have said.
    pub(super) record: DeploymentStatus,
}

/// A deployment that has just failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: FailureCause,
    /// Whether the service is to go back to the last deployment that completed.
    pub(super) rollback: bool,
}

/// Why a deployment fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureCause {
    /// The circuit breaker has counted to its threshold.
    CircuitBreaker,
    /// It is enabled, and the digests of images could not be told.
    ImageDigests,
    /// A person has asked for it.
    Person,
}

/// A deployment that was given up in this pass.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) id: DeploymentId,
    pub(super) failure: Failure,
    /// Where the service goes back to.
    pub(super) back_to: Option<DeploymentId>,
}

/// The deployments of a service.
#[derive(Debug, Clone)]
pub(super) struct Deployments {
    primary: Option<Deployment>,
    /// The highest ordinal that any deployment of the service has had.
    pub(super) last_ordinal: i64,
    /// Those that are being replaced and still have tasks, newest first.
    pub(super) active: Vec<Deployment>,
    /// Those whose last task has gone since status was written: it knows more of them than the history does yet.
    pub(super) left: Vec<Deployment>,
    /// The PRIMARY deployment that was given up in this pass.
    pub(super) ended: Option<Ended>,
    /// Whether what the spec asks for has failed, and the PRIMARY deployment is the one before it.
    pub(super) is_rolled_back: bool,
}

impl Deployments {
    /// Takes the deployments from status and from the tasks that are there. A task whose deployment status does not know was
    /// started just before a crash: its deployment is derived again, or it is one more that is being replaced.
    pub(super) fn of(seen: &Observed<'_>, view: &View<'_>, now: Timestamp) -> Self {
        let recorded: Vec<Deployment> = seen.status.deployments.iter().filter_map(Deployment::recorded).collect();
        let history = &seen.status.service_deployments;
        let ordinals = recorded.iter().map(|known| known.record.ordinal).chain(history.iter().map(|past| past.ordinal));
        let last = ordinals.max().unwrap_or(0).max(seen.status.last_deployment_ordinal.unwrap_or(0));
        let was_primary = recorded.iter().find(|known| known.record.status == DeploymentState::Primary);
        let mut is_rolled_back = false;
        let primary = match &seen.service.target {
            Err(_) => was_primary.cloned(),
            Ok(target) => {
                let last_token = last_token(&recorded, history);
                let forced = seen.service.control.force.as_ref().filter(|token| Some(*token) != last_token.as_ref());
                let token = forced.or(last_token.as_ref()).cloned();
                // A new token asks for a new deployment; without one, each is what it was with its own.
                let asked = |ordinal: i64, id: &str, token: &Option<String>| {
                    forced.is_none() && derive(seen, target, token.as_deref(), ordinal).to_string() == id
                };
                let was_asked =
                    |record: &DeploymentStatus| asked(record.ordinal, &record.id, &record.force_new_deployment);
                let current = was_primary.filter(|primary| was_asked(&primary.record));
                // What the spec asks for has failed: until it asks for something else, the service stays where it went back to.
                let given_up = history.iter().filter(|past| past.rollback.is_some()).max_by_key(|past| past.ordinal);
                let stays = was_primary.filter(|primary| {
                    given_up.is_some_and(|past| {
                        past.ordinal > primary.record.ordinal
                            && asked(past.ordinal, &past.id, &past.force_new_deployment)
                    })
                });
                is_rolled_back = current.is_none() && stays.is_some();
                let begin = || {
                    let ordinal = last.saturating_add(1);
                    let id = derive(seen, target, token.as_deref(), ordinal);
                    Deployment::begun(id, ordinal, &target.revision, token.clone(), now)
                };
                Some(current.or(stays).cloned().unwrap_or_else(begin))
            }
        };
        let (active, left) = (Vec::new(), Vec::new());
        let mut deployments = Self { primary, last_ordinal: last, active, left, ended: None, is_rolled_back };
        deployments.find_active(&recorded, view, now);
        deployments
    }

    /// The deployment that the service is to consist of. None before the first one.
    pub(super) fn primary(&self) -> Option<&Deployment> {
        self.primary.as_ref()
    }

    /// The same, to change it.
    pub(super) fn primary_mut(&mut self) -> Option<&mut Deployment> {
        self.primary.as_mut()
    }

    pub(super) fn is_primary(&self, deployment: &Deployment) -> bool {
        self.primary.as_ref().is_some_and(|primary| primary.id == deployment.id)
    }

    /// All of them, the PRIMARY one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Deployment> {
        self.primary.iter().chain(&self.active)
    }

    /// The same, to enter what a pass has found.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Deployment> {
        self.primary.iter_mut().chain(&mut self.active)
    }

    /// The PRIMARY deployment has failed. "Rolls back to the most recent deployment that is in a COMPLETED state"; where there is
    /// none, or that is not wanted, it stays, and starts nothing any more.
    pub(super) fn fail(&mut self, failure: Failure, history: &[ServiceDeployment], view: &View<'_>, now: Timestamp) {
        let Some(failed) = self.primary.as_mut() else { return };
        failed.record.rollout_state = Some(RolloutState::Failed);
        failed.record.rollout_state_reason = Some(match failure.cause {
            FailureCause::CircuitBreaker => "ECS deployment circuit breaker: tasks failed to start.".to_owned(),
            FailureCause::ImageDigests => {
                "ECS deployment circuit breaker: container image digests could not be established.".to_owned()
            }
            FailureCause::Person => format!("ECS deployment {} stopped by user.", failed.id),
        });
        let id = failed.id;
        let past = self.way_back(history).filter(|_| failure.rollback);
        let mut known = self.active.iter().chain(&self.left);
        let mut known = |past: &ServiceDeployment| known.find(|known| known.id.to_string() == past.id).cloned();
        let back = past.and_then(|past| known(past).or_else(|| Deployment::resumed(past)));
        let back_to = back.as_ref().map(|back| back.id);
        if let Some(mut back) = back {
            back.record.rollout_state = Some(RolloutState::InProgress);
            back.record.rollout_state_reason = Some(match failure.cause {
                FailureCause::CircuitBreaker | FailureCause::ImageDigests => {
                    format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", back.id)
                }
                FailureCause::Person => format!("ECS deployment rolling back to deploymentId {}.", back.id),
            });
            back.record.launches = Launches::default();
            back.record.deployment_circuit_breaker = None;
            let recorded: Vec<Deployment> = self.iter().chain(&self.left).cloned().collect();
            self.primary = Some(back);
            self.is_rolled_back = true;
            self.find_active(&recorded, view, now);
        }
        self.ended = Some(Ended { id, failure, back_to });
    }

    /// Whether the PRIMARY deployment is one that the service goes back to.
    pub(super) fn is_way_back(&self, history: &[ServiceDeployment]) -> bool {
        let begun = history.iter().filter(|past| past.status == ServiceDeploymentStatus::RollbackInProgress);
        let mut begun = begun.filter_map(|past| past.rollback.as_ref());
        let begins = self.ended.as_ref().and_then(|ended| ended.back_to);
        let is_it = |primary: &Deployment| {
            begins == Some(primary.id) || begun.any(|rollback| rollback.deployment == primary.record.id)
        };
        self.primary.as_ref().is_some_and(is_it)
    }

    /// Where a rollback goes.
    pub(super) fn way_back<'h>(&self, history: &'h [ServiceDeployment]) -> Option<&'h ServiceDeployment> {
        ServiceDeployment::way_back(history, self.primary.as_ref().map(|primary| primary.record.id.as_str()))
    }

    /// Finds the deployments that are being replaced: all but the PRIMARY one that have pods left, or hold tasks that they have lost.
    fn find_active(&mut self, recorded: &[Deployment], view: &View<'_>, now: Timestamp) {
        let primary = self.primary.as_ref().map(|primary| primary.id);
        let has_pods = |id| view.deployments.get(&id).is_some_and(DeploymentTasks::has_pods);
        let is_active = |known: &Deployment| has_pods(known.id) || known.held().is_some();
        let others = recorded.iter().filter(|known| Some(known.id) != primary).cloned();
        (self.active, self.left) = others.partition(is_active);
        let unknown = |id: &DeploymentId| Some(*id) != primary && !recorded.iter().any(|known| known.id == *id);
        for (id, tasks) in view.deployments.iter().filter(|(id, _)| unknown(id) && has_pods(**id)) {
            if let Some(task) = tasks.all().next() {
                self.active.push(Deployment::begun(*id, 0, &task.revision, None, now));
            }
        }
        // A deployment that only its tasks tell of had the next ordinal; with the same ordinal and content it would come again.
        let forgotten = view.deployments.keys().any(unknown);
        let last = if forgotten { self.last_ordinal.saturating_add(1) } else { self.last_ordinal };
        self.last_ordinal = self.primary.as_ref().map_or(last, |primary| primary.record.ordinal.max(last));
        self.active.sort_by_key(|deployment| std::cmp::Reverse(deployment.record.ordinal));
        for deployment in self.primary.iter_mut().chain(&mut self.active).chain(&mut self.left) {
            if let Some(tasks) = view.deployments.get(&deployment.id) {
                deployment.used_attempts = std::mem::take(&mut deployment.used_attempts).after(tasks);
            }
        }
    }
}

/// The id of the deployment that a spec asks for, if it is the service's nth. A token adds to what is asked for.
fn derive(seen: &Observed<'_>, target: &Target, token: Option<&str>, ordinal: i64) -> DeploymentId {
    match token {
        None => DeploymentId::derive(seen.uid, ordinal, &target.content),
        Some(token) => DeploymentId::derive(seen.uid, ordinal, &format!("{}\n{token}", target.content)),
    }
}

/// The token that was acted on last. Taking the annotation away asks for nothing.
fn last_token(recorded: &[Deployment], history: &[ServiceDeployment]) -> Option<String> {
    let recorded = recorded.iter().map(|known| (known.record.ordinal, &known.record.force_new_deployment));
    let past = history.iter().map(|past| (past.ordinal, &past.force_new_deployment));
    recorded.chain(past).max_by_key(|(ordinal, _)| *ordinal).and_then(|(_, token)| token.clone())
}

impl Deployment {
    fn recorded(record: &DeploymentStatus) -> Option<Self> {
        Some(Self {
            id: record.id.parse().ok()?,
            revision: record.task_definition.parse().ok()?,
            used_attempts: SlotAttempts::parse(&record.used_attempts),
            record: record.clone(),
        })
    }

    fn begun(id: DeploymentId, ordinal: i64, revision: &RevisionName, token: Option<String>, now: Timestamp) -> Self {
        let record = DeploymentStatus {
            id: id.to_string(),
            status: DeploymentState::Active,
            task_definition: revision.to_string(),
            desired_count: 0,
            pending_count: 0,
            running_count: 0,
            failed_tasks: 0,
            created_at: Time(now),
            updated_at: Time(now),
            rollout_state: None,
            rollout_state_reason: None,
            ordinal,
            used_attempts: Vec::new(),
            deployment_circuit_breaker: None,
            launches: Launches::default(),
            container_images: Vec::new(),
            unresolved_images: Vec::new(),
            force_new_deployment: token,
            held_count: None,
        };
        Self { id, revision: revision.clone(), used_attempts: SlotAttempts::default(), record }
    }

    /// A deployment whose last task has gone long ago, as its record in the history has it.
    fn resumed(past: &ServiceDeployment) -> Option<Self> {
        let (id, revision) = (past.id.parse().ok()?, past.task_definition.parse().ok()?);
        let begun = Self::begun(id, past.ordinal, &revision, past.force_new_deployment.clone(), past.created_at.0);
        let record = DeploymentStatus {
            failed_tasks: past.failed_task_count,
            container_images: past.container_images.clone(),
            ..begun.record
        };
        Some(Self { used_attempts: SlotAttempts::parse(&past.used_attempts), record, ..begun })
    }

    /// Whether it has neither completed nor failed.
    pub(super) fn is_in_progress(&self) -> bool {
        matches!(self.record.rollout_state, None | Some(RolloutState::InProgress))
    }

    pub(super) fn is(&self, state: RolloutState) -> bool {
        self.record.rollout_state == Some(state)
    }

    /// Whether it has completed once, be it that it was come back to and left again since.
    pub(super) fn has_succeeded(&self, history: &[ServiceDeployment]) -> bool {
        history.iter().any(|past| past.id == self.record.id && past.status == ServiceDeploymentStatus::Successful)
    }

    /// When the next task of it may be started, after too many that failed.
    pub(super) fn next_attempt_at(&self) -> Option<Timestamp> {
        self.record.launches.next_attempt_at.as_ref().map(|at| at.0)
    }

    /// Whether that is yet to come.
    pub(super) fn is_throttled(&self, now: Timestamp) -> bool {
        self.next_attempt_at().is_some_and(|at| at > now)
    }

    /// How many tasks it holds, while it starts no others than those that it loses.
    pub(super) fn held(&self) -> Option<usize> {
        self.record.held_count.and_then(|held| usize::try_from(held).ok())
    }

    /// The images that its tasks are pinned to.
    pub(super) fn images(&self) -> &[ContainerImage] {
        &self.record.container_images
    }
}
