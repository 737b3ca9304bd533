//! Where images come from, as far as a pod cannot do what ECS does.

use crate::api::ContainerDefinition;
use crate::domain::resolve::image::ImageName;
use crate::domain::resolve::secret_references::{ContainerReferences, SecretReferences};
use crate::domain::resolve::task_definition::deviation::{DeviationCode, Verdict};
use crate::domain::resolve::task_definition::member;

/// ECS registers any name, and its agent fails to pull the image.
pub(super) fn note_name(container: &ContainerDefinition, verdict: &mut Verdict) {
    let place = member(&container.name, "image");
    let Some(image) = container.image.as_ref().filter(|image| !image.is_empty()) else {
        verdict.note(DeviationCode::ImageMissing, place);
        return;
    };
    if let Some(fault) = ImageName::from(image.as_str()).fault() {
        verdict.note_with(DeviationCode::ImageNameInvalid, place, format!("{image:?} {fault}"));
    }
}

/// On ECS credentials are of a container, in Kubernetes of the pod: two for one repository cannot be told apart.
pub(super) fn note_credentials(references: &SecretReferences, verdict: &mut Verdict) {
    let repository = |container: &ContainerReferences| {
        let name = ImageName::from(container.image.as_str());
        (name.registry().to_owned(), name.repository())
    };
    for (n, container) in references.0.iter().enumerate().filter(|(_, container)| container.credentials.is_some()) {
        let is_other = |earlier: &&ContainerReferences| {
            earlier.credentials.is_some()
                && earlier.credentials != container.credentials
                && repository(earlier) == repository(container)
        };
        if let Some(other) = references.0.iter().take(n).find(is_other) {
            verdict.note_with(DeviationCode::CredentialsMixed, container.credentials_member(), &other.container.ecs);
        }
    }
}
