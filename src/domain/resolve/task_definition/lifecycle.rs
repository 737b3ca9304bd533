//! When containers start, start again and stop, and where Kubernetes does that otherwise than ECS.

use crate::api::{ContainerCondition, ContainerDefinition};
use crate::domain::resolve::Problem;
use crate::domain::resolve::dependencies::{Edge, Role, StartOrder};
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::{member, positive};

/// "If the parameter isn't specified, then the default value of 30 seconds is used."
const STOP_TIMEOUT_DEFAULT: u32 = 30;
/// "By default, a container can't be restarted within 300 seconds of its last start."
const RESTART_ATTEMPT_PERIOD_DEFAULT: u32 = 300;

/// The restart policy of a container that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The exit codes after which it is not started again.
    pub ignored_exit_codes: Vec<i32>,
    /// How many seconds it must have run to be started again.
    pub attempt_period: u32,
}

/// What a container's life depends on besides its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// Where it stands in the pod.
    pub role: Role,
    /// How it is started again, if it is.
    pub restart: Option<Restart>,
    /// The containers that wait for more than its start: COMPLETE, SUCCESS or HEALTHY.
    pub awaited_by: Vec<String>,
    /// Seconds that it may take to reach what they wait for, where they do and that is limited.
    pub start_timeout: Option<u32>,
    /// Seconds from the stop signal to the kill.
    pub stop_timeout: u32,
}

/// A container that others wait for until it has ended can have no restart policy: it would never be done.
pub(super) fn refused(containers: &[ContainerDefinition], order: &StartOrder) -> Vec<Problem> {
    let restarts_though_awaited = |(container, role): (&ContainerDefinition, &Role)| {
        (*role == Role::InitOnce && restart(container).is_some()).then(|| {
            let message =
                "others wait until the container has ended, so it cannot be started again; set enabled to false";
            Problem::new(member(&container.name, "restartPolicy"), message)
        })
    };
    containers.iter().zip(&order.roles).filter_map(restarts_though_awaited).collect()
}

pub(super) fn resolve(
    index: usize,
    containers: &[ContainerDefinition],
    container: &ContainerDefinition,
    order: &StartOrder,
    features: Features,
    verdict: &mut Verdict,
) -> Lifecycle {
    let role = order.roles.get(index).copied().unwrap_or(Role::Main);
    let mut restart = restart(container);
    if restart.is_some() && role == Role::Main && !features.restart_rules {
        verdict.note(DeviationCode::RestartPolicyIgnored, member(&container.name, "restartPolicy"));
        restart = None;
    }
    if let Some(restart) = &restart {
        note_restart(container, role, restart, verdict);
    }
    let awaits = |edge: &&Edge| edge.target == index && edge.condition != ContainerCondition::Start;
    let awaiting = order.edges.iter().filter(awaits).filter_map(|edge| containers.get(edge.from));
    let awaited_by: Vec<String> = awaiting.map(|container| container.name.clone()).collect();
    Lifecycle {
        role,
        restart: restart.filter(|_| role != Role::InitOnce),
        start_timeout: positive(container.start_timeout).filter(|_| !awaited_by.is_empty()),
        awaited_by,
        stop_timeout: positive(container.stop_timeout).unwrap_or(STOP_TIMEOUT_DEFAULT),
    }
}

fn restart(container: &ContainerDefinition) -> Option<Restart> {
    let policy = container.restart_policy.as_ref().filter(|policy| policy.enabled)?;
    Some(Restart {
        ignored_exit_codes: policy.ignored_exit_codes.clone(),
        attempt_period: positive(policy.restart_attempt_period).unwrap_or(RESTART_ATTEMPT_PERIOD_DEFAULT),
    })
}

fn note_restart(container: &ContainerDefinition, role: Role, restart: &Restart, verdict: &mut Verdict) {
    let name = &container.name;
    verdict.note(DeviationCode::RestartBackOff, member(name, "restartPolicy"));
    if !container.essential.unwrap_or(true) {
        verdict.note(DeviationCode::EarlyExitRestarted, member(name, "restartPolicy.restartAttemptPeriod"));
    }
    if matches!(role, Role::Sidecar { .. }) && !restart.ignored_exit_codes.is_empty() {
        verdict.note(DeviationCode::SidecarRestarts, member(name, "restartPolicy.ignoredExitCodes"));
    }
}

