//! The server: a `tower` service for clients, and plain functions for the actors beside it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use crate::call::{Call, Verb};
use crate::failure::Failure;
use crate::faults::{After, Before, FaultPlan, NoFaults, NoObserver, Observer};
use crate::machine::{Clock, Machine};
use crate::resource::ResourceTypes;
use crate::store::{ObjectKey, Store};
use crate::watch::Watch;

/// An API server. Clones are the same one.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    machine: Mutex<Machine>,
    faults: Mutex<Box<dyn FaultPlan>>,
    news: watch::Sender<u64>,
    /// When which revision was written, oldest first.
    written: Mutex<VecDeque<(u64, Instant)>>,
    requests: Mutex<u64>,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // An observer that panics fails its test; what it saw is worth looking at all the same.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Box<dyn FaultPlan>> {
        lock(&self.faults)
    }

    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// When a revision was written.
    pub(crate) fn written_at(&self, revision: u64) -> Instant {
        let written = lock(&self.written);
        let at = written.partition_point(|(last, _)| *last < revision);
        written.get(at).map_or_else(Instant::now, |(_, at)| *at)
    }

    fn execute(&self, call: &Call, request: Option<u64>) -> Result<Value, Failure> {
        let lag = if call.verb == Verb::List { self.faults().lag(call).revisions } else { 0 };
        let mut machine = self.lock();
        machine.lag = lag;
        let before = machine.store.revision();
        machine.request = request;
        let outcome = machine.execute(call);
        let after = machine.store.revision();
        if let Some(number) = request {
            machine.observer.answered(number, call, outcome.as_ref());
        }
        drop(machine);
        if after > before {
            self.tell(after);
        }
        outcome
    }

    /// Something was written just now.
    fn tell(&self, revision: u64) {
        lock(&self.written).push_back((revision, Instant::now()));
        self.news.send_replace(revision);
    }
}

impl ApiServer {
    /// A server of the built-in kinds that the product needs and of custom ones. `clock` gives the time of timestamps.
    pub fn new(crds: &[CustomResourceDefinition], clock: impl Fn() -> Timestamp + Send + 'static) -> Self {
        let clock: Clock = Box::new(clock);
        let machine = Machine {
            resources: ResourceTypes::new(crds),
            store: Store::default(),
            clock,
            observer: Box::new(NoObserver),
            collects_garbage: true,
            request: None,
            lag: 0,
            admission: Box::new(|_, _| {}),
        };
        Self {
            shared: Arc::new(Shared {
                machine: Mutex::new(machine),
                faults: Mutex::new(Box::new(NoFaults)),
                news: watch::Sender::new(0),
                written: Mutex::default(),
                requests: Mutex::default(),
            }),
        }
    }

    /// Lets a plan decide about faults from now on.
    pub fn set_faults(&self, faults: impl FaultPlan + 'static) {
        *lock(&self.shared.faults) = Box::new(faults);
    }

    /// Lets an observer see everything from now on.
    pub fn set_observer(&self, observer: impl Observer + 'static) {
        self.shared.lock().observer = Box::new(observer);
    }

    /// Lets somebody change what is to be created from now on, as a mutating webhook does.
    pub fn set_admission(&self, admission: impl FnMut(&Call, &mut Value) + Send + 'static) {
        self.shared.lock().admission = Box::new(admission);
    }

