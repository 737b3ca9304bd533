//! One file a kind: what it looks at, and how its plan is carried out.

pub mod capacity_provider;
pub mod cluster;
pub mod run;
mod secrets;
pub mod service;
pub mod task_definition;

use std::time::Duration;

use kube::{Api, ResourceExt};

use crate::api::TaskDefinitionRevision;
use crate::api::names::RevisionName;
use crate::shell::Context;

/// How long a look at an object may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// Of two objects with one name in ECS, the older one has it.
fn is_older(one: &impl ResourceExt, other: &impl ResourceExt) -> bool {
    let age = |created: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| created.map(|time| time.0);
    let (one_age, other_age) = (age(one.creation_timestamp()), age(other.creation_timestamp()));
    one.uid() != other.uid() && (one_age, one.name_any()) < (other_age, other.name_any())
}

/// Whether a revision that the watch does not show is there, as far as can be found out.
async fn may_be_there(context: &Context, namespace: Option<String>, revision: &RevisionName) -> bool {
    let revisions: Api<TaskDefinitionRevision> =
        Api::namespaced(context.client.clone(), &namespace.unwrap_or_default());
    let name = revision.object_name();
    match tokio::time::timeout(LOOK_LIMIT, revisions.get_metadata_opt(&name)).await {
        Ok(Ok(found)) => found.is_some(),
        Ok(Err(error)) => {
            tracing::warn!(%revision, %error, "a revision that status names could not be looked at");
            true
        }
        Err(_) => {
            tracing::warn!(%revision, "a look at a revision that status names got no answer");
            true
        }
    }
}
