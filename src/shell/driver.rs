//! One pass over an object, the same for all kinds: observe, plan, act, write status.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::conditions::{Conditions, Reason, Summary};
use crate::api::names::Uid;
use crate::domain::Plan;
use crate::shell::Context;
use crate::shell::writer::{self, WriteError};
use crate::shell::written::Written;

/// First and longest wait after a pass that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));
/// The same where something else had written first: the answer to that is another look.
const CONFLICT_BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// How long a pass may take; one that hangs must not be the last one for its object.
const TIME_LIMIT: Duration = Duration::from_mins(2);

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
    ) -> impl Future<Output = Result<(), WriteError>> + Send;
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

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The pass hung.
    #[error("the pass took longer than {} seconds", TIME_LIMIT.as_secs())]
    TimedOut,
    /// A bug.
    #[error("the pass panicked: {0}")]
    Panicked(String),
}

/// Drives the passes over the objects of one kind.
pub struct Driver<R: Reconciler> {
    context: Context,
    written: Written<R::Status>,
    objects: Mutex<HashMap<(Option<String>, String), Passes>>,
}

/// What a pass is about.
struct Pass<'a, R: Reconciler> {
    api: &'a Api<R::Object>,
    object: &'a R::Object,
    uid: &'a Uid,
    seen: &'a R::Observed,
}

/// What is remembered of an object between passes.
#[derive(Debug, Clone)]
struct Passes {
    uid: Uid,
    /// How many passes have failed in a row.
    failures: u32,
    /// What its status has been told about an object that cannot be read.
    unreadable: Option<String>,
}

impl Passes {
    fn of(object: &impl ResourceExt) -> Self {
        Self { uid: Uid(object.uid().unwrap_or_default()), failures: 0, unreadable: None }
    }
}

impl<R: Reconciler> Driver<R> {
    /// A driver.
    pub fn new(context: Context) -> Self {
        Self { context, written: Written::default(), objects: Mutex::default() }
    }

