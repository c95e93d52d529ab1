//! Git hosting: what the unmodified git client asks for, over smart HTTP.
//!
//! A request is `visitor` (who asks, for which repository), then the terms of the assignment, then [`assay_git::host`]. A push
//! goes on in a task of its own ([`push`]): it outlives the connection, and interrupting it cancels nothing. No path on the
//! host ever comes from an address: a name is an id that is looked up.

use std::path::PathBuf;

use assay_core::assignment::{Pushed, Refused, Weight, weigh};
use assay_core::id::AssignmentId;
use assay_core::queue::Trigger;
use assay_git::host::{HostError, Protocol, Service};
use assay_store::StoreError;
use assay_store::model::Assignment;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use tower_http::decompression::RequestDecompressionLayer;

use crate::App;

mod progress;
mod push;
pub mod remarks;
mod visitor;

pub use push::catch_up;

use self::visitor::Visitor;

/// Most bytes of one request of a fetch, unpacked: names of commits that the client has.
const MAX_FETCH_REQUEST: u64 = 16 << 20;

/// How many buffers of git's answer wait for the client.
const BUFFERS_AHEAD: usize = 4;

pub(crate) fn routes() -> Router<App> {
    let fetch = post(fetch).layer(RequestDecompressionLayer::new());
    Router::new()
        .route("/git/{repository}/info/refs", get(advertise))
        .route("/git/{repository}/git-upload-pack", fetch)
        .route("/git/{repository}/git-receive-pack", post(receive))
        // The rule about size is git's own: it tells the client what was too large.
        .layer(DefaultBodyLimit::disable())
}

/// Where an assignment's repository is.
pub fn repository(app: &App, id: &AssignmentId) -> PathBuf {
    app.settings().repositories.join(format!("{id}.git"))
}

/// An answer that git shows as `remote: …` where it can.
#[derive(Debug)]
pub(crate) struct Said(StatusCode, String);

impl Said {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self(status, text.into())
    }
}

impl IntoResponse for Said {
    fn into_response(self) -> Response {
        let mut response = (self.0, format!("{}\n", self.1)).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            // Git sends no credentials before it is asked for them.
            let basic = HeaderValue::from_static("Basic realm=\"Assay\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

impl From<StoreError> for Said {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a git request failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, remarks::OURS)
    }
}

impl From<HostError> for Said {
    fn from(error: HostError) -> Self {
        let status = match &error {
            HostError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            HostError::NotGit(_) | HostError::Gone => StatusCode::BAD_REQUEST,
            HostError::Failed { .. } | HostError::Repository(_) | HostError::Io(_) => {
                tracing::error!(%error, "a git request failed: {error}");
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, remarks::OURS);
            }
        };
        Self::new(status, error.to_string())
    }
}

