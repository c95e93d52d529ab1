//! Handlers of the pages that interviewers read.

use std::sync::Arc;

use assay_core::id::{AssignmentId, RunId};
use assay_core::report::Report;
use assay_engine::ExerciseFolder;
use assay_store::model::{Assignment, AssignmentRow, PageRequest, Role, Run, RunEvent};
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::assignment::{ARCHIVING, AssignmentPage, Confirm, ERASING};
use super::audit::{self, AuditPage, People};
use super::compare::{ComparePage, FEW};
use super::dashboard::{self, Dashboard};
use super::frame::page;
use super::invite::{Form, InvitePage, Wrong};
use super::names::Names;
use super::progress::{Eyes, Progress};
use super::run::{Live, RunPage};
use super::stream::{Part, stream};
use super::visitor::Visitor;
use super::{document, names, seal};
use crate::{App, Problem, desk};

/// Most events of a run that a page reads.
const MOST_EVENTS: u32 = 5_000;

/// Entries of the audit trail beside an assignment.
const EXCERPT: u32 = 12;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(dashboard))
        .route("/invite", get(invite))
        .route("/compare", get(compare))
        .route("/assignments/{id}", get(assignment))
        .route("/assignments/{id}/archive", get(confirm_archive))
        .route("/assignments/{id}/erase", get(confirm_erase))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/live", get(run_live))
        .route("/runs/{id}/report", get(report))
        .route("/audit", get(audit_trail))
}

async fn dashboard(
    State(app): State<App>,
    visitor: Visitor,
    axum::extract::Query(query): axum::extract::Query<dashboard::Query>,
) -> Result<Response, Problem> {
    let names = Names {
        hidden: visitor.blind,
    };
    let request = PageRequest {
        after: query.after(),
        limit: dashboard::ROWS,
    };
    let rows = app.store().assignments(&query.filter(names), &request).await?;
    let exercises: Vec<(String, String)> = app
        .exercises()
        .all()
        .iter()
        .map(|folder| (folder.spec.slug.clone(), folder.spec.title.clone()))
        .collect();
    let frame = visitor.frame("Assignments", "/");
    page(&Dashboard::new(frame, &query, &exercises, &rows, app.now_ms()))
}

async fn invite(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    visitor.must(Role::Interviewer)?;
    let frame = visitor.frame("Invite a candidate", "/invite");
    page(&InvitePage::new(
        frame,
        &app.exercises().all(),
        Form::default(),
        Wrong::default(),
    ))
}

async fn compare(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut ids: Vec<AssignmentId> = Vec::new();
    for id in query
        .as_deref()
        .unwrap_or_default()
        .split('&')
        .filter_map(|field| field.strip_prefix("a="))
    {
        let id: AssignmentId = id.parse().map_err(|_| Problem::not_found("assignment"))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if !FEW.contains(&ids.len()) {
        return Err(Problem::bad_request(
            "Tick two to four assignments in the list to compare them.",
        ));
    }
    let mut compared = Vec::with_capacity(ids.len());
    for id in &ids {
        let row = find_row(&app, id).await?;
        let runs = app.store().runs_of(id).await?;
        visitor.saw(&app, "assignment.viewed", id.as_str()).await?;
        compared.push((row, runs.into_iter().find(|run| run.score.is_some())));
    }
    let frame = visitor.frame("Side by side", "/");
    page(&ComparePage::new(frame, &compared, app.now_ms()))
}

async fn assignment(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = find_row(&app, &assignment_id(&id)?).await?;
    let id = &row.assignment.id;
    let runs = app.store().runs_of(id).await?;
    visitor.saw(&app, "assignment.viewed", id.as_str()).await?;
    let request = PageRequest {
        after: None,
        limit: EXCERPT,
    };
    let trail = app.store().audit_rows(Some(id.as_str()), &request).await?;
    let names = Names {
        hidden: visitor.blind,
    };
    let frame = visitor.frame(names.of(&row.assignment), "/");
    page(&AssignmentPage::new(
        frame,
        &row,
        &runs,
        &trail.rows,
        &people(&app).await?,
        &app.settings().public_url,
        app.now_ms(),
    ))
}

async fn confirm_archive(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    visitor.must(Role::Interviewer)?;
    let row = find_row(&app, &assignment_id(&id)?).await?;
    page(&confirm(&visitor, &row.assignment, Doing::Archive, None))
}

async fn confirm_erase(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    visitor.must(Role::Admin)?;
    let row = find_row(&app, &assignment_id(&id)?).await?;
    page(&confirm(&visitor, &row.assignment, Doing::Erase, None))
}

/// What is confirmed before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// The repository goes into a bundle.
    Archive,
    /// The candidate's data go.
    Erase,
}

impl Doing {
    /// What has to be typed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Erase => "erase",
        }
    }
}

/// The page that asks before it is done.
pub(super) fn confirm(
    visitor: &Visitor,
    assignment: &Assignment,
    doing: Doing,
    wrong: Option<&'static str>,
) -> Confirm {
    let (verb, consequences) = match doing {
        Doing::Archive => ("Archive the repository", ARCHIVING),
        Doing::Erase => ("Erase this candidate", ERASING),
    };
    let names = Names {
        hidden: visitor.blind,
    };
    Confirm {
        frame: visitor.frame(verb, "/"),
        id: assignment.id.to_string(),
        name: names.of(assignment),
        action: format!("/assignments/{}/{}", assignment.id, doing.word()),
        verb,
        consequences,
        word: doing.word(),
        wrong,
    }
}

