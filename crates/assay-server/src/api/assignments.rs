//! Assignments.

use assay_core::assignment::AssignmentState;
use assay_core::id::AssignmentId;
use assay_store::model::{AssignmentFilter, AssignmentSort, Remembered};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::input::{IdempotencyKey, Json, Part, Path, Query, one_of, present};
use super::wire::{Assignment, CloneToken, Invited, List, PageLink};
use crate::auth::{Scoped, right};
use crate::desk::Invitation;
use crate::{App, Problem, desk};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those of this exercise.
    exercise: Option<String>,
    /// Only those in this state: `open`, `closed`, `archived` or `erased`.
    state: Option<String>,
    /// Only those whose candidate's name or id contains this, whatever the case.
    text: Option<String>,
    /// In which order: `newest` (the default), `candidate`, `score` (best latest score first) or `activity` (latest push first).
    sort: Option<String>,
}

/// List assignments
///
/// Each with its newest run. Needs `read`.
#[utoipa::path(get, path = "/api/v1/assignments", tag = "assignments", params(Which, Part), responses((status = 200, description = "A part of the list.", body = List<Assignment>)))]
pub(super) async fn list(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Query(which): Query<Which>,
    Query(part): Query<Part>,
) -> Result<axum::Json<List<Assignment>>, Problem> {
    let sort = |sort| match sort {
        AssignmentSort::Newest => "newest",
        AssignmentSort::Candidate => "candidate",
        AssignmentSort::Score => "score",
        AssignmentSort::Activity => "activity",
    };
    let sorts = [
        AssignmentSort::Newest,
        AssignmentSort::Candidate,
        AssignmentSort::Score,
        AssignmentSort::Activity,
    ];
    let filter = AssignmentFilter {
        exercise: which.exercise,
        state: one_of(
            "state",
            which.state.as_deref(),
            &AssignmentState::ALL,
            AssignmentState::name,
        )?,
        text: which.text,
        sort: one_of("sort", which.sort.as_deref(), &sorts, sort)?.unwrap_or_default(),
    };
    let page = app.store().assignments(&filter, &part.request()?).await?;
    Ok(axum::Json(List::of(page, Assignment::of)))
}

/// Invite a candidate
///
/// Makes the assignment with a private repository that holds the template, a token to push with, and a link to the
/// candidate's own page. Both secrets are in this answer and nowhere else. Needs `invite`.
#[utoipa::path(post, path = "/api/v1/assignments", tag = "assignments",
    params(("Idempotency-Key" = Option<String>, Header, description = "A repetition with the same key within a day is answered with what the first one made, without its secrets.")),
    request_body = Invitation,
    responses((status = 201, description = "The assignment, with its secrets.", body = Invited), (status = 200, description = "What an earlier request with the same key made, without its secrets.", body = Invited)))]
pub(super) async fn create(
    by: Scoped<right::Invite>,
    State(app): State<App>,
    IdempotencyKey(key): IdempotencyKey,
    Json(invitation): Json<Invitation>,
) -> Result<(StatusCode, axum::Json<Invited>), Problem> {
    let user = &by.user.id;
    if let Some(key) = &key {
        let said = serde_json::to_vec(&invitation).unwrap_or_default();
        let digest: [u8; 32] = Sha256::digest(&said).into();
        match app.store().idempotent(key, user, &digest, app.now_ms()).await? {
            Remembered::New => (),
            Remembered::Same(made) => return again(&app, &made).await,
            Remembered::Different => {
                return Err(Problem::conflict(
                    "This Idempotency-Key was used for another request, or the first one is still being answered.",
                ));
            }
        }
    }
    let invited = desk::invite(&app, &by.actor(), &invitation).await?;
    let id = invited.assignment.id.clone();
    if let Some(key) = &key {
        let made = serde_json::Value::String(id.to_string());
        app.store().remember(key, user, &made).await?;
    }
    let invited = Invited {
        assignment: row(&app, &id).await?,
        clone_url: invited.clone.url,
        clone_token: Some(invited.clone.secret.text().to_owned()),
        page_url: Some(invited.page_url),
    };
    Ok((StatusCode::CREATED, axum::Json(invited)))
}

/// What an earlier request made. Only its id is remembered: no secret is.
async fn again(app: &App, made: &serde_json::Value) -> Result<(StatusCode, axum::Json<Invited>), Problem> {
    let id = made.as_str().and_then(|id| id.parse::<AssignmentId>().ok());
    let id = id.ok_or_else(|| Problem::not_found("assignment"))?;
    let invited = Invited {
        assignment: row(app, &id).await?,
        clone_url: desk::clone_url(app, &id),
        clone_token: None,
        page_url: None,
    };
    Ok((StatusCode::OK, axum::Json(invited)))
}

async fn row(app: &App, id: &AssignmentId) -> Result<Assignment, Problem> {
    let row = app.store().assignment_row(id).await?;
    let row = row.ok_or_else(|| Problem::not_found("assignment"))?;
    Ok(Assignment::of(row))
}

