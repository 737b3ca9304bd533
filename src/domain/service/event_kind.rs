//! What ECS's sentences are about, and where else than in status they are told.

/// What an event is about. The names are those that ECS gives EventBridge, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Tasks were started.
    TasksStarted,
    /// Tasks were stopped.
    TasksStopped,
    /// Targets came or went.
    TargetsChanged,
    /// Tasks that stop serve out their connections.
    ConnectionsDraining,
    /// A deployment has completed.
    DeploymentCompleted,
    /// The service runs what it should.
    SteadyState,
    /// Floor and ceiling leave no room.
    DeploymentBlocked,
    /// A deployment has failed.
    DeploymentFailed,
    /// A deployment runs tags.
    ImageDigestsUnresolved,
    /// A person has ended a deployment.
    DeploymentStopped,
    /// An earlier deployment comes back.
    RollingBack,
    /// A task is UNHEALTHY.
    TaskUnhealthy,
    /// Tasks do not start.
    TaskStartImpaired,
    /// A task finds no node, or may not be.
    TaskPlacementFailure,
    /// Protected tasks are in the way.
    TasksProtected,
    /// The zones have become uneven.
    RebalancingStarted,
    /// They are even again.
    RebalancingCompleted,
    /// They may stay uneven.
    RebalancingStopped,
}

/// Where an event is told besides the service's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Nowhere: there is one for every few tasks of a rollout, and a Kubernetes Event is a write.
    StatusAlone,
    /// As an Event of the type `Normal`.
    Normal,
    /// As an Event of the type `Warning`: something has failed, or a person has to act.
    Warning,
}

impl EventKind {
    /// Each kind, and what its sentences alone have. The sentence is all that status keeps of an event.
    const PHRASES: [(&str, Self); 23] = [
        (") has started ", Self::TasksStarted),
        (") has stopped ", Self::TasksStopped),
        (") registered ", Self::TargetsChanged),
        (") deregistered ", Self::TargetsChanged),
        (" has begun draining connections on ", Self::ConnectionsDraining),
        (" deployment completed.", Self::DeploymentCompleted),
        (" has reached a steady state.", Self::SteadyState),
        (" was unable to stop or start tasks during a deployment", Self::DeploymentBlocked),
        (" deployment failed: ", Self::DeploymentFailed),
        (" continues without image digest resolution", Self::ImageDigestsUnresolved),
        (" deployment stopped by user.", Self::DeploymentStopped),
        (" rolling back to deployment ", Self::RollingBack),
        (" failed container health checks.", Self::TaskUnhealthy),
        (" is unhealthy in (target-group ", Self::TaskUnhealthy),
        (" is unable to consistently start tasks successfully.", Self::TaskStartImpaired),
        (" was unable to place a task ", Self::TaskPlacementFailure),
        (" could not launch ", Self::TaskPlacementFailure),
        (" was unable to scale in.", Self::TasksProtected),
        (" is not AZ balanced with ", Self::RebalancingStarted),
        (" is AZ balanced with ", Self::RebalancingCompleted),
        (" stopped AZ Rebalancing.", Self::RebalancingStopped),
        (" is unable to place a task in ", Self::TaskPlacementFailure),
        (" was unable to AZ Rebalance ", Self::TasksProtected),
    ];

    /// What a sentence of a service's status is about. None for one that another version wrote.
    pub fn of(message: &str) -> Option<Self> {
        Self::PHRASES.iter().find(|(phrase, _)| message.contains(phrase)).map(|(_, kind)| *kind)
    }

    /// The reason of the Kubernetes Event.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TasksStarted => "TasksStarted",
            Self::TasksStopped => "TasksStopped",
            Self::TargetsChanged => "TargetsChanged",
            Self::ConnectionsDraining => "ConnectionsDraining",
            Self::DeploymentCompleted => "DeploymentCompleted",
            Self::SteadyState => "SteadyState",
            Self::DeploymentBlocked => "DeploymentBlocked",
            Self::DeploymentFailed => "DeploymentFailed",
            Self::ImageDigestsUnresolved => "ImageDigestsUnresolved",
            Self::DeploymentStopped => "DeploymentStopped",
            Self::RollingBack => "RollingBack",
            Self::TaskUnhealthy => "TaskUnhealthy",
            Self::TaskStartImpaired => "TaskStartImpaired",
            Self::TaskPlacementFailure => "TaskPlacementFailure",
            Self::TasksProtected => "TasksProtected",
            Self::RebalancingStarted => "RebalancingStarted",
            Self::RebalancingCompleted => "RebalancingCompleted",
            Self::RebalancingStopped => "RebalancingStopped",
        }
    }

    /// Where it is told.
    pub fn telling(self) -> Telling {
        match self {
            Self::TasksStarted | Self::TasksStopped | Self::TargetsChanged | Self::ConnectionsDraining => {
                Telling::StatusAlone
            }
            Self::DeploymentCompleted
            | Self::SteadyState
            | Self::DeploymentStopped
            | Self::RollingBack
            | Self::RebalancingStarted
            | Self::RebalancingCompleted
            | Self::RebalancingStopped => Telling::Normal,
            Self::DeploymentBlocked
            | Self::DeploymentFailed
            | Self::ImageDigestsUnresolved
            | Self::TaskUnhealthy
            | Self::TaskStartImpaired
            | Self::TaskPlacementFailure
            | Self::TasksProtected => Telling::Warning,
        }
    }
}
