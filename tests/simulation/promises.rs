//! What is promised of a deployment from its first task to its last: what it starts while it pauses, and which images it runs.

use std::collections::{BTreeMap, BTreeSet};

use longshore::api::labels;
use longshore_test_apiserver::Change;
use serde_json::Value;

use crate::task::{is_healthy, is_live, label, service_of, text, uid};

/// What has been seen of deployments.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// The tasks of each that somebody may have to replace.
    lost: BTreeMap<String, BTreeSet<String>>,
    /// How many tasks each has started while it paused.
    started_in_pause: BTreeMap<String, usize>,
    /// What its tags turned out to be, by deployment and container, as status or the first pod has it.
    pins: BTreeMap<(String, String), String>,
}

/// The digest in an image.
fn digest(image: &str) -> Option<&str> {
    image.split_once('@').map(|(_, digest)| digest)
}

fn number(id: &str) -> &str {
    id.trim_start_matches("ecs-svc/")
}

impl Promises {
    /// A pod has changed.
    pub(crate) fn see(&mut self, change: &Change) {
        let Some(pod) = change.after.as_deref().or(change.before.as_deref()) else { return };
        let is_new = change.before.is_none();
        let is_lost = change.after.is_none() || !is_live(pod) || service_of(pod).is_none();
        let runs_badly = text(pod, "/status/phase") == "Running" && !is_healthy(pod);
        if !is_new && (is_lost || runs_badly) {
            self.lost.entry(label(pod, labels::DEPLOYMENT).to_owned()).or_default().insert(uid(pod).to_owned());
        }
    }

    /// What is wrong with the start of a task: a deployment that pauses starts no more tasks than it has lost.
    pub(crate) fn judge_start(&mut self, pod: &Value, pauses: Option<&str>) -> Option<String> {
        let deployment = label(pod, labels::DEPLOYMENT);
        if pauses.map(number) != Some(deployment) {
            return None;
        }
        let started = self.started_in_pause.entry(deployment.to_owned()).or_default();
        *started += 1;
        let (started, lost) = (*started, self.lost.get(deployment).map_or(0, BTreeSet::len));
        (started > lost).then(|| format!("{deployment} pauses, has lost {lost} tasks, and starts {started}"))
    }

    /// The same of its images: once a tag has been found to mean a digest, all tasks of the deployment run that.
    pub(crate) fn judge_images(&mut self, pod: &Value, service: Option<&Value>) -> Option<String> {
        let deployment = label(pod, labels::DEPLOYMENT);
        let known = service.map(|service| pinned(service, deployment)).unwrap_or_default();
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
        containers.into_iter().find_map(|container| {
            let (name, image) = (text(container, "/name"), text(container, "/image"));
            let told = known.get(name).cloned();
            let pin = self.pins.entry((deployment.to_owned(), name.to_owned()));
            let runs = digest(image).map(str::to_owned);
            let first = runs.clone().map(|digest| pin.or_insert(digest).clone());
            let wanted = told.or(first);
            (runs != wanted).then(|| format!("{name} of {deployment} runs {image}, and is pinned to {wanted:?}"))
        })
    }

    /// What is wrong with a status: what a deployment is pinned to never changes.
    pub(crate) fn judge_status(before: &Value, after: &Value) -> Option<String> {
        deployments(before).find_map(|old| {
            let id = text(old, "/id");
            let new = deployments(after).find(|new| text(new, "/id") == id)?;
            let (was, is) = (pinned(before, number(id)), pinned(after, number(id)));
            let differs = !was.is_empty() && was != is;
            differs.then(|| format!("{id} was pinned to {was:?}, and is to {is:?}: {}", new["status"]))
        })
    }
}

fn deployments(service: &Value) -> impl Iterator<Item = &Value> {
    service.pointer("/status/deployments").and_then(Value::as_array).into_iter().flatten()
}

/// The digests that a deployment is pinned to, by container.
fn pinned(service: &Value, deployment: &str) -> BTreeMap<String, String> {
    let of = deployments(service).filter(|one| number(text(one, "/id")) == deployment);
    let images = of.flat_map(|one| one["containerImages"].as_array().into_iter().flatten());
    images.map(|image| (text(image, "/containerName").to_owned(), text(image, "/imageDigest").to_owned())).collect()
}
