//! The stages installed in one cluster.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;
use crate::behaviour::{self, Behaviour, Pods};
use crate::stage::{Delay, Effect, Match, Stage, StageKind};

/// The label that says which selector of [`Pods`] a stage belongs to.
const SELECTOR: &str = "cluster.longshore.dev/selector";

/// The ConfigMap that shows which stages kwok has seen.
const PROBE: &str = "longshore-stage-probe";
const PROBE_NAMESPACE: &str = "kube-system";

/// How long kwok may take to see a stage.
const LIMIT: Duration = Duration::from_secs(30);

/// The stages installed in one cluster.
///
/// kwok reads stages by a watch, so a stage that was just written may not be in force yet.
/// After each change a probe stage gets a new number; kwok writes that number into the probe
/// ConfigMap once it works with a list of stages at least that new.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    probe: Mutex<u64>,
}

impl Stages {
    /// Installs what every cluster starts with; `manifests` are kwok's own.
    pub(crate) async fn install_base(&self, client: &Client, manifests: &[Value]) -> Result<(), Error> {
        for manifest in manifests {
            apply(client, manifest).await?;
        }
        for stage in behaviour::base() {
            apply(client, &stage.manifest()).await?;
        }
        let probe: Api<ConfigMap> = Api::namespaced(client.clone(), PROBE_NAMESPACE);
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": PROBE },
        });
        probe
            .patch(PROBE, &parameters(), &Patch::Apply(object))
            .await
            .map_err(Error::request("create the probe of stages"))?;
        apply(client, &probe_stage(0)).await
    }

    /// Installs a stage; returns once it is in force.
    pub(crate) async fn install(&self, client: &Client, stage: &Stage) -> Result<(), Error> {
        apply(client, &stage.manifest()).await?;
        self.in_force(client).await
    }

    /// Gives `pods` a behaviour in place of the one they have; returns once it is in force.
    pub(crate) async fn behave(&self, client: &Client, pods: &Pods, behaviour: Option<Behaviour>) -> Result<(), Error> {
        let stages = behaviour.map_or_else(Vec::new, |behaviour| behaviour.stages(pods));
        for stage in &stages {
            let mut manifest = stage.manifest();
            if let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("labels".to_owned(), json!({ SELECTOR: pods.id() }));
            }
            apply(client, &manifest).await?;
        }
        let api = api(client);
        let installed = api
            .list(&ListParams::default().labels(&format!("{SELECTOR}={}", pods.id())))
            .await
            .map_err(Error::request("list the stages of a behaviour"))?;
        for old in installed.items.iter().map(ResourceExt::name_any) {
            if stages.iter().all(|stage| stage.name != old) {
                remove(&api, &old).await?;
            }
        }
        self.in_force(client).await
    }

    /// Removes a stage; returns once it is out of force.
    pub(crate) async fn remove(&self, client: &Client, name: &str) -> Result<(), Error> {
        remove(&api(client), name).await?;
        self.in_force(client).await
    }

    /// Returns once kwok works with the stages as they are now.
    pub(crate) async fn in_force(&self, client: &Client) -> Result<(), Error> {
        let mut number = self.probe.lock().await;
        let started = Instant::now();
        let probe: Api<ConfigMap> = Api::namespaced(client.clone(), PROBE_NAMESPACE);
        while started.elapsed() < LIMIT {
            // kwok may miss a change until the next one: it caches its stages by resource
            // version and can take the version note before the object. Hence a new number.
            *number = number.saturating_add(1);
            apply(client, &probe_stage(*number)).await?;
            for tick in 0..20 {
                // kwok looks at an object only when the object changes.
                let touch = json!({ "metadata": { "annotations": {
                    "cluster.longshore.dev/tick": format!("{number}.{tick}"),
                }}});
                probe
                    .patch(PROBE, &PatchParams::default(), &Patch::Merge(touch))
                    .await
                    .map_err(Error::request("touch the probe of stages"))?;
                tokio::time::sleep(Duration::from_millis(25)).await;
                let seen = probe
                    .get(PROBE)
                    .await
                    .map_err(Error::request("read the probe of stages"))?
                    .data
                    .and_then(|data| data.get("installed").cloned());
                if seen.as_deref() == Some(number.to_string().as_str()) {
                    return Ok(());
                }
            }
        }
        Err(Error::TimedOut { what: "kwok's reading of the installed stages".to_owned(), limit: LIMIT })
    }
}

fn probe_stage(number: u64) -> Value {
    let installed = number.to_string();
    Stage {
        name: PROBE.to_owned(),
        kind: StageKind::ConfigMap,
        matches: vec![
            Match::In(".metadata.name".to_owned(), vec![PROBE.to_owned()]),
            Match::NotIn(".data.installed".to_owned(), vec![installed.clone()]),
        ],
        weight: 0,
        delay: Delay::For(Duration::ZERO),
        effects: vec![Effect::Data(format!("installed: \"{installed}\"\n"))],
    }
    .manifest()
}

fn parameters() -> PatchParams {
    PatchParams::apply("longshore-test-cluster").force()
}

fn api(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("kwok.x-k8s.io", "v1alpha1", "Stage");
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

async fn apply(client: &Client, manifest: &Value) -> Result<(), Error> {
    let name = manifest.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    api(client)
        .patch(name, &parameters(), &Patch::Apply(manifest))
        .await
        .map(drop)
        .map_err(Error::request(format!("install the stage {name}")))
}

async fn remove(api: &Api<DynamicObject>, name: &str) -> Result<(), Error> {
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(Error::request(format!("remove the stage {name}"))),
    }
}
