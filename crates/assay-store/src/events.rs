//! What happened in a run, in order.

use assay_core::event::Event;
use assay_core::id::RunId;
use serde_json::Value;

use crate::model::{Lease, RunEvent};
use crate::queue;
use crate::rows::{from_json, to_json};
use crate::sql::{Tx, all, execute, scalar};
use crate::{Store, StoreError};

/// Most events that a worker may add to a run. More are dropped, so that no run fills the disk; what the store itself adds
/// (taken, given back, ended) always fits.
const MOST_EVENTS: i64 = 10_000;

/// Longest text in an event, in characters. Candidates' tools write some of them.
const LONGEST_TEXT: usize = 2_000;

/// Most events in one answer.
const MOST_READ: u32 = 1_000;

/// Adds an event to a run.
pub(crate) async fn add(tx: &mut Tx, run: &str, event: &Event, now_ms: i64) -> Result<(), StoreError> {
    let seq: i64 = scalar!(
        &mut *tx,
        "UPDATE runs SET n_events = n_events + 1 WHERE id = $1 RETURNING n_events",
        run,
    )?;
    execute!(
        tx,
        "INSERT INTO events (run, seq, at_ms, event) VALUES ($1, $2, $3, $4)",
        run,
        seq,
        now_ms,
        to_text(event)?,
    )?;
    Ok(())
}

/// An event as it is stored.
fn to_text(event: &Event) -> Result<String, StoreError> {
    let mut value: Value = from_json("event", &to_json("event", event)?)?;
    shorten(&mut value);
    Ok(value.to_string())
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

/// Whether the store alone adds such events.
fn is_ours(event: &Event) -> bool {
    match event {
        Event::RunQueued | Event::RunTaken { .. } | Event::RunGivenBack { .. } | Event::RunEnded { .. } => {
            true
        }
        Event::RunStarted { .. }
        | Event::SourceRead { .. }
        | Event::CheckStarted { .. }
        | Event::CheckProgressed { .. }
        | Event::CheckFinished { .. }
        | Event::RunScored { .. }
        | Event::RunFinished { .. } => false,
    }
}

impl Store {
    /// Adds what happened to the run in a worker's hands. Events about the run's place in the queue and about its end are the
    /// store's own and left out here; so is what goes beyond 10 000 events. False: the lease is lost and nothing was added.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn append_events(
        &self,
        lease: &Lease,
        events: &[Event],
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if queue::held(&mut tx, lease).await?.is_none() {
            return Ok(false);
        }
        let n: i64 = scalar!(
            &mut tx,
            "SELECT n_events FROM runs WHERE id = $1",
            lease.run.as_str()
        )?;
        let room = usize::try_from(MOST_EVENTS - n).unwrap_or(0);
        for event in events.iter().filter(|event| !is_ours(event)).take(room) {
            add(&mut tx, lease.run.as_str(), event, now_ms).await?;
        }
        self.publish(tx).await?;
        Ok(true)
    }

    /// Events of a run after one, in order, at most `limit` and at most 1000.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn events(&self, run: &RunId, after_seq: i64, limit: u32) -> Result<Vec<RunEvent>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<(i64, i64, String)> = all!(
            &mut tx,
            "SELECT seq, at_ms, event FROM events WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            run.as_str(),
            after_seq,
            i64::from(limit.min(MOST_READ)),
        )?;
        let event = |(seq, at_ms, text): (i64, i64, String)| {
            let event = from_json("event", &text)?;
            Ok(RunEvent { seq, at_ms, event })
        };
        rows.into_iter().map(event).collect()
    }
}