    /// Puts an object into the store whatever its schema says: another one has let it in. What the schema does not know at all
    /// is not there for anybody who reads.
    pub fn plant(&self, resource: &str, (namespace, name): (&str, &str), mut object: Value) {
        let mut machine = self.shared.lock();
        if let Some(resource) = machine.resources.by_id(resource) {
            crate::schema::prune(&resource, &mut object);
        }
        let key = ObjectKey { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        machine.store.commit(&key, Some(object), Vec::new());
        let revision = machine.store.revision();
        drop(machine);
        self.shared.tell(revision);
    }

    /// Whether what has lost its owner goes with the write that took the owner (as at first), or when
    /// [`collect_garbage`](Self::collect_garbage) is called.
    pub fn collect_garbage_at_once(&self, at_once: bool) {
        self.shared.lock().collects_garbage = at_once;
    }

    /// Deletes what has lost its owner.
    pub fn collect_garbage(&self) {
        let mut machine = self.shared.lock();
        let before = machine.store.revision();
        machine.request = None;
        machine.collect_garbage();
        let after = machine.store.revision();
        drop(machine);
        if after > before {
            self.shared.tell(after);
        }
    }

    /// Forgets the history: watches from before have to list again.
    pub fn compact(&self) {
        self.shared.lock().store.compact();
    }

    /// A client of somebody.
    pub fn client(&self, actor: &str) -> Client {
        Client::new(Connection { shared: self.shared.clone(), actor: actor.into() }, "default")
    }

    /// Reads the store.
    pub fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.shared.lock().store)
    }

    /// Carries out a request of an actor beside the server, at once and without faults. `resource` is the id of the kind.
    pub fn act(
        &self,
        actor: &str,
        verb: Verb,
        resource: &str,
        (namespace, name): (&str, &str),
        subresource: Option<&str>,
        body: Value,
    ) -> Result<Value, Failure> {
        let resource = self.shared.lock().resources.by_id(resource).ok_or_else(Failure::no_such_path)?;
        let mut call = Call::internal(actor, verb, resource, namespace, name);
        call.subresource = subresource.map(str::to_owned);
        call.body = body;
        self.shared.execute(&call, None)
    }
}

/// A client's connection.
#[derive(Clone)]
struct Connection {
    shared: Arc<Shared>,
    actor: Arc<str>,
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

impl Service<Request<Body>> for Connection {
    type Response = Answer;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let connection = self.clone();
        Box::pin(connection.serve(request))
    }
}

impl Connection {
    async fn serve(self, request: Request<Body>) -> io::Result<Answer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let resources = self.shared.lock().resources.clone();
        let call = match Call::read(&self.actor, &head, &body, &resources) {
            Ok(call) => call,
            Err(failure) => return answer(&Err(failure)),
        };
        let number = {
            let mut requests = lock(&self.shared.requests);
            *requests += 1;
            *requests
        };
        self.shared.lock().observer.requested(number, &call);
        // Bound to a name, so that no lock is held while the request waits.
        let before = self.shared.faults().before(&call);
        match before {
            Before::Proceed(delay) => wait(delay).await,
            Before::Refuse(delay, failure) => {
                wait(delay).await;
                self.shared.lock().observer.answered(number, &call, Err(&failure));
                return answer(&Err(failure));
            }
            Before::Break(delay) => {
                wait(delay).await;
                return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke"));
            }
            Before::Hang => return std::future::pending().await,
        }
        if call.verb == Verb::Watch {
            return match Watch::open(&self.shared, call) {
                Ok(watch) => stream(watch),
                Err(failure) => answer(&Err(failure)),
            };
        }
        let outcome = self.shared.execute(&call, Some(number));
        let after = self.shared.faults().after(&call, outcome.as_ref());
        match after {
            After::Answer(delay) => wait(delay).await,
            After::Break(delay) => {
                wait(delay).await;
                return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke"));
            }
            After::Hang => return std::future::pending().await,
        }
        if let (Verb::List, Ok(list)) = (call.verb, &outcome) {
            self.shared.lock().observer.listed(&call, list);
        }
        answer(&outcome)
    }
}

async fn wait(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

fn answer(outcome: &Result<Value, Failure>) -> io::Result<Answer> {
    let (code, body) = match outcome {
        Ok(body) => (200, body.clone()),
        Err(failure) => (failure.code, failure.status()),
    };
    let retry = outcome.as_ref().err().and_then(|failure| failure.retry_after);
    let mut response = Response::builder().status(code).header(http::header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry {
        response = response.header(http::header::RETRY_AFTER, seconds);
    }
    let never = |never: Infallible| match never {};
    response.body(Full::new(Bytes::from(body.to_string())).map_err(never).boxed_unsync()).map_err(io::Error::other)
}

fn stream(watch: Watch) -> io::Result<Answer> {
    let body = StreamBody::new(watch.lines().map_ok(Frame::data));
    let response = Response::builder().status(200).header(http::header::CONTENT_TYPE, "application/json");
    response.body(body.boxed_unsync()).map_err(io::Error::other)
}
