//! What a task definition names, found through the mappings and stores of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{ClusterKubernetes, SecretMapping, SecretMappingKind, SecretStore, SecretStoreService};
use crate::domain::resolve::Problem;
use crate::domain::resolve::secret_references::SecretReferences;
use crate::domain::resolve::value_from::{
    FileFrom, KubernetesValue, Parameter, Place, SecretsManagerValue, Source, ValueFrom, Version, is_key,
};
use crate::domain::secrets::derived::{Derived, DerivedSecret, ExternalSecret, Form, secret_key};
use crate::domain::secrets::registry;

/// What the tasks of one revision take from objects of their namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskSecrets {
    /// The Secrets with which images are pulled.
    pub pull_secrets: BTreeSet<String>,
    /// Variables and files, by the container's name in the pod.
    pub containers: BTreeMap<String, ContainerSecrets>,
    /// What has to be made first.
    pub derived: BTreeSet<Derived>,
    /// What has to be there, derived Secrets excepted.
    pub sources: BTreeMap<Source, Needed>,
}

/// What one container takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSecrets {
    /// Variables.
    pub variables: Vec<(String, KeyOf)>,
    /// Secrets of which every key is a variable. Of two with one variable the first one's counts.
    pub files: Vec<String>,
}

/// A key of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyOf {
    /// The object.
    pub source: Source,
    /// The key.
    pub key: String,
}

/// What is needed of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needed {
    /// Its keys.
    pub keys: BTreeSet<String>,
    /// Those of them that pods name, and kubelets look for.
    pub in_pods: BTreeSet<String>,
    /// Whether images are pulled with it as it is.
    pub as_pull_secret: bool,
}

/// Where a value was found.
#[derive(Debug, Clone)]
enum Found {
    /// Under a key.
    Key(KeyOf),
    /// In the JSON document under a key.
    Member(KeyOf, String),
    /// In a store of the External Secrets Operator.
    External(Request, Option<String>),
}

/// What one `ExternalSecret` asks for, but for its members.
type Request = ExternalSecret;

/// The members that a task definition takes of each document and each external secret. Only once all are known has either a name.
#[derive(Default)]
struct Members {
    documents: BTreeMap<KeyOf, BTreeSet<String>>,
    requests: BTreeMap<Request, BTreeSet<Option<String>>>,
}

