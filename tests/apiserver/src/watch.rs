//! Watches: what is there, what has changed, and that nothing has.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::call::Call;
use crate::failure::Failure;
use crate::faults::{Delivery, Lag};
use crate::machine::project;
use crate::object;
use crate::selector::Selector;
use crate::server::Shared;
use crate::store::Change;

/// How often a watch on which nothing happens is told the revision.
const BOOKMARKS: Duration = Duration::from_mins(1);
/// How long a watch lasts whose client does not say.
const LASTS: Duration = Duration::from_mins(30);

/// A watch.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    call: Call,
    selector: Selector,
    /// The last revision that it has been told of.
    revision: u64,
    /// Objects that are told before any change.
    initial: VecDeque<Arc<Value>>,
    /// Whether the end of those is told, too.
    announces_end: bool,
    bookmarks: bool,
    news: Receiver<u64>,
    ends: Instant,
    /// When the cache that it is served from has what it lacked.
    caught_up: Instant,
    /// What is sent next without being asked about again.
    repeat: Option<(Value, bool)>,
    over: bool,
}

type Item = Result<Bytes, Error>;

/// What a watch does next.
enum Next {
    Send(Instant, Value, bool),
    Break(Vec<u8>),
    Say(Value),
    End,
    Wait,
}

impl Watch {
    pub(crate) fn open(shared: &Arc<Shared>, call: Call) -> Result<Self, Failure> {
        let selector = Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
        let query = |name: &str| call.query.get(name).map(String::as_str);
        let asked = query("resourceVersion").filter(|version| !version.is_empty() && *version != "0");
        let asked = match asked.map(str::parse::<u64>) {
            Some(Err(_)) => return Err(Failure::bad_request("Invalid resource version")),
            Some(Ok(revision)) => Some(revision),
            None => None,
        };
        let sends_initial = query("sendInitialEvents") == Some("true");
        let lasts = query("timeoutSeconds").and_then(|text| text.parse().ok()).map_or(LASTS, Duration::from_secs);
        // "0" is any state that the server has at hand; without a version, what begins with a state begins with the newest.
        let at_hand = query("resourceVersion") == Some("0") || (sends_initial && asked.is_some());
        let (machine, news) = (shared.lock(), shared.news());
        let newest = machine.store.revision();
        if let Some(wanted) = asked.filter(|asked| sends_initial && *asked > newest) {
            return Err(Failure::from_the_future(wanted, newest));
        }
        let mut caught_up = Instant::now();
        let mut revision = asked.unwrap_or(newest);
        let mut initial = VecDeque::new();
        if asked.is_none() || sends_initial {
            let lag = if at_hand { shared.faults().lag(&call) } else { Lag::default() };
            let oldest = newest.saturating_sub(lag.revisions).max(asked.unwrap_or(0));
            let (at, objects) = machine.store.at(&call.resource.id(), oldest);
            caught_up += lag.time;
            let here = objects.into_iter().filter(|(key, object)| {
                (call.namespace.is_empty() || key.namespace == call.namespace) && selector.matches(object)
            });
            initial.extend(here.map(|(_, object)| object));
            revision = at;
        }
        drop(machine);
        Ok(Self {
            shared: shared.clone(),
            selector,
            revision,
            initial,
            announces_end: sends_initial,
            bookmarks: query("allowWatchBookmarks") == Some("true"),
            news,
            ends: Instant::now() + lasts,
            caught_up,
            repeat: None,
            over: false,
            call,
        })
    }

    /// The body of the answer: one JSON object a line.
    pub(crate) fn lines(self) -> impl Stream<Item = Item> + Send {
        unfold(self, async |mut watch| {
            let item = watch.next().await?;
            Some((item, watch))
        })
    }

