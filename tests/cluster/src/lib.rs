//! A real Kubernetes control plane on loopback.
//!
//! [`TestCluster::start`] runs etcd, kube-apiserver, kube-controller-manager and kube-scheduler
//! as they are released, and kwok in place of nodes and containers. Nothing is simulated but
//! what runs on a node: admission, RBAC, garbage collection, scheduling and disruption budgets
//! are those of production. [`TestCluster::start_node`] adds a node on which nothing is.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use longshore_test_cluster::{Behaviour, Nodes, Pods, TestCluster};
//!
//! let cluster = TestCluster::start().await?;
//! cluster.create_nodes(&Nodes::default()).await?;
//! let slow = Pods::image("example.com/slow:1");
//! cluster.behave(&slow, Behaviour::ReadyAfter(Duration::from_secs(2))).await?;
//! let operator = cluster.service_account("longshore-system", "longshore").await?;
//!
//! let mark = cluster.audit_mark().await?;
//! // … run the operator with `operator.kubeconfig`, act with `cluster.client()` …
//! let writes = cluster.audit_since(mark).await?;
//! let writes = writes.iter().filter(|record| record.is_mutating() && record.user == operator.user);
//! # Ok(())
//! # }
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "a test acts on its cluster as an administrator does, beside the product's writer"
)]

mod audit;
mod behaviour;
mod builder;
mod certificates;
mod cluster;
mod companion;
mod control_plane;
mod error;
mod folder;
mod go;
mod guarded;
mod kubeconfig;
mod node;
mod nodes;
mod pod_status;
mod program;
mod programs;
mod recorder;
mod service_account;
mod stage;
mod stages;
mod stamp;
mod wait;

pub use audit::{AuditMark, AuditRecord};
pub use behaviour::{BEHAVIOUR, Behaviour, Pods};
pub use builder::ClusterBuilder;
pub use cluster::TestCluster;
pub use companion::Companion;
pub use error::Error;
pub use go::GoError;
pub use node::{Credentials, Entered, Namespaces, Registry, TestNode};
pub use nodes::Nodes;
pub use program::Program;
pub use programs::{Programs, ProgramsError, cache_folder};
pub use recorder::{Change, Objects, PodRecorder, Recorded, Recorder};
pub use service_account::ServiceAccountAccess;
pub use stage::{Delay, Effect, Match, Stage, StageKind};
