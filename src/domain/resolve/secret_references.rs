//! What the containers of a task take from secret stores, files and registries, as the task definition names it.

use std::collections::BTreeSet;

use crate::api::{ContainerDefinition, TaskDefinitionSpec};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::PodName;
use crate::domain::resolve::value_from::{FileFrom, ValueFrom, ValueFromError};

/// The references of a task's containers, of those that have any. Nothing here is a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SecretReferences(pub Vec<ContainerReferences>);

/// The references of one container.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerReferences {
    /// The container.
    pub container: PodName,
    /// Its image.
    pub image: String,
    /// What it is pulled with.
    pub credentials: Option<ValueFrom>,
    /// Variables and where their values come from.
    pub secrets: Vec<(String, ValueFrom)>,
    /// Files of variables. Of two with one variable the first one's counts.
    pub environment_files: Vec<FileFrom>,
}

impl ContainerReferences {
    /// The member of the task definition that names a variable's value.
    pub fn secret_member(&self, variable: &str) -> String {
        format!("containerDefinitions[{}].secrets[{variable}].valueFrom", self.container.ecs)
    }

    /// The member that names the credentials.
    pub fn credentials_member(&self) -> String {
        format!("containerDefinitions[{}].repositoryCredentials.credentialsParameter", self.container.ecs)
    }

    /// The member that names the nth file.
    pub fn file_member(&self, n: usize) -> String {
        format!("containerDefinitions[{}].environmentFiles[{n}].value", self.container.ecs)
    }

    fn is_empty(&self) -> bool {
        self.credentials.is_none() && self.secrets.is_empty() && self.environment_files.is_empty()
    }
}

/// The references of a task definition.
pub fn resolve(spec: &TaskDefinitionSpec) -> Result<SecretReferences, Vec<Problem>> {
    let (mut references, mut problems) = (Vec::new(), Vec::new());
    for definition in &spec.container_definitions {
        let container = of_container(definition, &mut problems);
        references.extend(Some(container).filter(|container| !container.is_empty()));
    }
    if problems.is_empty() { Ok(SecretReferences(references)) } else { Err(problems) }
}

fn of_container(definition: &ContainerDefinition, problems: &mut Vec<Problem>) -> ContainerReferences {
    let mut references = ContainerReferences {
        container: PodName::new(&definition.name),
        image: definition.image.clone().unwrap_or_default(),
        credentials: None,
        secrets: Vec::new(),
        environment_files: Vec::new(),
    };
    let mut problem = |member: String, error: ValueFromError| problems.push(Problem::new(member, error.to_string()));
    if let Some(credentials) = &definition.repository_credentials {
        match ValueFrom::credentials(&credentials.credentials_parameter) {
            Ok(credentials) => references.credentials = Some(credentials),
            Err(error) => problem(references.credentials_member(), error),
        }
    }
    for secret in &definition.secrets {
        match secret.value_from.parse() {
            Ok(value) => references.secrets.push((secret.name.clone(), value)),
            Err(error) => problem(references.secret_member(&secret.name), error),
        }
    }
    for (n, file) in definition.environment_files.iter().enumerate() {
        match file.value.parse() {
            Ok(file) => references.environment_files.push(file),
            Err(error) => problem(references.file_member(n), error),
        }
    }
    references
}

/// "The secret name must be unique and not shared with any new or existing environment variables set on the container".
pub fn bad_names(container: &ContainerDefinition) -> Vec<Problem> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| matches!(c, ' '..='~') && c != '=');
    let no_name = "must be the name of a variable: printable ASCII without =";
    let mut problems = Vec::new();
    for (n, variable) in container.environment.iter().enumerate().filter(|(_, variable)| !is_name(&variable.name)) {
        let member = format!("containerDefinitions[{}].environment[{n}].name", container.name);
        problems.push(Problem::new(member, format!("{:?} {no_name}", variable.name)));
    }
    let mut names: BTreeSet<&str> = container.environment.iter().map(|variable| variable.name.as_str()).collect();
    for secret in &container.secrets {
        let member = format!("containerDefinitions[{}].secrets[{}].name", container.name, secret.name);
        if !is_name(&secret.name) {
            problems.push(Problem::new(member, no_name));
        } else if !names.insert(&secret.name) {
            let message = "the secret name must be unique and not shared with any environment variable of the container; remove one";
            problems.push(Problem::new(member, message));
        }
    }
    problems
}

