//! One run in a worker's hands, from the lease to its end.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use assay_core::fault::Whose;
use assay_core::queue::Outcome;
use assay_store::StoreError;
use assay_store::model::{Assignment, Beat, Finish, GivenBack, Lease, Run};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::executor::{Ending, Executor, Next, Task};
use super::keep::{self, KeepError};
use super::{CLEAN_UP, LONGEST_RUN, Shared, journal, mebibytes, millis, now_ms};
use crate::events::{self, Events};
use crate::ground::Teardown;
use crate::meters;

/// The pause before something that the store refused is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// A run in our hands.
pub(super) struct Carry<E> {
    shared: Arc<Shared<E>>,
    lease: Lease,
    task: Task,
    /// Cancelled to stop the run.
    cancel: CancellationToken,
    /// Why it was told to stop, first reason first.
    stopped: OnceLock<Stopped>,
}

/// Why a run was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// Somebody asked for it.
    OnRequest,
    /// It is not ours any more.
    Lost,
    /// The worker is told to end, and the time for that is over.
    Drain,
    /// It took too long.
    Late,
}

/// What is left of a run that has ended: clean-up under way, and the memory that it frees.
#[derive(Default)]
struct Left {
    teardown: Option<Teardown>,
    _memory: Option<OwnedSemaphorePermit>,
}

impl<E: Executor> Carry<E> {
    pub(super) fn new(shared: Arc<Shared<E>>, lease: Lease, run: Run, assignment: Assignment) -> Self {
        let scratch = shared
            .settings
            .scratch
            .join(format!("{}-{}", lease.run, lease.execution));
        Self {
            task: Task {
                run,
                assignment,
                execution: lease.execution,
                scratch,
            },
            shared,
            lease,
            cancel: CancellationToken::new(),
            stopped: OnceLock::new(),
        }
    }

    /// Carries it out, and gives signs of life until all is written. `turn` is given on once there is memory for it.
    pub(super) async fn out(self, turn: OwnedMutexGuard<()>) {
        let run = &self.lease.run;
        tracing::info!(run.id = %run, "run {run}: execution {} begins", self.lease.execution);
        // The work ends by itself; the signs of life do not.
        let left = tokio::select! {
            biased;
            left = self.work(turn) => left,
            () = self.watch() => Left::default(),
        };
        // Its place and its memory are free once it has gone altogether.
        if let Some(teardown) = left.teardown {
            teardown.ended().await;
        }
    }

    fn stop(&self, why: Stopped) {
        // The first reason counts.
        let _ = self.stopped.set(why);
        self.cancel.cancel();
    }

    /// Gives signs of life, and stops the run when that is called for.
    async fn watch(&self) {
        let lease = self.shared.settings.lease;
        let mut beats = tokio::time::interval(lease / 4);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut late = std::pin::pin!(tokio::time::sleep(LONGEST_RUN));
        let mut held_at = Instant::now();
        loop {
            tokio::select! {
                _ = beats.tick() => (),
                () = self.shared.hurry.cancelled(), if !self.cancel.is_cancelled() => {
                    self.stop(Stopped::Drain);
                    continue;
                }
                () = &mut late, if !self.cancel.is_cancelled() => {
                    self.stop(Stopped::Late);
                    continue;
                }
            }
            let asked_at = Instant::now();
            let beat = self.shared.store.heartbeat(&self.lease, now_ms(), millis(lease));
            let run = &self.lease.run;
            match tokio::time::timeout(lease, beat).await {
                Ok(Ok(Beat::Held)) => held_at = asked_at,
                Ok(Ok(Beat::CancelRequested)) => {
                    held_at = asked_at;
                    self.stop(Stopped::OnRequest);
                }
                Ok(Ok(Beat::Lost)) => {
                    tracing::warn!(run.id = %run, "run {run} is not ours any more; it stops");
                    self.stop(Stopped::Lost);
                    // Nothing more to be said: only the work's own end is waited for.
                    std::future::pending::<()>().await;
                }
                // Others may take it now, so that going on is only heat.
                Ok(Err(_)) | Err(_) if held_at.elapsed() >= lease => self.stop(Stopped::Lost),
                Ok(Err(error)) => {
                    tracing::warn!(run.id = %run, %error, "run {run}: no sign of life could be given: {error}");
                }
                Err(_) => tracing::warn!(run.id = %run, "run {run}: no sign of life could be given in time"),
            }
        }
    }

