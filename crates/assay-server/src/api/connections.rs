//! Connections to forges.

use assay_core::id::ConnectionId;
use assay_store::model;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::{Json, Path};
use super::wire::List;
use crate::auth::{Scoped, right};
use crate::hooks::connections::{self, Hooked, NewConnection};
use crate::{App, Problem};

/// A connection to a forge, without its secrets.
#[derive(Serialize, ToSchema)]
pub(super) struct Connection {
    /// Id.
    id: String,
    /// `github`, `gitlab`, `gitea`, `bitbucket` or `bitbucketserver`.
    #[schema(example = "gitlab")]
    forge: &'static str,
    /// Address of its pages and clones.
    base_url: String,
    /// Address of its API.
    api_url: String,
    /// Address that its hooks go to.
    hook_url: String,
    /// Slug of the exercise that its repositories answer.
    exercise: String,
    /// Track.
    track: String,
    /// Full names of repositories that may trigger.
    repositories: Vec<String>,
    /// When it was made.
    created_at_ms: i64,
    /// When it was switched off. Null: it is on.
    disabled_at_ms: Option<i64>,
}

impl Connection {
    fn of(app: &App, connection: model::Connection) -> Self {
        Self {
            hook_url: connections::hook_url(app, &connection.id),
            id: connection.id.into(),
            forge: connection.forge.name(),
            base_url: connection.base_url,
            api_url: connection.api_url,
            exercise: connection.exercise,
            track: connection.track,
            repositories: connection.repositories,
            created_at_ms: connection.created_at_ms,
            disabled_at_ms: connection.disabled_at_ms,
        }
    }
}

/// List connections to forges
///
/// Needs `admin`.
#[utoipa::path(get, path = "/api/v1/connections", tag = "forges", responses((status = 200, description = "All of them, the oldest first.", body = List<Connection>)))]
pub(super) async fn list(
    _: Scoped<right::Admin>,
    State(app): State<App>,
) -> Result<axum::Json<List<Connection>>, Problem> {
    let rows = app.store().connections().await?;
    let rows = rows.into_iter().map(|row| Connection::of(&app, row)).collect();
    Ok(axum::Json(List::whole(rows)))
}

/// Connect a forge
///
/// Enter the answer's address and secret as a webhook there, for pushes, tags and pull or merge requests. The secret is shown
/// this once. Needs `admin`.
#[utoipa::path(post, path = "/api/v1/connections", tag = "forges", request_body = NewConnection, responses((status = 201, description = "What to enter at the forge.", body = Hooked)))]
pub(super) async fn create(
    by: Scoped<right::Admin>,
    State(app): State<App>,
    Json(new): Json<NewConnection>,
) -> Result<(StatusCode, axum::Json<Hooked>), Problem> {
    let hooked = connections::create(&app, &by.actor(), new).await?;
    Ok((StatusCode::CREATED, axum::Json(hooked)))
}

/// What is changed of a connection; what is not there stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionChange {
    /// Whether it is switched off: its hooks get 404, nothing is fetched, nothing is told.
    disabled: Option<bool>,
    /// A new token for the forge's API.
    token: Option<String>,
}

/// Change a connection
///
/// Needs `admin`.
#[utoipa::path(patch, path = "/api/v1/connections/{id}", tag = "forges", params(("id" = String, Path, description = "Id of the connection.")), request_body = ConnectionChange, responses((status = 200, description = "The connection as it is now.", body = Connection)))]
pub(super) async fn change(
    by: Scoped<right::Admin>,
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
    Json(change): Json<ConnectionChange>,
) -> Result<axum::Json<Connection>, Problem> {
    let actor = by.actor();
    if let Some(token) = change.token {
        connections::set_token(&app, &actor, &id, token).await?;
    }
    if let Some(disabled) = change.disabled {
        connections::set_disabled(&app, &actor, &id, disabled).await?;
    }
    let connection = app.store().connection(&id).await?;
    let connection = connection.ok_or_else(|| Problem::not_found("connection"))?;
    Ok(axum::Json(Connection::of(&app, connection)))
}

/// A new webhook secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    /// The secret, where the forge draws it: 16 to 512 bytes. Default: it is drawn here.
    #[serde(default)]
    secret: Option<String>,
}

/// Replace a connection's webhook secret
///
/// The one before still holds until it is dropped or another one is made. Needs `admin`.
#[utoipa::path(post, path = "/api/v1/connections/{id}/secret", tag = "forges", params(("id" = String, Path, description = "Id of the connection.")), request_body = NewSecret, responses((status = 201, description = "What to enter at the forge.", body = Hooked)))]
pub(super) async fn rotate(
    by: Scoped<right::Admin>,
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
    Json(new): Json<NewSecret>,
) -> Result<(StatusCode, axum::Json<Hooked>), Problem> {
    let hooked = connections::rotate(&app, &by.actor(), &id, new.secret).await?;
    Ok((StatusCode::CREATED, axum::Json(hooked)))
}

/// Drop a connection's old webhook secret
///
/// Needs `admin`.
#[utoipa::path(delete, path = "/api/v1/connections/{id}/old-secret", tag = "forges", params(("id" = String, Path, description = "Id of the connection.")), responses((status = 204, description = "Only the newest holds.")))]
pub(super) async fn drop_old_secret(
    by: Scoped<right::Admin>,
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
) -> Result<StatusCode, Problem> {
    connections::drop_old_secret(&app, &by.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
