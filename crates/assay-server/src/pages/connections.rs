//! Forges that may trigger runs, for admins.

use askama::Template;
use assay_core::id::ConnectionId;
use assay_engine::ExerciseFolder;
use assay_report::text;
use assay_store::model::{Connection, ForgeKind, Role};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::act::to;
use super::assets::Assets;
use super::dashboard::Choice;
use super::frame::{Frame, page, page_with};
use super::visitor::Visitor;
use super::when::When;
use crate::auth::Form;
use crate::auth::right::Admin;
use crate::hooks::connections::{Hooked, NewConnection};
use crate::{App, Problem, hooks};

/// All forges, with the address of the public one; empty where there is none.
const FORGES: [(ForgeKind, &str, &str); 5] = [
    (ForgeKind::GitHub, "GitHub", "https://github.com"),
    (ForgeKind::GitLab, "GitLab", "https://gitlab.com"),
    (ForgeKind::Gitea, "Gitea or Forgejo", ""),
    (ForgeKind::Bitbucket, "Bitbucket Cloud", "https://bitbucket.org"),
    (ForgeKind::BitbucketServer, "Bitbucket Data Center", ""),
];

/// A connection in the list.
struct Row {
    id: String,
    forge: &'static str,
    base_url: String,
    repositories: String,
    exercise: String,
    created: When,
    is_disabled: bool,
    hook: String,
}

/// The page.
#[derive(Template)]
#[template(path = "connections.html", whitespace = "minimize")]
pub(super) struct ConnectionsPage {
    frame: Frame,
    rows: Vec<Row>,
    exercises: Vec<Choice>,
    forges: [(ForgeKind, &'static str, &'static str); 5],
    made: Option<Hooked>,
    wrong: Option<String>,
}

impl ConnectionsPage {
    pub(super) fn new(
        frame: Frame,
        connections: &[Connection],
        exercises: &[std::sync::Arc<ExerciseFolder>],
        app: &App,
        made: Option<Hooked>,
        wrong: Option<String>,
    ) -> Self {
        let now_ms = app.now_ms();
        let ways = exercises
            .iter()
            .flat_map(|folder| folder.spec.tracks.keys().map(move |track| (&folder.spec, track)));
        Self {
            rows: connections
                .iter()
                .map(|connection| Row {
                    id: connection.id.to_string(),
                    forge: FORGES
                        .iter()
                        .find(|(kind, ..)| *kind == connection.forge)
                        .map_or("", |(_, words, _)| words),
                    base_url: text::line(&connection.base_url),
                    repositories: text::line(&connection.repositories.join(", ")),
                    exercise: text::line(&format!("{}, {}", connection.exercise, connection.track)),
                    created: When::new(connection.created_at_ms, now_ms),
                    is_disabled: connection.disabled_at_ms.is_some(),
                    hook: hooks::connections::hook_url(app, &connection.id),
                })
                .collect(),
            exercises: ways
                .map(|(spec, track)| Choice {
                    value: format!("{}/{track}", spec.slug),
                    words: text::line(&format!("{} in {track}", spec.title)),
                    is_chosen: false,
                })
                .collect(),
            forges: FORGES,
            frame,
            made,
            wrong,
        }
    }
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/connections", get(connections).post(connect))
        .route("/connections/{id}/disable", post(disable))
        .route("/connections/{id}/enable", post(enable))
}

async fn connections(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    visitor.must(Role::Admin)?;
    page(&view(&app, &visitor, None, None).await?)
}

async fn view(
    app: &App,
    visitor: &Visitor,
    made: Option<Hooked>,
    wrong: Option<String>,
) -> Result<ConnectionsPage, Problem> {
    let connections = app.store().connections().await?;
    let frame = visitor.frame("Connections", "/connections");
    let exercises = app.exercises().all();
    Ok(ConnectionsPage::new(
        frame,
        &connections,
        &exercises,
        app,
        made,
        wrong,
    ))
}

#[derive(Deserialize)]
struct NewOne {
    forge: String,
    base_url: String,
    /// `slug/track`.
    exercise: String,
    token: String,
    repositories: String,
}

async fn connect(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form<Admin, NewOne>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_form(&form.by, &headers);
    let forge = FORGES.iter().find(|(kind, ..)| kind.name() == form.input.forge);
    let (kind, _, usual) = forge.ok_or_else(|| Problem::unprocessable("There is no such forge."))?;
    let (exercise, track) = form.input.exercise.split_once('/').unwrap_or_default();
    let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    let new = NewConnection {
        forge: *kind,
        base_url: some(&form.input.base_url).unwrap_or_else(|| (*usual).to_owned()),
        api_url: None,
        exercise: exercise.to_owned(),
        track: track.to_owned(),
        repositories: form
            .input
            .repositories
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        token: some(&form.input.token),
        secret: None,
        allow_private: false,
    };
    match hooks::connections::create(&app, &form.by.actor(), new).await {
        Ok(made) => page(&view(&app, &visitor, Some(made), None).await?),
        Err(problem) if problem.status.is_client_error() => {
            let again = view(&app, &visitor, None, Some(problem.detail)).await?;
            page_with(problem.status, &again)
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Deserialize)]
struct Nothing {}

async fn disable(
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
    form: Form<Admin, Nothing>,
) -> Result<Response, Problem> {
    hooks::connections::set_disabled(&app, &form.by.actor(), &id, true).await?;
    to("/connections")
}

async fn enable(
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
    form: Form<Admin, Nothing>,
) -> Result<Response, Problem> {
    hooks::connections::set_disabled(&app, &form.by.actor(), &id, false).await?;
    to("/connections")
}
