//! What tasks take from secret stores, files and private registries.
//!
//! ```text
//! task_secrets      what a task definition names, found through the cluster's mappings and stores
//! derived           the objects that are made for it, and what they are called
//! content           what a derived Secret holds: the one place that looks at values
//! registry          image -> key of a .dockerconfigjson
//! environment_file  the lines of an environment file
//! json_member       a member of a JSON document as text
//! plan              what is missing, what to make and what to give up
//! ```
//!
//! No value of a secret gets into a pod, a status, an event, a log or an error: pods name keys, and what is remembered of an object
//! is its version, its keys, and whether something can be made of it.

pub mod content;
pub mod derived;
mod environment_file;
mod json_member;
pub mod plan;
pub mod registry;
pub mod task_secrets;
