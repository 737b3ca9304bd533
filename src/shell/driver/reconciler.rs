//! What a kind of object brings along, for the driver to reconcile it.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::names::Uid;
use crate::domain::Plan;
use crate::shell::Context;
use crate::shell::writer::WriteError;

/// What a controller adds to the driver.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Object: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What is observed besides the object itself.
    type Observed: Send + Sync;
    /// A write.
    type Action: Send + Sync;
    /// The status.
    type Status: Clone + Debug + Default + PartialEq + Serialize + Send + Sync + 'static;

    /// The field manager of the status.
    const FIELD_MANAGER: &'static str;
    /// The finalizer that holds an object while its plan says so.
    const FINALIZER: Option<&'static str>;
    /// How long two writes of one object's status are apart, at the least. A rollout changes the counts with every task, and
    /// must not cost a write for each.
    const STATUS_INTERVAL: Duration;

    /// How long before `after` may replace `before`, where that depends on what has changed.
    fn status_interval(before: &Self::Status, after: &Self::Status) -> Duration {
        let _ = (before, after);
        Self::STATUS_INTERVAL
    }
    /// The API of the kind, in a namespace where it has one.
    fn api(context: &Context, namespace: Option<&str>) -> Api<Self::Object>;
    /// The status in the object.
    fn status(object: &Self::Object) -> Option<&Self::Status>;
    /// The conditions in a status.
    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition>;
    /// Reads the caches.
    fn observe(context: &Context, object: &Self::Object) -> impl Future<Output = Self::Observed> + Send;
    /// Decides. Pure.
    fn plan(
        object: &Self::Object,
        status: &Self::Status,
        seen: &Self::Observed,
        now: Timestamp,
    ) -> Plan<Self::Action, Self::Status>;
    /// Whether status has to say so before anything is done about it: the write fails if what was decided was decided from an
    /// older state of the object than there is.
    fn is_told_first(before: &Self::Status, after: &Self::Status) -> bool {
        let _ = (before, after);
        false
    }
    /// Acts.
    fn perform(
        context: &Context,
        object: &Self::Object,
        seen: &Self::Observed,
        actions: Vec<Self::Action>,
    ) -> impl Future<Output = Result<Performed, WriteError>> + Send;
    /// Status now says what the plan said it should.
    fn told(
        context: &Context,
        object: &Self::Object,
        seen: &Self::Observed,
        before: &Self::Status,
        after: &Self::Status,
    ) -> impl Future<Output = ()> + Send {
        let _ = (context, object, seen, before, after);
        std::future::ready(())
    }
    /// How soon to look again although nothing has happened: something that should happen may have been missed.
    fn look_again(context: &Context, uid: &Uid) -> Option<Duration> {
        let _ = (context, uid);
        None
    }
    /// The object is gone.
    fn gone(context: &Context, uid: &Uid) {
        let _ = (context, uid);
    }
}

/// How much of what was planned has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performed {
    /// All of it.
    All,
    /// As much as one pass does. The next one is to go on at once.
    Part,
}
