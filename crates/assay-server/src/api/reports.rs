//! Reports in all formats, the files behind them, and links to them.

use assay_core::id::{RunId, TokenId};
use assay_core::report::Report;
use assay_report::RenderError;
use assay_store::model::TokenKind;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::input::{Json, Path};
use super::wire::{File, Link, List};
use crate::auth::{Scoped, right};
use crate::{App, Problem, desk};

/// A report's HTML is one page with its style in it; it is shown, and may do nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; \
     base-uri 'none'; form-action 'none'; sandbox allow-popups";

/// What is downloaded is of candidates' making: it is kept, not shown.
const FILE_POLICY: &str = "default-src 'none'; sandbox";

async fn rendered(
    app: &App,
    by: &Scoped<right::Read>,
    id: &RunId,
    kind: &'static str,
    render: fn(&Report) -> Result<String, RenderError>,
) -> Result<Response, Problem> {
    let report = desk::report(app, &by.actor(), id).await?;
    let text = tokio::task::spawn_blocking(move || render(&report)).await;
    let text = text.map_err(|error| Problem::internal("rendering a report", &error))?;
    let text = text.map_err(|error| Problem::internal("rendering a report", &error))?;
    Ok(answer(kind, text))
}

/// Read a report as JSON
///
/// Versioned; its schema is in the repository. These are the bytes that were signed. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/report.json", tag = "reports", params(("id" = String, Path, description = "Id of the run.")), responses((status = 200, description = "The report by the newest scorecard.", body = String, content_type = "application/json")))]
pub(super) async fn json(
    by: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<Response, Problem> {
    let bytes = desk::report_bytes(&app, &by.actor(), &id).await?;
    Ok(answer("application/json", bytes))
}

fn answer(kind: &'static str, body: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(PAGE_POLICY),
        ),
    ];
    (headers, body).into_response()
}

macro_rules! formats {
    ($($(#[doc = $doc:literal])* $name:ident $path:literal $kind:literal $render:path;)*) => {$(
        $(#[doc = $doc])*
        #[utoipa::path(get, path = $path, tag = "reports", params(("id" = String, Path, description = "Id of the run.")), responses((status = 200, description = "The report by the newest scorecard.", body = String, content_type = $kind)))]
        pub(super) async fn $name(
            by: Scoped<right::Read>,
            State(app): State<App>,
            Path(id): Path<RunId>,
        ) -> Result<Response, Problem> {
            rendered(&app, &by, &id, $kind, $render).await
        }
    )*};
}

formats! {
    /// Read a report as a page
    ///
    /// Self-contained, without scripts. Needs `read`.
    html "/api/v1/runs/{id}/report.html" "text/html; charset=utf-8" assay_report::html;
    /// Read a report as Markdown
    ///
    /// Needs `read`.
    markdown "/api/v1/runs/{id}/report.md" "text/markdown; charset=utf-8" assay_report::markdown;
    /// Read a report's findings as SARIF
    ///
    /// Needs `read`.
    sarif "/api/v1/runs/{id}/report.sarif" "application/sarif+json" assay_report::sarif;
    /// Read a report's checks and tests as JUnit XML
    ///
    /// Needs `read`.
    junit "/api/v1/runs/{id}/report.junit" "application/xml" assay_report::junit;
}

/// List a run's files
///
/// The report and the evidence behind it. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/files", tag = "reports", params(("id" = String, Path, description = "Id of the run.")), responses((status = 200, description = "All of them.", body = List<File>)))]
pub(super) async fn files(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<axum::Json<List<File>>, Problem> {
    desk::run(&app, &id).await?;
    let files = app.store().run_files(&id).await?;
    let row = |file: assay_store::model::RunFile| File {
        name: file.name,
        digest: file.digest,
        n_bytes: file.n_bytes,
    };
    Ok(axum::Json(List::whole(files.into_iter().map(row).collect())))
}

/// Download a file of a run
///
/// Always as an attachment of no particular type. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/files/{*name}", tag = "reports", params(("id" = String, Path, description = "Id of the run."), ("name" = String, Path, description = "Its name, as in the list.")), responses((status = 200, description = "Its bytes.", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn file(
    by: Scoped<right::Read>,
    State(app): State<App>,
    Path((id, name)): Path<(RunId, String)>,
) -> Result<Response, Problem> {
    desk::run(&app, &id).await?;
    let files = app.store().run_files(&id).await?;
    let found = files.into_iter().find(|file| file.name == name);
    let found = found.ok_or_else(|| Problem::not_found("file"))?;
    let bytes = app.store().blob(&found.digest).await?;
    let bytes = bytes.ok_or_else(|| Problem::not_found("file"))?;
    let detail = json!({ "digest": found.digest });
    desk::note(&app, &by.actor(), "evidence.downloaded", id.as_str(), detail).await?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let last = name.rsplit('/').next().unwrap_or_default();
    let last: String = last
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(100)
        .collect();
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{last}\""));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (
            header::CONTENT_DISPOSITION,
            disposition.unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(FILE_POLICY),
        ),
    ];
    Ok((headers, bytes).into_response())
}

/// List a run's share links
///
/// Without their addresses. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/links", tag = "reports", params(("id" = String, Path, description = "Id of the run.")), responses((status = 200, description = "All of them.", body = List<Link>)))]
pub(super) async fn links(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<axum::Json<List<Link>>, Problem> {
    desk::run(&app, &id).await?;
    let links = app.store().tokens_of(TokenKind::Share, id.as_str()).await?;
    let rows = links.into_iter().map(|link| Link::of(link, None)).collect();
    Ok(axum::Json(List::whole(rows)))
}

/// A share link to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLink {
    /// For people: whom it is for. At most 100 characters.
    #[serde(default)]
    name: String,
    /// From when on it opens nothing. Default: in 30 days.
    #[serde(default)]
    expires_at_ms: Option<i64>,
}

/// Share a report
///
/// Makes a link by which anybody reads this report, and nothing else. Needs `invite`.
#[utoipa::path(post, path = "/api/v1/runs/{id}/links", tag = "reports", params(("id" = String, Path, description = "Id of the run.")), request_body = NewLink, responses((status = 201, description = "The link, with its address this once.", body = Link)))]
pub(super) async fn share(
    by: Scoped<right::Invite>,
    State(app): State<App>,
    Path(id): Path<RunId>,
    Json(new): Json<NewLink>,
) -> Result<(StatusCode, axum::Json<Link>), Problem> {
    let (token, url) = desk::share(&app, &by.actor(), &id, &new.name, new.expires_at_ms).await?;
    Ok((StatusCode::CREATED, axum::Json(Link::of(token, Some(url)))))
}

/// Take a share link back
///
/// Needs `invite`.
#[utoipa::path(delete, path = "/api/v1/runs/{id}/links/{link}", tag = "reports", params(("id" = String, Path, description = "Id of the run."), ("link" = String, Path, description = "Id of the link.")), responses((status = 204, description = "It opens nothing any more.")))]
pub(super) async fn unshare(
    by: Scoped<right::Invite>,
    State(app): State<App>,
    Path((id, link)): Path<(RunId, TokenId)>,
) -> Result<StatusCode, Problem> {
    desk::revoke_link(&app, &by.actor(), &id, &link).await?;
    Ok(StatusCode::NO_CONTENT)
}