async fn advertise(
    State(app): State<App>,
    Visitor(assignment): Visitor,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Said> {
    let named = query.as_deref().and_then(|query| query.strip_prefix("service="));
    let Some(service) = named.and_then(Service::of) else {
        let hint = "Use git 1.6.6 or newer: only the smart protocol is spoken here.";
        return Err(Said::new(StatusCode::FORBIDDEN, hint));
    };
    if service == Service::ReceivePack
        && let Some(why) = refused(&assignment, app.now_ms())
    {
        let lines = refusal(&app, &assignment, &why).await?;
        return Err(Said::new(StatusCode::FORBIDDEN, lines.join("\n")));
    }
    let dir = repository(&app, &assignment.id);
    let protocol = protocol(&headers);
    let answer = app
        .host()
        .advertise(service, &dir, &protocol, app.shutdown())
        .await?;
    let kind = format!("application/x-{}-advertisement", service.name());
    Ok(answered(&kind, Body::from(answer)))
}

async fn fetch(
    State(app): State<App>,
    Visitor(assignment): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Said> {
    must_be_request(Service::UploadPack, &headers)?;
    let dir = repository(&app, &assignment.id);
    let protocol = protocol(&headers);
    let (to, said) = mpsc::channel(BUFFERS_AHEAD);
    let task = app.tasks().spawn({
        let app = app.clone();
        async move {
            let input = reader(body).take(MAX_FETCH_REQUEST);
            app.host()
                .upload(&dir, &protocol, input, to, app.shutdown())
                .await
        }
    });
    answer(Service::UploadPack, said, task).await
}

async fn receive(
    State(app): State<App>,
    Visitor(assignment): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Said> {
    let received_at_ms = app.now_ms();
    must_be_request(Service::ReceivePack, &headers)?;
    // Time has gone by since the references were asked for.
    let refusal = match refused(&assignment, received_at_ms) {
        Some(why) => Some((remarks::short(&why), refusal(&app, &assignment, &why).await?)),
        None => None,
    };
    let push = push::Push {
        assignment,
        received_at_ms,
        refusal,
    };
    let (to, said) = mpsc::channel(BUFFERS_AHEAD);
    let task = app
        .tasks()
        .spawn(push::serve(app.clone(), push, reader(body), to));
    answer(Service::ReceivePack, said, task).await
}

/// Why nothing can be pushed at this moment, if so.
fn refused(assignment: &Assignment, now_ms: i64) -> Option<Refused> {
    match weigh(&assignment.terms(), Pushed::Branch, 0, now_ms) {
        Weight::Refused(why) => Some(why),
        Weight::Submission { .. } | Weight::KeptOnly(_) => None,
    }
}

async fn refusal(app: &App, assignment: &Assignment, why: &Refused) -> Result<Vec<String>, StoreError> {
    let runs = app.store().runs_of(&assignment.id).await?;
    let last = runs.iter().find(|run| run.trigger != Trigger::Rerun);
    Ok(remarks::refused(why, last.map(|run| run.commit.as_str())))
}

fn protocol(headers: &HeaderMap) -> Protocol {
    let value = headers.get("git-protocol").and_then(|value| value.to_str().ok());
    Protocol::of_header(value)
}

fn must_be_request(service: Service, headers: &HeaderMap) -> Result<(), Said> {
    let expected = format!("application/x-{}-request", service.name());
    let is = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == expected.as_bytes());
    let hint = "This address is for the git program.";
    if is {
        Ok(())
    } else {
        Err(Said::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, hint))
    }
}

fn reader(body: Body) -> impl AsyncRead + Send + Unpin + 'static {
    let stream: BodyDataStream = body.into_data_stream();
    StreamReader::new(Box::pin(stream.map_err(std::io::Error::other)))
}

/// What the task says, as it says it. When it fails before it has said anything, its error.
async fn answer(
    service: Service,
    mut said: mpsc::Receiver<Vec<u8>>,
    task: JoinHandle<Result<(), HostError>>,
) -> Result<Response, Said> {
    let kind = format!("application/x-{}-result", service.name());
    let Some(first) = said.recv().await else {
        return match task.await {
            Ok(done) => done.map(|()| answered(&kind, Body::empty())).map_err(Said::from),
            Err(error) => {
                tracing::error!(%error, "a git request failed: {error}");
                Err(Said::new(StatusCode::INTERNAL_SERVER_ERROR, remarks::OURS))
            }
        };
    };
    let all = tokio_stream::once(first).chain(ReceiverStream::new(said));
    let all = all.map(|bytes| Ok::<_, std::convert::Infallible>(Bytes::from(bytes)));
    Ok(answered(&kind, Body::from_stream(all)))
}

fn answered(kind: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    let fixed = [
        ("cache-control", "no-cache, max-age=0, must-revalidate"),
        ("expires", "Fri, 01 Jan 1980 00:00:00 GMT"),
        ("pragma", "no-cache"),
        // A proxy that gathers the answer would hold back the progress.
        ("x-accel-buffering", "no"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
