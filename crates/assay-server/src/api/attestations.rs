//! What was signed, and by which keys: all that `assay verify` needs.

use assay_core::id::{AssignmentId, RunId};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::input::{Path, Query};
use crate::auth::{Scoped, right};
use crate::{App, Problem, desk};

/// DSSE envelopes are JSON.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// Envelopes, one in each line: an in-toto bundle.
const BUNDLE: &str = "application/vnd.in-toto.bundle";
const PEM: &str = "application/x-pem-file";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Version of the scorecard. Default: the newest one; 0 of a run that ended without one.
    version: Option<u32>,
}

/// Read what was signed about a run
///
/// A DSSE envelope with an in-toto statement about the bytes of its `report.json`; of a run that ended without one, about how it
/// ended. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/attestation", tag = "reports", params(("id" = String, Path, description = "Id of the run."), Which), responses((status = 200, description = "The envelope.", body = String, content_type = "application/vnd.dsse.envelope.v1+json")))]
pub(super) async fn of_run(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<RunId>,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, Problem> {
    let score = desk::run(&app, &id).await?.score;
    let newest = score.map(|score| score.version);
    let version = which.version.or(newest).unwrap_or_default();
    let envelope = app.store().attestation(&id, version).await?;
    let envelope = envelope.ok_or_else(|| Problem::not_found("attestation"))?;
    Ok(([(header::CONTENT_TYPE, ENVELOPE)], envelope))
}

/// Read all that was signed about an assignment
///
/// The whole chain, oldest first: an in-toto bundle, with one envelope in each line. Needs `read`.
#[utoipa::path(get, path = "/api/v1/assignments/{id}/attestations", tag = "reports", params(("id" = String, Path, description = "Id of the assignment.")), responses((status = 200, description = "The envelopes.", body = String, content_type = "application/vnd.in-toto.bundle")))]
pub(super) async fn of_assignment(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
) -> Result<impl IntoResponse, Problem> {
    desk::assignment(&app, &id).await?;
    let envelopes = app.store().attestations(&id).await?;
    let lines: String = envelopes.into_iter().map(|line| line + "\n").collect();
    Ok(([(header::CONTENT_TYPE, BUNDLE)], lines))
}

/// The public keys in PEM, for everybody: the one that signs now first, then those that signed before.
pub(super) async fn keys(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let keys = app.store().keys();
    let keys = keys.ok_or_else(|| Problem::not_found("key"))?;
    let pem: String = keys.known.iter().map(|key| key.to_pem()).collect();
    Ok(([(header::CONTENT_TYPE, PEM)], pem))
}
