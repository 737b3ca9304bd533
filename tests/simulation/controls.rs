//! People who control deployments by annotation, protect tasks, and change what a service waits for.

use std::sync::Arc;

use jiff::SignedDuration;
use longshore::api::labels;
use longshore_test_apiserver::Verb;
use longshore_test_chance::Chance;
use serde_json::{Value, json};

use crate::task::{PODS, SERVICES, annotation, label, name, text};
use crate::world::World;

/// Longer than any clock jumps: a task that is protected for so long is.
pub(crate) const FOR_EVER: SignedDuration = SignedDuration::from_hours(24 * 1000);

/// What was asked of a service that reaches new tasks only.
const DELAY: &str = "/spec/kubernetes/deregistrationDelaySeconds";

/// They act now and then.
pub(crate) struct Controls {
    chance: Chance,
    tokens: u64,
}

/// The PRIMARY deployment of a service, if it has one.
pub(crate) fn primary(service: &Value) -> Option<&Value> {
    let deployments = service.pointer("/status/deployments").and_then(Value::as_array)?;
    deployments.iter().find(|one| text(one, "/status") == "PRIMARY")
}

/// Whether a task is of the PRIMARY deployment of a service.
pub(crate) fn is_of_primary(service: &Value, task: &Value) -> bool {
    let deployment = label(task, labels::DEPLOYMENT);
    primary(service).is_some_and(|primary| text(primary, "/id").trim_start_matches("ecs-svc/") == deployment)
}

/// Whether the PRIMARY deployment of a service has failed: it stays as it is, and of its tasks those stop that are above the ceiling.
pub(crate) fn has_failed(service: &Value) -> bool {
    primary(service).is_some_and(|primary| text(primary, "/rolloutState") == "FAILED")
}

/// The deployment of a service that is in progress and is to pause.
pub(crate) fn paused(service: &Value) -> Option<&str> {
    let pause = annotation(service, labels::PAUSE_DEPLOYMENT);
    let primary = primary(service).filter(|primary| text(primary, "/rolloutState") == "IN_PROGRESS")?;
    (pause == "true" || pause == text(primary, "/id")).then(|| text(primary, "/id"))
}

fn annotate(world: &World, resource: &str, name: &str, key: &str, value: &Value) {
    let patch = json!({ "metadata": { "annotations": { key: value } } });
    world.act("person", Verb::Merge, resource, name, None, patch);
}

impl Controls {
    pub(crate) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, 14), tokens: 0 }
    }

    pub(crate) fn step(&mut self, world: &World) {
        if !self.chance.happens(40) {
            return;
        }
        let services: Vec<Arc<Value>> = world.server.read(|store| store.all(SERVICES).cloned().collect());
        let Some(service) = self.chance.one_of(&services) else { return };
        let id = json!(primary(service).map(|primary| text(primary, "/id")));
        let control = |key, value: &Value| annotate(world, SERVICES, name(service), key, value);
        match self.chance.below(12) {
            0 => control(labels::PAUSE_DEPLOYMENT, &json!("true")),
            1 if !id.is_null() => control(labels::PAUSE_DEPLOYMENT, &id),
            2 | 3 => control(labels::PAUSE_DEPLOYMENT, &Value::Null),
            4 if !id.is_null() => control(labels::ROLLBACK_DEPLOYMENT, &id),
            5 if !id.is_null() => control(labels::STOP_DEPLOYMENT, &id),
            6 => self.force(world, name(service)),
            7..=9 => self.protect(world),
            10 => {
                let mut spec = json!({ "healthCheckGracePeriodSeconds": self.chance.below(60) });
                if self.chance.happens(500) {
                    spec["kubernetes"] = json!({ "deregistrationDelaySeconds": self.chance.below(15) });
                }
                world.act("person", Verb::Merge, SERVICES, name(service), None, json!({ "spec": spec }));
            }
            _ => {
                let breaker = self.breaker();
                let patch = json!({ "spec": { "deploymentConfiguration": { "deploymentCircuitBreaker": breaker } } });
                world.act("person", Verb::Merge, SERVICES, name(service), None, patch);
            }
        }
    }

    /// A new deployment of what there is.
    fn force(&mut self, world: &World, service: &str) {
        self.tokens += 1;
        let token = json!(format!("token-{}", self.tokens));
        annotate(world, SERVICES, service, labels::FORCE_NEW_DEPLOYMENT, &token);
    }

    fn breaker(&mut self) -> Value {
        let chance = &mut self.chance;
        let threshold = match chance.below(3) {
            0 => json!({ "type": "COUNT", "value": chance.between(1, 6) }),
            1 => json!({ "type": "BOUNDED_PERCENT", "value": chance.between(1, 100) }),
            _ => json!({ "type": "UNBOUNDED_PERCENT", "value": chance.between(1, 100) }),
        };
        json!({
            "enable": chance.happens(800),
            "rollback": chance.happens(500),
            "resetOnHealthyTask": chance.happens(500),
            "thresholdConfiguration": threshold,
        })
    }

    /// A task asks to be left alone: for ever, for a while, or not any more.
    fn protect(&mut self, world: &World) {
        let pods: Vec<Arc<Value>> = world.server.read(|store| store.all(PODS).cloned().collect());
        let Some(pod) = self.chance.one_of(&pods) else { return };
        let span = match self.chance.below(4) {
            0 => None,
            1 => Some(SignedDuration::from_secs(i64::try_from(self.chance.between(10, 200)).unwrap_or(10))),
            _ => Some(FOR_EVER),
        };
        let until = span.map(|span| world.now().saturating_add(span).unwrap().to_string());
        annotate(world, PODS, name(pod), labels::PROTECTED_UNTIL, &json!(until));
    }

    /// Nothing is paused or protected any more. Where tasks run that were started before what only new ones get, they are
    /// replaced.
    pub(crate) fn calm_down(&mut self, world: &World) {
        let (services, pods): (Vec<Arc<Value>>, Vec<Arc<Value>>) =
            world.server.read(|store| (store.all(SERVICES).cloned().collect(), store.all(PODS).cloned().collect()));
        for service in &services {
            for key in [labels::PAUSE_DEPLOYMENT, labels::STOP_DEPLOYMENT, labels::ROLLBACK_DEPLOYMENT] {
                annotate(world, SERVICES, name(service), key, &Value::Null);
            }
            if service.pointer(DELAY).is_some() {
                self.force(world, name(service));
            }
        }
        for pod in pods.iter().filter(|pod| !annotation(pod, labels::PROTECTED_UNTIL).is_empty()) {
            annotate(world, PODS, name(pod), labels::PROTECTED_UNTIL, &Value::Null);
        }
    }
}
