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

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;

    /// What an API server makes of a pod: the pod as it would be stored, or the code of a refusal.
    type Admits = fn(Value) -> Result<Value, u16>;

    /// An API server of Kubernetes 1.`minor`, which lets nobody do more than try in the namespace `shop`.
    fn server(minor: &'static str, admits: Admits) -> Client {
        let serve = service_fn(move |request: Request<Body>| async move {
            let asked = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect_bytes().await?;
            let answer = match asked.trim_end_matches(['?', '&']) {
                "GET /version" => Ok(json!({
                    "major": "1", "minor": minor, "gitVersion": "", "gitCommit": "", "gitTreeState": "", "buildDate": "",
                    "goVersion": "", "compiler": "", "platform": "",
                })),
                "POST /api/v1/namespaces/shop/pods?&dryRun=All" => admits(serde_json::from_slice(&body).unwrap()),
                _ => panic!("{asked}"),
            };
            let (code, answer) = match answer {
                Ok(answer) => (200, answer),
                Err(code) => (code, json!({ "status": "Failure", "message": "", "reason": "", "code": code })),
            };
            Response::builder()
                .status(code)
                .body(Body::from(answer.to_string().into_bytes()))
                .map_err(kube::Error::HttpError)
        });
        Client::new(serve, "default")
    }

    async fn probed(minor: &'static str, admits: Admits) -> Features {
        probe(&server(minor, admits), Some(&Scope::Namespace("shop".to_owned()))).await
    }

    /// Whether a pod asks for a feature, and a pod without what it asks for.
    fn without(mut pod: Value, pointer: &str, member: &str) -> (bool, Value) {
        let members = pod.pointer_mut(pointer).and_then(Value::as_object_mut);
        (members.is_some_and(|members| members.remove(member).is_some()), pod)
    }

    const RESOURCES: (&str, &str) = ("/spec", "resources");
    const RESTART_RULES: (&str, &str) = ("/spec/containers/0", "restartPolicyRules");
    const HOSTNAME: (&str, &str) = ("/spec", "hostnameOverride");

    fn drops(pod: Value, (pointer, member): (&str, &str)) -> Value {
        without(pod, pointer, member).1
    }

    fn refuses(pod: Value, (pointer, member): (&str, &str)) -> Result<Value, u16> {
        if without(pod.clone(), pointer, member).0 { Err(422) } else { Ok(pod) }
    }

    #[tokio::test]
    async fn a_feature_is_there_where_the_api_server_keeps_the_field_whatever_its_version() {
        let all = Features::ALL;
        let no_resources = Features { pod_level_resources: false, ..all };
        let no_restart_rules = Features { restart_rules: false, ..all };
        let no_hostname = Features { hostname_override: false, ..all };
        let rows: [(&str, Admits, Features); 7] = [
            ("a pod is kept as it is", Ok, all),
            ("a field of a feature that is off is dropped in silence", |pod| Ok(drops(pod, RESOURCES)), no_resources),
            ("so is the one of a container", |pod| Ok(drops(pod, RESTART_RULES)), no_restart_rules),
            ("and that of the hostname", |pod| Ok(drops(pod, HOSTNAME)), no_hostname),
            ("without the field the pod may break a rule", |pod| refuses(pod, RESOURCES), no_resources),
            ("so it does without its rules", |pod| refuses(pod, RESTART_RULES), no_restart_rules),
            ("or with another hostname", |pod| refuses(pod, HOSTNAME), no_hostname),
        ];
        for (sentence, admits, expected) in rows {
            for minor in ["33", "36"] {
                assert_eq!(probed(minor, admits).await, expected, "{sentence}, 1.{minor}");
            }
        }
    }

    #[tokio::test]
    async fn the_version_decides_where_the_api_server_gives_no_clear_answer() {
        let answers: [(&str, Admits); 2] = [("we may make no pods", |_| Err(403)), ("it is ill", |_| Err(500))];
        for (sentence, answer) in answers {
            for (minor, version) in [("33", 33), ("34", 34), ("35+", 35)] {
                assert_eq!(probed(minor, answer).await, Features::of_version(version), "{sentence}, 1.{minor}");
            }
        }
    }
}
