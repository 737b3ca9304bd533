//! The passes over the objects of one kind, many at once.

use std::fmt::Debug;
use std::hash::Hash;
use std::pin::pin;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use super::{Driver, Next, Reconciler};
use crate::shell::cache::{Asked, Urgency};

/// Most passes at once over objects of one kind.
const CONCURRENCY: usize = 32;

/// How long a pass may take to come in which there is something to tell at the most.
const SOON: Duration = Duration::from_millis(100);

impl<R: Reconciler> Driver<R>
where
    <DeserializeGuard<R::Object> as Resource>::DynamicType: Eq + Hash + Clone + Debug + Unpin,
{
    /// Looks at an object whenever its watch or a trigger names it, and when its last pass has said so. Ends after `stop` has said
    /// so, once the passes that have begun and the writes of status are through.
    pub async fn run(
        &self,
        watch: impl Stream<Item = ObjectRef<DeserializeGuard<R::Object>>> + Send,
        store: Store<DeserializeGuard<R::Object>>,
        triggers: impl Stream<Item = Asked<R::Object>> + Send,
        stop: CancellationToken,
    ) {
        let watch = watch.filter_map(|object| {
            let urgency = store.get(&object).map_or(Some(Urgency::Now), |found| self.urgency(&found));
            std::future::ready(urgency.map(|urgency| (object, urgency)))
        });
        let overtaken = |object: &ObjectRef<DeserializeGuard<R::Object>>| {
            store.get(object).is_some_and(|found| self.is_overtaken(&found))
        };
        let mut asked = pin!(futures::stream::select(watch, triggers));
        let mut observed = pin!(self.context.caches.ready.wait().fuse());
        let mut stopped = pin!(stop.cancelled().fuse());
        let (mut ready, mut stopping) = (false, false);
        let mut queue = Queue::new();
        let (mut passes, mut writes) = (FuturesUnordered::new(), FuturesUnordered::new());
        loop {
            while let Some(Some(asked)) = asked.next().now_or_never() {
                enter(&mut queue, asked);
            }
            // However many passes end meanwhile: who has waited for a time is not to wait for a quiet moment too.
            while queue.due().now_or_never().is_some() {}
            while ready
                && !stopping
                && passes.len() < CONCURRENCY
                && let Some(object) = queue.next()
            {
                if let Some(found) = store.get(&object) {
                    passes.push(async move { (object, self.reconcile(found).await) });
                } else {
                    self.forget(&object.name, object.namespace.as_deref());
                    queue.forget(&object);
                }
            }
            if stopping && passes.is_empty() && writes.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                () = &mut stopped => stopping = true,
                () = &mut observed => ready = true,
                Some((object, Next { after, write })) = passes.next() => {
                    let after = if overtaken(&object) { Some(Duration::ZERO) } else { after };
                    queue.finished(&object, after);
                    writes.extend(write.map(|write| async move { (object, self.write(write).await) }));
                }
                Some((object, after)) = writes.next() => match (after, overtaken(&object)) {
                    (Some(after), false) => queue.push_later(object, after),
                    // What has happened during the write has not been told of yet.
                    (Some(_), true) | (None, _) => queue.push(object),
                },
                Some(asked) = asked.next() => enter(&mut queue, asked),
                () = queue.due() => {}
            }
        }
    }
}

fn enter<K>(queue: &mut Queue<ObjectRef<DeserializeGuard<K>>>, (object, urgency): Asked<K>)
where
    K: Resource<DynamicType = ()> + Clone,
{
    match urgency {
        Urgency::Now => queue.push(object),
        Urgency::Soon => queue.push_later(object, SOON),
    }
}
