//! One file a kind: what it looks at, and how its plan is carried out.

pub mod capacity_provider;
pub mod cluster;
pub mod run;
mod secrets;
pub mod service;
pub mod task_definition;

use kube::ResourceExt;

/// Of two objects with one name in ECS, the older one has it.
fn is_older(one: &impl ResourceExt, other: &impl ResourceExt) -> bool {
    let age = |created: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| created.map(|time| time.0);
    let (one_age, other_age) = (age(one.creation_timestamp()), age(other.creation_timestamp()));
    one.uid() != other.uid() && (one_age, one.name_any()) < (other_age, other.name_any())
}
