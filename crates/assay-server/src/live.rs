//! A run's events, those that are stored and those to come, in order and without gaps.
//!
//! A task of its own looks for them. Whoever follows may rest for as long as they like between two events: no connection to
//! the database is ever held by somebody whose client is slow, or who waits for something else meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use assay_core::event::Event;
use assay_core::id::RunId;
use assay_core::queue::RunState;
use assay_store::StoreError;
use assay_store::model::RunEvent;
use futures_util::Stream;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::App;

/// How often is looked without being told: other processes write, too.
const TICK: Duration = Duration::from_millis(500);
/// Events read at once.
const BATCH: u32 = 200;
/// Events that wait for somebody slow. The others wait in the store.
const AHEAD: usize = 16;
/// After how many looks that found nothing it is asked whether anything can still come.
const PATIENCE: u32 = 20;

struct Watch {
    app: App,
    run: RunId,
    changed: watch::Receiver<u64>,
    seen: i64,
    waiting: VecDeque<RunEvent>,
    n_looks: u32,
    is_over: bool,
}

/// The events after `after_seq`. Ends after the run's last one, when there is no such run, and when the daemon drains: a
/// client goes on where it was. Dropping it changes nothing about the run.
///
/// # Errors
/// When the store fails; that is the last item.
pub fn events(
    app: &App,
    run: RunId,
    after_seq: i64,
) -> impl Stream<Item = Result<RunEvent, StoreError>> + Send + use<> {
    let mut watch = Watch {
        // Before the first look, so that nothing falls in between.
        changed: app.store().changed(),
        app: app.clone(),
        run,
        seen: after_seq,
        waiting: VecDeque::new(),
        n_looks: PATIENCE,
        is_over: false,
    };
    let (to, events) = mpsc::channel(AHEAD);
    app.tasks().spawn(async move {
        let mut shutdown = std::pin::pin!(watch.app.shutdown().clone().cancelled_owned());
        loop {
            let next = tokio::select! {
                () = to.closed() => return,
                next = watch.next() => next,
            };
            let Some(next) = next else { return };
            let is_last = next.is_err();
            tokio::select! {
                biased;
                sent = to.send(next) => if sent.is_err() || is_last { return },
                () = &mut shutdown => return,
            }
        }
    });
    ReceiverStream::new(events)
}

impl Watch {
    async fn next(&mut self) -> Option<Result<RunEvent, StoreError>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.seen = event.seq;
                self.is_over |= matches!(event.event, Event::RunEnded { .. });
                return Some(Ok(event));
            }
            if self.is_over {
                return None;
            }
            match self.look().await {
                Ok(()) => (),
                Err(error) => return Some(Err(error)),
            }
            if self.waiting.is_empty() && !self.is_over {
                self.pause().await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        self.changed.mark_unchanged();
        let store = self.app.store().clone();
        self.waiting = store.events(&self.run, self.seen, BATCH).await?.into();
        self.n_looks = if self.waiting.is_empty() {
            self.n_looks + 1
        } else {
            0
        };
        if self.n_looks > PATIENCE {
            self.n_looks = 0;
            let run = store.run(&self.run).await?;
            let may_go_on = run.is_some_and(|run| run.state != RunState::Finished);
            if !may_go_on {
                // What was written between the two looks.
                self.waiting = store.events(&self.run, self.seen, BATCH).await?.into();
                self.is_over = self.waiting.is_empty();
            }
        }
        Ok(())
    }

    async fn pause(&mut self) {
        let shutdown = self.app.shutdown().clone();
        tokio::select! {
            () = shutdown.cancelled() => self.is_over = true,
            _ = self.changed.changed() => (),
            () = tokio::time::sleep(TICK) => (),
        }
    }
}
