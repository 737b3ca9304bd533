//! One pass over an object, the same for all kinds: observe, plan, act. Its status is written beside the passes that follow.

mod passes;
mod queue;
mod reconciler;
mod run;

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};

use crate::api::conditions::{Conditions, Reason, Summary, keep_order};
use crate::api::names::Uid;
use crate::shell::Context;
use crate::shell::cache::Urgency;
use crate::shell::writer::{self, WriteError};
use crate::shell::written::{Newest, Written};
use passes::{Passes, backoff};

pub use reconciler::{Performed, Reconciler};

/// How long a pass may take; one that hangs must not be the last one for its object.
const TIME_LIMIT: Duration = Duration::from_mins(2);

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

/// What follows from a pass.
struct Next<R: Reconciler> {
    /// How soon the next one has to come, whatever happens.
    after: Option<Duration>,
    /// The status that is to be written.
    write: Option<Write<R>>,
}

/// What a pass came to.
enum Outcome<R: Reconciler> {
    /// All is done, but for the next pass.
    Done(Option<Duration>),
    /// A status is being written, or is to be: whether that succeeds is not known yet.
    Telling(Next<R>),
    /// A write failed. Status is to say so.
    Failed(WriteError, Option<Write<R>>),
}

/// A status to be written.
struct Write<R: Reconciler> {
    object: Arc<DeserializeGuard<R::Object>>,
    uid: Uid,
    version: String,
    seen: R::Observed,
    before: Arc<R::Status>,
    after: Arc<R::Status>,
    /// How long to wait after it, if the pass has failed that it tells of: that it could be told is no success.
    retry_after: Option<Duration>,
}

/// Drives the passes over the objects of one kind.
pub struct Driver<R: Reconciler> {
    context: Context,
    written: Written<R::Status>,
    objects: Mutex<HashMap<(Option<String>, String), Passes>>,
}

impl<R: Reconciler> Driver<R> {
    /// A driver.
    pub fn new(context: Context) -> Self {
        Self { context, written: Written::default(), objects: Mutex::default() }
    }

    /// One pass, guarded: neither an object that cannot be read nor a bug hurts another object.
    async fn reconcile(&self, object: Arc<DeserializeGuard<R::Object>>) -> Next<R> {
        let pass = async {
            match &object.0 {
                Ok(read) => self.pass(&object, read).await,
                Err(invalid) => self.report_unreadable(&object, &invalid.error).await,
            }
        };
        let outcome = guarded(pass).await;
        self.meet(&object);
        let (error, write) = match outcome {
            Ok(Outcome::Done(after)) => {
                self.succeeded(&object);
                return Next { after, write: None };
            }
            Ok(Outcome::Telling(next)) => return next,
            Ok(Outcome::Failed(error, write)) => (error.into(), write),
            Err(error) => {
                // It may have been cut off in the middle of a write.
                self.written.failed(&uid_of(&*object));
                (error, None)
            }
        };
        let retry_after = Some(self.failed(&object, &error));
        Next { after: retry_after, write: write.map(|write| Write { retry_after, ..write }) }
    }

    /// Writes a status, guarded in the same way. Returns how long to wait after a failure, be it its own or that of the pass.
    async fn write(&self, write: Write<R>) -> Option<Duration> {
        let Write { object, uid, version, seen, before, after, retry_after } = write;
        let Ok(read) = &object.0 else { return None };
        let failures = self.with_passes(&object, |passes| passes.failures());
        let written = async {
            self.write_status(read, &uid, &version, &seen, &before, after).await?;
            Ok(())
        };
        match guarded(written).await {
            Ok(()) => {
                // What has failed meanwhile, or before, this is no success of.
                if retry_after.is_none() && failures == self.with_passes(&object, |passes| passes.failures()) {
                    self.succeeded(&object);
                }
                retry_after
            }
            Err(error) => {
                self.written.failed(&uid);
                Some(self.failed(&object, &error))
            }
        }
    }

    /// Counts a failure. Returns how long to wait after it: longer each time, for this object only.
    fn failed(&self, object: &DeserializeGuard<R::Object>, error: &ReconcileError) -> Duration {
        let (name, namespace) = (object.name_any(), object.namespace());
        let failures = self.with_passes(object, |passes| {
            passes.failed(passes::Authored::of(object));
            passes.failures()
        });
        let failures = failures.unwrap_or(1);
        let conflict = matches!(error, ReconcileError::Write(error) if error.is_conflict() || error.is_not_found());
        if conflict {
            tracing::debug!(name, namespace, %error, "something else was faster; deciding anew");
        } else {
            let kind = R::Object::kind(&());
            tracing::warn!(%kind, name, namespace, %error, failures, "the pass failed and will be tried again");
        }
        backoff(failures, conflict)
    }