    async fn next(&mut self) -> Option<Item> {
        loop {
            if self.over {
                return None;
            }
            let _ = self.news.borrow_and_update();
            match self.decide() {
                // The server ends a watch in time even if it has been silent.
                Next::Send(at, ..) if at > self.ends => {
                    sleep_until(self.ends).await;
                    return None;
                }
                Next::Send(at, event, gone) => {
                    sleep_until(at).await;
                    if let Some(object) = event.get("object") {
                        self.shared.lock().observer.delivered(&self.call, object, gone);
                    }
                    return Some(Ok(line(&event)));
                }
                Next::Say(event) => return Some(Ok(line(&event))),
                Next::Break(half) => {
                    self.over = true;
                    if half.is_empty() {
                        return Some(Err(Error::new(ErrorKind::ConnectionReset, "the connection broke")));
                    }
                    return Some(Ok(half.into()));
                }
                Next::End => return None,
                Next::Wait => {}
            }
            let bookmark = Instant::now() + BOOKMARKS;
            tokio::select! {
                biased;
                news = self.news.changed() => if news.is_err() { return None },
                () = sleep_until(self.ends) => return None,
                () = sleep_until(bookmark), if self.bookmarks => {
                    return Some(Ok(line(&self.bookmark(false))));
                }
            }
        }
    }

    fn decide(&mut self) -> Next {
        if let Some((event, gone)) = self.repeat.take() {
            return Next::Send(Instant::now(), event, gone);
        }
        if let Some(object) = self.initial.pop_front() {
            return Next::Send(Instant::now(), self.event("ADDED", &object), false);
        }
        if std::mem::take(&mut self.announces_end) {
            return Next::Say(self.bookmark(true));
        }
        let shared = self.shared.clone();
        let machine = shared.lock();
        if self.revision < machine.store.compacted() {
            self.over = true;
            let message = format!("too old resource version: {} ({})", self.revision, machine.store.compacted());
            return Next::Say(json!({ "type": "ERROR", "object": Failure::expired(message).status() }));
        }
        let resource = self.call.resource.id();
        while let Some(change) = machine.store.next_change(&resource, self.revision).cloned() {
            let Some((type_, object)) = self.concerns(&change) else {
                self.revision = change.revision;
                continue;
            };
            let gone = type_ == "DELETED";
            let event = self.event(type_, &object);
            let written = shared.written_at(change.revision);
            let delivery = shared.faults().deliver(&self.call, &change);
            return match delivery {
                Delivery::Later(after) => {
                    self.revision = change.revision;
                    Next::Send(self.caught_up.max(written + after), event, gone)
                }
                Delivery::Twice(after) => {
                    self.revision = change.revision;
                    self.repeat = Some((event.clone(), gone));
                    Next::Send(self.caught_up.max(written + after), event, gone)
                }
                Delivery::End => Next::End,
                Delivery::Cut => {
                    let mut half = event.to_string().into_bytes();
                    half.truncate(half.len() / 2);
                    Next::Break(half)
                }
                Delivery::Gone => {
                    self.over = true;
                    let message = format!("too old resource version: {} ({})", self.revision, change.revision);
                    Next::Say(json!({ "type": "ERROR", "object": Failure::expired(message).status() }))
                }
            };
        }
        self.revision = self.revision.max(machine.store.revision());
        Next::Wait
    }

    /// What a change is to this watch: an object may come into its selection and leave it.
    fn concerns(&self, change: &Change) -> Option<(&'static str, Value)> {
        if !self.call.namespace.is_empty() && change.key.namespace != self.call.namespace {
            return None;
        }
        let selected = |object: &Option<Arc<Value>>| object.clone().filter(|object| self.selector.matches(object));
        match (selected(&change.before), selected(&change.after)) {
            (None, None) => None,
            (None, Some(after)) => Some(("ADDED", (*after).clone())),
            (Some(_), Some(after)) => Some(("MODIFIED", (*after).clone())),
            (Some(before), None) => {
                let mut last = (*before).clone();
                object::metadata(&mut last).insert("resourceVersion".to_owned(), json!(change.revision.to_string()));
                Some(("DELETED", last))
            }
        }
    }

    fn event(&self, type_: &str, object: &Value) -> Value {
        json!({ "type": type_, "object": project(&self.call, object) })
    }

    fn bookmark(&self, ends_initial: bool) -> Value {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string(), "creationTimestamp": null });
        if ends_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (version, kind) = if self.call.metadata_only {
            ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata".to_owned())
        } else {
            (self.call.resource.api_version(), self.call.resource.kind.clone())
        };
        json!({ "type": "BOOKMARK", "object": { "apiVersion": version, "kind": kind, "metadata": metadata } })
    }
}

fn line(event: &Value) -> Bytes {
    let mut line = event.to_string();
    line.push('\n');
    line.into()
}
