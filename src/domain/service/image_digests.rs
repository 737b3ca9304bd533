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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::resolve::features::Features;
    use crate::domain::resolve::task_definition;

    #[test]
    fn tags_are_resolved_to_digests_unless_version_consistency_is_disabled() {
        let pinned = format!("example.com/pinned@sha256:{}", "0".repeat(64));
        let spec = json!({ "containerDefinitions": [
            { "name": "app", "image": "example.com/app:1" },
            { "name": "floating", "image": "example.com/sidecar:latest", "versionConsistency": "disabled" },
            { "name": "pinned", "image": pinned },
            { "name": "unknown", "image": "example.com/unknown:1" },
        ]});
        let definition = task_definition::resolve(&serde_json::from_value(spec).unwrap(), Features::ALL).unwrap();
        let digests = ["app", "floating", "pinned"].map(|name| (name.to_owned(), format!("sha256:{name}")));
        let images = resolve(&definition, &digests.into());
        let found: Vec<_> = images.iter().map(|image| (image.image.as_str(), image.image_digest.as_str())).collect();
        assert_eq!(found, [("example.com/app:1", "sha256:app")]);
    }
}