    fn succeeded(&self, object: &DeserializeGuard<R::Object>) {
        self.with_passes(object, Passes::succeeded);
    }

    /// How soon an object that the watch shows wants a pass.
    fn urgency(&self, object: &DeserializeGuard<R::Object>) -> Option<Urgency> {
        let ours = self.written.is_ours(&uid_of(object), &object.resource_version().unwrap_or_default());
        let urgency = self.with_passes(object, |passes| passes.urgency(object, ours));
        urgency.unwrap_or(Some(Urgency::Now))
    }

    /// Whether a pass during a write of status has left something to tell, and that write is through.
    fn is_overtaken(&self, object: &DeserializeGuard<R::Object>) -> bool {
        !self.written.is_writing(&uid_of(object)) && self.with_passes(object, Passes::take_untold).unwrap_or(false)
    }

    fn leave_untold(&self, object: &DeserializeGuard<R::Object>) {
        self.with_passes(object, Passes::leave_untold);
    }

    /// An object that the watch says is gone.
    fn forget(&self, name: &str, namespace: Option<&str>) {
        let passes = self.lock().remove(&(namespace.map(str::to_owned), name.to_owned()));
        if let Some(passes) = passes {
            self.written.forget(&passes.uid);
            R::gone(&self.context, &passes.uid);
        }
    }

    async fn pass(
        &self,
        guard: &Arc<DeserializeGuard<R::Object>>,
        object: &R::Object,
    ) -> Result<Outcome<R>, ReconcileError> {
        let now = self.context.clock.now();
        let uid = uid_of(object);
        let Newest { status: ours, version, writing } =
            self.written.newest(&uid, &object.resource_version().unwrap_or_default());
        let known = ours.as_deref().or_else(|| R::status(object));
        let blank = R::Status::default();
        let before = known.unwrap_or(&blank);
        let seen = R::observe(&self.context, object).await;
        let plan = R::plan(object, before, &seen, now);
        let api = R::api(&self.context, object.namespace().as_deref());

        let finalizers = finalizers::<R>(object, plan.hold);
        // To those who wait for it (kstatus), an object without status looks finished.
        let told_first = known.is_none() || R::is_told_first(before, &plan.status);
        if writing && (finalizers.is_some() || told_first) {
            // Both are writes to the version that the one under way is about to make: the end of that brings the next pass.
            self.leave_untold(guard);
            return Ok(Outcome::Telling(Next { after: None, write: None }));
        }
        if let Some(finalizers) = finalizers {
            // The version changes with this write: the pass that its event brings goes on from there.
            writer::set_finalizers(&api, &object.name_any(), &version, &finalizers).await?;
            return Ok(Outcome::Done(None));
        }
        if object.meta().deletion_timestamp.is_some() && !plan.hold {
            return Ok(Outcome::Done(None));
        }

        let mut after = plan.status;
        let told = told_first.then(|| Arc::new(after.clone()));
        let (before, version) = match &told {
            Some(told) => (&**told, self.write_status(object, &uid, &version, &seen, before, told.clone()).await?),
            None => (before, version),
        };
        let acted = R::perform(&self.context, object, &seen, plan.actions).await;
        let at_once = matches!(acted, Ok(Performed::Part)).then_some(Duration::ZERO);
        let wake = plan.wake_at.map(|at| until(now, at));
        let wakes = || [at_once, wake, R::look_again(&self.context, &uid)].into_iter().flatten();
        if writing {
            // What there is to tell, the pass after the write will find again: this one began with an older status.
            self.leave_untold(guard);
            return Ok(match acted {
                Ok(_) => Outcome::Telling(Next { after: wakes().min(), write: None }),
                Err(error) => Outcome::Failed(error, None),
            });
        }
        if let Err(error) = &acted
            && !error.is_conflict()
        {
            report_refusal::<R>(&mut after, before, object.meta().generation, error, now);
        }
        let wait = self.written.wait(&uid, R::status_interval(before, &after));
        let wakes: Vec<Duration> =
            wakes().chain(Some(wait).filter(|wait| after != *before && !wait.is_zero())).collect();
        let mut write = None;
        if after == *before {
            R::told(&self.context, object, &seen, before, &after).await;
        } else if wait.is_zero() {
            self.written.begin(&uid);
            let (before, after) = (Arc::new(before.clone()), Arc::new(after));
            write = Some(Write { object: guard.clone(), uid, version, seen, before, after, retry_after: None });
        }
        let after = wakes.into_iter().min();
        Ok(match (acted, write) {
            (Err(error), write) => Outcome::Failed(error, write),
            (Ok(_), None) => Outcome::Done(after),
            (Ok(_), Some(write)) => Outcome::Telling(Next { after, write: Some(write) }),
        })
    }

