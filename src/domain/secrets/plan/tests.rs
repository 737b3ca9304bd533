//! What is waited for, made and given up.

use serde_json::{Value, json};

use super::*;
use crate::domain::resolve::features::Features;
use crate::domain::resolve::task_definition;
use crate::domain::secrets::task_secrets::find;

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";

/// What was observed of a service.
#[derive(Default)]
struct Scene {
    uses: Uses,
    in_use: BTreeSet<RevisionName>,
    given_up: BTreeSet<RevisionName>,
    sources: BTreeMap<Source, SourceFact>,
    derived: BTreeMap<DerivedName, DerivedFact>,
    recorded: Vec<DerivedRecord>,
}

impl Scene {
    /// A revision is what the service is to run, with one container.
    fn with(mut self, revision: &str, container: &Value, cluster: Value) -> Self {
        let mut app = json!({ "name": "app", "image": "ghcr.io/shop/app" });
        app.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        let spec = serde_json::from_value(json!({ "containerDefinitions": [app] })).unwrap();
        let references = task_definition::resolve(&spec, Features::ALL).unwrap().secrets;
        let found = find(&references, Some(&serde_json::from_value(cluster).unwrap()));
        self.uses.insert(revision.parse().unwrap(), found.map(Arc::new));
        self
    }

    /// An object is there, and everything can be made of it.
    fn there(mut self, kind: &str, name: &str, keys: &[&str]) -> Self {
        let makes = self.made().filter_map(|derived| match derived {
            Derived::Secret(secret) => Some((secret.name(), Ok(Vec::new()))),
            Derived::External(_) => None,
        });
        let object = SourceObject {
            version: "uid/1".to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            binary_keys: BTreeSet::new(),
            type_: (kind == "Secret").then(|| "Opaque".to_owned()),
            makes: makes.collect(),
        };
        self.sources.insert(source(kind, name), SourceFact::Present(object));
        self
    }

    fn change(mut self, name: &str, change: fn(&mut SourceObject)) -> Self {
        let of_name = self.sources.iter_mut().find(|(source, _)| source.name == name);
        let Some((_, SourceFact::Present(object))) = of_name else { panic!("{name}") };
        change(object);
        self
    }

    /// All that is made for the tasks.
    fn made(&self) -> impl Iterator<Item = &Derived> {
        self.uses.values().filter_map(|uses| uses.as_ref().ok()).flat_map(|secrets| &secrets.derived)
    }

    /// What is made is as far as this.
    fn derived(mut self, fact: DerivedFact) -> Self {
        let names: Vec<_> = self.made().map(Derived::name).collect();
        self.derived.extend(names.into_iter().map(|name| (name, fact)));
        self
    }

    fn plan(&self) -> SecretPlan {
        let Self { uses, in_use, given_up, sources, derived, recorded } = self;
        plan(&Observed { uses, in_use, given_up, sources, derived, recorded })
    }

    /// What a revision waits for.
    fn waits(&self) -> Option<String> {
        self.plan().tasks.into_values().find_map(Result::err).map(|summary| match summary {
            Summary::Reconciling(reason, message) => format!("Reconciling {}: {message}", reason.as_str()),
            Summary::Stalled(reason, message) => format!("Stalled {}: {message}", reason.as_str()),
            Summary::Ready(..) => panic!("what is waited for is not ready"),
        })
    }
}

fn source(kind: &str, name: &str) -> Source {
    let kind = serde_json::from_value(json!(kind)).unwrap();
    Source { kind, name: name.to_owned() }
}

fn secret(value_from: &str) -> Value {
    json!({ "secrets": [{ "name": "A", "valueFrom": value_from }] })
}

fn credentials(parameter: &str) -> Value {
    json!({ "repositoryCredentials": { "credentialsParameter": parameter } })
}

fn store() -> Value {
    json!({ "secretStores": [{ "service": "SecretsManager", "storeRef": { "name": "aws" } }] })
}

fn in_binary_data(map: &mut SourceObject) {
    map.binary_keys.clone_from(&map.keys);
}

