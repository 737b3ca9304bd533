//! The chart's settings.

use std::process::Command;

use longshore_test_cluster::{Program, Programs};
use serde_json::{Value, json};

use crate::rendered::{by_helm, one};
use crate::{path, succeed};

fn settings(name: &str) -> String {
    path(&format!("charts/longshore/ci/{name}-values.yaml")).display().to_string()
}

fn definitions(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").collect()
}

#[tokio::test]
async fn lint_has_nothing_to_say() {
    let helm = Programs::ready().await.unwrap().path(Program::Helm);
    let lint = || {
        let mut command = Command::new(&helm);
        command.args(["lint", "--strict"]).arg(path("charts/longshore"));
        command
    };
    succeed(&mut lint());
    for name in ["everything", "namespaces"] {
        succeed(lint().arg("--values").arg(settings(name)));
    }
}

#[tokio::test]
async fn a_setting_that_does_not_exist_is_refused() {
    let helm = Programs::ready().await.unwrap().path(Program::Helm);
    for setting in [
        "watchNamespace=team-a",
        "image.sha=1",
        "replicas=two",
        "log.format=xml",
        "watchNamespaces={Team_A}",
        "adminAddress=:80",
    ] {
        let mut command = Command::new(&helm);
        let output = command.args(["template", "--set", setting]).arg(path("charts/longshore")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("schema"), "{setting}: {said}");
    }
}

#[tokio::test]
async fn definitions_outlive_the_release_unless_given_up() {
    let annotations = |objects: &[Value]| {
        let each = definitions(objects).into_iter().map(|object| object["metadata"]["annotations"].clone());
        each.collect::<Vec<_>>()
    };
    let kept = json!({
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "ServerSideApply=true,Prune=false",
    });
    assert_eq!(annotations(&by_helm(&[]).await), vec![kept; 5]);
    let given_up = json!({ "argocd.argoproj.io/sync-options": "ServerSideApply=true" });
    assert_eq!(annotations(&by_helm(&["--set", "crds.keep=false"]).await), vec![given_up; 5]);
}

#[tokio::test]
async fn definitions_can_be_left_out() {
    assert!(definitions(&by_helm(&["--set", "crds.install=false"]).await).is_empty());
}

#[tokio::test]
async fn watch_namespaces_reach_the_operator() {
    let objects = by_helm(&["--set", "watchNamespaces={team-a,team-b}"]).await;
    let container = &one(&objects, "Deployment", "longshore")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["args"],
        json!(["run", "--leader-elect", "--lease-name=longshore", "--namespaces=team-a,team-b"])
    );
}

#[tokio::test]
async fn every_other_setting_reaches_its_place() {
    let objects = by_helm(&["--values", &settings("everything")]).await;
    let deployment = one(&objects, "Deployment", "longshore-harbour");
    let template = &deployment["spec"]["template"];
    let (pod, container) = (&template["spec"], &template["spec"]["containers"][0]);

    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(template["metadata"]["annotations"], json!({ "example.com/scrape": "false" }));
    assert_eq!(template["metadata"]["labels"]["example.com/team"], "harbour");
    assert_eq!(pod["serviceAccountName"], "harbour-master");
    assert_eq!(
        one(&objects, "ServiceAccount", "harbour-master")["metadata"]["annotations"],
        json!({ "example.com/team": "harbour" })
    );
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "registry" }]));
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_eq!(pod["nodeSelector"], json!({ "kubernetes.io/os": "linux" }));
    assert_eq!(pod["tolerations"][0]["key"], "node-role.kubernetes.io/control-plane");
    assert!(pod["affinity"]["nodeAffinity"].is_object());
    assert_eq!((&pod["hostNetwork"], &pod["dnsPolicy"]), (&json!(true), &json!("ClusterFirstWithHostNet")));

    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(container["image"], format!("registry.example.com/longshore@{digest}"));
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["ports"][0]["containerPort"], 18080);
    let environment = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        variables.iter().find(|variable| variable["name"] == name).unwrap()["value"].as_str().unwrap()
    };
    assert_eq!(environment("LONGSHORE_ADMIN_ADDRESS"), "[::]:18080");
    assert_eq!(environment("LONGSHORE_LOG_FORMAT"), "text");
    assert_eq!(environment("LONGSHORE_LOG_FILTER"), "info,longshore=debug");
    assert_eq!(environment("RUST_BACKTRACE"), "1");

    let policy = one(&objects, "NetworkPolicy", "longshore-harbour");
    assert_eq!(policy["spec"]["podSelector"], deployment["spec"]["selector"]);
}
