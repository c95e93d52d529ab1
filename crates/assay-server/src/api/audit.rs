//! The audit trail.

use assay_store::StoreError;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::{Part, Query};
use super::wire::{AuditRow, List};
use crate::auth::{Scoped, right};
use crate::{App, Problem};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only what was done to the thing with this id.
    subject: Option<String>,
}

/// Read the audit trail
///
/// Who saw or did what, newest first. Needs `admin`.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Which, Part), responses((status = 200, description = "A part of it.", body = List<AuditRow>)))]
pub(super) async fn list(
    _: Scoped<right::Admin>,
    State(app): State<App>,
    Query(which): Query<Which>,
    Query(part): Query<Part>,
) -> Result<Json<List<AuditRow>>, Problem> {
    let page = app
        .store()
        .audit_rows(which.subject.as_deref(), &part.request()?)
        .await?;
    Ok(Json(List::of(page, AuditRow::of)))
}

/// Whether the audit trail is as it was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trail {
    /// Whether nothing in it was changed, added or taken out.
    holds: bool,
    /// What was found, in a sentence.
    detail: String,
}

/// Verify the audit trail
///
/// Reads all of it. Needs `admin`.
#[utoipa::path(get, path = "/api/v1/audit/verification", tag = "audit", responses((status = 200, description = "What was found.", body = Trail)))]
pub(super) async fn verify(_: Scoped<right::Admin>, State(app): State<App>) -> Result<Json<Trail>, Problem> {
    let (holds, detail) = match app.store().verify_audit().await {
        Ok(n) => (
            true,
            format!("{n} entries, each after the one before, as they were written"),
        ),
        Err(error @ (StoreError::AuditBroken { .. } | StoreError::AuditUnsigned)) => {
            (false, error.to_string())
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Json(Trail { holds, detail }))
}
