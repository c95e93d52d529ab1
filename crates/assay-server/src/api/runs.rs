//! Runs and their events.

use std::convert::Infallible;
use std::time::Duration;

use assay_core::id::{AssignmentId, RunId};
use assay_core::queue::RunState;
use assay_store::model::RunFilter;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, future};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::{Part, Path, Query, one_of};
use super::wire::{List, Run, RunEvent, Scorecard};
use crate::auth::{Scoped, right};
use crate::{App, Problem, desk, live};

/// How long a stream may be silent: proxies cut what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events in one answer.
const MOST_EVENTS: u32 = 1_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those of this assignment.
    assignment: Option<String>,
    /// Only those of this exercise.
    exercise: Option<String>,
    /// Only those in this state: `queued`, `running` or `finished`.
    state: Option<String>,
}

/// List runs
///
/// Newest first. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(Which, Part), responses((status = 200, description = "A part of the list.", body = List<Run>)))]
pub(super) async fn list(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Query(which): Query<Which>,
    Query(part): Query<Part>,
) -> Result<axum::Json<List<Run>>, Problem> {
    let assignment = which.assignment.map(|id| id.parse::<AssignmentId>());
    let assignment = assignment
        .transpose()
        .map_err(|error| Problem::bad_request(format!("`assignment` is no id: {error}.")))?;
    let filter = RunFilter {
        assignment,
        exercise: which.exercise,
        state: one_of("state", which.state.as_deref(), &RunState::ALL, RunState::name)?,
    };
    let page = app.store().runs(&filter, &part.request()?).await?;
    Ok(axum::Json(List::of(page, Run::of)))
}

/// Show a run
///
/// Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = String, Path, description = "Id of the run.")), responses((status = 200, description = "It.", body = Run)))]
pub(super) async fn show(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<axum::Json<Run>, Problem> {
    let run = desk::run(&app, &id).await?;
    let queue_position = match run.state {
        RunState::Queued => app.store().queue_position(&id).await?,
        RunState::Running | RunState::Finished => None,
    };
    Ok(axum::Json(Run {
        queue_position,
        ..Run::of(run)
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// Only events with a greater number. Default: all. `Last-Event-ID` says the same and comes first.
    after: Option<i64>,
}

/// Read or follow a run's events
///
/// With `Accept: text/event-stream` as a stream: each event has its number as `id`, and the same JSON as `data`; `Last-Event-ID`
/// goes on after a break; the stream ends after `run_ended`; one person follows at most 20 at a time. Otherwise the events that there are, at most 1000. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(("id" = String, Path, description = "Id of the run."), From, ("Last-Event-ID" = Option<i64>, Header, description = "Number of the last event that was seen.")),
    responses((status = 200, description = "Events, in order.", content((List<RunEvent> = "application/json"), (String = "text/event-stream")))))]
pub(super) async fn events(
    by: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<RunId>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    desk::run(&app, &id).await?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let last = text("last-event-id").and_then(|last| last.trim().parse().ok());
    let after = last.or(from.after).unwrap_or(0);
    if !text(header::ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/event-stream")) {
        let events = app.store().events(&id, after, MOST_EVENTS).await?;
        let next = events.last().map(|event| event.seq);
        let next = next.filter(|_| events.len() == MOST_EVENTS as usize);
        let list = List {
            rows: events.into_iter().map(RunEvent::of).collect(),
            next: next.map(|seq| seq.to_string()),
        };
        return Ok(axum::Json(list).into_response());
    }
    let watching = app.limits().watch(by.user.id.as_str())?;
    let events = live::events(&app, id.clone(), after).filter_map(move |event| {
        let _ = &watching;
        let told = match event {
            Ok(event) => told(event),
            Err(error) => {
                tracing::error!(run = %id, %error, "the events of run {id} cannot be read");
                None
            }
        };
        future::ready(told.map(Ok::<_, Infallible>))
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // A proxy that collects an answer before it passes it on would make it no stream.
    Ok(([("x-accel-buffering", "no")], stream).into_response())
}

fn told(event: assay_store::model::RunEvent) -> Option<Event> {
    let id = event.seq.to_string();
    Event::default().id(id).json_data(RunEvent::of(event)).ok()
}

/// Run again
///
/// The same checks on the same commit, as a new run. It costs the candidate nothing. Needs `run`.
#[utoipa::path(post, path = "/api/v1/runs/{id}/rerun", tag = "runs", params(("id" = String, Path, description = "Id of the run.")), responses((status = 201, description = "The new run.", body = Run)))]
pub(super) async fn rerun(
    by: Scoped<right::Run>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<(StatusCode, axum::Json<Run>), Problem> {
    let run = desk::rerun(&app, &by.actor(), &id).await?;
    Ok((StatusCode::CREATED, axum::Json(Run::of(run))))
}

/// In which state a run is.
#[derive(Serialize, ToSchema)]
pub(super) struct Stopping {
    /// `running`: it ends within seconds; `finished`: it has ended.
    #[schema(example = "finished")]
    state: &'static str,
}

/// Cancel a run
///
/// Needs `run`.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs", params(("id" = String, Path, description = "Id of the run.")), responses((status = 202, description = "It is told to stop.", body = Stopping)))]
pub(super) async fn cancel(
    by: Scoped<right::Run>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<(StatusCode, axum::Json<Stopping>), Problem> {
    let state = desk::cancel(&app, &by.actor(), &id).await?.name();
    Ok((StatusCode::ACCEPTED, axum::Json(Stopping { state })))
}

/// Score again
///
/// From the stored evidence, under the exercise's present weights. The scorecards before stay. Needs `run`.
#[utoipa::path(post, path = "/api/v1/runs/{id}/rescore", tag = "runs", params(("id" = String, Path, description = "Id of the run.")), responses((status = 201, description = "The new scorecard.", body = Scorecard)))]
pub(super) async fn rescore(
    by: Scoped<right::Run>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<(StatusCode, axum::Json<Scorecard>), Problem> {
    let score = desk::rescore(&app, &by.actor(), &id).await?;
    Ok((StatusCode::CREATED, axum::Json(Scorecard::of(score))))
}

/// List a run's scorecards
///
/// In order; the last one counts. Needs `read`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/scorecards", tag = "runs", params(("id" = String, Path, description = "Id of the run.")), responses((status = 200, description = "All of them.", body = List<Scorecard>)))]
pub(super) async fn scorecards(
    _: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<RunId>,
) -> Result<axum::Json<List<Scorecard>>, Problem> {
    desk::run(&app, &id).await?;
    let scores = app.store().scorecards(&id).await?;
    Ok(axum::Json(List::whole(
        scores.into_iter().map(Scorecard::of).collect(),
    )))
}