const CURRENT: DerivedFact = DerivedFact::Present { owned: true, current: true };

#[test]
fn a_task_starts_once_all_that_it_takes_is_there() {
    let web = |container: &Value| Scene::default().with("web:1", container, json!({}));
    let pull = || web(&credentials("k8s://secret/db"));
    let document = || web(&secret("k8s://secret/db/all#user"));
    for (sentence, scene, said) in [
        (
            "a Secret may come later",
            web(&secret("k8s://secret/db/user")),
            Some("Reconciling SecretNotFound: waiting for Secret db, which web:1 takes from; create it"),
        ),
        (
            "so may a ConfigMap",
            web(&secret("k8s://configmap/db/user")),
            Some("Reconciling SecretNotFound: waiting for ConfigMap db, which web:1 takes from; create it"),
        ),
        (
            "so may a key",
            web(&secret("k8s://secret/db/user")).there("Secret", "db", &["other"]),
            Some(
                "Reconciling SecretNotFound: waiting for Secret db to have the key user, which web:1 takes from it; add it",
            ),
        ),
        (
            "with its key it is there",
            web(&secret("k8s://secret/db/user")).there("Secret", "db", &["user", "other"]),
            None,
        ),
        (
            "no kubelet finds a key in binaryData",
            web(&secret("k8s://configmap/db/user")).there("ConfigMap", "db", &["user"]).change("db", in_binary_data),
            Some("Reconciling SecretNotFound: waiting for ConfigMap db to have the key user in data"),
        ),
        (
            "of which a document is read and made a Secret",
            web(&secret("k8s://configmap/db/all#user")).there("ConfigMap", "db", &["all"]).change("db", in_binary_data),
            None,
        ),
        (
            "a ConfigMap is no Secret",
            web(&secret("k8s://configmap/db/user")).there("Secret", "db", &["user"]),
            Some("Reconciling SecretNotFound: waiting for ConfigMap db"),
        ),
        (
            "images are pulled with a Secret of a type of its own",
            pull().there("Secret", "db", &[".dockerconfigjson"]),
            Some("Stalled SecretInvalid: web:1 pulls images with Secret db, which is of type \"Opaque\""),
        ),
        (
            "of which there are two",
            pull()
                .there("Secret", "db", &[".dockercfg"])
                .change("db", |db| db.type_ = Some(OLD_PULL_SECRET.to_owned())),
            None,
        ),
        ("what can be made is made first", document().there("Secret", "db", &["all"]), None),
        (
            "what cannot be made says why",
            document().there("Secret", "db", &["all"]).change("db", |db| {
                db.makes.values_mut().for_each(|made| *made = Err(ContentError::NotAnObject));
            }),
            Some("Stalled SecretInvalid: web:1: what is stored in Secret db, key all is not a JSON object"),
        ),
        (
            "what the cluster does not know is named",
            web(&secret(ARN)),
            Some(
                "Reconciling SecretNotMapped: web:1: spec.containerDefinitions[app].secrets[A].valueFrom: waiting for the Cluster",
            ),
        ),
        (
            "the External Secrets Operator takes its time",
            Scene::default().with("web:1", &secret(ARN), store()).derived(CURRENT),
            Some(
                "Reconciling SecretNotFound: waiting for the External Secrets Operator to fetch arn:aws:secretsmanager",
            ),
        ),
        (
            "or is not there at all",
            Scene::default().with("web:1", &secret(ARN), store()).derived(DerivedFact::NoKind),
            Some("Reconciling SecretNotFound: waiting for arn:aws:secretsmanager"),
        ),
    ] {
        let found = scene.waits();
        assert_eq!(found.is_some(), said.is_some(), "{sentence}: {found:?}");
        let maps = found.as_ref().is_some_and(|found| found.contains("SecretNotMapped"));
        assert_eq!(
            scene.plan().awaited.is_empty(),
            said.is_none() || maps,
            "{sentence}: what is waited for is looked at"
        );
        assert!(found.as_deref().unwrap_or_default().starts_with(said.unwrap_or_default()), "{sentence}: {found:?}");
    }
    let mut unreadable = web(&secret("k8s://secret/db/user"));
    unreadable.sources.insert(source("Secret", "db"), SourceFact::Unreadable("forbidden".to_owned()));
    let message = "Reconciling SecretNotReadable: web:1 takes from Secret db, which cannot be read: forbidden";
    assert_eq!(unreadable.waits().as_deref(), Some(message));
}