    async fn work(&self, turn: OwnedMutexGuard<()>) -> Left {
        let memory = self.admit().await;
        drop(turn);
        let (events, told) = events::channel();
        let over = CancellationToken::new();
        let acting = async {
            let mut ending = self.carried_out(&events).await;
            let teardown = match &mut ending {
                Ending::Scored(scored) => scored.teardown.take(),
                _ => None,
            };
            let next = self.next(&ending);
            let finish = match next {
                Ok(Next::End(outcome, reason)) => Ok(self.kept(ending, outcome, reason, &events).await),
                Ok(Next::Again(reason)) => Err(Some(reason)),
                Err(stopped) => Err(stopped),
            };
            drop(events);
            over.cancel();
            (finish, teardown)
        };
        let ((finish, teardown), ()) = tokio::join!(
            acting,
            journal::keep(&self.shared.store, &self.lease, told, &over)
        );
        match finish {
            Ok(finish) => self.finish(finish).await,
            Err(Some(reason)) => self.give_back(&reason).await,
            Err(None) => (),
        }
        Left {
            teardown,
            _memory: memory,
        }
    }

    /// Memory for the run; none when it was stopped before there was any.
    async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let needed = self.shared.executor.memory(&self.task.assignment);
        let needed = mebibytes(needed).min(mebibytes(self.shared.settings.memory_bytes).max(1));
        tokio::select! {
            biased;
            memory = Arc::clone(&self.shared.memory).acquire_many_owned(needed) => memory.ok(),
            () = self.cancel.cancelled() => None,
        }
    }

    /// Carries the run out, and survives whatever becomes of it.
    async fn carried_out(&self, events: &Events) -> Ending {
        if self.cancel.is_cancelled() {
            return Ending::Cancelled;
        }
        let ours = |reason: String| Ending::Failed {
            whose: Whose::Platform,
            reason,
            may_pass: true,
        };
        if let Err(error) = tokio::fs::create_dir_all(&self.task.scratch).await {
            return ours(format!("No temporary folder can be made: {error}."));
        }
        let (shared, task) = (Arc::clone(&self.shared), self.task.clone());
        let (events, cancel) = (events.clone(), self.cancel.clone());
        // A task of its own: when it panics, this one goes on.
        let mut running = tokio::spawn(async move { shared.executor.execute(&task, &events, &cancel).await });
        let too_long = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(CLEAN_UP).await;
        };
        let ended = tokio::select! {
            biased;
            ended = &mut running => Some(ended),
            () = too_long => None,
        };
        let run = &self.lease.run;
        let ending = match ended {
            Some(Ok(ending)) => ending,
            Some(Err(panic)) => {
                tracing::error!(run.id = %run, %panic, "run {run} panicked: {panic}");
                ours("Assay itself failed: this is a bug.".to_owned())
            }
            None => {
                running.abort();
                tracing::error!(run.id = %run, "run {run} did not stop when told to");
                ours("It did not stop when told to.".to_owned())
            }
        };
        if let Err(error) = tokio::fs::remove_dir_all(&self.task.scratch).await {
            tracing::error!(run.id = %run, %error, "run {run} left temporary files behind: {error}");
        }
        ending
    }

    /// What becomes of the run. `Err`: nothing is to be finished; with a reason, the run goes back into the queue.
    fn next(&self, ending: &Ending) -> Result<Next, Option<String>> {
        let max = self.shared.settings.max_executions;
        // Those that a shutdown interrupted are not held against it.
        let execution = self.task.execution.saturating_sub(self.task.run.interruptions);
        match self.stopped.get() {
            Some(Stopped::Lost) => Err(None),
            // What was done in the very last moment counts.
            _ if matches!(ending, Ending::Scored(_) | Ending::Nothing(_)) => Ok(ending.next(execution, max)),
            Some(Stopped::OnRequest) => Ok(Next::End(Outcome::Cancelled, String::new())),
            Some(Stopped::Drain) => Err(Some("its worker is shutting down".to_owned())),
            Some(Stopped::Late) => {
                let limit = LONGEST_RUN.as_secs() / 60;
                let reason = format!("It was not done after {limit} minutes.");
                Ok(Next::End(Outcome::Failed(Whose::Platform), reason))
            }
            None => Ok(ending.next(execution, max)),
        }
    }

    /// Stores what the run left.
    async fn kept(&self, ending: Ending, outcome: Outcome, reason: String, events: &Events) -> Finish {
        let nothing = |outcome, reason| Finish {
            outcome,
            reason,
            score: None,
            files: Vec::new(),
        };
        let Ending::Scored(scored) = ending else {
            return nothing(outcome, reason);
        };
        meters::checks_done(&scored.stored.evidence);
        let deadline = self.deadline();
        let kept = loop {
            match keep::keep(&self.shared.store, &scored, now_ms()).await {
                Ok(kept) => break Some(Ok(kept)),
                Err(KeepError::Json(detail)) => break Some(Err(detail)),
                Err(KeepError::Store(error)) => {
                    if !self.again("its report cannot be stored", &error, deadline).await {
                        break None;
                    }
                }
            }
        };
        match kept {
            Some(Ok((score, files))) => {
                scored.tell(events);
                Finish {
                    outcome,
                    reason,
                    score: Some(score),
                    files,
                }
            }
            failed => {
                let why = failed.and_then(Result::err).unwrap_or_default();
                let reason = format!("Its report could not be stored. {why}")
                    .trim_end()
                    .to_owned();
                nothing(Outcome::Failed(Whose::Platform), reason)
            }
        }
    }

    async fn finish(&self, finish: Finish) {
        let run = &self.lease.run;
        let deadline = self.deadline();
        let done = loop {
            match self.shared.store.finish(&self.lease, &finish, now_ms()).await {
                Ok(done) => break Some(done),
                Err(error) => {
                    if !self.again("its end cannot be written", &error, deadline).await {
                        break None;
                    }
                }
            }
        };
        match done {
            Some(true) => {
                meters::run_ended(finish.outcome);
                let outcome = finish.outcome.name();
                tracing::info!(run.id = %run, outcome, "run {run} ended: {outcome} {}", finish.reason);
            }
            Some(false) => {
                tracing::warn!(run.id = %run, "run {run} is not ours any more; nothing was written")
            }
            None => (),
        }
    }

    async fn give_back(&self, reason: &str) {
        let run = &self.lease.run;
        let why = match self.stopped.get() {
            Some(_) => GivenBack::Interrupted,
            None => {
                // In our hands for a while yet, so that what was amiss has time to pass.
                let pause = self.shared.settings.retry_pause * self.task.execution;
                tokio::select! {
                    () = tokio::time::sleep(pause) => (),
                    () = self.cancel.cancelled() => (),
                }
                GivenBack::Failed
            }
        };
        tracing::warn!(run.id = %run, "run {run} goes back into the queue: {reason}");
        let deadline = self.deadline();
        loop {
            let store = &self.shared.store;
            match store.give_back(&self.lease, why, reason, now_ms()).await {
                Ok(true) => return meters::run_given_back(why),
                Ok(false) => return,
                Err(error) => {
                    if !self.again("it cannot be given back", &error, deadline).await {
                        return;
                    }
                }
            }
        }
    }

    /// How long the store is asked again: as long as the run may still be ours.
    fn deadline(&self) -> Instant {
        Instant::now() + self.shared.settings.lease
    }

    /// Whether to ask the store again after it refused, and when: now. At the end whoever has the run next does it.
    async fn again(&self, what: &str, error: &StoreError, deadline: Instant) -> bool {
        if Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
            return true;
        }
        let run = &self.lease.run;
        tracing::error!(run.id = %run, %error, "run {run}: {what}: {error}");
        false
    }
}
