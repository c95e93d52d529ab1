//! Handlers of the candidate's own pages.

use assay_core::id::AssignmentId;
use assay_core::report::{Report, candidate};
use assay_engine::ExerciseFolder;
use assay_store::model::{AssignmentRow, Run};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::candidate::{MyLive, MyPage, MyRunPage};
use super::frame::{Frame, page};
use super::progress::Eyes;
use super::show::{exercise_of, find_row, part, progress, read_report};
use super::stream::stream;
use super::visitor::Candidate;
use crate::{App, Problem};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/my/{id}", get(mine))
        .route("/my/{id}/runs/{number}", get(run))
        .route("/my/{id}/runs/{number}/live", get(run_live))
}

async fn mine(State(app): State<App>, candidate: Candidate) -> Result<Response, Problem> {
    let row = find_row(&app, &candidate.assignment).await?;
    let mut runs = app.store().runs_of(&candidate.assignment).await?;
    candidate
        .saw(&app, "assignment.viewed", candidate.assignment.as_str())
        .await?;
    let folder = exercise_of(&app, &row.assignment);
    for run in &mut runs {
        // Reasons are ours.
        run.reason.clear();
        if !is_score_seen(&app, run, folder.as_deref()).await? {
            run.score = None;
        }
    }
    page(&MyPage::new(
        frame(&candidate.assignment, "Your assignment"),
        &row,
        &runs,
        folder.as_ref().map(|folder| &folder.spec),
        &app.settings().public_url,
        app.now_ms(),
    ))
}

/// Whether a run's score is theirs to see: the exercise says so, and after a change of the exercise the report itself.
async fn is_score_seen(app: &App, run: &Run, folder: Option<&ExerciseFolder>) -> Result<bool, Problem> {
    let Some(score) = &run.score else {
        return Ok(false);
    };
    match folder.filter(|folder| folder.digest == score.exercise_digest) {
        Some(folder) => Ok(candidate::are_points_seen(&folder.spec.checks)),
        None => {
            let report = read_report(app, &score.report_digest).await?;
            Ok(candidate::view(&report).points.is_some())
        }
    }
}

async fn run(
    State(app): State<App>,
    candidate: Candidate,
    Path((_, number)): Path<(String, u32)>,
) -> Result<Response, Problem> {
    let row = find_row(&app, &candidate.assignment).await?;
    let run = find(&app, &candidate.assignment, number).await?;
    candidate.saw(&app, "run.viewed", run.id.as_str()).await?;
    let live = live(&app, &row, &run).await?;
    let folder = exercise_of(&app, &row.assignment);
    let title = folder
        .as_ref()
        .map_or(row.assignment.exercise.as_str(), |folder| {
            folder.spec.title.as_str()
        });
    let frame = frame(&candidate.assignment, format!("Run {number}"));
    page(&MyRunPage::new(frame, title, &row, &run, live, app.now_ms()))
}

async fn run_live(
    State(app): State<App>,
    candidate: Candidate,
    Path((_, number)): Path<(String, u32)>,
) -> Result<Response, Problem> {
    let row = find_row(&app, &candidate.assignment).await?;
    let id = find(&app, &candidate.assignment, number).await?.id;
    let of = app.clone();
    stream(&app, candidate.assignment.as_str(), move || {
        let (app, row, id) = (of.clone(), row.clone(), id.clone());
        async move {
            let run = app.store().run(&id).await?;
            let run = run.ok_or_else(|| Problem::not_found("run"))?;
            part(&live(&app, &row, &run).await?, &run)
        }
    })
}

async fn live(app: &App, row: &AssignmentRow, run: &Run) -> Result<MyLive, Problem> {
    let progress = progress(app, run, &row.assignment, Eyes::Candidate).await?;
    let report: Option<Report> = match &run.score {
        Some(score) => Some(read_report(app, &score.report_digest).await?),
        None => None,
    };
    Ok(MyLive::new(run, progress, report.as_ref()))
}

/// A run by its number, of this assignment only.
async fn find(app: &App, assignment: &AssignmentId, number: u32) -> Result<Run, Problem> {
    let runs = app.store().runs_of(assignment).await?;
    runs.into_iter()
        .find(|run| run.number == number)
        .ok_or_else(|| Problem::not_found("run"))
}

fn frame(assignment: &AssignmentId, title: impl Into<String>) -> Frame {
    Frame {
        title: title.into(),
        home: format!("/my/{assignment}"),
        ..Frame::default()
    }
}
