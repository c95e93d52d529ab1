//! A commit that a hook names becomes a run, at most one.

use assay_core::assignment::{AssignmentState, KeptOnly, Refused, Weight, weigh};
use assay_core::fault::Whose;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{Outcome, Trigger};
use assay_store::model::{Actor, Assignment, Candidate, Connection, ForgeKind, NewRun, Origin, Run};
use assay_store::{Store, StoreError};
use axum::http::StatusCode;
use serde_json::json;

use super::connections::Secrets;
use super::event::{CommitName, Submission};
use super::forge::{self, Forge, ForgeError};
use super::telling::{Message, Moment, Status, Verdict};
use crate::desk::note;
use crate::{App, Problem};

/// The context of a connection's statuses.
pub(super) fn context(connection: &Connection) -> String {
    format!("assay/{}", connection.exercise)
}

/// The page that a status leads to: the candidate's, never the interviewers'.
pub(super) fn page(app: &App, assignment: &AssignmentId) -> String {
    format!("{}/my/{assignment}", app.settings().public_url)
}

/// Puts a submission into the queue, and what its forge is to be told into the line. A commit that has a run already gets no
/// second one: a push and the request of the same branch, or a hook that comes again, mean the same work. Gives the run; None
/// when the submission does not count.
pub(super) async fn take(
    app: &App,
    connection: &Connection,
    secrets: &Secrets,
    submission: &Submission,
) -> Result<Option<RunId>, Problem> {
    let commit = match &submission.commit {
        CommitName::Whole(commit) => commit.clone(),
        CommitName::Short(short) => whole(connection, secrets, &submission.repository, short).await?,
    };
    let assignment = assignment(app, connection, &submission.repository).await?;
    let store = app.store();
    let now_ms = app.now_ms();
    let before = store.runs_of(&assignment.id).await?;
    if let Some(run) = before.into_iter().find(|run| stands_for(run, &commit)) {
        // A request that comes later than its branch wants its comment.
        if submission.request.is_some() {
            tell(store, connection, &run.id, submission, Moment::End).await?;
        }
        return Ok(Some(run.id));
    }
    let n_used = store.attempts_used(&assignment.id).await?;
    let skipped = match weigh(&assignment.terms(), submission.pushed, n_used, now_ms) {
        Weight::Submission { .. } => None,
        Weight::KeptOnly(why) => Some(kept_only(&why)),
        Weight::Refused(why) => Some(refused(&why)),
    };
    if let Some(why) = skipped {
        tracing::info!(assignment = %assignment.id, why, "a hook for {} is skipped: {why}", assignment.id);
        tell_skipped(app, connection, secrets, submission, &commit, &assignment.id, why);
        return Ok(None);
    }
    let new = NewRun {
        id: RunId::from_random(rand::random()),
        assignment: assignment.id,
        trigger: Trigger::Webhook,
        commit,
        reference: submission.reference.clone(),
        received_at_ms: now_ms,
        seed: rand::random::<u32>().into(),
        counts: Trigger::Webhook.may_cost(),
    };
    let run = match store.enqueue(&new, now_ms).await {
        Ok(enqueued) => enqueued.run,
        // Another hook took the last attempt since we counted.
        Err(StoreError::NoAttemptsLeft { of }) => {
            let why = kept_only(&KeptOnly::NoAttemptsLeft { of });
            let id = &new.assignment;
            tell_skipped(app, connection, secrets, submission, &new.commit, id, why);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    tell(store, connection, &run.id, submission, Moment::Begin).await?;
    tell(store, connection, &run.id, submission, Moment::End).await?;
    Ok(Some(run.id))
}

/// Whether a run has judged this commit, or will.
fn stands_for(run: &Run, commit: &str) -> bool {
    let again = match run.outcome {
        None | Some(Outcome::Scored | Outcome::Nothing | Outcome::Failed(Whose::Candidate)) => false,
        Some(
            Outcome::PartlyScored
            | Outcome::Cancelled
            | Outcome::Superseded
            | Outcome::Failed(Whose::Exercise | Whose::Platform),
        ) => true,
    };
    run.commit == commit && run.trigger == Trigger::Webhook && !again
}

async fn tell(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    submission: &Submission,
    moment: Moment,
) -> Result<(), Problem> {
    let message = Message {
        moment,
        repository: submission.told.clone(),
        request: submission.request,
    };
    let payload = json!(message);
    let due_at_ms = match moment {
        Moment::Begin => 0,
        Moment::End => assay_store::AT_THE_END,
    };
    Ok(store
        .add_outgoing(&connection.id, run, &payload, due_at_ms)
        .await?)
}

async fn whole(
    connection: &Connection,
    secrets: &Secrets,
    repository: &str,
    short: &str,
) -> Result<String, Problem> {
    let http = forge::http(secrets.allow_private);
    let found = match http {
        Ok(http) => {
            Forge::new(http, connection, secrets)
                .whole_commit(repository, short)
                .await
        }
        Err(error) => Err(error),
    };
    found.map_err(|error: ForgeError| {
        tracing::warn!(connection = %connection.id, %error, "connection {}: commit {short} is not resolved: {error}", connection.id);
        let detail = "The forge did not tell the commit's whole name. Send the hook again.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "forge_unreachable", detail)
    })
}

/// The assignment of a repository; its first hook makes it. One that was erased stays so.
async fn assignment(app: &App, connection: &Connection, repository: &str) -> Result<Assignment, Problem> {
    let store = app.store();
    let erased = app.settings().key.tombstone(&connection.id, repository);
    for name in [repository, &erased] {
        if let Some(there) = store.forge_assignment(&connection.id, name).await? {
            return Ok(there);
        }
    }
    let folder = app.exercises().get(&connection.exercise).ok_or_else(|| {
        let detail = format!("The exercise `{}` is not there any more.", connection.exercise);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_exercise", detail)
    })?;
    let new = Assignment {
        id: AssignmentId::from_random(rand::random()),
        exercise: connection.exercise.clone(),
        track: connection.track.clone(),
        candidate: Some(Candidate {
            name: repository.to_owned(),
            email: None,
        }),
        origin: Origin::Forge {
            connection: connection.id.clone(),
            repository: repository.to_owned(),
        },
        state: AssignmentState::Open,
        submit_on: folder.spec.submission.on,
        attempts: folder.spec.submission.attempts,
        due_at_ms: None,
        extended_to_ms: None,
        created_by: None,
        created_at_ms: app.now_ms(),
        // There is no repository of ours to remove.
        retain_until_ms: None,
        archived_at_ms: None,
    };
    match store.create_assignment(&new).await {
        Ok(()) => {
            let by = Actor::Forge(connection.id.clone());
            note(app, &by, "assignment.created", new.id.as_str(), json!({})).await?;
            Ok(new)
        }
        // Another hook was faster.
        Err(StoreError::Exists { .. }) => store
            .forge_assignment(&connection.id, repository)
            .await?
            .ok_or_else(|| Problem::not_found("assignment")),
        Err(error) => Err(error.into()),
    }
}

fn kept_only(why: &KeptOnly) -> &'static str {
    match why {
        KeptOnly::NotATag => "Not checked: this exercise checks tags.",
        KeptOnly::NotTheBranch => "Not checked: this exercise checks the branch, not tags.",
        KeptOnly::NoAttemptsLeft { .. } => "Not checked: no attempts are left.",
    }
}

fn refused(why: &Refused) -> &'static str {
    match why {
        Refused::Late { .. } => "Not checked: the due date has passed.",
        Refused::NotOpen(_) => "Not checked: the assignment is closed.",
    }
}

/// Says at the commit why there is no run, once: there is no run that it could be remembered with.
fn tell_skipped(
    app: &App,
    connection: &Connection,
    secrets: &Secrets,
    submission: &Submission,
    commit: &str,
    assignment: &AssignmentId,
    why: &'static str,
) {
    if secrets.token.is_empty() {
        return;
    }
    let (connection, secrets) = (connection.clone(), secrets.clone());
    let (repository, commit) = (submission.told.clone(), commit.to_owned());
    let (page, stop) = (page(app, assignment), app.shutdown().clone());
    // Data Center would show a success; it has no word for this.
    if connection.forge == ForgeKind::BitbucketServer {
        return;
    }
    app.tasks().spawn(async move {
        let telling = async {
            let forge = Forge::new(forge::http(secrets.allow_private)?, &connection, &secrets);
            let context = format!("{}/skipped", context(&connection));
            let status = Status::new(Verdict::Skipped, why);
            forge.set_status(&repository, &commit, &context, &page, &status).await
        };
        let told = tokio::select! {
            told = telling => told,
            () = stop.cancelled() => return,
        };
        if let Err(error) = told {
            tracing::warn!(connection = %connection.id, %error, "connection {}: a skipped commit is not told: {error}", connection.id);
        }
    });
}
