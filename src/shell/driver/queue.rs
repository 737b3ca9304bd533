//! Whose turn it is: objects that want a pass, at once or later, and those that have one.
//!
//! kube's `Controller` sends every request through a timer, which costs a lost task one or two milliseconds before anybody looks at
//! its service. Here what has changed is next, unless it had a pass a moment ago.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

/// The beginnings of two passes over one object are apart by at least as much. A pass looks at every task of a service: in a rollout,
/// in which something happens every millisecond, it has five times as much to do and costs the same. What has had no pass for so
/// long waits for nothing.
const PACE: Duration = Duration::from_millis(5);

/// The farthest time that is waited for: the timer panics at those that are more than two years away. An object whose time is farther
/// has a pass in between, which finds nothing to do. A task may be protected until the year 2100.
const FARTHEST: Duration = Duration::from_hours(24 * 30);

/// The time after a while, or the farthest one.
fn time_after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait.min(FARTHEST)).unwrap_or(now)
}

/// Objects that want a pass. Each has one at a time, and however often it asks meanwhile, one more after it.
#[derive(Debug)]
pub(super) struct Queue<K> {
    turns: HashMap<K, Turn>,
    waiting: VecDeque<K>,
    later: DelayQueue<K>,
}

#[derive(Debug)]
struct Turn {
    /// Before that it has no pass.
    from: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has had a pass, and wants none.
    Idle,
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
        self.push_at(object, Instant::now());
    }

    /// An object wants a pass after a while, if it does not get one sooner.
    pub(super) fn push_later(&mut self, object: K, after: Duration) {
        self.push_at(object, time_after(after));
    }

    fn push_at(&mut self, object: K, wanted: Instant) {
        let now = Instant::now();
        let turn = self.turns.entry(object.clone()).or_insert(Turn { from: now, state: State::Idle });
        let wanted = wanted.max(turn.from);
        match &mut turn.state {
            State::Waiting => {}
            State::Now { again } => *again = Some(again.map_or(wanted, |again| again.min(wanted))),
            State::Later { at, key: _ } if *at <= wanted => {}
            State::Later { at, key } if wanted > now => {
                self.later.reset_at(key, wanted);
                *at = wanted;
            }
            State::Idle if wanted > now => {
                let key = self.later.insert_at(object, wanted);
                turn.state = State::Later { at: wanted, key };
            }
            State::Later { .. } | State::Idle => {
                if let State::Later { at: _, key } = std::mem::replace(&mut turn.state, State::Waiting) {
                    self.later.try_remove(&key);
                }
                self.waiting.push_back(object);
            }
        }
    }

    /// The object that has waited longest. Its pass begins.
    pub(super) fn next(&mut self) -> Option<K> {
        let object = self.waiting.pop_front()?;
        let now = Instant::now();
        let turn = Turn { from: now.checked_add(PACE).unwrap_or(now), state: State::Now { again: None } };
        self.turns.insert(object.clone(), turn);
        Some(object)
    }

    /// The pass over an object is over. It gets another one after a while, if it is to, or sooner if it has asked meanwhile.
    pub(super) fn finished(&mut self, object: &K, after: Option<Duration>) {
        let Some(turn) = self.turns.get_mut(object) else { return };
        let State::Now { again: asked } = turn.state else { return };
        turn.state = State::Idle;
        let after = after.map(time_after);
        if let Some(wanted) = [asked, after].into_iter().flatten().min() {
            self.push_at(object.clone(), wanted);
        }
    }

    /// An object is gone.
    pub(super) fn forget(&mut self, object: &K) {
        self.turns.remove(object);
    }

    /// Waits for the time of an object that wanted a pass later.
    pub(super) async fn due(&mut self) {
        match self.later.next().await {
            Some(expired) => {
                let object = expired.into_inner();
                if let Some(turn) = self.turns.get_mut(&object) {
                    turn.state = State::Waiting;
                    self.waiting.push_back(object);
                }
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
        queue.due().await;
        assert_eq!(queue.next(), Some("a"));
        queue.push_later("a", Duration::from_secs(1));
        queue.finished(&"a", None);
        assert_eq!(queue.next(), None, "what has time is not done at once");
        queue.due().await;
        assert_eq!(queue.next(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_asks_all_the_time_gets_its_passes_at_a_pace_and_another_one_at_once() {
        let mut queue = Queue::new();
        queue.push("a");
        queue.next();
        queue.finished(&"a", None);
        queue.push("a");
        queue.push("b");
        assert_eq!([queue.next(), queue.next()], [Some("b"), None]);
        let began = Instant::now();
        queue.due().await;
        assert_eq!((queue.next(), began.elapsed()), (Some("a"), PACE));
        queue.finished(&"a", None);
        tokio::time::advance(PACE).await;
        queue.push("a");
        assert_eq!(queue.next(), Some("a"));
        queue.forget(&"a");
        queue.push("a");
        assert_eq!(queue.next(), Some("a"), "one of the same name is another one");
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

    #[tokio::test(start_paused = true)]
    async fn an_object_whose_time_is_farther_away_than_any_timer_goes_has_a_pass_in_between() {
        let mut queue = Queue::new();
        for far in [Duration::from_hours(24 * 365 * 70), Duration::MAX] {
            queue.push("a");
            queue.next();
            queue.push_later("a", far);
            queue.finished(&"a", Some(far));
            let began = Instant::now();
            queue.due().await;
            assert_eq!((queue.next(), began.elapsed()), (Some("a"), FARTHEST));
            queue.forget(&"a");
        }
    }
}
