//! Kubernetes Events: what `kubectl describe` and `kubectl events` show.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

/// How long publishing one may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// "Note … should be less than 1kB."
const NOTE_MAX: usize = 1000;

/// Publishes events. One that cannot be published is logged; nothing fails for it, and nothing waits for it.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events in the name of the operator; `instance` says which of its processes.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        Self { recorder: Recorder::new(client, Reporter { controller: "longshore".to_owned(), instance }) }
    }

    /// Publishes a sentence about an object.
    pub fn publish<K: Resource<DynamicType = ()>>(&self, about: &K, warning: bool, reason: &str, note: &str) {
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(note.chars().take(NOTE_MAX).collect()),
            action: reason.to_owned(),
            // Events are merged by everything but their note: what differs has to stand here.
            secondary: Some(ObjectReference {
                name: Some(crate::api::names::short_hash(&[note])),
                ..ObjectReference::default()
            }),
        };
        let (recorder, about, reason) = (self.recorder.clone(), about.object_ref(&()), reason.to_owned());
        tokio::spawn(async move {
            #[expect(clippy::disallowed_methods, reason = "this is where events are published")]
            let publish = recorder.publish(&event, &about);
            match tokio::time::timeout(TIME_LIMIT, publish).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, reason, "an event could not be published"),
                Err(_) => tracing::warn!(reason, "publishing an event got no answer"),
            }
        });
    }
}
