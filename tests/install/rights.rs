//! Who is given which rights: the operator what it uses, people what is theirs, and nobody more.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::NAMESPACE;
use crate::rendered::{by_helm, by_kustomize, one};

/// API group, resource and verbs.
type Rule = (&'static str, &'static str, &'static str);

const OURS: &str = "ecs.longshore.dev";

/// What the operator may do in each namespace that it looks after.
const IN_NAMESPACES: &[Rule] = &[
    (OURS, "clusters", "get list watch patch"),
    (OURS, "clusters/status", "patch"),
    (OURS, "services", "get list watch patch"),
    (OURS, "services/finalizers", "update"),
    (OURS, "services/status", "patch"),
    (OURS, "taskdefinitionrevisions", "get list watch create delete"),
    (OURS, "taskdefinitionrevisions/status", "patch"),
    (OURS, "taskdefinitions", "get list watch patch"),
    (OURS, "taskdefinitions/status", "patch"),
    ("", "pods", "get list watch create delete"),
    ("", "pods/eviction", "create"),
    // Named gets alone: who may list or watch Secrets may read them all.
    ("", "secrets", "get create patch delete"),
    ("", "configmaps", "get"),
    ("external-secrets.io", "externalsecrets", "get create patch delete"),
    ("events.k8s.io", "events", "create patch"),
];

/// What it may do beyond them.
const BEYOND_NAMESPACES: &[Rule] = &[
    (OURS, "capacityproviders", "get list watch"),
    (OURS, "capacityproviders/status", "patch"),
    ("", "nodes", "list watch"),
];

/// What it may do in its own namespace.
const IN_ITS_OWN: &[Rule] =
    &[("coordination.k8s.io", "leases", "create"), ("coordination.k8s.io", "leases named longshore", "get update")];

/// What people who may view a namespace may do there.
const VIEW: &[Rule] = &[
    (OURS, "clusters", "get list watch"),
    (OURS, "services", "get list watch"),
    (OURS, "services/scale", "get"),
    (OURS, "taskdefinitionrevisions", "get list watch"),
    (OURS, "taskdefinitions", "get list watch"),
];

/// What people who may edit a namespace may do there.
const EDIT: &[Rule] = &[
    (OURS, "clusters", "get list watch create update patch delete deletecollection"),
    (OURS, "services", "get list watch create update patch delete deletecollection"),
    (OURS, "services/scale", "get update patch"),
    (OURS, "taskdefinitionrevisions", "get list watch update patch delete"),
    (OURS, "taskdefinitions", "get list watch create update patch delete deletecollection"),
];

/// One right: where (everywhere if empty), on what, and to do what.
type Right = (String, String, String, String);

fn rights(place: &str, rules: &[Rule]) -> BTreeSet<Right> {
    let each = rules.iter().flat_map(|(group, resource, verbs)| {
        let right = move |verb: &str| (place.to_owned(), (*group).to_owned(), (*resource).to_owned(), verb.to_owned());
        verbs.split(' ').map(right)
    });
    each.collect()
}

fn strings(array: &Value) -> Vec<String> {
    array.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// What a Role or ClusterRole gives where it is bound.
fn given(place: &str, role: &Value) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let members: Vec<_> = rule.as_object().unwrap().keys().filter(|member| *member != "resourceNames").collect();
        assert_eq!(members, ["apiGroups", "resources", "verbs"], "{rule}");
        let names = rule.get("resourceNames").map(|names| format!(" named {}", strings(names).join(", ")));
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                let resource = resource + names.as_deref().unwrap_or_default();
                for verb in strings(&rule["verbs"]) {
                    rights.insert((place.to_owned(), group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    rights
}

/// What all bindings together give the operator's service account.
fn of_the_operator(objects: &[Value]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for binding in objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Binding")) {
        let operator = json!([{ "kind": "ServiceAccount", "name": "longshore", "namespace": NAMESPACE }]);
        assert_eq!(binding["subjects"], operator);
        let place = binding["metadata"]["namespace"].as_str().unwrap_or_default();
        let (kind, name) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
        let is_meant = |object: &&Value| {
            object["kind"] == *kind
                && object["metadata"]["name"] == *name
                && (kind == "ClusterRole" || object["metadata"]["namespace"] == place)
        };
        rights.extend(given(place, objects.iter().find(is_meant).unwrap()));
    }
    rights
}

fn everywhere() -> BTreeSet<Right> {
    &rights("", IN_NAMESPACES) | &beyond_namespaces()
}

fn beyond_namespaces() -> BTreeSet<Right> {
    &rights("", BEYOND_NAMESPACES) | &rights(NAMESPACE, IN_ITS_OWN)
}

#[tokio::test]
async fn with_kustomize_the_operator_has_its_rights_in_every_namespace() {
    assert_eq!(of_the_operator(&by_kustomize().await), everywhere());
}

#[tokio::test]
async fn with_helm_the_operator_has_its_rights_in_every_namespace() {
    assert_eq!(of_the_operator(&by_helm(&[]).await), everywhere());
}

#[tokio::test]
async fn with_watch_namespaces_the_operator_has_its_rights_in_these_alone() {
    let objects = by_helm(&["--set", "watchNamespaces={team-a,team-b}"]).await;
    let namespaces = &rights("team-a", IN_NAMESPACES) | &rights("team-b", IN_NAMESPACES);
    assert_eq!(of_the_operator(&objects), &namespaces | &beyond_namespaces());
}

#[tokio::test]
async fn people_have_our_kinds_by_the_roles_that_kubernetes_gives_them() {
    for objects in [by_kustomize().await, by_helm(&[]).await] {
        let (view, edit) =
            (one(&objects, "ClusterRole", "longshore-view"), one(&objects, "ClusterRole", "longshore-edit"));
        assert_eq!(given("", view), rights("", VIEW));
        assert_eq!(given("", edit), rights("", EDIT));
        let goes_to = |role: &Value, to: &str| {
            role["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{to}")] == "true"
        };
        let all = |role: &Value| ["view", "edit", "admin"].map(|to| goes_to(role, to));
        assert_eq!(all(view), [true, true, true]);
        assert_eq!(all(edit), [false, true, true]);
    }
}

#[tokio::test]
async fn nobody_is_given_everything_of_something_nor_all_secrets_nor_rights_over_rights() {
    let namespaces = by_helm(&["--set", "watchNamespaces={team-a}"]).await;
    let mut roles = 0_usize;
    for objects in [by_kustomize().await, by_helm(&[]).await, namespaces] {
        for role in objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Role")) {
            roles = roles.saturating_add(1);
            for (_, group, resource, verb) in given("", role) {
                assert!(![&group, &resource, &verb].iter().any(|name| name.contains('*')), "{role}");
                assert!(!["pods/exec", "customresourcedefinitions"].contains(&&*resource), "{role}");
                // Of Secrets the operator reads those that it is told the names of; people have their rights from elsewhere.
                let is_named_read =
                    role["metadata"]["name"] == "longshore" && !matches!(&*verb, "list" | "watch" | "update");
                assert!(!["secrets", "configmaps"].contains(&&*resource) || is_named_read, "{role}");
                assert!(!["escalate", "bind", "impersonate"].contains(&&*verb), "{role}");
            }
        }
    }
    assert_eq!(roles, 15);
}

#[tokio::test]
async fn a_release_leads_by_a_lease_of_its_own_name() {
    let objects = by_helm(&["--set", "fullnameOverride=harbour"]).await;
    let lease = ("coordination.k8s.io", "leases named harbour", "get update");
    let create = ("coordination.k8s.io", "leases", "create");
    assert_eq!(given("", one(&objects, "Role", "harbour-leader-election")), rights("", &[create, lease]));
    let container = &one(&objects, "Deployment", "harbour")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["run", "--leader-elect", "--lease-name=harbour"]));
}

#[tokio::test]
async fn without_rbac_the_chart_gives_no_rights() {
    let objects = by_helm(&["--set", "rbac.create=false"]).await;
    assert!(!objects.iter().any(|object| object["apiVersion"] == "rbac.authorization.k8s.io/v1"));
}
