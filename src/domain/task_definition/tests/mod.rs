//! A family's life as rows and trajectories: the world below performs what is planned and shows it to the next pass.

#![expect(clippy::arithmetic_side_effects, reason = "a test may fail this way")]

mod conditions;
mod history;
mod properties;
mod registration;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::names::Uid;
use crate::api::{RevisionState, RevisionStatus, TaskDefinitionSpec, TaskDefinitionStatus};
use crate::domain::Plan;
use crate::domain::resolve::features::Features;
use crate::domain::task_definition::{Action, Observed, Revision, plan};

/// The object `web`, and the revisions that there are.
#[derive(Debug)]
struct World {
    spec: TaskDefinitionSpec,
    status: TaskDefinitionStatus,
    generation: i64,
    deleting: bool,
    taken_by: Option<&'static str>,
    waits_for_watch: bool,
    services: Vec<String>,
    used: BTreeSet<i64>,
    revisions: Vec<Kept>,
    /// The highest number of all time.
    last: i64,
    now: i64,
}

/// A revision in the API server.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    number: i64,
    created_at: Timestamp,
    deregister: bool,
    spec: TaskDefinitionSpec,
    status: Option<RevisionStatus>,
}

impl Kept {
    fn observed(&self) -> Revision<'_> {
        Revision {
            number: self.number,
            object: format!("web-{}", self.number),
            uid: Uid(format!("uid of {}", self.number)),
            resource_version: "1".to_owned(),
            generation: Some(1),
            created_at: self.created_at,
            deregister: self.deregister,
            deleting: false,
            spec: &self.spec,
            status: self.status.as_ref(),
        }
    }
}

impl World {
    fn new(spec: TaskDefinitionSpec) -> Self {
        Self {
            spec,
            status: TaskDefinitionStatus::default(),
            generation: 1,
            deleting: false,
            taken_by: None,
            waits_for_watch: false,
            services: Vec::new(),
            used: BTreeSet::new(),
            revisions: Vec::new(),
            last: 0,
            now: 0,
        }
    }

    /// A family that has registered each of these in turn.
    fn registered(specs: impl IntoIterator<Item = TaskDefinitionSpec>) -> Self {
        let mut world = Self::new(TaskDefinitionSpec::default());
        for spec in specs {
            world.apply(spec);
            world.settle();
        }
        world
    }

    fn apply(&mut self, spec: TaskDefinitionSpec) {
        self.spec = spec;
        self.generation += 1;
    }

    /// The object is deleted, and made again with the same spec.
    fn recreate(&mut self) {
        self.status = TaskDefinitionStatus::default();
        self.generation = 1;
        self.deleting = false;
    }

    fn plan(&self) -> Plan<Action, TaskDefinitionStatus> {
        let seen = Observed {
            name: "web",
            generation: Some(self.generation),
            deleting: self.deleting,
            spec: &self.spec,
            status: &self.status,
            taken_by: self.taken_by,
            waits_for_watch: self.waits_for_watch,
            revisions: self.revisions.iter().map(Kept::observed).collect(),
            services: self.services.clone(),
            used: self.used.clone(),
            features: Features::ALL,
        };
        plan(&seen, self.time())
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_second(self.now).unwrap()
    }

    /// One pass, with all of its writes.
    fn pass(&mut self) -> Plan<Action, TaskDefinitionStatus> {
        self.now += 1;
        let plan = self.plan();
        for action in &plan.actions {
            self.perform(action);
        }
        self.status = plan.status.clone();
        plan
    }

    fn perform(&mut self, action: &Action) {
        match action {
            Action::Register(name, spec) => {
                assert_eq!(name.number, spec.revision);
                assert_eq!(spec.task_definition.family.as_deref(), Some(name.family.as_str()));
                assert_eq!(name.number, self.last + 1, "numbers go up by 1 and none comes twice");
                self.last = name.number;
                self.revisions.push(Kept {
                    number: name.number,
                    created_at: self.time(),
                    deregister: false,
                    spec: spec.task_definition.clone(),
                    status: None,
                });
            }
            Action::SetStatus { object, status, .. } => {
                let kept = self.revisions.iter_mut().find(|kept| format!("web-{}", kept.number) == *object);
                kept.unwrap().status = Some((**status).clone());
            }
            Action::Prune { object, uid } => {
                let place = self.revisions.iter().position(|kept| format!("web-{}", kept.number) == *object);
                let pruned = self.revisions.remove(place.unwrap());
                assert_eq!(uid.0, format!("uid of {}", pruned.number));
            }
        }
    }

    /// Passes until one plans nothing new. What it then says has to stay.
    fn settle(&mut self) {
        for _ in 0..4 {
            let before = self.status.clone();
            if self.pass().actions.is_empty() && self.status == before {
                return;
            }
        }
        panic!("the family does not come to rest: {:?}", self.plan());
    }

    fn numbers(&self) -> Vec<i64> {
        self.revisions.iter().map(|kept| kept.number).collect()
    }

    fn active(&self) -> Vec<i64> {
        let state = |kept: &&Kept| kept.status.as_ref().and_then(|status| status.status);
        let active = self.revisions.iter().filter(|kept| state(kept) == Some(RevisionState::Active));
        active.map(|kept| kept.number).collect()
    }

    fn image(&self, number: i64) -> Option<&str> {
        let kept = self.revisions.iter().find(|kept| kept.number == number)?;
        kept.spec.container_definitions[0].image.as_deref()
    }

    fn deregister(&mut self, number: i64) {
        self.revisions.iter_mut().find(|kept| kept.number == number).unwrap().deregister = true;
    }

    /// `Ready` with its reason, and its message.
    fn ready(&self) -> (String, &str) {
        let ready = &self.status.conditions[0];
        assert_eq!(ready.type_, "Ready");
        (format!("{} {}", ready.status, ready.reason), &ready.message)
    }
}

/// A definition with members replaced.
fn definition(change: &Value) -> TaskDefinitionSpec {
    let mut spec = json!({"containerDefinitions": [{"name": "app", "image": "a"}]});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn image(image: &str) -> TaskDefinitionSpec {
    definition(&json!({"containerDefinitions": [{"name": "app", "image": image}]}))
}

fn without_essential() -> TaskDefinitionSpec {
    definition(&json!({"containerDefinitions": [{"name": "app", "image": "a", "essential": false}]}))
}
