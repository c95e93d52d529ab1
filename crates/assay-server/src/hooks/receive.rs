//! `POST /hooks/{connection}`: believed, read, and in the queue before it is answered.

use std::sync::Arc;
use std::time::Duration;

use assay_core::id::ConnectionId;
use assay_store::model::Connection;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use tokio::sync::Semaphore;

use super::connections::Secrets;
use super::event::{self, Hook, Submission};
use super::signature::{self, Refusal};
use super::{repository, submission};
use crate::limits::{Client, Gate};
use crate::{App, Problem};

/// Largest payload, in bytes. GitLab and Bitbucket cut theirs far below.
const MAX_PAYLOAD: usize = 5 << 20;
/// Longest time that a payload may take to arrive.
const PAYLOAD_WITHIN: Duration = Duration::from_secs(10);
/// Hooks that are held in memory at one time.
const MAX_HELD: usize = 8;
/// Longest time that a hook waits for its turn; forges wait for 10 s.
const TURN_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/hooks/{connection}", post(receive))
        .layer(Extension(Arc::new(Semaphore::new(MAX_HELD))))
}

async fn receive(
    State(app): State<App>,
    client: Client,
    Path(id): Path<String>,
    Extension(turns): Extension<Arc<Semaphore>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    app.limits().check(Gate::Hooks, client.0)?;
    let connection = connection(&app, id).await?;
    if !signature::is_signed(connection.forge, &headers) {
        return Err(refused(&connection, Refusal::Unsigned));
    }
    let turn = tokio::time::timeout(TURN_WITHIN, turns.acquire_owned()).await;
    let Ok(Ok(_turn)) = turn else {
        let detail = "Too many hooks at once. Send it again.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail));
    };
    let body = whole(body).await?;
    let secrets = Secrets::of(&connection, &app.settings().key)
        .map_err(|error| Problem::internal("opening a connection's secrets", &error))?;
    let delivery = signature::check(connection.forge, &headers, &body, &secrets.webhook, app.now_ms())
        .map_err(|refusal| refused(&connection, refusal))?;
    if app.store().delivery_came(&connection.id, &delivery.id).await? {
        return Ok(answer(StatusCode::OK, "It came before; nothing was done.", &[]));
    }
    let hook = event::read(connection.forge, &delivery.event, &body)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    drop(body);
    let answer = match hook {
        Hook::Ping => answer(StatusCode::OK, "Assay is here.", &[]),
        Hook::Ignored(why) => answer(StatusCode::ACCEPTED, why, &[]),
        Hook::Submissions(submissions) => {
            let runs = take(&app, &connection, &secrets, &submissions).await?;
            answer(StatusCode::ACCEPTED, "It will be checked.", &runs)
        }
    };
    // Noted when all is in the store: what fails before is sent again, and taking it again makes no second run.
    let now_ms = app.now_ms();
    app.store()
        .note_delivery(&connection.id, &delivery.id, now_ms)
        .await?;
    Ok(answer)
}

async fn connection(app: &App, id: String) -> Result<Connection, Problem> {
    let none = || Problem::not_found("connection");
    let id = ConnectionId::try_from(id).map_err(|_| none())?;
    let connection = app.store().connection(&id).await?;
    connection
        .filter(|connection| connection.disabled_at_ms.is_none())
        .ok_or_else(none)
}

fn refused(connection: &Connection, refusal: Refusal) -> Problem {
    tracing::warn!(connection = %connection.id, %refusal, "connection {}: a hook is refused: {refusal}", connection.id);
    match refusal {
        Refusal::NoEvent | Refusal::BadDelivery => Problem::bad_request(refusal.to_string()),
        Refusal::Unsigned | Refusal::Wrong | Refusal::Stale => Problem::unauthorized(refusal.to_string()),
    }
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    let reading = Limited::new(body, MAX_PAYLOAD).collect();
    match tokio::time::timeout(PAYLOAD_WITHIN, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("A payload has at most {} MiB.", MAX_PAYLOAD >> 20);
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail))
        }
        Ok(Err(_)) => Err(Problem::bad_request("The payload did not arrive whole.")),
        Err(_) => {
            let detail = "The payload came too slowly.";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail))
        }
    }
}

async fn take(
    app: &App,
    connection: &Connection,
    secrets: &Secrets,
    submissions: &[Submission],
) -> Result<Vec<String>, Problem> {
    let allowed = |name: &str| repository::is_allowed(&connection.repositories, name);
    let mut runs = Vec::new();
    for submission in submissions {
        if !allowed(&submission.repository) || !allowed(&submission.told) {
            let detail = "The repository is not on the connection's list.";
            return Err(Problem::forbidden(detail));
        }
        let run = submission::take(app, connection, secrets, submission).await?;
        runs.extend(run.map(String::from));
    }
    Ok(runs)
}

fn answer(status: StatusCode, detail: &str, runs: &[String]) -> Response {
    (status, Json(json!({ "detail": detail, "runs": runs }))).into_response()
}