/// "The file must use a .env file extension."
pub fn bad_files(container: &ContainerDefinition) -> Vec<Problem> {
    let files = container.environment_files.iter().enumerate();
    let has_extension = |name: &str| name.rsplit_once('.').is_some_and(|(_, extension)| extension == "env");
    let without = files.filter(|(_, file)| file.value.starts_with("arn:") && !has_extension(&file.value));
    let problem = |n: usize| {
        let member = format!("containerDefinitions[{}].environmentFiles[{n}].value", container.name);
        Problem::new(member, "the name of the file must end in .env; rename it")
    };
    without.map(|(n, _)| problem(n)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(container: &Value) -> TaskDefinitionSpec {
        let mut app = json!({"name": "app", "image": "i"});
        app.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        serde_json::from_value(json!({ "containerDefinitions": [app, {"name": "plain", "image": "i"}] })).unwrap()
    }

    #[test]
    fn only_containers_that_refer_to_something_are_there() {
        let with = |container: Value| resolve(&spec(&container)).unwrap().0.len();
        assert_eq!(with(json!({})), 0);
        assert_eq!(with(json!({"secrets": [{"name": "A", "valueFrom": "a"}]})), 1);
        assert_eq!(with(json!({"environmentFiles": [{"value": "k8s://configmap/a/b", "type": "s3"}]})), 1);
        assert_eq!(with(json!({"repositoryCredentials": {"credentialsParameter": "registry"}})), 1);
    }

    #[test]
    fn what_names_no_value_is_named_by_its_member() {
        let container = json!({
            "repositoryCredentials": {"credentialsParameter": "k8s://registry"},
            "secrets": [{"name": "A", "valueFrom": "arn:aws:iam"}, {"name": "B", "valueFrom": "b"}],
            "environmentFiles": [{"value": "k8s://configmap/a/b", "type": "s3"}, {"value": "b.env", "type": "s3"}],
        });
        let members: Vec<_> = resolve(&spec(&container)).unwrap_err().into_iter().map(|of| of.member).collect();
        assert_eq!(
            members,
            [
                "containerDefinitions[app].repositoryCredentials.credentialsParameter",
                "containerDefinitions[app].secrets[A].valueFrom",
                "containerDefinitions[app].environmentFiles[1].value",
            ]
        );
    }

    #[test]
    fn names_of_secrets_and_files_keep_the_rules_of_ecs() {
        let variable = |name: &str| json!({"name": name, "value": "1"});
        let secret = |name: &str| json!({"name": name, "valueFrom": "a"});
        let file = |value: &str| json!({"environmentFiles": [{"value": value, "type": "s3"}]});
        for (sentence, container, said) in [
            (
                "each has its own name",
                json!({"secrets": [secret("A"), secret("B")], "environment": [variable("C")]}),
                None,
            ),
            ("a name is not used twice", json!({"secrets": [secret("A"), secret("A")]}), Some("must be unique")),
            (
                "nor for a variable too",
                json!({"secrets": [secret("A")], "environment": [variable("A")]}),
                Some("not shared with any environment variable"),
            ),
            ("a name has no =", json!({"secrets": [secret("A=B")]}), Some("printable ASCII without =")),
            ("a name is not empty", json!({"secrets": [secret("")]}), Some("printable ASCII without =")),
            (
                "a variable has a name",
                json!({"environment": [variable("")]}),
                Some("environment[0].name: \"\" must be the"),
            ),
            ("which has no =", json!({"environment": [variable("C"), variable("A=B")]}), Some("environment[1].name")),
            ("and no letters but those of ASCII", json!({"environment": [variable("Ä")]}), Some("printable ASCII")),
            ("a variable may have an odd name", json!({"environment": [variable("a b-c.d/e")]}), None),
            ("a file ends in .env", file("arn:aws:s3:::bucket/app.env"), None),
            ("a file ends in .env", file("arn:aws:s3:::bucket/app.txt"), Some("must end in .env")),
            ("a key may have any name", file("k8s://configmap/web/app"), None),
        ] {
            let container = &spec(&container).container_definitions[0];
            let problems = Problem::join(&[bad_names(container), bad_files(container)].concat());
            assert_eq!(problems.is_empty(), said.is_none(), "{sentence}: {problems}");
            assert!(problems.contains(said.unwrap_or_default()), "{sentence}: {problems}");
        }
    }
}
