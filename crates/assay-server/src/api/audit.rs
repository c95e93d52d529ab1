//! The audit trail.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

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
