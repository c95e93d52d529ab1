//! The end of an assignment: archived after its retention, or erased when somebody asks.

use assay_core::assignment::AssignmentState;
use assay_core::id::AssignmentId;
use assay_store::model::{Actor, Assignment, AssignmentChange, Origin, TokenKind};
use serde_json::{Value, json};

use super::{assignment, note, repository, still_hosted};
use crate::{App, Problem};

/// Writes the repository into one bundle and removes it. Nothing can be pushed or cloned after that; reports stay.
///
/// # Errors
/// 404 when there is no such assignment; 409 when it is archived or erased already, or lives at a forge.
pub async fn archive(app: &App, by: &Actor, id: &AssignmentId) -> Result<Assignment, Problem> {
    let before = still_hosted(app, id).await?;
    if before.origin != Origin::Hosted {
        return Err(Problem::conflict("The repository is not ours to archive."));
    }
    // Closed first, so that nothing is pushed behind the bundle's back. Whatever breaks off here is done again by
    // `archive_due`, and every step can be.
    let closed = AssignmentChange {
        state: Some(AssignmentState::Closed),
        retain_until_ms: Some(Some(app.now_ms())),
        ..AssignmentChange::default()
    };
    app.store().change_assignment(id, &closed).await?;
    repository::bundle_up(app, id).await?;
    let archived = AssignmentChange {
        state: Some(AssignmentState::Archived),
        archived_at_ms: Some(app.now_ms()),
        ..AssignmentChange::default()
    };
    let after = app.store().change_assignment(id, &archived).await?;
    app.store()
        .revoke_tokens_of(TokenKind::Git, id.as_str(), app.now_ms())
        .await?;
    repository::remove(app, id).await?;
    note(app, by, "assignment.archived", id.as_str(), Value::Null).await?;
    tracing::info!(assignment = %id, "the repository of assignment {id} was archived");
    Ok(after)
}

/// Archives what is due. One that fails is logged and does not hold up the others; it is due again next time. Gives how many
/// were archived.
///
/// # Errors
/// When the store cannot be asked what is due.
pub async fn archive_due(app: &App) -> Result<u64, Problem> {
    let mut n = 0;
    for due in app.store().due_for_archive(app.now_ms()).await? {
        match archive(app, &Actor::System, &due.id).await {
            Ok(_) => n += 1,
            Err(problem) => {
                tracing::warn!(assignment = %due.id, detail = problem.detail, "assignment {} could not be archived", due.id);
            }
        }
    }
    Ok(n)
}

/// Erases a candidate: personal data, code and reports are gone everywhere; ids, outcomes and the audit trail stay. Runs that
/// still go are cancelled. It cannot be undone; doing it again changes nothing.
///
/// Of a repository at a forge a keyed hash is kept, so that its next hook does not bring the candidate back.
///
/// # Errors
/// 404 when there is no such assignment.
pub async fn erase(app: &App, by: &Actor, id: &AssignmentId) -> Result<(), Problem> {
    let assignment = assignment(app, id).await?;
    let now_ms = app.now_ms();
    for kind in [TokenKind::Git, TokenKind::Page] {
        app.store().revoke_tokens_of(kind, id.as_str(), now_ms).await?;
    }
    for run in app.store().runs_of(id).await? {
        app.store()
            .revoke_tokens_of(TokenKind::Share, run.id.as_str(), now_ms)
            .await?;
    }
    let tombstone = match &assignment.origin {
        Origin::Hosted => String::new(),
        Origin::Forge {
            connection,
            repository,
        } => app.settings().key.tombstone(connection, repository),
    };
    let removed = app.store().erase_candidate(id, &tombstone, now_ms).await?;
    repository::remove(app, id).await?;
    repository::remove_bundle(app, id).await?;
    let detail = json!({ "n_blobs": removed.len() });
    note(app, by, "candidate.erased", id.as_str(), detail).await?;
    tracing::info!(assignment = %id, "the candidate of assignment {id} was erased");
    Ok(())
}