    async fn write_status(
        &self,
        object: &R::Object,
        uid: &Uid,
        version: &str,
        seen: &R::Observed,
        before: &R::Status,
        after: Arc<R::Status>,
    ) -> Result<String, WriteError> {
        let api = R::api(&self.context, object.namespace().as_deref());
        self.written.begin(uid);
        let written = writer::apply_status(&api, &object.name_any(), version, R::FIELD_MANAGER, &*after).await;
        let version = written.inspect_err(|_| self.written.failed(uid))?;
        self.written.record(uid, version.clone(), after.clone());
        R::told(&self.context, object, seen, before, &after).await;
        Ok(version)
    }

    /// The stored object does not read as its kind: an older version of the schema let it in. Its status says so.
    async fn report_unreadable(
        &self,
        object: &DeserializeGuard<R::Object>,
        error: &str,
    ) -> Result<Outcome<R>, ReconcileError> {
        let (api, name) = (R::api(&self.context, object.namespace().as_deref()), object.name_any());
        let version = object.resource_version().unwrap_or_default();
        if object.meta().deletion_timestamp.is_some() {
            // What holds it cannot be told. Its pods go with it by their owner reference.
            let others = object.finalizers().iter().filter(|finalizer| Some(finalizer.as_str()) != R::FINALIZER);
            let others: Vec<String> = others.cloned().collect();
            if others.len() < object.finalizers().len() {
                writer::set_finalizers(&api, &name, &version, &others).await?;
            }
            return Ok(Outcome::Done(None));
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
            self.lock().entry(key).or_insert_with(|| Passes::of(uid_of(object))).unreadable = Some(message);
        }
        Ok(Outcome::Done(None))
    }

    /// An object has had a pass.
    fn meet(&self, object: &DeserializeGuard<R::Object>) {
        let key = (object.namespace(), object.name_any());
        let mut objects = self.lock();
        let uid = uid_of(object);
        let passes = objects.entry(key).or_insert_with(|| Passes::of(uid.clone()));
        if passes.uid != uid {
            // Deleted and made again, faster than we were told.
            self.written.forget(&passes.uid);
            R::gone(&self.context, &passes.uid);
            *passes = Passes::of(uid);
        }
        if object.0.is_ok() {
            passes.unreadable = None;
        }
    }

    /// What is made of what is remembered of an object, if anything is.
    fn with_passes<T>(&self, object: &DeserializeGuard<R::Object>, make: impl FnOnce(&mut Passes) -> T) -> Option<T> {
        self.lock().get_mut(&(object.namespace(), object.name_any())).map(make)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Option<String>, String), Passes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn uid_of(object: &impl ResourceExt) -> Uid {
    Uid(object.uid().unwrap_or_default())
}

/// Limits a pass, or a write of status, in time, and catches its panics.
async fn guarded<T>(work: impl Future<Output = Result<T, ReconcileError>>) -> Result<T, ReconcileError> {
    match tokio::time::timeout(TIME_LIMIT, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(ReconcileError::Panicked(panic_message(panic.as_ref()))),
        Err(_) => Err(ReconcileError::TimedOut),
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
    keep_order(&previous, &mut conditions);
    *R::conditions(status) = conditions;
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    at.duration_since(now).try_into().unwrap_or(Duration::ZERO)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::secrets::content::Values;

    /// What a panic says is logged, and whoever writes it may put into it whatever is at hand.
    #[tokio::test]
    async fn a_pass_that_panics_over_a_secret_tells_nothing_of_its_value() {
        let values: Values = BTreeMap::from([("password".to_owned(), b"canary".to_vec().into())]);
        let pass = async move { if values.is_empty() { Ok(()) } else { panic!("no use for {values:?}") } };
        let error = guarded(pass).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("the pass panicked: no use for {\"password\": "), "{told}");
        let as_bytes = format!("{:?}", b"canary");
        assert!(!told.contains("canary") && !told.contains(as_bytes.trim_matches(['[', ']'])), "{told}");
    }
}
