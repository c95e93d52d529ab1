//! What interviewers do, whichever way they ask for it: invite, extend, close, archive, erase, run again, cancel, score again.
//!
//! Every function says who asks and writes the audit trail. Who may ask is decided before, by the extractors of
//! [`crate::auth`].

use assay_core::assignment::AssignmentState;
use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::{RunState, Trigger};
use assay_core::report::Report;
use assay_engine::RescoreError;
use assay_store::model::{Actor, Assignment, AssignmentChange, AuditEntry, NewRun, Run, ScoreRow};
use serde_json::{Value, json};

use crate::{App, Problem};

mod access;
mod ending;
mod invitation;
mod people;
mod repository;

pub use access::{
    CloneToken, reissue_clone_token, revoke_clone_tokens, revoke_link, share, share_candidate_page,
};
pub use ending::{archive, archive_due, erase};
pub use invitation::{Invitation, Invited, invite};
pub use people::{NewUser, create_user, make_token, revoke_token, set_disabled, set_role};
pub(crate) use people::{is_login, new_user};
pub use repository::clone_url;

/// Writes the audit trail: who saw or did what. `detail` holds no personal data.
///
/// # Errors
/// When the store fails. What cannot be written down is not done, or not shown.
pub async fn note(app: &App, by: &Actor, action: &str, subject: &str, detail: Value) -> Result<(), Problem> {
    let entry = AuditEntry {
        at_ms: app.now_ms(),
        actor: by.clone(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail,
    };
    Ok(app.store().audit(&entry).await?)
}

/// An assignment that is there.
///
/// # Errors
/// 404 when it is not.
pub async fn assignment(app: &App, id: &AssignmentId) -> Result<Assignment, Problem> {
    let assignment = app.store().assignment(id).await?;
    assignment.ok_or_else(|| Problem::not_found("assignment"))
}

/// A run that is there.
///
/// # Errors
/// 404 when it is not.
pub async fn run(app: &App, id: &RunId) -> Result<Run, Problem> {
    let run = app.store().run(id).await?;
    run.ok_or_else(|| Problem::not_found("run"))
}

/// A run's report by its newest scorecard. That somebody saw it is written down.
///
/// # Errors
/// 404 when there is no such run, or no report of it.
pub async fn report(app: &App, by: &Actor, id: &RunId) -> Result<Report, Problem> {
    let report = serde_json::from_slice(&report_bytes(app, by, id).await?);
    report.map_err(|error| Problem::internal("reading a report", &error))
}

/// The same report as it was written and signed.
///
/// # Errors
/// 404 when there is no such run, or no report of it.
pub async fn report_bytes(app: &App, by: &Actor, id: &RunId) -> Result<Vec<u8>, Problem> {
    let score = run(app, id).await?.score;
    let score = score.ok_or_else(|| Problem::not_found("report"))?;
    let bytes = app.store().blob(&score.report_digest).await?;
    let bytes = bytes.ok_or_else(|| Problem::not_found("report"))?;
    let detail = json!({ "version": score.version });
    note(app, by, "report.viewed", id.as_str(), detail).await?;
    Ok(bytes)
}

/// Gives one candidate more time, or less; None takes an extension back. The repository is kept accordingly longer.
///
/// # Errors
/// 404 when there is no such assignment; 409 when it is archived or erased.
pub async fn extend(
    app: &App,
    by: &Actor,
    id: &AssignmentId,
    to_ms: Option<i64>,
) -> Result<Assignment, Problem> {
    let before = still_hosted(app, id).await?;
    let due_at_ms = to_ms.or(before.due_at_ms);
    let retain_until_ms = repository::retain_until_ms(app, due_at_ms, before.created_at_ms);
    let change = AssignmentChange {
        extended_to_ms: Some(to_ms),
        retain_until_ms: Some(Some(retain_until_ms)),
        ..AssignmentChange::default()
    };
    let assignment = app.store().change_assignment(id, &change).await?;
    note(
        app,
        by,
        "assignment.extended",
        id.as_str(),
        json!({ "to_ms": to_ms }),
    )
    .await?;
    Ok(assignment)
}

/// Sets how many submissions are checked; None: any number.
///
/// # Errors
/// 404 when there is no such assignment; 409 when it is archived or erased.
pub async fn set_attempts(
    app: &App,
    by: &Actor,
    id: &AssignmentId,
    attempts: Option<u32>,
) -> Result<Assignment, Problem> {
    still_hosted(app, id).await?;
    let change = AssignmentChange {
        attempts: Some(attempts),
        ..AssignmentChange::default()
    };
    let assignment = app.store().change_assignment(id, &change).await?;
    note(
        app,
        by,
        "assignment.attempts_set",
        id.as_str(),
        json!({ "attempts": attempts }),
    )
    .await?;
    Ok(assignment)
}

/// Closes an assignment: what is there can be read, nothing can be pushed. Closing it again changes nothing.
///
/// # Errors
/// 404 when there is no such assignment; 409 when it is archived or erased.
pub async fn close(app: &App, by: &Actor, id: &AssignmentId) -> Result<Assignment, Problem> {
    set_state(app, by, id, AssignmentState::Closed, "assignment.closed").await
}

/// Opens a closed assignment again.
///
/// # Errors
/// 404 when there is no such assignment; 409 when it is archived or erased.
pub async fn reopen(app: &App, by: &Actor, id: &AssignmentId) -> Result<Assignment, Problem> {
    set_state(app, by, id, AssignmentState::Open, "assignment.reopened").await
}

async fn set_state(
    app: &App,
    by: &Actor,
    id: &AssignmentId,
    state: AssignmentState,
    action: &str,
) -> Result<Assignment, Problem> {
    let before = still_hosted(app, id).await?;
    if before.state == state {
        return Ok(before);
    }
    let change = AssignmentChange {
        state: Some(state),
        ..AssignmentChange::default()
    };
    let assignment = app.store().change_assignment(id, &change).await?;
    note(app, by, action, id.as_str(), Value::Null).await?;
    Ok(assignment)
}

/// An assignment that can still be changed.
async fn still_hosted(app: &App, id: &AssignmentId) -> Result<Assignment, Problem> {
    let assignment = assignment(app, id).await?;
    match assignment.state {
        AssignmentState::Open | AssignmentState::Closed => Ok(assignment),
        AssignmentState::Archived | AssignmentState::Erased => Err(Problem::conflict(format!(
            "The assignment is {}: nothing about it can be changed.",
            assignment.state.name()
        ))),
    }
}

/// Checks a run's commit again. It costs the candidate nothing.
///
/// # Errors
/// 404 when there is no such run; 409 when its code is gone.
pub async fn rerun(app: &App, by: &Actor, id: &RunId) -> Result<Run, Problem> {
    let before = run(app, id).await?;
    still_hosted(app, &before.assignment).await?;
    let now_ms = app.now_ms();
    let new = NewRun {
        id: RunId::from_random(rand::random()),
        assignment: before.assignment,
        trigger: Trigger::Rerun,
        commit: before.commit,
        reference: before.reference,
        received_at_ms: now_ms,
        seed: rand::random::<u32>().into(),
        counts: Trigger::Rerun.may_cost(),
    };
    let enqueued = app.store().enqueue(&new, now_ms).await?;
    note(
        app,
        by,
        "run.rerun",
        enqueued.run.id.as_str(),
        json!({ "of": id.as_str() }),
    )
    .await?;
    Ok(enqueued.run)
}

/// Asks a run to stop. One that waits ends at once, one that runs within seconds. Gives the state that it is in then.
///
/// # Errors
/// 404 when there is no such run; 409 when it has ended already.
pub async fn cancel(app: &App, by: &Actor, id: &RunId) -> Result<RunState, Problem> {
    if run(app, id).await?.state == RunState::Finished {
        return Err(Problem::conflict("The run has ended already."));
    }
    let state = app.store().request_cancel(id, app.now_ms()).await?;
    let state = state.ok_or_else(|| Problem::not_found("run"))?;
    note(app, by, "run.cancelled", id.as_str(), Value::Null).await?;
    Ok(state)
}

/// Scores a run's stored evidence under its exercise's present weights. The scorecards before stay.
///
/// # Errors
/// 404 when there is no such run; 409 when it left no evidence, or its exercise is gone.
pub async fn rescore(app: &App, by: &Actor, id: &RunId) -> Result<ScoreRow, Problem> {
    run(app, id).await?;
    let user = match by {
        Actor::User(user) => Some(user.clone()),
        _ => None,
    };
    let score = assay_engine::rescore(app.store(), app.exercises(), id, user, app.now_ms()).await;
    let score = score.map_err(|error| match error {
        RescoreError::NoEvidence { .. } | RescoreError::NoExercise { .. } => {
            Problem::conflict(format!("It cannot be scored again: {error}."))
        }
        RescoreError::Store(error) => error.into(),
        error => Problem::internal("scoring again", &error),
    })?;
    note(
        app,
        by,
        "run.rescored",
        id.as_str(),
        json!({ "version": score.version }),
    )
    .await?;
    Ok(score)
}
