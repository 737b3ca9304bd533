//! Whose turn it is: objects that want a pass, at once or later, and those that have one.
//!
//! kube's `Controller` sends every request through a timer, which costs a lost task one or two milliseconds before anybody looks at
//! its service. Here what has changed is next.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

/// Objects that want a pass. Each has one at a time, and however often it asks meanwhile, one more after it.
#[derive(Debug)]
pub(super) struct Queue<K> {
    turns: HashMap<K, Turn>,
    waiting: VecDeque<K>,
    later: DelayQueue<K>,
}

#[derive(Debug)]
enum Turn {
    Waiting,
    Later {
        at: Instant,
        key: Key,
    },
    /// A pass goes on; when there has to be another one.
    Now {
        again: Option<Instant>,
    },
}

impl<K: Clone + Eq + Hash> Queue<K> {
    pub(super) fn new() -> Self {
        Self { turns: HashMap::new(), waiting: VecDeque::new(), later: DelayQueue::new() }
    }

    /// An object wants a pass.
    pub(super) fn push(&mut self, object: K) {
        match self.turns.get_mut(&object) {
            Some(Turn::Waiting) => return,
            Some(Turn::Now { again }) => {
                *again = Some(Instant::now());
                return;
            }
            Some(Turn::Later { at: _, key }) => {
                self.later.try_remove(key);
            }
            None => {}
        }
        self.turns.insert(object.clone(), Turn::Waiting);
        self.waiting.push_back(object);
    }

    /// An object wants a pass after a while, if it does not get one sooner.
    pub(super) fn push_later(&mut self, object: K, after: Duration) {
        // Of a time that no clock will show nobody has to be told.
        let Some(wanted) = Instant::now().checked_add(after) else { return };
        match self.turns.get_mut(&object) {
            Some(Turn::Waiting) => {}
            Some(Turn::Now { again }) => *again = Some(again.map_or(wanted, |again| again.min(wanted))),
            Some(Turn::Later { at, key }) => {
                if wanted < *at {
                    self.later.reset_at(key, wanted);
                    *at = wanted;
                }
            }
            None => {
                let key = self.later.insert_at(object.clone(), wanted);
                self.turns.insert(object, Turn::Later { at: wanted, key });
            }
        }
    }

    /// The object that has waited longest. Its pass begins.
    pub(super) fn next(&mut self) -> Option<K> {
        let object = self.waiting.pop_front()?;
        self.turns.insert(object.clone(), Turn::Now { again: None });
        Some(object)
    }

    /// The pass over an object is over. It gets another one after a while, if it is to, or sooner if it has asked meanwhile.
    pub(super) fn finished(&mut self, object: &K, after: Option<Duration>) {
        let asked = match self.turns.remove(object) {
            Some(Turn::Now { again }) => again.map(|again| again.saturating_duration_since(Instant::now())),
            Some(Turn::Waiting | Turn::Later { .. }) | None => None,
        };
        match [asked, after].into_iter().flatten().min() {
            Some(Duration::ZERO) => self.push(object.clone()),
            Some(after) => self.push_later(object.clone(), after),
            None => {}
        }
    }

    /// Waits for the time of an object that wanted a pass later.
    pub(super) async fn due(&mut self) {
        match self.later.next().await {
            Some(expired) => {
                let object = expired.into_inner();
                self.turns.remove(&object);
                self.push(object);
            }
            // Nothing is to come; what does will bring another call.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_asks_first_is_first_and_asking_twice_changes_nothing() {
        let mut queue = Queue::new();
        for object in ["a", "b", "a"] {
            queue.push(object);
        }
        assert_eq!([queue.next(), queue.next(), queue.next()], [Some("a"), Some("b"), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_has_one_pass_at_a_time_and_one_more_if_it_asks_meanwhile() {
        let mut queue = Queue::new();
        queue.push("a");
        assert_eq!(queue.next(), Some("a"));
        queue.push("a");
        queue.push("a");
        assert_eq!(queue.next(), None);
        queue.finished(&"a", None);
        assert_eq!(queue.next(), Some("a"));
        queue.push_later("a", Duration::from_secs(1));
        queue.finished(&"a", None);
        assert_eq!(queue.next(), None, "what has time is not done at once");
        queue.due().await;
        assert_eq!(queue.next(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_is_to_be_looked_at_later_is_looked_at_sooner_if_it_asks() {
        let mut queue = Queue::new();
        for (object, seconds) in [("a", 10), ("b", 1)] {
            queue.push(object);
            queue.next();
            queue.finished(&object, Some(Duration::from_secs(seconds)));
        }
        assert_eq!(queue.next(), None);
        queue.due().await;
        assert_eq!([queue.next(), queue.next()], [Some("b"), None]);
        queue.push("a");
        assert_eq!(queue.next(), Some("a"));
        queue.finished(&"a", None);
        let nothing = tokio::time::timeout(Duration::from_mins(1), queue.due()).await;
        assert!(nothing.is_err(), "its time of before does not count any more");
    }
}
