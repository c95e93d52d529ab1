//! Callers of the API.

use std::marker::PhantomData;

use assay_core::id::UserId;
use assay_store::model::{Actor, TokenKind, User};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::right::Needs;
use super::secret::sha256;
use super::{Right, csrf, session};
use crate::{App, Problem};

/// Somebody who calls the API and has the right `R`.
///
/// Either by an API token (`Authorization: Bearer …`), or by the session of a browser, which has to bring its proof in
/// `X-CSRF-Token` when something is to change.
#[derive(Debug, Clone)]
pub struct Scoped<R> {
    /// Who.
    pub user: User,
    /// What the caller may do: the role's rights within the token's scopes.
    pub rights: Vec<Right>,
    right: PhantomData<R>,
}

impl<R> Scoped<R> {
    /// Who, for the audit trail.
    pub fn actor(&self) -> Actor {
        Actor::User(self.user.id.clone())
    }
}

impl<R: Needs> FromRequestParts<App> for Scoped<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let (user, rights) = match bearer(&parts.headers) {
            Some(secret) => by_token(app, secret).await?,
            None => by_session(app, parts).await?,
        };
        let rights: Vec<Right> = rights
            .into_iter()
            .filter(|right| user.role >= right.role())
            .collect();
        if !rights.contains(&R::RIGHT) {
            return Err(Problem::forbidden(format!(
                "This needs the scope `{}` and the role {}.",
                R::RIGHT.name(),
                R::RIGHT.role().name()
            )));
        }
        Ok(Self {
            user,
            rights,
            right: PhantomData,
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim())
}

async fn by_token(app: &App, secret: &str) -> Result<(User, Vec<Right>), Problem> {
    let refused = || Problem::unauthorized("The API token is not valid: wrong, expired or revoked.");
    let digest = sha256(secret).ok_or_else(refused)?;
    let token = app.store().token(TokenKind::Api, &digest, app.now_ms()).await?;
    let token = token.ok_or_else(refused)?;
    let id: UserId = token.subject.parse().map_err(|_| refused())?;
    let user = app.store().user(&id).await?;
    let user = user.filter(|user| user.disabled_at_ms.is_none());
    let has = |right: &Right| token.scopes.iter().any(|scope| scope == right.name());
    Ok((
        user.ok_or_else(refused)?,
        Right::ALL.into_iter().filter(has).collect(),
    ))
}

async fn by_session(app: &App, parts: &Parts) -> Result<(User, Vec<Right>), Problem> {
    let Some((_, user, proof)) = session::find(app, &parts.headers).await? else {
        return Err(Problem::unauthorized(
            "Send an API token: `Authorization: Bearer assay_…`.",
        ));
    };
    if !parts.method.is_safe() {
        csrf::same_origin(&parts.headers, &app.settings().public_url)?;
        let given = parts.headers.get("x-csrf-token");
        csrf::check(
            &proof,
            given.and_then(|value| value.to_str().ok()).unwrap_or_default(),
        )?;
    }
    Ok((user, Right::ALL.to_vec()))
}