/// Where the order in which Kubernetes starts and stops the containers is not ECS's.
pub(super) fn note_order(
    containers: &[ContainerDefinition],
    order: &StartOrder,
    features: Features,
    verdict: &mut Verdict,
) {
    for edge in &order.edges {
        let target_ends = order.roles.get(edge.target) == Some(&Role::InitOnce);
        match edge.condition {
            ContainerCondition::Complete => {
                verdict.note(DeviationCode::CompleteMasked, format!("{}.condition", edge.member));
            }
            ContainerCondition::Start | ContainerCondition::Healthy if target_ends => {
                verdict.note(DeviationCode::StartImpliesComplete, edge.member.clone());
            }
            ContainerCondition::Start | ContainerCondition::Healthy | ContainerCondition::Success => {}
        }
    }
    for (index, container) in containers.iter().enumerate() {
        let behind = serialized_behind(index, containers, order);
        if !behind.is_empty() {
            let place = format!("containerDefinitions[{}]", container.name);
            verdict.note_with(DeviationCode::StartSerialized, place, behind.join(", "));
        }
        note_role(index, container, containers, order, verdict);
    }
    note_ends(containers, order, features, verdict);
    note_stop_timeouts(containers, order, verdict);
}

/// The containers behind whose end or health this one starts although it does not wait for them.
fn serialized_behind<'c>(index: usize, containers: &'c [ContainerDefinition], order: &StartOrder) -> Vec<&'c str> {
    let before = order.init.iter().take_while(|init| **init != index);
    let holds_up = |init: &&usize| match order.roles.get(**init) {
        Some(Role::InitOnce | Role::Sidecar { awaited_healthy: true }) => true,
        Some(Role::Sidecar { awaited_healthy: false } | Role::Main) | None => false,
    };
    let unrelated = before.filter(holds_up).filter(|init| !order.waits_for(index, **init));
    unrelated.filter_map(|init| containers.get(*init)).map(|container| container.name.as_str()).collect()
}

fn note_role(
    index: usize,
    container: &ContainerDefinition,
    containers: &[ContainerDefinition],
    order: &StartOrder,
    verdict: &mut Verdict,
) {
    let place = || format!("containerDefinitions[{}]", container.name);
    let is_essential = |container: &ContainerDefinition| container.essential.unwrap_or(true);
    let waits = |(other, _): &(usize, &ContainerDefinition)| order.waits_for(*other, index);
    let mut waiting = containers.iter().enumerate().filter(waits).map(|(_, container)| container);
    let role = order.roles.get(index);
    let holds_up = matches!(role, Some(Role::InitOnce | Role::Sidecar { awaited_healthy: true }));
    let fails_alone = !is_essential(container) || positive(container.start_timeout).is_some();
    if holds_up && fails_alone && !waiting.any(is_essential) {
        verdict.note(DeviationCode::InitExtraBlock, place());
    }
    if matches!(role, Some(Role::Sidecar { .. })) && restart(container).is_none() {
        verdict.note(DeviationCode::SidecarRestarts, place());
    }
    let lends_volumes = containers
        .iter()
        .flat_map(|other| &other.volumes_from)
        .any(|from| from.source_container.as_ref() == Some(&container.name));
    if role == Some(&Role::Main) && (lends_volumes || order.edges.iter().any(|edge| edge.target == index)) {
        verdict.note(DeviationCode::StopOrderLost, place());
    }
}

/// What becomes of a task in which a container has ended that is not essential.
fn note_ends(containers: &[ContainerDefinition], order: &StartOrder, features: Features, verdict: &mut Verdict) {
    let may_end = |container: &ContainerDefinition| match restart(container) {
        Some(restart) => !restart.ignored_exit_codes.is_empty() || !features.restart_rules,
        None => true,
    };
    let ends = |container: &ContainerDefinition| !container.essential.unwrap_or(true) && may_end(container);
    let mains = || containers.iter().zip(&order.roles).filter(|(_, role)| **role == Role::Main).map(|(main, _)| main);
    let code = if mains().all(ends) { DeviationCode::EndsWithoutEssential } else { DeviationCode::CompletedNotReady };
    for container in mains().filter(|container| ends(container)) {
        verdict.note(code, format!("containerDefinitions[{}]", container.name));
    }
}

/// The containers of a pod have one period to stop, in which the ordinary ones are stopped first and then the others, one by one.
fn note_stop_timeouts(containers: &[ContainerDefinition], order: &StartOrder, verdict: &mut Verdict) {
    let timeout = |container: &ContainerDefinition| positive(container.stop_timeout).unwrap_or(STOP_TIMEOUT_DEFAULT);
    let of_role = |is_main: bool| {
        let roles = containers.iter().zip(&order.roles);
        roles
            .filter(move |(_, role)| **role != Role::InitOnce && (**role == Role::Main) == is_main)
            .map(|(container, _)| container)
    };
    let mains = of_role(true).map(timeout).max().unwrap_or(0);
    let period = of_role(false).map(timeout).fold(mains, u32::saturating_add);
    for container in of_role(true).chain(of_role(false)).filter(|container| timeout(container) < period) {
        verdict.note(DeviationCode::StopTimeoutShared, member(&container.name, "stopTimeout"));
    }
}
