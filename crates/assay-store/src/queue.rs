//! The life of a run: queued, in a worker's hands under a lease, finished exactly once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use assay_core::event::Event;
use assay_core::fault::Whose;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{Outcome, RunState, Trigger, Waiting, order};
use tokio::sync::Mutex;

use crate::error::{exists, not_found};
use crate::model::{Assignment, Beat, Enqueued, Finish, GivenBack, Lease, NewRun, QueueNumbers, Run};
use crate::names::Named;
use crate::rows::{count, id, plain};
use crate::sql::{Tx, all, execute, optional};
use crate::{Store, StoreError, assignments, events, runs};

/// What a lease's holder has to know of its run.
pub(crate) struct Held {
    assignment: AssignmentId,
    cancel_requested: bool,
}

/// The run of a lease, as long as the lease is the run's.
pub(crate) async fn held(tx: &mut Tx, lease: &Lease) -> Result<Option<Held>, StoreError> {
    let row: Option<(String, bool)> = optional!(
        tx,
        "SELECT assignment, cancel_requested FROM runs
         WHERE id = $1 AND state = 'running' AND worker = $2 AND executions = $3",
        lease.run.as_str(),
        plain(&lease.worker),
        i64::from(lease.execution),
    )?;
    let held = |(assignment, cancel_requested)| {
        let assignment = id(assignment)?;
        Ok(Held {
            assignment,
            cancel_requested,
        })
    };
    row.map(held).transpose()
}

/// A run whose worker is lost: id, assignment, executions that were not interrupted, whether it was to be cancelled.
type Lost = (String, String, i64, bool);

/// All runs that wait, in the order in which they begin.
async fn waiting(tx: &mut Tx) -> Result<Vec<Waiting>, StoreError> {
    let rows: Vec<(String, String, String, i64)> = all!(
        &mut *tx,
        "SELECT id, assignment, asked_by, queued_at_ms FROM runs WHERE state = 'queued'",
    )?;
    let running: Vec<(String,)> = all!(tx, "SELECT assignment FROM runs WHERE state = 'running'")?;
    let waiting = |(run, assignment, asked_by, queued_at_ms): (String, String, String, i64)| {
        Ok::<_, StoreError>(Waiting {
            run: id(run)?,
            assignment: id(assignment)?,
            priority: Trigger::of(&asked_by)?.priority(),
            queued_at_ms,
        })
    };
    let waiting = rows.into_iter().map(waiting).collect::<Result<Vec<_>, _>>()?;
    let running = running
        .into_iter()
        .map(|(assignment,)| id(assignment))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(order(waiting, &running))
}

/// The places of all runs that wait. Each change of the queue wakes everybody whose run waits, so those who ask at the same
/// time share one look at it; nobody gets what was read before they asked.
#[derive(Debug, Default)]
pub(crate) struct Places {
    n_asked: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How many had asked when it was read.
    n_asked: u64,
    places: HashMap<RunId, u32>,
}

impl Store {
    /// Ends a run that has not ended. One without a scorecard is signed as such.
    pub(crate) async fn end(
        &self,
        tx: &mut Tx,
        run: &RunId,
        outcome: Outcome,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let reason = plain(reason);
        execute!(
            &mut *tx,
            "UPDATE runs SET state = 'finished', outcome = $1, reason = $2, finished_at_ms = $3, worker = NULL,
                             lease_until_ms = NULL
             WHERE id = $4",
            outcome.word(),
            &reason,
            now_ms,
            run.as_str(),
        )?;
        events::add(tx, run.as_str(), &Event::RunEnded { outcome, reason }, now_ms).await?;
        self.attest_end(tx, run, outcome, now_ms).await
    }

    /// Puts a run back into the queue, at its old place; or ends it, when it was to be cancelled anyway.
    async fn requeue(
        &self,
        tx: &mut Tx,
        run: &RunId,
        held: &Held,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        if held.cancel_requested {
            self.end(tx, run, Outcome::Cancelled, "", now_ms).await?;
            return assignments::refresh(tx, &held.assignment).await;
        }
        execute!(
            &mut *tx,
            "UPDATE runs SET state = 'queued', worker = NULL, lease_until_ms = NULL WHERE id = $1",
            run.as_str(),
        )?;
        let reason = reason.to_owned();
        events::add(tx, run.as_str(), &Event::RunGivenBack { reason }, now_ms).await
    }

