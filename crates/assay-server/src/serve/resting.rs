//! Connections on which nothing is being answered: those that may go when there are too many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All of them, the one that has been so for longest first.
#[derive(Debug, Default)]
pub(super) struct Resting(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    n: u64,
    since: BTreeMap<u64, CancellationToken>,
}

impl Resting {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, cut: &CancellationToken) -> u64 {
        let mut inner = self.inner();
        inner.n += 1;
        let since = inner.n;
        inner.since.insert(since, cut.clone());
        since
    }

    fn remove(&self, since: u64) {
        self.inner().since.remove(&since);
    }

    /// Ends the connection that has been without a request for longest, if there is any.
    pub(super) fn cut_longest(&self) {
        if let Some((_, cut)) = self.inner().since.pop_first() {
            cut.cancel();
        }
    }
}

/// One connection's place among the others. It rests from the beginning, and between its requests.
#[derive(Debug)]
pub(super) struct Seat {
    resting: Arc<Resting>,
    cut: CancellationToken,
    since: Mutex<u64>,
}

impl Seat {
    /// A connection begins. Whoever cancels `cut` ends it.
    pub(super) fn take(resting: &Arc<Resting>, cut: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            since: Mutex::new(resting.add(&cut)),
            resting: resting.clone(),
            cut,
        })
    }

    /// Until the connection has to go.
    pub(super) async fn given_up(&self) {
        self.cut.cancelled().await;
    }

    /// A request is being answered for as long as the guard lives.
    pub(super) fn work(self: &Arc<Self>) -> Working {
        self.resting.remove(*self.since());
        Working(self.clone())
    }

    fn since(&self) -> MutexGuard<'_, u64> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.resting.remove(*self.since());
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Working(Arc<Seat>);

impl Drop for Working {
    fn drop(&mut self) {
        let seat = &self.0;
        *seat.since() = seat.resting.add(&seat.cut);
    }
}
