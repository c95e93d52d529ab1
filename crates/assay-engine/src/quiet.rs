//! A load check has the host to itself: all other checks of this process share it, a load check holds it alone.

use std::sync::Arc;
use std::time::Duration;

use assay_core::exercise::Check;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio_util::sync::CancellationToken;

use crate::Events;

/// What the runs of one host share, so that nothing disturbs a measurement. Cheap to clone.
///
/// Fair: who waits longest is next, so that checks without an end cannot keep a load check waiting, nor the other way round.
#[derive(Debug, Clone, Default)]
pub struct Quiet(Arc<RwLock<()>>);

/// As long as it lives, the host is held.
#[derive(Debug)]
pub(crate) enum Hold {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Quiet {
    /// The host, for a check, whose followers are told when it has to wait. None: the run was cancelled.
    pub(crate) async fn wait(
        &self,
        alone: bool,
        check: Option<&Check>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Option<Hold> {
        if let Some(hold) = self.try_hold(alone) {
            return Some(hold);
        }
        if let Some(check) = check {
            events.doing(&check.id, "waiting for a quiet machine");
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            hold = self.hold(alone) => Some(hold),
        }
    }

    /// The host, if nobody stands in the way.
    fn try_hold(&self, alone: bool) -> Option<Hold> {
        if alone {
            let guard = Arc::clone(&self.0).try_write_owned().ok()?;
            Some(Hold::Alone { _guard: guard })
        } else {
            let guard = Arc::clone(&self.0).try_read_owned().ok()?;
            Some(Hold::Shared { _guard: guard })
        }
    }

    /// The host, once nobody stands in the way.
    async fn hold(&self, alone: bool) -> Hold {
        if alone {
            let guard = Arc::clone(&self.0).write_owned().await;
            Hold::Alone { _guard: guard }
        } else {
            let guard = Arc::clone(&self.0).read_owned().await;
            Hold::Shared { _guard: guard }
        }
    }

    /// The host, shared, for what has to go on in the end.
    pub(crate) async fn hold_within(&self, limit: Duration) -> Option<Hold> {
        tokio::time::timeout(limit, self.hold(false)).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_load_check_is_alone_and_has_its_turn() {
        let quiet = Quiet::default();
        let first = quiet.try_hold(false).unwrap();
        let second = quiet.try_hold(false).unwrap();
        assert!(quiet.try_hold(true).is_none());
        let mut load = Box::pin(quiet.hold(true));
        assert!(load.as_mut().now_or_never().is_none());
        // Who comes after it waits, although the host is only shared now.
        assert!(quiet.try_hold(false).is_none());
        let mut third = Box::pin(quiet.hold(false));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(load.as_mut().now_or_never().is_none());
        drop(second);
        let alone = load.now_or_never().unwrap();
        assert!(third.as_mut().now_or_never().is_none());
        drop(alone);
        let _shared = third.now_or_never().unwrap();
        // Who gave up waiting stands in nobody's way.
        assert!(quiet.hold(true).now_or_never().is_none());
        assert!(quiet.try_hold(false).is_some());
    }
}
