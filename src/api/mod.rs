//! The custom resources of `ecs.longshore.dev/v1alpha1`: types only, no client, no decisions.

pub mod conditions;
pub mod labels;
pub mod names;