    /// Gives lost runs another chance, or ends those that had enough.
    async fn recover(
        &self,
        tx: &mut Tx,
        lost: Vec<Lost>,
        now_ms: i64,
        max_executions: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        let mut ids = Vec::with_capacity(lost.len());
        for (run, assignment, executions, cancel_requested) in lost {
            let run: RunId = id(run)?;
            let held = Held {
                assignment: id(assignment)?,
                cancel_requested,
            };
            let executions = count(executions);
            if executions >= max_executions && !cancel_requested {
                let reason = format!(
                    "its worker was lost, and this was execution {executions} of at most {max_executions}"
                );
                self.end(tx, &run, Outcome::Failed(Whose::Platform), &reason, now_ms)
                    .await?;
                assignments::refresh(tx, &held.assignment).await?;
            } else {
                self.requeue(tx, &run, &held, "its worker was lost", now_ms)
                    .await?;
            }
            ids.push(run);
        }
        Ok(ids)
    }

    /// Queues a run. What a push, tag or hook asked for supersedes what an earlier one asked for and still waits; when the same
    /// commit and reference wait or run already, that run is the answer. A re-run does neither.
    ///
    /// # Errors
    ///
    /// When the assignment is not there or erased, the run counts and no attempt is left (those that it would supersede cost
    /// none), or the run's id is there already.
    pub async fn enqueue(&self, new: &NewRun, now_ms: i64) -> Result<Enqueued, StoreError> {
        let mut tx = self.write().await?;
        let assignment = assignments::find_live(&mut tx, &new.assignment).await?;
        let (commit, reference) = (plain(&new.commit), plain(&new.reference));
        let mut superseded = Vec::new();
        if new.trigger != Trigger::Rerun {
            let unfinished: Vec<(String, String, String, String)> = all!(
                &mut tx,
                "SELECT id, commit_id, reference, state FROM runs
                 WHERE assignment = $1 AND state <> 'finished' AND asked_by <> 'rerun' ORDER BY number",
                new.assignment.as_str(),
            )?;
            for (run, its_commit, its_reference, state) in unfinished {
                let run: RunId = id(run)?;
                if its_commit == commit && its_reference == reference {
                    let run = runs::find(&mut tx, &run).await?;
                    let run = run.ok_or_else(|| not_found("run", new.id.as_str()))?;
                    return Ok(Enqueued {
                        run,
                        superseded: Vec::new(),
                    });
                }
                if RunState::of(&state)? == RunState::Queued {
                    superseded.push(run);
                }
            }
        }
        if let (true, Some(of)) = (new.counts, assignment.attempts) {
            // Of those that it supersedes, none is in a worker's hands: nobody takes one meanwhile.
            let n_used = runs::attempts_used(&mut tx, &new.assignment, &superseded).await?;
            if n_used >= of {
                return Err(StoreError::NoAttemptsLeft { of });
            }
        }
        execute!(
            &mut tx,
            "INSERT INTO runs (id, assignment, exercise, number, asked_by, commit_id, reference, received_at_ms, seed,
                               counts, state, queued_at_ms)
             SELECT $1, $2, $3, COALESCE(max(number), 0) + 1, $4, $5, $6, $7, $8, $9, 'queued', $10
             FROM runs WHERE assignment = $2",
            new.id.as_str(),
            new.assignment.as_str(),
            &assignment.exercise,
            new.trigger.word(),
            &commit,
            &reference,
            new.received_at_ms,
            new.seed.cast_signed(),
            new.counts,
            now_ms,
        )
        .map_err(exists("run", new.id.as_str()))?;
        events::add(&mut tx, new.id.as_str(), &Event::RunQueued, now_ms).await?;
        for run in &superseded {
            self.end(&mut tx, run, Outcome::Superseded, "", now_ms).await?;
        }
        assignments::refresh(&mut tx, &new.assignment).await?;
        let run = runs::find(&mut tx, &new.id).await?;
        let run = run.ok_or_else(|| not_found("run", new.id.as_str()))?;
        self.publish(tx).await?;
        Ok(Enqueued { run, superseded })
    }

    /// At which place a run waits: 1 is the next. None: it does not wait.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn queue_position(&self, run: &RunId) -> Result<Option<u32>, StoreError> {
        let asked = self.places.n_asked.fetch_add(1, Ordering::SeqCst);
        let mut known = self.places.known.lock().await;
        if known.n_asked <= asked {
            let n_asked = self.places.n_asked.load(Ordering::SeqCst);
            let waiting = waiting(&mut self.read().await?).await?;
            let places = (1..).zip(waiting).map(|(place, waiting)| (waiting.run, place));
            *known = Known {
                n_asked,
                places: places.collect(),
            };
        }
        Ok(known.places.get(run).copied())
    }

    /// Numbers of the queue.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn queue_numbers(&self) -> Result<QueueNumbers, StoreError> {
        let mut tx = self.read().await?;
        let unfinished: Vec<(String, i64, Option<i64>)> = all!(
            &mut tx,
            "SELECT state, count(*), min(queued_at_ms) FROM runs WHERE state IN ('queued', 'running') GROUP BY state",
        )?;
        let finished: Vec<(String, i64)> = all!(
            &mut tx,
            "SELECT outcome, count(*) FROM runs WHERE outcome IS NOT NULL GROUP BY outcome ORDER BY outcome",
        )?;
        let mut numbers = QueueNumbers {
            n_finished: finished
                .into_iter()
                .map(|(outcome, n)| (outcome, n.unsigned_abs()))
                .collect(),
            ..QueueNumbers::default()
        };
        for (state, n, oldest) in unfinished {
            match RunState::of(&state)? {
                RunState::Queued => {
                    numbers.n_queued = n.unsigned_abs();
                    numbers.oldest_queued_at_ms = oldest;
                }
                RunState::Running => numbers.n_running = n.unsigned_abs(),
                RunState::Finished => (),
            }
        }
        Ok(numbers)
    }

    /// Takes the next run, by [`order`]. The worker has to give a sign of life within `lease_ms`.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn claim(
        &self,
        worker: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<Option<(Lease, Run, Assignment)>, StoreError> {
        let mut tx = self.write().await?;
        let Some(next) = waiting(&mut tx).await?.into_iter().next() else {
            return Ok(None);
        };
        let worker = plain(worker);
        execute!(
            &mut tx,
            "UPDATE runs SET state = 'running', worker = $1, lease_until_ms = $2, started_at_ms = $3,
                             executions = executions + 1
             WHERE id = $4",
            &worker,
            now_ms.saturating_add(lease_ms),
            now_ms,
            next.run.as_str(),
        )?;
        let run = runs::find(&mut tx, &next.run).await?;
        let run = run.ok_or_else(|| not_found("run", next.run.as_str()))?;
        let assignment = assignments::find_live(&mut tx, &next.assignment).await?;
        let execution = run.executions;
        let taken = Event::RunTaken {
            worker: worker.clone(),
            execution,
        };
        events::add(&mut tx, next.run.as_str(), &taken, now_ms).await?;
        self.publish(tx).await?;
        let lease = Lease {
            run: next.run,
            worker,
            execution,
        };
        Ok(Some((lease, run, assignment)))
    }

    /// A worker's sign of life: the lease lasts for another `lease_ms`.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn heartbeat(&self, lease: &Lease, now_ms: i64, lease_ms: i64) -> Result<Beat, StoreError> {
        let mut tx = self.write().await?;
        let Some(held) = held(&mut tx, lease).await? else {
            return Ok(Beat::Lost);
        };
        execute!(
            &mut tx,
            "UPDATE runs SET lease_until_ms = $1 WHERE id = $2",
            now_ms.saturating_add(lease_ms),
            lease.run.as_str(),
        )?;
        tx.commit().await?;
        Ok(match held.cancel_requested {
            true => Beat::CancelRequested,
            false => Beat::Held,
        })
    }

    /// Ends the run in a worker's hands, with its scorecard and files. False: the lease is lost, and nothing was written. A
    /// lease that ran out holds until [`Store::expire`] or [`Store::take_back`] takes the run away.
    ///
    /// # Errors
    ///
    /// When a blob is not stored (put it again, then finish again), or the database fails.
    pub async fn finish(&self, lease: &Lease, finish: &Finish, now_ms: i64) -> Result<bool, StoreError> {
        let signed = match &finish.score {
            Some(score) => self.to_sign(score).await?,
            None => None,
        };
        let mut tx = self.write().await?;
        let Some(held) = held(&mut tx, lease).await? else {
            return Ok(false);
        };
        for file in &finish.files {
            self.add_file(&mut tx, &lease.run, file).await?;
        }
        if let Some(score) = &finish.score {
            self.add_score(&mut tx, &lease.run, score, signed).await?;
        }
        self.end(&mut tx, &lease.run, finish.outcome, &finish.reason, now_ms)
            .await?;
        assignments::refresh(&mut tx, &held.assignment).await?;
        self.publish(tx).await?;
        Ok(true)
    }

    /// Puts the run in a worker's hands back into the queue, at its old place; one that was to be cancelled ends as cancelled.
    /// An interrupted execution is not held against the run. False: the lease is lost, and nothing was written.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn give_back(
        &self,
        lease: &Lease,
        why: GivenBack,
        reason: &str,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let Some(held) = held(&mut tx, lease).await? else {
            return Ok(false);
        };
        if why == GivenBack::Interrupted {
            execute!(
                &mut tx,
                "UPDATE runs SET interruptions = interruptions + 1 WHERE id = $1",
                lease.run.as_str(),
            )?;
        }
        self.requeue(&mut tx, &lease.run, &held, reason, now_ms).await?;
        self.publish(tx).await?;
        Ok(true)
    }

    /// Takes all runs out of the hands of a worker that is known to be gone, such as this one's former life. Each waits again;
    /// after `max_executions` that were not interrupted it ends as the platform's failure. Answers which runs it were.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn take_back(
        &self,
        worker: &str,
        now_ms: i64,
        max_executions: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        let mut tx = self.write().await?;
        let lost: Vec<Lost> = all!(
            &mut tx,
            "SELECT id, assignment, executions - interruptions, cancel_requested FROM runs
             WHERE state = 'running' AND worker = $1 ORDER BY queued_at_ms, id",
            plain(worker),
        )?;
        let ids = self.recover(&mut tx, lost, now_ms, max_executions).await?;
        self.publish(tx).await?;
        Ok(ids)
    }

    /// Does the same with all runs whose lease has run out.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn expire(&self, now_ms: i64, max_executions: u32) -> Result<Vec<RunId>, StoreError> {
        let mut tx = self.write().await?;
        let lost: Vec<Lost> = all!(
            &mut tx,
            "SELECT id, assignment, executions - interruptions, cancel_requested FROM runs
             WHERE state = 'running' AND lease_until_ms <= $1 ORDER BY queued_at_ms, id",
            now_ms,
        )?;
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let ids = self.recover(&mut tx, lost, now_ms, max_executions).await?;
        self.publish(tx).await?;
        Ok(ids)
    }

    /// Cancels a run: one that waits ends at once, the worker of one that runs is told at its next sign of life. Answers the
    /// state that the run is in then; None: there is no such run.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn request_cancel(&self, id: &RunId, now_ms: i64) -> Result<Option<RunState>, StoreError> {
        let mut tx = self.write().await?;
        let Some(run) = runs::find(&mut tx, id).await? else {
            return Ok(None);
        };
        match run.state {
            RunState::Queued => {
                self.end(&mut tx, id, Outcome::Cancelled, "", now_ms).await?;
                assignments::refresh(&mut tx, &run.assignment).await?;
            }
            RunState::Running => {
                execute!(
                    &mut tx,
                    "UPDATE runs SET cancel_requested = TRUE WHERE id = $1",
                    id.as_str(),
                )?;
            }
            RunState::Finished => return Ok(Some(RunState::Finished)),
        }
        self.publish(tx).await?;
        Ok(Some(match run.state {
            RunState::Queued => RunState::Finished,
            state => state,
        }))
    }
}
