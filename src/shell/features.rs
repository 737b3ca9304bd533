//! Asks the API server once what it can express: a feature that is off makes it drop fields in silence.
//!
//! A pod is created that asks for one feature and is not kept (`dryRun`); what comes back says whether the field is still there.

use std::time::Duration;

use futures::future::join3;
use k8s_openapi::api::core::v1::{
    Container, ContainerRestartRule, ContainerRestartRuleOnExitCodes, Pod, PodSpec, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{Api, ObjectMeta};
use kube::{Client, Error};

use crate::domain::resolve::features::Features;
use crate::shell::cache::Scope;
use crate::shell::writer;

/// How long to wait for an API server that does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What can be expressed in the namespaces looked after. Where the API server gives no clear answer, its version decides.
pub async fn probe(client: &Client, scope: Option<&Scope>) -> Features {
    let namespace = match scope {
        Some(Scope::Namespace(namespace)) => namespace.as_str(),
        Some(Scope::All) | None => "default",
    };
    let version = version(client).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let supports = async |asks: fn(&mut PodSpec), has: fn(&PodSpec) -> bool| {
        let mut spec =
            PodSpec { containers: vec![container()], restart_policy: Some("Never".to_owned()), ..PodSpec::default() };
        asks(&mut spec);
        let metadata = ObjectMeta { generate_name: Some("longshore-features-".to_owned()), ..ObjectMeta::default() };
        let pod = Pod { metadata, spec: Some(spec), status: None };
        match writer::try_create(&pods, &pod).await {
            Ok(pod) => Some(pod.spec.as_ref().is_some_and(has)),
            Err(Error::Api(status)) if status.code == 422 => Some(false),
            Err(error) => {
                tracing::debug!(%error, namespace, "the API server does not say whether it has a feature");
                None
            }
        }
    };
    let (pod_level_resources, restart_rules, hostname_override) = join3(
        supports(ask_for_resources, |spec| spec.resources.is_some()),
        supports(ask_for_restart_rules, |spec| {
            spec.containers.iter().any(|container| container.restart_policy_rules.is_some())
        }),
        supports(
            |spec| spec.hostname_override = Some("a.longshore".to_owned()),
            |spec| spec.hostname_override.is_some(),
        ),
    )
    .await;
    let by_version = Features::of_version(version);
    let features = Features {
        pod_level_resources: pod_level_resources.unwrap_or(by_version.pod_level_resources),
        restart_rules: restart_rules.unwrap_or(by_version.restart_rules),
        hostname_override: hostname_override.unwrap_or(by_version.hostname_override),
    };
    tracing::info!(?features, "what the API server can express");
    features
}

/// The minor version of the API server; waits until it answers.
async fn version(client: &Client) -> u32 {
    loop {
        match client.apiserver_version().await {
            // Some servers put a `+` behind it.
            Ok(version) => return version.minor.trim_end_matches('+').parse().unwrap_or(0),
            Err(error) => {
                tracing::warn!(%error, "the API server does not answer; it is asked again");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }
}

fn container() -> Container {
    Container { name: "probe".to_owned(), image: Some("probe".to_owned()), ..Container::default() }
}

fn ask_for_resources(spec: &mut PodSpec) {
    let cpu = [("cpu".to_owned(), Quantity("1".to_owned()))];
    spec.resources = Some(ResourceRequirements { limits: Some(cpu.into()), ..ResourceRequirements::default() });
}

fn ask_for_restart_rules(spec: &mut PodSpec) {
    let other_than_0 = ContainerRestartRuleOnExitCodes { operator: "NotIn".to_owned(), values: Some(vec![0]) };
    for container in &mut spec.containers {
        container.restart_policy = Some("Never".to_owned());
        container.restart_policy_rules =
            Some(vec![ContainerRestartRule { action: "Restart".to_owned(), exit_codes: Some(other_than_0.clone()) }]);
    }
}
