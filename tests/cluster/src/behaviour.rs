//! How the pods of a test behave.

use std::time::Duration;

use crate::pod_status::{self, DUE, GATES};
use crate::stage::{Delay, Effect, Match, Stage, StageKind};
use crate::stamp::stamp;

/// The annotation by which a pod itself says which behaviour it has.
pub const BEHAVIOUR: &str = "cluster.longshore.dev/behaviour";

/// The weight of behaviours; the stages every cluster starts with have weight 0 and so give way.
const WEIGHT: u32 = 10;

/// What the containers of a pod do. Times count from the start of the containers and do not
/// start anew when the pod is changed, unless the variant says otherwise.
///
/// Without a behaviour a pod is Running and Ready at once and goes at once when deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// The containers run at once and are ready after this long.
    ReadyAfter(Duration),
    /// The containers run and are never ready.
    NeverReady,
    /// The containers are ready at once and stop being ready after this long, still running.
    UnreadyAfter(Duration),
    /// The containers are ready at once and all end after this long.
    Crash {
        /// How long they run.
        after: Duration,
        /// The exit code of every main container; the pod is Failed, with 0 Succeeded.
        exit_code: i32,
    },
    /// As [`Behaviour::Crash`], without ever being ready.
    CrashBeforeReady {
        /// How long they run.
        after: Duration,
        /// The exit code of every main container; the pod is Failed, with 0 Succeeded.
        exit_code: i32,
    },
    /// No image can be pulled: the containers wait with the reason ImagePullBackOff.
    ImagePullFailure,
    /// The containers are ready at once. When the pod is deleted, they take this long to end,
    /// counted from the last change of the pod; then the pod goes.
    StopAfter {
        /// How long they take to stop.
        after: Duration,
        /// The exit code of every main container.
        exit_code: i32,
    },
}

/// Which pods have a behaviour.
///
/// A pod's own annotation wins over image and label. A pod that several of the other
/// selectors match behaves in one of their ways by chance, so let them not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// Pods with a main container of one of these images.
    Image(Vec<String>),
    /// Pods with the annotation [`BEHAVIOUR`] of this value.
    Annotation(String),
    /// Pods with this label.
    Label {
        /// The label's key.
        key: String,
        /// The label's value.
        value: String,
    },
}

impl Pods {
    /// Pods with a main container of this image.
    pub fn image(image: impl Into<String>) -> Self {
        Self::Image(vec![image.into()])
    }

    /// Pods with the annotation [`BEHAVIOUR`] of this value.
    pub fn annotation(value: impl Into<String>) -> Self {
        Self::Annotation(value.into())
    }

    /// Pods with this label.
    pub fn label(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Label { key: key.into(), value: value.into() }
    }

    /// The same for equal selectors, and fit for a label value.
    pub(crate) fn id(&self) -> String {
        stamp(&format!("{self:?}"))
    }

    fn matches(&self) -> Vec<Match> {
        let annotation = format!(".metadata.annotations[\"{BEHAVIOUR}\"]");
        let unannotated = Match::DoesNotExist(annotation.clone());
        match self {
            Self::Annotation(value) => vec![Match::In(annotation, vec![value.clone()])],
            Self::Image(images) => vec![Match::In(".spec.containers[].image".to_owned(), images.clone()), unannotated],
            Self::Label { key, value } => vec![
                Match::In(format!(".metadata.labels[{}]", serde_json::Value::from(key.as_str())), vec![value.clone()]),
                unannotated,
            ],
        }
    }
}

