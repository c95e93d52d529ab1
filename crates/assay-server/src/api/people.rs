//! Accounts and API tokens.

use assay_core::id::{TokenId, UserId};
use assay_store::model::{Role, TokenKind};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::{Json, Path};
use super::wire::{ApiToken, List, User};
use crate::auth::{self, Right, Scoped, right};
use crate::desk::NewUser;
use crate::{App, Problem, desk};

/// Who is asking.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// The account.
    user: User,
    /// What this token may do.
    scopes: Vec<Right>,
}

/// Show who is asking
///
/// Needs `read`.
#[utoipa::path(get, path = "/api/v1/me", tag = "accounts", responses((status = 200, description = "Account and scopes.", body = Me)))]
pub(super) async fn me(by: Scoped<right::Read>) -> axum::Json<Me> {
    axum::Json(Me {
        user: User::of(by.user),
        scopes: by.rights,
    })
}

/// List accounts
///
/// Needs `admin`.
#[utoipa::path(get, path = "/api/v1/users", tag = "accounts", responses((status = 200, description = "All of them.", body = List<User>)))]
pub(super) async fn users(
    _: Scoped<right::Admin>,
    State(app): State<App>,
) -> Result<axum::Json<List<User>>, Problem> {
    let users = app.store().users().await?;
    Ok(axum::Json(List::whole(users.into_iter().map(User::of).collect())))
}

/// Make an account
///
/// Needs `admin`.
#[utoipa::path(post, path = "/api/v1/users", tag = "accounts", request_body = NewUser, responses((status = 201, description = "The account.", body = User)))]
pub(super) async fn create_user(
    by: Scoped<right::Admin>,
    State(app): State<App>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, axum::Json<User>), Problem> {
    let user = desk::create_user(&app, &by.actor(), &new).await?;
    Ok((StatusCode::CREATED, axum::Json(User::of(user))))
}

/// What is changed of an account; what is not there stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    /// `viewer`, `interviewer` or `admin`.
    #[schema(value_type = Option<String>, example = "viewer")]
    role: Option<Role>,
    /// Whether it is switched off. Sessions and tokens end then.
    disabled: Option<bool>,
    /// A new password, 10 to 200 characters. Sessions end then.
    password: Option<String>,
}

/// Change an account
///
/// Nobody changes their own role or switches themselves off. Needs `admin`.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "accounts", params(("id" = String, Path, description = "Id of the account.")), request_body = UserChange, responses((status = 200, description = "The account as it is now.", body = User)))]
pub(super) async fn change_user(
    by: Scoped<right::Admin>,
    State(app): State<App>,
    Path(id): Path<UserId>,
    Json(change): Json<UserChange>,
) -> Result<axum::Json<User>, Problem> {
    let actor = by.actor();
    if let Some(password) = &change.password {
        auth::set_password(&app, &actor, &id, password).await?;
    }
    if let Some(role) = change.role {
        desk::set_role(&app, &actor, &id, role).await?;
    }
    if let Some(disabled) = change.disabled {
        desk::set_disabled(&app, &actor, &id, disabled).await?;
    }
    let user = app.store().user(&id).await?;
    let user = user.ok_or_else(|| Problem::not_found("user"))?;
    Ok(axum::Json(User::of(user)))
}

/// List one's own API tokens
///
/// Newest first, those that were revoked too. Needs `read`.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "accounts", responses((status = 200, description = "All of them.", body = List<ApiToken>)))]
pub(super) async fn tokens(
    by: Scoped<right::Read>,
    State(app): State<App>,
) -> Result<axum::Json<List<ApiToken>>, Problem> {
    let tokens = app.store().tokens_of(TokenKind::Api, by.user.id.as_str()).await?;
    let rows = tokens
        .into_iter()
        .map(|token| ApiToken::of(token, None))
        .collect();
    Ok(axum::Json(List::whole(rows)))
}

/// An API token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// For people: where it is used. At most 100 characters.
    #[serde(default)]
    name: String,
    /// What it may do. Nothing that the asking token may not.
    scopes: Vec<Right>,
    /// From when on it opens nothing. Default: never.
    #[serde(default)]
    expires_at_ms: Option<i64>,
}

/// Make an API token for oneself
///
/// The answer holds the secret, this once. Needs `read`, and every scope that the new one is to have.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "accounts", request_body = NewToken, responses((status = 201, description = "The token with its secret.", body = ApiToken)))]
pub(super) async fn make_token(
    by: Scoped<right::Read>,
    State(app): State<App>,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, axum::Json<ApiToken>), Problem> {
    let made = desk::make_token(
        &app,
        &by.user,
        &by.rights,
        &new.name,
        &new.scopes,
        new.expires_at_ms,
    );
    let (token, secret) = made.await?;
    let token = ApiToken::of(token, Some(secret.text().to_owned()));
    Ok((StatusCode::CREATED, axum::Json(token)))
}

/// Revoke one of one's own API tokens
///
/// Needs `read`.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "accounts", params(("id" = String, Path, description = "Id of the token.")), responses((status = 204, description = "It opens nothing any more.")))]
pub(super) async fn revoke_token(
    by: Scoped<right::Read>,
    State(app): State<App>,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, Problem> {
    desk::revoke_token(&app, &by.user, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