/// Finds what a task definition names. A problem is something that the cluster does not say where to find.
pub fn find(references: &SecretReferences, cluster: Option<&ClusterKubernetes>) -> Result<TaskSecrets, Vec<Problem>> {
    let nothing = ClusterKubernetes::default();
    let places = Places(cluster.unwrap_or(&nothing));
    let (mut secrets, mut problems, mut members) = (TaskSecrets::default(), Vec::new(), Members::default());
    let mut variables: Vec<(&str, &str, Found)> = Vec::new();
    let mut pulls: Vec<(&str, Found)> = Vec::new();
    for container in &references.0 {
        let mut note = |member: String, found: Result<Found, String>| match found {
            Ok(found) => {
                members.add(&found);
                Some(found)
            }
            Err(message) => {
                problems.push(Problem { member, message });
                None
            }
        };
        for (name, value) in &container.secrets {
            let found = note(container.secret_member(name), places.value(value));
            variables.extend(found.map(|found| (container.container.pod.as_str(), name.as_str(), found)));
        }
        match container.credentials.as_ref().map(|value| (value, places.pull_secret(value))) {
            Some((_, Some(source))) => {
                secrets.pull_secrets.insert(source.name.clone());
                secrets.sources.entry(source).or_default().as_pull_secret = true;
            }
            Some((value, None)) => {
                let found = note(container.credentials_member(), places.value(value));
                pulls.extend(found.map(|found| (container.image.as_str(), found)));
            }
            None => {}
        }
        for (n, file) in container.environment_files.iter().enumerate() {
            match places.file(file) {
                Ok(file) => secrets.add_file(&container.container.pod, file),
                Err(message) => problems.push(Problem { member: container.file_member(n), message }),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    for (container, name, found) in variables {
        let key = secrets.place(&members, found);
        if let Some(needed) = secrets.sources.get_mut(&key.source) {
            needed.in_pods.insert(key.key.clone());
        }
        secrets.containers.entry(container.to_owned()).or_default().variables.push((name.to_owned(), key));
    }
    let pulls = pulls.into_iter().map(|(image, found)| (image, secrets.place(&members, found))).collect();
    for (KeyOf { source, key }, keys) in registry::keys(pulls) {
        let secret = DerivedSecret { source, key, form: Form::Registry(keys) };
        secrets.pull_secrets.insert(secret.name());
        secrets.derived.insert(Derived::Secret(secret));
    }
    Ok(secrets)
}

impl Members {
    fn add(&mut self, found: &Found) {
        match found {
            Found::Key(_) => {}
            Found::Member(document, member) => {
                self.documents.entry(document.clone()).or_default().insert(member.clone());
            }
            Found::External(request, member) => {
                self.requests.entry(request.clone()).or_default().insert(member.clone());
            }
        }
    }
}

impl TaskSecrets {
    /// Whether there is nothing to look after.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.derived.is_empty()
    }

    fn need(&mut self, key: &KeyOf) {
        self.sources.entry(key.source.clone()).or_default().keys.insert(key.key.clone());
    }

    fn add_file(&mut self, container: &str, file: KeyOf) {
        self.need(&file);
        let secret = DerivedSecret { source: file.source, key: file.key, form: Form::EnvironmentFile };
        self.containers.entry(container.to_owned()).or_default().files.push(secret.name());
        self.derived.insert(Derived::Secret(secret));
    }

    /// Where a pod, or what is made for it, finds a value.
    fn place(&mut self, members: &Members, found: Found) -> KeyOf {
        match found {
            Found::Key(key) => {
                self.need(&key);
                key
            }
            Found::Member(document, member) => {
                self.need(&document);
                let all = members.documents.get(&document).cloned().unwrap_or_default();
                let secret = DerivedSecret { source: document.source, key: document.key, form: Form::JsonMembers(all) };
                let source = Source { kind: SecretMappingKind::Secret, name: secret.name() };
                self.derived.insert(Derived::Secret(secret));
                KeyOf { source, key: secret_key(&member) }
            }
            Found::External(request, member) => {
                let all = members.requests.get(&request).cloned().unwrap_or_default();
                let external = ExternalSecret { members: all, ..request };
                let key = KeyOf { source: external.target(), key: ExternalSecret::key(member.as_deref()) };
                self.derived.insert(Derived::External(external));
                self.need(&key);
                key
            }
        }
    }
}

/// The mappings and stores of a cluster.
struct Places<'a>(&'a ClusterKubernetes);

impl Places<'_> {
    fn value(&self, value: &ValueFrom) -> Result<Found, String> {
        match value {
            ValueFrom::Kubernetes(KubernetesValue { source, key, json_key }) => {
                let key = KeyOf { source: source.clone(), key: key.clone().unwrap_or_default() };
                Ok(match json_key {
                    None => Found::Key(key),
                    Some(member) => Found::Member(key, member.clone()),
                })
            }
            ValueFrom::SecretsManager(secret) => {
                let of_the_member =
                    self.mapping(|from| secret.json_key.is_some() && from.parse().as_ref() == Ok(value));
                match (of_the_member, self.mapping_of(secret)) {
                    (Some(mapping), _) => in_mapping(mapping, None),
                    (None, Some(mapping)) => in_mapping(mapping, secret.json_key.as_deref()),
                    (None, None) => self.secret_in_store(secret, value),
                }
            }
            ValueFrom::Parameter(parameter) => match self.mapping(|from| from == parameter.text) {
                Some(mapping) => in_mapping(mapping, None),
                None => self.parameter_in_store(parameter, value),
            },
        }
    }

    /// The Secret that images are pulled with as it is.
    fn pull_secret(&self, value: &ValueFrom) -> Option<Source> {
        match value {
            ValueFrom::Kubernetes(value) => value.key.is_none().then(|| value.source.clone()),
            ValueFrom::SecretsManager(secret) => self.mapping_of(secret).and_then(as_pull_secret),
            ValueFrom::Parameter(parameter) => self.mapping(|from| from == parameter.text).and_then(as_pull_secret),
        }
    }

    fn file(&self, file: &FileFrom) -> Result<KeyOf, String> {
        match file {
            FileFrom::Kubernetes { source, key } => Ok(KeyOf { source: source.clone(), key: key.clone() }),
            FileFrom::S3(arn) => match self.mapping(|from| from == arn) {
                Some(SecretMapping { from: _, kind, name, key: Some(key) }) => {
                    Ok(KeyOf { source: Source { kind: *kind, name: name.clone() }, key: key.clone() })
                }
                Some(mapping) => Err(needs_a_key(mapping)),
                None => Err(format!(
                    "waiting for the Cluster to say where {arn} is: put the file into a ConfigMap or Secret and add it to \
                     spec.kubernetes.secretMappings"
                )),
            },
        }
    }

    fn mapping(&self, is_meant: impl Fn(&str) -> bool) -> Option<&SecretMapping> {
        self.0.secret_mappings.iter().find(|mapping| is_meant(&mapping.from))
    }

    /// A mapping stands for one version of a secret, by default for AWSCURRENT.
    fn mapping_of(&self, wanted: &SecretsManagerValue) -> Option<&SecretMapping> {
        self.mapping(|from| match ValueFrom::credentials(from) {
            Ok(ValueFrom::SecretsManager(SecretsManagerValue { secret, place: _, json_key: None, version })) => {
                secret == wanted.secret && version == wanted.version
            }
            Ok(_) | Err(_) => false,
        })
    }

    fn secret_in_store(&self, secret: &SecretsManagerValue, value: &ValueFrom) -> Result<Found, String> {
        let version = match &secret.version {
            Version::Current => None,
            Version::Stage(stage) => Some(stage.clone()),
            Version::Id(id) => Some(format!("uuid/{id}")),
        };
        let store = self.store(SecretStoreService::SecretsManager, secret.place.as_ref(), value)?;
        Ok(Found::External(request(store, &secret.secret, version), secret.json_key.clone()))
    }

    fn parameter_in_store(&self, parameter: &Parameter, value: &ValueFrom) -> Result<Found, String> {
        let store = self.store(SecretStoreService::ParameterStore, parameter.place.as_ref(), value)?;
        Ok(Found::External(request(store, &parameter.name, None), None))
    }

    /// The store that is for a place; of several the one that says most of what it is for, and of equals the first.
    fn store(
        &self,
        service: SecretStoreService,
        place: Option<&Place>,
        value: &ValueFrom,
    ) -> Result<&SecretStore, String> {
        let stores = self.0.secret_stores.iter().filter(|store| store.service == service);
        let Some(place) = place else { return at_home(&stores.collect::<Vec<_>>(), value) };
        let says = |store: &SecretStore| [&store.region, &store.account].into_iter().flatten().count();
        let fitting = stores.filter(|store| {
            store.region.as_ref().is_none_or(|region| *region == place.region)
                && store.account.as_ref().is_none_or(|account| *account == place.account)
        });
        // Of equal ones `max_by_key` takes the last.
        fitting.rev().max_by_key(|store| says(store)).ok_or_else(|| unmapped(value))
    }
}

