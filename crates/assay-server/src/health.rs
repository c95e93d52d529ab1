//! For those who look after the daemon: alive, ready, numbers.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics::gauge;
use serde::Serialize;

use crate::{App, Problem};

/// How long the database may take to give a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// What is needed to do any work.
#[derive(Serialize)]
struct Ready {
    database: bool,
    engine: bool,
    draining: bool,
    /// Things about the engine that whoever runs the daemon should know. The log and `assay doctor` say which.
    concerns: usize,
}

/// The process answers. Nothing else is asked: a database that is away is no reason to restart the daemon.
async fn health() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<App>) -> Response {
    let ping = tokio::time::timeout(SIGN_OF_LIFE, app.store().ping()).await;
    let ready = Ready {
        database: matches!(ping, Ok(Ok(()))),
        engine: app.engine_answers(),
        draining: app.shutdown().is_cancelled(),
        concerns: app.n_concerns(),
    };
    let is_ready = ready.database && ready.engine && !ready.draining;
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ready)).into_response()
}

/// Numbers of the queue are read when they are asked for; all others were counted where things happened.
async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let numbers = app.store().queue_numbers().await?;
    let age_ms = numbers
        .oldest_queued_at_ms
        .map_or(0, |at_ms| (app.now_ms() - at_ms).max(0));
    gauge!("assay_queue_waiting").set(whole(numbers.n_queued));
    gauge!("assay_queue_running").set(whole(numbers.n_running));
    gauge!("assay_queue_oldest_age_seconds").set(Duration::from_millis(age_ms.unsigned_abs()).as_secs_f64());
    for (outcome, n) in numbers.n_finished {
        gauge!("assay_runs_stored", "outcome" => outcome).set(whole(n));
    }
    gauge!("assay_engine_answers").set(if app.engine_answers() { 1.0 } else { 0.0 });
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    Ok((kind, app.metrics().render()))
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn whole(n: u64) -> f64 {
    n as f64
}

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
}
