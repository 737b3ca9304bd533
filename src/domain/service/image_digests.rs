//! Version consistency: what an image tag meant when a deployment began is what all of its tasks run.
//!
//! "Amazon ECS resolves container image tags to image digests when you deploy an update … the digests are used for all tasks of
//! the deployment." The first task that runs tells the digests; those started before it has run have the tag.

use std::collections::BTreeMap;

use crate::api::ContainerImage;
use crate::domain::resolve::task_definition::{Container, ResolvedTaskDefinition};

/// The images to pin a deployment to, given what its first task's containers run.
pub(super) fn resolve(definition: &ResolvedTaskDefinition, digests: &BTreeMap<String, String>) -> Vec<ContainerImage> {
    let image = |container: &Container| {
        let image = container.image.clone().filter(|image| container.version_consistency && !image.contains('@'))?;
        let image_digest = digests.get(&container.name.ecs)?.clone();
        Some(ContainerImage { container_name: container.name.ecs.clone(), image, image_digest })
    };
    definition.init.iter().chain(&definition.main).filter_map(image).collect()
}