    /// One pass, guarded: neither an object that cannot be read nor a bug hurts another object.
    pub async fn reconcile(
        object: Arc<DeserializeGuard<R::Object>>,
        driver: Arc<Self>,
    ) -> Result<Action, ReconcileError> {
        driver.context.caches.ready.wait().await;
        let pass = async {
            match &object.0 {
                Ok(object) => driver.pass(object).await,
                Err(invalid) => driver.report_unreadable(&object, &invalid.error).await,
            }
        };
        let guarded = tokio::time::timeout(TIME_LIMIT, AssertUnwindSafe(pass).catch_unwind());
        let outcome = match guarded.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(ReconcileError::Panicked(panic_message(panic.as_ref()))),
            Err(_) => Err(ReconcileError::TimedOut),
        };
        driver.count(&object, outcome.is_ok());
        outcome
    }

    /// How long to wait after a failure: longer each time, for this object only.
    #[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
    pub fn after_failure(
        object: Arc<DeserializeGuard<R::Object>>,
        error: &ReconcileError,
        driver: Arc<Self>,
    ) -> Action {
        let (name, namespace) = (object.name_any(), object.namespace());
        let conflict = matches!(error, ReconcileError::Write(error) if error.is_conflict() || error.is_not_found());
        let failures = driver.lock().get(&(namespace.clone(), name.clone())).map_or(0, |passes| passes.failures);
        if conflict {
            tracing::debug!(name, namespace, %error, "something else was faster; deciding anew");
        } else {
            let kind = R::Object::kind(&());
            tracing::warn!(%kind, name, namespace, %error, failures, "the pass failed and will be tried again");
        }
        let (first, longest) = if conflict { CONFLICT_BACKOFF } else { BACKOFF };
        Action::requeue(first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest))
    }

    /// An object that the watch says is gone.
    pub fn forget(&self, name: &str, namespace: Option<&str>) {
        let passes = self.lock().remove(&(namespace.map(str::to_owned), name.to_owned()));
        if let Some(passes) = passes {
            self.written.forget(&passes.uid);
            R::gone(&self.context, &passes.uid);
        }
    }

    async fn pass(&self, object: &R::Object) -> Result<Action, ReconcileError> {
        let now = self.context.clock.now();
        let uid = Uid(object.uid().unwrap_or_default());
        let cached = R::status(object);
        let (status, version) = self.written.newest(&uid, &object.resource_version().unwrap_or_default(), cached);
        let before = status.clone().unwrap_or_default();
        let seen = R::observe(&self.context, object).await;
        let plan = R::plan(object, &before, &seen, now);
        let api = R::api(&self.context, object.namespace().as_deref());

        match finalizers::<R>(object, plan.hold) {
            None => {}
            // The version changes with this write: the pass that its event brings goes on from there.
            Some(finalizers) => {
                writer::set_finalizers(&api, &object.name_any(), &version, &finalizers).await?;
                return Ok(Action::await_change());
            }
        }
        if object.meta().deletion_timestamp.is_some() && !plan.hold {
            return Ok(Action::await_change());
        }

        let pass = Pass { api: &api, object, uid: &uid, seen: &seen };
        let (mut before, mut version) = (before, version);
        // To those who wait for it (kstatus), an object without status looks finished.
        if status.is_none() || R::is_told_first(&before, &plan.status) {
            version = self.write_status(&pass, &version, &before, &plan.status).await?;
            before = plan.status.clone();
        }
        let acted = R::perform(&self.context, object, &seen, plan.actions).await;
        let mut after = plan.status;
        if let Err(error) = &acted
            && !error.is_conflict()
        {
            report_refusal::<R>(&mut after, &before, object.meta().generation, error, now);
        }
        let mut wakes = vec![plan.wake_at.map(|at| until(now, at)), R::look_again(&self.context, &uid)];
        let wait = self.written.wait(&uid, R::status_interval(&before, &after));
        if after == before {
            R::told(&self.context, object, &seen, &before, &after).await;
        } else if wait.is_zero() {
            self.write_status(&pass, &version, &before, &after).await?;
        } else {
            wakes.push(Some(wait));
        }
        acted?;
        Ok(wakes.into_iter().flatten().min().map_or_else(Action::await_change, Action::requeue))
    }

    async fn write_status(
        &self,
        pass: &Pass<'_, R>,
        version: &str,
        before: &R::Status,
        after: &R::Status,
    ) -> Result<String, WriteError> {
        let name = pass.object.name_any();
        let version = writer::apply_status(pass.api, &name, version, R::FIELD_MANAGER, after).await?;
        self.written.record(pass.uid, version.clone(), after.clone());
        R::told(&self.context, pass.object, pass.seen, before, after).await;
        Ok(version)
    }

    /// The stored object does not read as its kind: an older version of the schema let it in. Its status says so.
    async fn report_unreadable(
        &self,
        object: &DeserializeGuard<R::Object>,
        error: &str,
    ) -> Result<Action, ReconcileError> {
        let (api, name) = (R::api(&self.context, object.namespace().as_deref()), object.name_any());
        let version = object.resource_version().unwrap_or_default();
        if object.meta().deletion_timestamp.is_some() {
            // What holds it cannot be told. Its pods go with it by their owner reference.
            let others = object.finalizers().iter().filter(|finalizer| Some(finalizer.as_str()) != R::FINALIZER);
            let others: Vec<String> = others.cloned().collect();
            if others.len() < object.finalizers().len() {
                writer::set_finalizers(&api, &name, &version, &others).await?;
            }
            return Ok(Action::await_change());
        }
        let message = format!("the stored object cannot be read: {error}; correct the member and apply it again");
        let key = (object.namespace(), object.name_any());
        let told = self.lock().get(&key).is_some_and(|passes| passes.unreadable.as_ref() == Some(&message));
        if !told {
            let mut status = R::Status::default();
            let summary = Summary::Stalled(Reason::Unreadable, message.clone());
            *R::conditions(&mut status) =
                Conditions::new(&[], object.meta().generation, self.context.clock.now()).summary(&summary).build();
            writer::merge_status(&api, &name, &version, &status).await?;
            self.lock().entry(key).or_insert_with(|| Passes::of(object)).unreadable = Some(message);
        }
        Ok(Action::await_change())
    }

    fn count(&self, object: &DeserializeGuard<R::Object>, succeeded: bool) {
        let key = (object.namespace(), object.name_any());
        let mut objects = self.lock();
        let passes = objects.entry(key).or_insert_with(|| Passes::of(object));
        let uid = Uid(object.uid().unwrap_or_default());
        if passes.uid != uid {
            // Deleted and made again, faster than we were told.
            self.written.forget(&passes.uid);
            R::gone(&self.context, &passes.uid);
            *passes = Passes::of(object);
        }
        if object.0.is_ok() {
            passes.unreadable = None;
        }
        passes.failures = if succeeded { 0 } else { passes.failures.saturating_add(1) };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Option<String>, String), Passes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The finalizers that the object should have, if that is not what it has.
fn finalizers<R: Reconciler>(object: &R::Object, hold: bool) -> Option<Vec<String>> {
    let ours = R::FINALIZER?;
    let has = object.finalizers().iter().any(|finalizer| finalizer == ours);
    let deleting = object.meta().deletion_timestamp.is_some();
    let mut finalizers = object.finalizers().to_vec();
    if hold && !has && !deleting {
        finalizers.push(ours.to_owned());
        Some(finalizers)
    } else if !hold && has {
        finalizers.retain(|finalizer| finalizer != ours);
        Some(finalizers)
    } else {
        None
    }
}

/// What could not be written becomes the summary: a person looks at the object, not at our log.
fn report_refusal<R: Reconciler>(
    status: &mut R::Status,
    before: &R::Status,
    generation: Option<i64>,
    error: &WriteError,
    now: Timestamp,
) {
    let previous = R::conditions(&mut before.clone()).clone();
    let summary = if error.is_invalid() {
        Summary::Stalled(Reason::WriteRefused, format!("{error}; correct what it names"))
    } else {
        Summary::Reconciling(Reason::WriteRefused, format!("{error}; trying again"))
    };
    let mut conditions = Conditions::new(&previous, generation, now).summary(&summary).build();
    let kept = std::mem::take(R::conditions(status));
    conditions.extend(
        kept.into_iter().filter(|condition| !matches!(condition.type_.as_str(), "Ready" | "Reconciling" | "Stalled")),
    );
    *R::conditions(status) = conditions;
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    at.duration_since(now).try_into().unwrap_or(Duration::ZERO)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