async fn run(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Problem> {
    let run = find_run(&app, &id).await?;
    let assignment = find_row(&app, &run.assignment).await?.assignment;
    visitor.saw(&app, "run.viewed", run.id.as_str()).await?;
    let names = Names {
        hidden: visitor.blind,
    };
    let title = format!("{}, run {}", names.of(&assignment), run.number);
    let live = live(&app, &visitor, &title, &run, &assignment).await?;
    page(&RunPage::new(live, &run, &assignment, app.now_ms()))
}

async fn run_live(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let run = find_run(&app, &id).await?;
    let assignment = find_row(&app, &run.assignment).await?.assignment;
    let (of, who) = (app.clone(), visitor.user.id.clone());
    stream(&app, who.as_str(), move || {
        let (app, visitor, assignment, id) = (of.clone(), visitor.clone(), assignment.clone(), id.clone());
        async move {
            let run = find_run(&app, &id).await?;
            let live = live(&app, &visitor, "", &run, &assignment).await?;
            part(&live, &run)
        }
    })
}

/// A part of a page that is sent anew.
pub(super) fn part(template: &impl askama::Template, run: &Run) -> Result<Part, Problem> {
    let html = template
        .render()
        .map_err(|error| Problem::internal("a page's template", &error))?;
    Ok(Part {
        html,
        is_last: run.outcome.is_some(),
    })
}

async fn live(
    app: &App,
    visitor: &Visitor,
    title: &str,
    run: &Run,
    assignment: &Assignment,
) -> Result<Live, Problem> {
    let progress = progress(app, run, assignment, Eyes::Interviewer).await?;
    let versions = app.store().scorecards(&run.id).await?;
    let frame = visitor.frame(title, "/");
    Ok(Live::new(
        frame,
        run,
        progress,
        &versions,
        &people(app).await?,
        seal::of(app, run).await?,
        app.now_ms(),
    ))
}

/// Where a run stands, for these eyes.
pub(super) async fn progress(
    app: &App,
    run: &Run,
    assignment: &Assignment,
    eyes: Eyes,
) -> Result<Progress, Problem> {
    let events: Vec<RunEvent> = app.store().events(&run.id, 0, MOST_EVENTS).await?;
    let position = match run.state {
        assay_core::queue::RunState::Queued => app.store().queue_position(&run.id).await?,
        _ => None,
    };
    let folder = app.exercises().get(&assignment.exercise);
    let checks = folder.as_ref().map_or(&[][..], |folder| &folder.spec.checks);
    Ok(Progress::new(run, checks, &events, eyes, position, app.now_ms()))
}

/// Which version of the scorecard.
#[derive(Debug, Deserialize)]
struct Version {
    version: Option<u32>,
}

async fn report(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    axum::extract::Query(Version { version }): axum::extract::Query<Version>,
) -> Result<Response, Problem> {
    let run = find_run(&app, &id).await?;
    let mut report = match version {
        None => desk::report(&app, &visitor.actor(), &run.id).await?,
        Some(version) => {
            let all = app.store().scorecards(&run.id).await?;
            let score = all.into_iter().find(|row| row.version == version);
            let score = score.ok_or_else(|| Problem::not_found("report"))?;
            let detail = serde_json::json!({ "version": version });
            desk::note(&app, &visitor.actor(), "report.viewed", run.id.as_str(), detail).await?;
            read_report(&app, &score.report_digest).await?
        }
    };
    if visitor.blind {
        report.submission.author = names::alias(&run.assignment);
        report.submission.repository = names::alias(&run.assignment);
    }
    document::answer(&report)
}

/// A stored report.
pub(super) async fn read_report(app: &App, digest: &str) -> Result<Report, Problem> {
    let bytes = app
        .store()
        .blob(digest)
        .await?
        .ok_or_else(|| Problem::not_found("report"))?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::internal("a stored report", &error))
}

/// Part of the trail.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trail {
    subject: String,
    after: String,
}

async fn audit_trail(
    State(app): State<App>,
    visitor: Visitor,
    axum::extract::Query(trail): axum::extract::Query<Trail>,
) -> Result<Response, Problem> {
    visitor.must(Role::Admin)?;
    let subject = trail.subject.trim();
    let request = PageRequest {
        after: (!trail.after.is_empty()).then(|| trail.after.clone()),
        limit: audit::ROWS,
    };
    let rows = app
        .store()
        .audit_rows((!subject.is_empty()).then_some(subject), &request)
        .await?;
    let frame = visitor.frame("Audit trail", "/audit");
    page(&AuditPage::new(
        frame,
        subject.to_owned(),
        &rows,
        &people(&app).await?,
        app.now_ms(),
    ))
}

/// Names of people with an account.
pub(super) async fn people(app: &App) -> Result<People, Problem> {
    let users = app.store().users().await?;
    Ok(users.into_iter().map(|user| (user.id, user.name)).collect())
}

/// An assignment's id out of an address. One that cannot be an id is not there.
pub(super) fn assignment_id(text: &str) -> Result<AssignmentId, Problem> {
    text.parse().map_err(|_| Problem::not_found("assignment"))
}

/// An assignment by its id.
pub(super) async fn find_row(app: &App, id: &AssignmentId) -> Result<AssignmentRow, Problem> {
    let row = app.store().assignment_row(id).await?;
    row.ok_or_else(|| Problem::not_found("assignment"))
}

/// A run by the id in an address.
pub(super) async fn find_run(app: &App, id: &str) -> Result<Run, Problem> {
    let id: RunId = id.parse().map_err(|_| Problem::not_found("run"))?;
    let run = app.store().run(&id).await?;
    run.ok_or_else(|| Problem::not_found("run"))
}

/// The exercise of an assignment, as it is now.
pub(super) fn exercise_of(app: &App, assignment: &Assignment) -> Option<Arc<ExerciseFolder>> {
    app.exercises().get(&assignment.exercise)
}
