//! Many writes at once.

use futures::stream::FuturesUnordered;
use futures::{StreamExt, stream};

use crate::shell::writer::WriteError;

/// Most writes at once: enough to keep an API server busy that takes a while to answer, and each costs a connection.
const AT_ONCE: usize = 32;

/// Sends writes, many at once, and waits for their answers; the first failure comes out. After it no more are sent, but those
/// on their way are waited for: what became of them would not be known.
pub async fn send<W>(writes: impl Iterator<Item = W>) -> Result<(), WriteError>
where
    W: Future<Output = Result<(), WriteError>>,
{
    send_from(AT_ONCE, writes).await
}

/// The same where none of them says anything of the others: all are sent, and their outcomes come out as they arrive.
pub async fn send_each<W: Future>(writes: impl Iterator<Item = W>) -> Vec<W::Output> {
    stream::iter(writes).buffer_unordered(AT_ONCE).collect().await
}

/// As [`send`] with a slow start, one more at once for each that has succeeded: a quota or a policy that refuses one costs one
/// request, not one for each.
pub async fn send_with_care<W>(writes: impl Iterator<Item = W>) -> Result<(), WriteError>
where
    W: Future<Output = Result<(), WriteError>>,
{
    send_from(1, writes).await
}

async fn send_from<W>(mut at_once: usize, mut writes: impl Iterator<Item = W>) -> Result<(), WriteError>
where
    W: Future<Output = Result<(), WriteError>>,
{
    let mut sent = FuturesUnordered::new();
    let mut outcome = Ok(());
    loop {
        while outcome.is_ok()
            && sent.len() < at_once
            && let Some(write) = writes.next()
        {
            sent.push(write);
        }
        match sent.next().await {
            None => return outcome,
            Some(Ok(())) => at_once = at_once.saturating_add(1).min(AT_ONCE),
            Some(Err(error)) => outcome = outcome.and(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Sends 500 writes of which one fails; returns how many were sent and the most that were at once.
    async fn sent(failing: Option<usize>, with_care: bool) -> (usize, usize) {
        let (sent, now, most) = (Cell::new(0_usize), Cell::new(0_usize), Cell::new(0));
        let writes = (0..500).map(|number| {
            let (sent, now, most) = (&sent, &now, &most);
            async move {
                sent.set(sent.get().saturating_add(1));
                now.set(now.get().saturating_add(1));
                most.set(now.get().max(most.get()));
                tokio::task::yield_now().await;
                now.set(now.get().saturating_sub(1));
                let failure = || WriteError::TimedOut { kind: "Pod".to_owned(), name: number.to_string() };
                if failing == Some(number) { Err(failure()) } else { Ok(()) }
            }
        });
        let outcome = if with_care { send_with_care(writes).await } else { send(writes).await };
        assert_eq!(outcome.is_err(), failing.is_some());
        assert_eq!(now.get(), 0, "every answer is waited for");
        (sent.get(), most.get())
    }

    #[tokio::test]
    async fn so_many_at_once_and_no_more() {
        assert_eq!(sent(None, false).await, (500, AT_ONCE));
        assert_eq!(sent(None, true).await, (500, AT_ONCE));
    }

    #[tokio::test]
    async fn a_refusal_costs_few_requests() {
        assert_eq!(sent(Some(0), true).await, (1, 1));
        assert!(sent(Some(0), false).await.0 <= AT_ONCE.saturating_mul(2));
    }
}
