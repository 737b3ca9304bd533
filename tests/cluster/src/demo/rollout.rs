//! Follows a rollout by a watch of its tasks' pods, so that no state in between is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::DemoError;

const SERVICE: &str = "ecs.longshore.dev/service=api";
const DEPLOYMENT: &str = "ecs.longshore.dev/deployment";

/// How long the rollout may take.
const LIMIT: Duration = Duration::from_mins(3);

/// Changes that come closer together than this share a line.
const PAUSE: Duration = Duration::from_millis(30);

/// How many tasks a service may have, and how many of them must be healthy, as ECS rounds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) desired: u64,
    pub(super) floor: u64,
    pub(super) ceiling: u64,
}

impl Bounds {
    /// Those of a `Service` object.
    pub(super) fn of(service: &Value) -> Self {
        let number = |path: &str, default| service.pointer(path).and_then(Value::as_u64).unwrap_or(default);
        let desired = number("/spec/desiredCount", 1);
        let percent = |name: &str, default| {
            let percent = number(&format!("/spec/deploymentConfiguration/{name}"), default);
            desired.saturating_mul(percent)
        };
        Self {
            desired,
            floor: percent("minimumHealthyPercent", 100).div_ceil(100),
            ceiling: percent("maximumPercent", 200).checked_div(100).unwrap_or_default(),
        }
    }
}

/// What was seen at worst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extremes {
    pub(super) fewest_healthy: u64,
    pub(super) most_active: u64,
}

/// A rollout that is watched.
pub(super) struct Rollout {
    events: BoxStream<'static, Result<Event<Pod>, watcher::Error>>,
    pods: BTreeMap<String, Pod>,
    /// What a watch that begins has told of so far.
    listed: BTreeMap<String, Pod>,
    /// The deployments that there were before.
    old: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    old_healthy: u64,
    new_healthy: u64,
    /// Running, or about to.
    active: u64,
    /// Pods, those on their way out included.
    pods: u64,
}

impl Counts {
    const fn healthy(self) -> u64 {
        self.old_healthy.saturating_add(self.new_healthy)
    }

    fn show(self, after: Duration) {
        let (seconds, healthy, Self { old_healthy, new_healthy, active, .. }) =
            (after.as_secs_f32(), self.healthy(), self);
        println!("{seconds:>8.1} s{healthy:>10}{old_healthy:>13}{new_healthy:>13}{active:>10}");
    }
}

impl Rollout {
    /// Watches from now on; what runs now is old.
    pub(super) async fn begin(client: Client) -> Result<Self, DemoError> {
        let pods: Api<Pod> = Api::default_namespaced(client);
        let events = watcher(pods, watcher::Config::default().labels(SERVICE)).boxed();
        let mut rollout = Self { events, pods: BTreeMap::new(), listed: BTreeMap::new(), old: BTreeSet::new() };
        // The first list has at least one task in it: the demo has waited for them.
        while rollout.pods.is_empty() {
            rollout.next().await?;
        }
        rollout.old = rollout.pods.values().filter_map(deployment).collect();
        Ok(rollout)
    }

    /// Shows the counts as they change until only new tasks are left.
    pub(super) async fn follow(&mut self, bounds: Bounds) -> Result<Extremes, DemoError> {
        let started = Instant::now();
        let mut counts = self.counts();
        let mut extremes = Extremes { fewest_healthy: counts.healthy(), most_active: counts.active };
        println!("\n     after   healthy   of the old   of the new   at once");
        counts.show(Duration::ZERO);
        let mut shown = counts;
        while started.elapsed() < LIMIT {
            if let Ok(changed) = timeout(PAUSE, self.next()).await {
                if changed? {
                    counts = self.counts();
                    extremes.fewest_healthy = extremes.fewest_healthy.min(counts.healthy());
                    extremes.most_active = extremes.most_active.max(counts.active);
                }
                continue;
            }
            if shown != counts {
                counts.show(started.elapsed());
                shown = counts;
            }
            if counts.new_healthy == bounds.desired && counts.pods == bounds.desired {
                return Ok(extremes);
            }
        }
        Err(DemoError::Slow(LIMIT))
    }

    /// Waits for an event; whether the pods are different after it.
    async fn next(&mut self) -> Result<bool, DemoError> {
        let event = self.events.try_next().await.map_err(|error| DemoError::Watch(error.into()))?;
        match event {
            Some(Event::Apply(pod)) => drop(self.pods.insert(pod.name_any(), pod)),
            Some(Event::Delete(pod)) => drop(self.pods.remove(&pod.name_any())),
            // A watch that begins anew tells of one pod after the other; until it is through, the pods known are the old ones.
            Some(Event::Init) => self.listed.clear(),
            Some(Event::InitApply(pod)) => drop(self.listed.insert(pod.name_any(), pod)),
            Some(Event::InitDone) => self.pods = std::mem::take(&mut self.listed),
            None => {}
        }
        Ok(self.listed.is_empty())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for pod in self.pods.values() {
            let leaving = pod.metadata.deletion_timestamp.is_some();
            let status = pod.status.as_ref();
            let ended = status
                .and_then(|status| status.phase.as_deref())
                .is_some_and(|phase| phase != "Pending" && phase != "Running");
            let ready = status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten())
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
            let is_old = deployment(pod).is_some_and(|deployment| self.old.contains(&deployment));
            let healthy = u64::from(ready && !leaving && !ended);
            counts.pods = counts.pods.saturating_add(1);
            counts.active = counts.active.saturating_add(u64::from(!leaving && !ended));
            let side = if is_old { &mut counts.old_healthy } else { &mut counts.new_healthy };
            *side = side.saturating_add(healthy);
        }
        counts
    }
}

fn deployment(pod: &Pod) -> Option<String> {
    pod.labels().get(DEPLOYMENT).cloned()
}