/// The store for what has a name and no ARN: it "exists in the same AWS Region as the task", and so in that of the store which need
/// not say one. Where each says one, only a single one leaves no doubt.
fn at_home<'a>(stores: &[&'a SecretStore], value: &ValueFrom) -> Result<&'a SecretStore, String> {
    let says_nothing = |store: &&&SecretStore| store.region.is_none() && store.account.is_none();
    match (stores.iter().find(says_nothing), stores) {
        (Some(store), _) | (None, [store]) => Ok(store),
        (None, []) => Err(unmapped(value)),
        (None, [_, _, ..]) => Err(format!(
            "waiting for the Cluster to say in which Region {value} is: each of the stores of its service in \
             spec.kubernetes.secretStores is for one; add a store without region and account, or name the value by its ARN"
        )),
    }
}

fn as_pull_secret(mapping: &SecretMapping) -> Option<Source> {
    let is_meant = mapping.kind == SecretMappingKind::Secret && mapping.key.is_none();
    is_meant.then(|| source_of(mapping))
}

fn source_of(mapping: &SecretMapping) -> Source {
    Source { kind: mapping.kind, name: mapping.name.clone() }
}

fn in_mapping(mapping: &SecretMapping, json_key: Option<&str>) -> Result<Found, String> {
    let key = |key: &str| KeyOf { source: source_of(mapping), key: key.to_owned() };
    match (mapping.key.as_deref(), json_key) {
        (Some(whole), None) => Ok(Found::Key(key(whole))),
        (Some(document), Some(member)) => Ok(Found::Member(key(document), member.to_owned())),
        (None, Some(member)) if is_key(member) => Ok(Found::Key(key(member))),
        (None, _) => Err(needs_a_key(mapping)),
    }
}

fn request(store: &SecretStore, remote_key: &str, version: Option<String>) -> Request {
    ExternalSecret {
        store: store.store_ref.clone(),
        refresh_interval: store.refresh_interval.clone(),
        remote_key: remote_key.to_owned(),
        version,
        members: BTreeSet::new(),
    }
}

fn unmapped(value: &ValueFrom) -> String {
    format!(
        "waiting for the Cluster to say where {value} is: add it to spec.kubernetes.secretMappings, or a store of its service and \
         Region to spec.kubernetes.secretStores"
    )
}

fn needs_a_key(mapping: &SecretMapping) -> String {
    let SecretMapping { from, kind: _, name, key: _ } = mapping;
    format!(
        "the Cluster's spec.kubernetes.secretMappings finds {from} in {name}, without saying where the value is; add its key"
    )
}

#[cfg(test)]
mod tests;