impl Behaviour {
    /// The stages that make `pods` behave so.
    pub(crate) fn stages(self, pods: &Pods) -> Vec<Stage> {
        let stage = |name: &str, conditions: Vec<Match>, delay: Delay, effects: Vec<Effect>| Stage {
            name: format!("behaviour-{}-{name}", pods.id()),
            kind: StageKind::Pod,
            matches: [pods.matches(), conditions].concat(),
            weight: WEIGHT,
            delay,
            effects,
        };
        let start = |ready: bool, due: Option<Duration>| {
            let template = pod_status::started(ready, due);
            stage("start", pending(), at_once(), vec![Effect::Status(template)])
        };
        let then = |name: &str, conditions: Vec<Match>, template: String| {
            let delay = Delay::Until(DUE.to_owned());
            stage(name, conditions, delay, vec![Effect::Status(template)])
        };
        match self {
            Self::ReadyAfter(delay) => {
                vec![start(false, Some(delay)), then("ready", running(false), pod_status::readiness(true))]
            }
            Self::NeverReady => vec![start(false, None)],
            Self::UnreadyAfter(delay) => {
                vec![start(true, Some(delay)), then("unready", running(true), pod_status::readiness(false))]
            }
            Self::Crash { after, exit_code } => {
                vec![start(true, Some(after)), then("end", running(true), pod_status::ended(exit_code))]
            }
            Self::CrashBeforeReady { after, exit_code } => {
                vec![start(false, Some(after)), then("end", running(false), pod_status::ended(exit_code))]
            }
            Self::ImagePullFailure => {
                vec![stage("pull", pending(), at_once(), vec![Effect::Status(pod_status::image_pull_failure())])]
            }
            Self::StopAfter { after, exit_code } => vec![stage(
                "stop",
                [deleted(), running_phase()].concat(),
                Delay::For(after),
                vec![Effect::Status(pod_status::ended(exit_code)), Effect::Delete],
            )],
        }
    }
}

/// What every cluster starts with: pods start at once, obey their readiness gates, and go.
pub(crate) fn base() -> Vec<Stage> {
    let stage = |name: &str, matches: Vec<Match>, effect: Effect| Stage {
        name: name.to_owned(),
        kind: StageKind::Pod,
        matches,
        weight: 0,
        delay: at_once(),
        effects: vec![effect],
    };
    let gates = |state: &str| Match::In(GATES.to_owned(), vec![state.to_owned()]);
    let ready = || READY.to_owned();
    let truth = || vec!["True".to_owned()];
    vec![
        stage("pod-ready", pending(), Effect::Status(pod_status::started(true, None))),
        stage(
            "pod-gates-open",
            [running(true), vec![Match::NotIn(ready(), truth()), gates("open")]].concat(),
            Effect::Status(pod_status::gates()),
        ),
        stage(
            "pod-gates-closed",
            [running(true), vec![Match::In(ready(), truth()), gates("closed")]].concat(),
            Effect::Status(pod_status::gates()),
        ),
        stage("pod-delete", deleted(), Effect::Delete),
    ]
}

const READY: &str = r#".status.conditions[] | select(.type == "Ready") | .status"#;
const CONTAINERS_READY: &str = r#".status.conditions[] | select(.type == "ContainersReady") | .status"#;

const fn at_once() -> Delay {
    Delay::For(Duration::ZERO)
}

fn pending() -> Vec<Match> {
    vec![
        Match::DoesNotExist(".metadata.deletionTimestamp".to_owned()),
        Match::In(".status.phase".to_owned(), vec!["Pending".to_owned()]),
        // Else a pod whose image cannot be pulled would match again right after.
        Match::DoesNotExist(".status.containerStatuses[0]".to_owned()),
    ]
}

fn running(ready: bool) -> Vec<Match> {
    let status = if ready { "True" } else { "False" };
    [
        running_phase(),
        vec![
            Match::DoesNotExist(".metadata.deletionTimestamp".to_owned()),
            Match::In(CONTAINERS_READY.to_owned(), vec![status.to_owned()]),
        ],
    ]
    .concat()
}

fn running_phase() -> Vec<Match> {
    vec![Match::In(".status.phase".to_owned(), vec!["Running".to_owned()])]
}

fn deleted() -> Vec<Match> {
    vec![Match::Exists(".metadata.deletionTimestamp".to_owned())]
}