#[test]
fn what_is_missing_of_one_revision_does_not_stop_another() {
    let scene = Scene::default()
        .with("web:1", &secret("k8s://secret/old/user"), json!({}))
        .with("web:2", &secret("k8s://secret/new/user"), json!({}))
        .there("Secret", "old", &["user"]);
    let plan = scene.plan();
    let waits = |revision: &str| plan.waiting(&revision.parse().unwrap()).is_some();
    assert_eq!((waits("web:1"), waits("web:2")), (false, true));
}

#[test]
fn an_object_is_made_until_it_is_what_it_should_be() {
    let scene = |fact: Option<DerivedFact>| {
        let scene = Scene::default().with("web:1", &credentials("k8s://secret/db/all"), json!({})).there(
            "Secret",
            "db",
            &["all"],
        );
        fact.into_iter().fold(scene, Scene::derived)
    };
    for (sentence, fact, makes) in [
        ("nothing is known of it", None, 1),
        ("it is not there", Some(DerivedFact::Absent), 1),
        ("it is another service's alone", Some(DerivedFact::Present { owned: false, current: true }), 1),
        ("its source has changed", Some(DerivedFact::Present { owned: true, current: false }), 1),
        ("it is what it should be", Some(CURRENT), 0),
        ("it is deleted, and not gone yet", Some(DerivedFact::Leaving), 0),
    ] {
        assert_eq!(scene(fact).plan().make.len(), makes, "{sentence}");
    }
    let mut given_up = scene(None);
    given_up.given_up.insert("web:1".parse().unwrap());
    assert_eq!((given_up.plan().make.len(), given_up.plan().tasks.len()), (0, 0), "nor for what has failed");
    let mut made = given_up.derived(DerivedFact::Present { owned: true, current: false });
    let DerivedName { kind, name } = made.made().next().unwrap().name();
    made.recorded.push(DerivedRecord { kind, name, task_definitions: vec!["web:1".to_owned()] });
    assert_eq!(made.plan().give_up.len(), 1, "and what was made for it goes, rather than hold values that are no more");
    let invalid =
        scene(None).change("db", |db| db.makes.values_mut().for_each(|made| *made = Err(ContentError::NotCredentials)));
    assert_eq!(invalid.plan().make.len(), 0, "nothing is made of what is invalid");
    let missing = Scene::default().with("web:1", &credentials("k8s://secret/db/all"), json!({}));
    assert_eq!(missing.plan().make.len(), 0, "nor of what is missing");
    let unknown = Scene::default().with("web:1", &secret(ARN), store());
    assert_eq!(unknown.plan().make.len(), 1, "an ExternalSecret has no source to wait for");
    assert_eq!(unknown.derived(DerivedFact::NoKind).plan().make.len(), 0, "unless there is no such kind");
}