/// Show an assignment
///
/// Needs `read`.
#[utoipa::path(get, path = "/api/v1/assignments/{id}", tag = "assignments", params(("id" = String, Path, description = "Id of the assignment.")), responses((status = 200, description = "It, with its newest run.", body = Assignment)))]
pub(super) async fn show(
    by: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
) -> Result<axum::Json<Assignment>, Problem> {
    let row = row(&app, &id).await?;
    let nothing = serde_json::Value::Null;
    desk::note(&app, &by.actor(), "assignment.viewed", id.as_str(), nothing).await?;
    Ok(axum::Json(row))
}

/// What is changed of an assignment; what is not there stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// An individual due date. Null takes it back.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    extended_to_ms: Option<Option<i64>>,
    /// How many submissions are checked. Null lifts the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    attempts: Option<Option<u32>>,
    /// `open`, `closed`, or `archived`: its repository becomes one bundle and is removed, which cannot be undone.
    #[schema(value_type = Option<String>, example = "closed")]
    state: Option<AssignmentState>,
}

/// Change an assignment
///
/// Extends, sets attempts, closes, opens again, archives. Needs `invite`.
#[utoipa::path(patch, path = "/api/v1/assignments/{id}", tag = "assignments", params(("id" = String, Path, description = "Id of the assignment.")), request_body = Change, responses((status = 200, description = "It, as it is now.", body = Assignment)))]
pub(super) async fn change(
    by: Scoped<right::Invite>,
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
    Json(change): Json<Change>,
) -> Result<axum::Json<Assignment>, Problem> {
    let actor = by.actor();
    if let Some(to_ms) = change.extended_to_ms {
        desk::extend(&app, &actor, &id, to_ms).await?;
    }
    if let Some(attempts) = change.attempts {
        desk::set_attempts(&app, &actor, &id, attempts).await?;
    }
    match change.state {
        None => (),
        Some(AssignmentState::Open) => drop(desk::reopen(&app, &actor, &id).await?),
        Some(AssignmentState::Closed) => drop(desk::close(&app, &actor, &id).await?),
        Some(AssignmentState::Archived) => drop(desk::archive(&app, &actor, &id).await?),
        Some(AssignmentState::Erased) => {
            return Err(Problem::unprocessable("To erase a candidate, send DELETE."));
        }
    }
    Ok(axum::Json(row(&app, &id).await?))
}

/// Erase a candidate
///
/// Personal data, code and reports are gone everywhere; ids, outcomes and the audit trail stay. It cannot be undone. Needs
/// `admin`.
#[utoipa::path(delete, path = "/api/v1/assignments/{id}", tag = "assignments", params(("id" = String, Path, description = "Id of the assignment.")), responses((status = 204, description = "They are erased.")))]
pub(super) async fn erase(
    by: Scoped<right::Admin>,
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
) -> Result<StatusCode, Problem> {
    desk::erase(&app, &by.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new clone token
///
/// Those before stop working. Needs `invite`.
#[utoipa::path(post, path = "/api/v1/assignments/{id}/token", tag = "assignments", params(("id" = String, Path, description = "Id of the assignment.")), responses((status = 201, description = "The token, shown this once.", body = CloneToken)))]
pub(super) async fn new_token(
    by: Scoped<right::Invite>,
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
) -> Result<(StatusCode, axum::Json<CloneToken>), Problem> {
    let token = desk::reissue_clone_token(&app, &by.actor(), &id).await?;
    let token = CloneToken {
        clone_url: token.url,
        clone_token: token.secret.text().to_owned(),
    };
    Ok((StatusCode::CREATED, axum::Json(token)))
}

/// Revoke the clone token
///
/// The candidate can neither clone nor push any more. Needs `invite`.
#[utoipa::path(delete, path = "/api/v1/assignments/{id}/token", tag = "assignments", params(("id" = String, Path, description = "Id of the assignment.")), responses((status = 204, description = "None works any more.")))]
pub(super) async fn revoke_tokens(
    by: Scoped<right::Invite>,
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
) -> Result<StatusCode, Problem> {
    desk::assignment(&app, &id).await?;
    desk::revoke_clone_tokens(&app, &by.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new link to the candidate's own page
///
/// Those before stop working. Needs `invite`.
#[utoipa::path(post, path = "/api/v1/assignments/{id}/link", tag = "assignments", params(("id" = String, Path, description = "Id of the assignment.")), responses((status = 201, description = "The link, shown this once.", body = PageLink)))]
pub(super) async fn new_link(
    by: Scoped<right::Invite>,
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
) -> Result<(StatusCode, axum::Json<PageLink>), Problem> {
    let page_url = desk::share_candidate_page(&app, &by.actor(), &id).await?;
    Ok((StatusCode::CREATED, axum::Json(PageLink { page_url })))
}
