//! Secrets and ConfigMaps that tasks take from, and what is made of them.
//!
//! RBAC cannot give a watch of some Secrets: whoever may list or watch them may read all. So there is no watch. Each object that a
//! task definition names is read by its name; what is remembered of it is its version, its keys and what can be made of it, and no
//! value outlives the look at it. In steady state a look reads the metadata alone.

mod index;
mod make;
mod read;

pub use index::{Pace, SecretIndex};
pub use make::Maker;