#[test]
fn status_tells_of_what_is_made_before_it_is_and_until_it_is_gone() {
    let uses = || {
        Scene::default().with("web:2", &credentials("k8s://secret/db/all"), json!({})).there("Secret", "db", &["all"])
    };
    let made = uses().made().next().unwrap().name();
    let old = DerivedName { kind: DerivedSecretKind::Secret, name: "old".to_owned() };
    let record = |name: &DerivedName, of: &[&str]| DerivedRecord {
        kind: name.kind,
        name: name.name.clone(),
        task_definitions: of.iter().map(|of| (*of).to_owned()).collect(),
    };
    let scene = |recorded: Vec<DerivedRecord>, in_use: &[&str], fact: Option<DerivedFact>| {
        let mut scene = uses();
        scene.recorded = recorded;
        scene.in_use = in_use.iter().map(|of| of.parse().unwrap()).collect();
        scene.derived.extend(fact.map(|fact| (old.clone(), fact)));
        scene.plan()
    };
    let there = || Some(DerivedFact::Present { owned: true, current: false });
    for (sentence, recorded, in_use, fact, expected, gives_up) in [
        ("before it is made", vec![], &[][..], None, vec![record(&made, &["web:2"])], 0),
        (
            "as long as a revision that uses it runs",
            vec![record(&old, &["web:1"])],
            &["web:1"],
            there(),
            vec![record(&made, &["web:2"]), record(&old, &["web:1"])],
            0,
        ),
        (
            "until it is given up",
            vec![record(&old, &["web:1"])],
            &["web:2"],
            there(),
            vec![record(&made, &["web:2"]), record(&old, &[])],
            1,
        ),
        (
            "whether or not it can be looked at",
            vec![record(&old, &["web:1"])],
            &["web:2"],
            None,
            vec![record(&made, &["web:2"]), record(&old, &[])],
            1,
        ),
        (
            "and not after that",
            vec![record(&old, &[])],
            &["web:2"],
            Some(DerivedFact::Absent),
            vec![record(&made, &["web:2"])],
            0,
        ),
        (
            "nor as long as somebody's finalizer holds what is deleted",
            vec![record(&old, &[])],
            &["web:2"],
            Some(DerivedFact::Leaving),
            vec![record(&made, &["web:2"])],
            0,
        ),
        (
            "nor where others keep it",
            vec![record(&old, &[])],
            &["web:2"],
            Some(DerivedFact::Present { owned: false, current: false }),
            vec![record(&made, &["web:2"])],
            0,
        ),
        (
            "of two revisions it tells both",
            vec![record(&made, &["web:1"])],
            &["web:1", "web:2"],
            None,
            vec![record(&made, &["web:1", "web:2"])],
            0,
        ),
    ] {
        let plan = scene(recorded, in_use, fact);
        assert_eq!((plan.record, plan.give_up.len()), (expected, gives_up), "{sentence}");
    }
}

#[test]
fn a_change_of_what_is_taken_from_changes_what_is_deployed_where_that_is_wanted() {
    let content = |scene: &Scene, deploy_on_change: bool| {
        let spec = serde_json::from_value(json!({ "taskDefinition": "web:1", "desiredCount": 1 })).unwrap();
        let references = crate::domain::resolve::service::References {
            cluster: true,
            latest: None,
            pinned: Some(true),
            running: None,
            unobserved: None,
        };
        let mut service = crate::domain::resolve::service::resolve(&spec, &BTreeMap::new(), &references);
        scene.plan().enter(&mut service, deploy_on_change);
        service.target.unwrap().content
    };
    let before =
        || Scene::default().with("web:1", &secret("k8s://secret/db/user"), json!({})).there("Secret", "db", &["user"]);
    let rotated = before().change("db", |db| db.version = "uid/2".to_owned());
    assert_eq!(content(&before(), false), content(&rotated, false), "on ECS it changes nothing");
    assert_ne!(content(&before(), true), content(&rotated, true));
    assert_eq!(content(&before(), true), content(&before(), true));
    let plain = Scene::default().with("web:1", &json!({}), json!({}));
    assert_eq!(content(&plain, true), content(&plain, false), "who takes nothing has nothing to follow");
}

#[test]
fn lines_that_no_secret_can_hold_are_named() {
    let file = json!({ "environmentFiles": [{ "value": "k8s://secret/db/a.env", "type": "s3" }] });
    let scene = Scene::default().with("web:1", &file, json!({})).there("Secret", "db", &["a.env"]);
    assert!(scene.plan().left_out.is_empty());
    let odd = scene.change("db", |db| db.makes.values_mut().for_each(|made| *made = Ok(vec![3, 7])));
    let left_out = odd.plan().left_out.into_values().flatten().collect::<Vec<_>>();
    assert_eq!(left_out, ["line 3, 7 of Secret db, key a.env (a name has letters, digits and -._ only)"]);
}
