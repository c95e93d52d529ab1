//! A push, from its first byte to the last line that the terminal shows.

use std::time::Duration;

use assay_core::assignment::{KeptOnly, Pushed, Weight, weigh};
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{RunState, Trigger};
use assay_git::host::{Host, HostError, Push as HostPush, Update};
use assay_store::StoreError;
use assay_store::model::{Actor, Assignment, AssignmentFilter, AuditEntry, NewRun, Origin, PageRequest, Run};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{progress, remarks, repository};
use crate::App;

/// How long a push that is under way may go on once the daemon drains.
const DRAIN: Duration = Duration::from_secs(15);

/// A push that was let in.
pub(super) struct Push {
    pub(super) assignment: Assignment,
    /// When its request came: what counts against the due date.
    pub(super) received_at_ms: i64,
    /// Why nothing of it is taken, short and in lines.
    pub(super) refusal: Option<(&'static str, Vec<String>)>,
}

/// Takes the push, writes down what follows from it, and shows what becomes of that for as long as the client stays and the
/// settings say.
///
/// # Errors
/// When git could not serve it. What was pushed until then is found by [`catch_up`].
pub(super) async fn serve(
    app: App,
    push: Push,
    input: impl AsyncRead + Send + Unpin,
    to: mpsc::Sender<Vec<u8>>,
) -> Result<(), HostError> {
    let assignment = &push.assignment;
    let dir = repository(&app, &assignment.id);
    let cut = CancellationToken::new();
    let draining = {
        let (cut, shutdown) = (cut.clone(), app.shutdown().clone());
        async move {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
            cut.cancel();
            std::future::pending().await
        }
    };
    let asked = HostPush {
        dir: &dir,
        by: assignment.id.as_str(),
        refusal: push
            .refusal
            .as_ref()
            .map(|(short, lines)| (*short, lines.as_slice())),
    };
    let mut received = tokio::select! {
        received = app.host().receive(asked, input, to.clone(), &cut) => received?,
        () = draining => return Err(HostError::Gone),
    };

    let (mut lines, mut run) = (Vec::new(), None);
    if received.rewrites {
        lines.extend(remarks::rewrites());
    }
    for update in std::mem::take(&mut received.updates) {
        match take(&app, assignment, &update, push.received_at_ms).await {
            Ok(taken) => {
                lines.extend(taken.lines);
                run = taken.run.or(run);
            }
            Err(error) => {
                tracing::error!(assignment = %assignment.id, %error,
                    "a push to {} is kept but could not be written down: {error}", assignment.id);
                lines.push(remarks::KEPT_FOR_LATER.to_owned());
            }
        }
    }
    // Only now may another push follow: runs are queued in the order in which commits came.
    drop(received.turn.take());
    if received.shows_remarks && !lines.is_empty() {
        progress::show(&app, assignment, &lines, run.as_ref(), &to).await;
    }
    // Nobody may be there to hear it any more.
    let _ = to.send(received.last).await;
    Ok(())
}

/// What followed from a changed reference.
struct Taken {
    lines: Vec<String>,
    run: Option<Run>,
}

/// Queues a run if the terms say so, then pins what was pushed: what is not pinned was not seen to its end.
async fn take(
    app: &App,
    assignment: &Assignment,
    update: &Update,
    received_at_ms: i64,
) -> Result<Taken, TakeError> {
    let pushed = if update.is_tag() {
        Pushed::Tag
    } else {
        Pushed::Branch
    };
    let n_used = used_without_waiting(app, &assignment.id).await?;
    let weight = weigh(&assignment.terms(), pushed, n_used, received_at_ms);
    let mut run = None;
    let mut lines = Vec::new();
    match (&weight, update.commit) {
        (Weight::Submission { .. }, Some(commit)) => {
            let new = NewRun {
                id: RunId::from_random(rand::random()),
                assignment: assignment.id.clone(),
                trigger: if update.is_tag() {
                    Trigger::Tag
                } else {
                    Trigger::Push
                },
                commit: commit.to_string(),
                reference: update.reference.clone(),
                received_at_ms,
                seed: rand::random(),
                counts: true,
            };
            match app.store().enqueue(&new, app.now_ms()).await {
                Ok(enqueued) => {
                    let n_superseded = enqueued.superseded.len();
                    tracing::info!(run = %enqueued.run.id, assignment = %assignment.id, n_superseded,
                        "run {} was pushed", enqueued.run.id);
                    lines.extend(remarks::submitted(
                        &assignment.exercise,
                        &enqueued.run,
                        n_superseded,
                    ));
                    lines.extend(remarks::cost(&weight));
                    run = Some(enqueued.run);
                }
                // A worker took what this one would have superseded, since the attempts were counted.
                Err(StoreError::NoAttemptsLeft { of }) => {
                    let weight = Weight::KeptOnly(KeptOnly::NoAttemptsLeft { of });
                    lines.extend(remarks::kept(&assignment.exercise, &update.target.to_string()));
                    lines.extend(remarks::cost(&weight));
                }
                Err(error) => return Err(error.into()),
            }
        }
        (Weight::Submission { .. }, None) => lines.extend(remarks::no_commit(&update.reference)),
        (Weight::KeptOnly(_) | Weight::Refused(_), _) => {
            lines.extend(remarks::kept(&assignment.exercise, &update.target.to_string()));
            lines.extend(remarks::cost(&weight));
        }
    }
    let entry = AuditEntry {
        at_ms: app.now_ms(),
        actor: Actor::Candidate(assignment.id.clone()),
        action: "push.received".to_owned(),
        subject: assignment.id.to_string(),
        detail: serde_json::json!({ "run": run.as_ref().map(|run: &Run| run.id.as_str()) }),
    };
    app.store().audit(&entry).await?;
    let (dir, update) = (repository(app, &assignment.id), update.clone());
    blocking(move || Host::pin(&dir, &update)).await?;
    Ok(Taken { lines, run })
}

/// Attempts that are used, but for those that a push gives back because it takes the place of what still waits.
async fn used_without_waiting(app: &App, id: &AssignmentId) -> Result<u32, StoreError> {
    let runs = app.store().runs_of(id).await?;
    let waits = |run: &&Run| run.state == RunState::Queued && run.counts && run.trigger != Trigger::Rerun;
    let n_waiting = u32::try_from(runs.iter().filter(waits).count()).unwrap_or(u32::MAX);
    Ok(app.store().attempts_used(id).await?.saturating_sub(n_waiting))
}

#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Host(#[from] HostError),
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| HostError::Io(std::io::Error::other(error)))?
}

