//! Whether everything has been observed.
//!
//! A kube store wakes only the last of those who wait for it to be ready, so a store's readiness is left to the controller of
//! its kind, and the end of every first list is told here to as many as want to know.

use tokio::sync::watch;

/// Tells that a watch has listed all there is.
#[derive(Debug)]
pub struct Listed(watch::Sender<bool>);

impl Listed {
    /// The first list is complete.
    pub fn complete(&self) {
        self.0.send_if_modified(|complete| !std::mem::replace(complete, true));
    }
}

/// Waits for all watches.
#[derive(Debug, Clone)]
pub struct Ready(Vec<watch::Receiver<bool>>);

impl Ready {
    /// `N` watches to wait for.
    pub fn of<const N: usize>() -> (Self, [Listed; N]) {
        let mut receivers = Vec::new();
        let listed = std::array::from_fn(|_| {
            let (sender, receiver) = watch::channel(false);
            receivers.push(receiver);
            Listed(sender)
        });
        (Self(receivers), listed)
    }

    /// Waits until every watch has listed all there is.
    pub async fn wait(&self) {
        for watch in &self.0 {
            // A watch that is gone means that the process ends: whoever waits is about to be dropped.
            let _ = watch.clone().wait_for(|complete| *complete).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_who_waits_is_told() {
        let (ready, listed) = Ready::of::<2>();
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let ready = ready.clone();
                tokio::spawn(async move { ready.wait().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for listed in &listed {
            assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
            listed.complete();
            tokio::task::yield_now().await;
        }
        for waiting in waiting {
            tokio::time::timeout(std::time::Duration::from_secs(1), waiting).await.unwrap().unwrap();
        }
    }
}
