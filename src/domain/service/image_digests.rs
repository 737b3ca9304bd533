//! Version consistency: what an image tag meant when a deployment began is what all of its tasks run.
//!
//! "The first task started by the service scheduler during deployment is used to establish the image digests"; those started
//! before it has run have the tag. ECS's agent asks the registry. Here it is the pod that tells, once the kubelet has its images:
//! so an attempt is a task whose containers have all had an image, and it has failed if one that is to be pinned has no digest
//! in a registry. That is so of images that were loaded or built on a node.

use crate::api::{ContainerImage, Deployment};
use crate::domain::facts::TaskImages;
use crate::domain::resolve::task_definition::{Container, ResolvedTaskDefinition};

/// Whether there is nothing to find out any more.
pub(super) fn is_settled(deployment: &Deployment) -> bool {
    !deployment.container_images.is_empty() || has_failed(deployment)
}

/// Whether the deployment goes on with tags.
pub(super) fn has_failed(deployment: &Deployment) -> bool {
    deployment.unresolved_images.len() >= TaskImages::ATTEMPTS_MAX
}

/// Enters what the first tasks of a deployment tell: the digests, or one more attempt that has failed. Attempts are entered by
/// task, so that none counts twice.
pub(super) fn resolve(deployment: &mut Deployment, definition: &ResolvedTaskDefinition, images: &[TaskImages]) {
    if let Some(pinned) = images.iter().find_map(|images| pins(definition, images)) {
        deployment.container_images = pinned;
        return;
    }
    for task in images.iter().map(|images| images.task.to_string()) {
        if !has_failed(deployment) && !deployment.unresolved_images.contains(&task) {
            deployment.unresolved_images.push(task);
        }
    }
}

/// The images to pin a deployment to. None if a digest is missing.
fn pins(definition: &ResolvedTaskDefinition, images: &TaskImages) -> Option<Vec<ContainerImage>> {
    let tagged = |container: &&Container| {
        container.version_consistency && container.image.as_ref().is_some_and(|image| !image.contains('@'))
    };
    let pin = |container: &Container| {
        let image_digest = images.digests.get(&container.name.ecs)?.clone()?;
        Some(ContainerImage {
            container_name: container.name.ecs.clone(),
            image: container.image.clone()?,
            image_digest,
        })
    };
    definition.init.iter().chain(&definition.main).filter(tagged).map(pin).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::names::TaskId;
    use crate::domain::resolve::features::Features;
    use crate::domain::resolve::task_definition;

    fn definition() -> ResolvedTaskDefinition {
        let pinned = format!("example.com/pinned@sha256:{}", "0".repeat(64));
        let spec = json!({ "containerDefinitions": [
            { "name": "app", "image": "example.com/app:1" },
            { "name": "floating", "image": "example.com/sidecar:latest", "versionConsistency": "disabled" },
            { "name": "pinned", "image": pinned },
        ]});
        task_definition::resolve(&serde_json::from_value(spec).unwrap(), Features::ALL).unwrap()
    }

    fn images(task: &str, undigested: &str) -> TaskImages {
        let digest = |name: &str| (name.to_owned(), (name != undigested).then(|| format!("sha256:{name}")));
        TaskImages { task: TaskId::of_pod(task), digests: ["app", "floating", "pinned"].map(digest).into() }
    }

    #[test]
    fn tags_are_resolved_to_digests_unless_version_consistency_is_disabled() {
        for undigested in ["", "floating", "pinned"] {
            let pins = pins(&definition(), &images("web-1", undigested)).unwrap();
            let found: Vec<_> = pins.iter().map(|image| (image.image.as_str(), image.image_digest.as_str())).collect();
            assert_eq!(found, [("example.com/app:1", "sha256:app")]);
        }
        assert_eq!(pins(&definition(), &images("web-1", "app")), None);
    }
}
