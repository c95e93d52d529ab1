//! A run's events on their way into the store: in order, a few at a time, none twice.

use std::time::Duration;

use assay_core::event::Event;
use assay_store::Store;
use assay_store::model::Lease;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::now_ms;

/// Most events that are written at once.
const BATCH: usize = 64;
/// The pause after the store refused.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the last events may take to be written, once the run is over.
const LAST: Duration = Duration::from_secs(30);

/// Writes events until there are no more, or until `over` and all that were told are written. It ends early when the lease is
/// lost: whoever has it now tells what happens.
pub(super) async fn keep(
    store: &Store,
    lease: &Lease,
    mut events: mpsc::Receiver<Event>,
    over: &CancellationToken,
) {
    let writing = async {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                n = events.recv_many(&mut batch, BATCH) => if n == 0 { return },
                () = over.cancelled(), if !events.is_closed() => events.close(),
            }
            if !batch.is_empty() && !write(store, lease, &batch).await {
                return;
            }
            batch.clear();
        }
    };
    tokio::select! {
        () = writing => (),
        () = async { over.cancelled().await; tokio::time::sleep(LAST).await } => {
            tracing::warn!(run.id = %lease.run, "run {}: its last events could not be written", lease.run);
        }
    }
}

/// False when the lease is lost.
async fn write(store: &Store, lease: &Lease, batch: &[Event]) -> bool {
    let mut told = false;
    loop {
        match store.append_events(lease, batch, now_ms()).await {
            Ok(held) => return held,
            Err(error) if !told => {
                told = true;
                tracing::warn!(run.id = %lease.run, %error, "run {}: events cannot be written yet: {error}", lease.run);
            }
            Err(_) => (),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