/// Finds what was pushed and never written down, because the daemon died or the database was away, and queues it. To be
/// called at start, and from time to time.
///
/// # Errors
/// When the store fails. A repository that cannot be read is logged and left for the next time.
pub async fn catch_up(app: &App) -> Result<(), StoreError> {
    let mut request = PageRequest {
        after: None,
        limit: 200,
    };
    let filter = AssignmentFilter {
        state: Some(assay_core::assignment::AssignmentState::Open),
        ..AssignmentFilter::default()
    };
    loop {
        let page = app.store().assignments(&filter, &request).await?;
        for row in page.rows {
            if row.assignment.origin == Origin::Hosted
                && let Err(error) = catch_up_with(app, &row.assignment).await
            {
                let id = &row.assignment.id;
                tracing::warn!(assignment = %id, %error, "cannot look for lost pushes to {id}: {error}");
            }
        }
        request.after = page.next;
        if request.after.is_none() {
            return Ok(());
        }
    }
}

async fn catch_up_with(app: &App, assignment: &Assignment) -> Result<(), TakeError> {
    let dir = repository(app, &assignment.id);
    let _turn = app.host().turn(&dir).await?;
    let updates = blocking(move || Host::unpinned(&dir)).await?;
    if updates.is_empty() {
        return Ok(());
    }
    let runs = app.store().runs_of(&assignment.id).await?;
    // It was let in before the due date, or it would not be there.
    let now_ms = app.now_ms();
    let received_at_ms = assignment
        .terms()
        .due_at_ms
        .map_or(now_ms, |due_at_ms| due_at_ms.min(now_ms));
    for update in updates {
        let commit = update.commit.map(|commit| commit.to_string());
        let has_run = |run: &Run| Some(&run.commit) == commit.as_ref() && run.reference == update.reference;
        if runs.iter().any(has_run) {
            let dir = repository(app, &assignment.id);
            blocking(move || Host::pin(&dir, &update)).await?;
        } else {
            take(app, assignment, &update, received_at_ms).await?;
        }
    }
    Ok(())
}
