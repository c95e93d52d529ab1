//! A report for whoever has its link.

use askama::Template;
use assay_core::id::RunId;
use assay_store::model::Actor;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use super::assets::Assets;
use super::document;
use super::frame::Frame;
use super::when::When;
use crate::auth::link::{self, Opens};
use crate::{App, Problem, desk};

/// The link, on the only page that ever shows it.
#[derive(Template)]
#[template(path = "shared.html", whitespace = "minimize")]
pub(super) struct SharedPage {
    pub(super) frame: Frame,
    pub(super) run: String,
    pub(super) number: u32,
    pub(super) url: String,
    pub(super) until: Option<When>,
}

pub(super) fn routes() -> Router<App> {
    Router::new().route("/shared/{run}", get(shared))
}

async fn shared(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<RunId>,
) -> Result<Response, Problem> {
    let token = link::visitor(&app, &headers, &Opens::Report(id.clone())).await?;
    let report = desk::report(&app, &Actor::Link(token.id), &id).await?;
    document::answer(&report)
}
