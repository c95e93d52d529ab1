//! Sessions of browsers.

use std::marker::PhantomData;
use std::net::IpAddr;

use assay_core::id::{TokenId, UserId};
use assay_store::model::{Actor, Token, TokenKind, User};
use axum::extract::{FromRequest, FromRequestParts, RawForm, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::right::Needs;
use super::secret::{Purpose, issue, sha256};
use super::{Secret, csrf};
use crate::limits::Gate;
use crate::{App, Problem, desk};

/// Longest session, whatever happens in it.
const ABSOLUTE_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Longest pause in a session.
const IDLE_MS: i64 = 12 * 60 * 60 * 1000;

/// Somebody in a browser who has the right `R`. Rejects with 401 where nobody is signed in, and with 403 where the role does
/// not have the right.
#[derive(Debug, Clone)]
pub struct SignedIn<R> {
    /// Who.
    pub user: User,
    /// The proof that every form of theirs has to bring, in a field named `csrf`.
    pub csrf: String,
    /// The session.
    pub session: TokenId,
    right: PhantomData<R>,
}

impl<R> SignedIn<R> {
    /// Who, for the audit trail.
    pub fn actor(&self) -> Actor {
        Actor::User(self.user.id.clone())
    }
}

impl<R: Needs> FromRequestParts<App> for SignedIn<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some((token, user, csrf)) = find(app, &parts.headers).await? else {
            return Err(Problem::unauthorized("Sign in first."));
        };
        if user.role < R::RIGHT.role() {
            return Err(Problem::forbidden(format!(
                "Only {}s may do this.",
                R::RIGHT.role().name()
            )));
        }
        Ok(Self {
            user,
            csrf,
            session: token.id,
            right: PhantomData,
        })
    }
}

/// A form that somebody with the right `R` sent from one of our own pages. Everything that changes something by a page
/// comes through here.
#[derive(Debug, Clone)]
pub struct Form<R, T> {
    /// Who sent it.
    pub by: SignedIn<R>,
    /// Its fields.
    pub input: T,
}

#[derive(Deserialize)]
struct Proof {
    #[serde(default)]
    csrf: String,
}

impl<R: Needs, T: DeserializeOwned> FromRequest<App> for Form<R, T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        csrf::same_origin(&parts.headers, &app.settings().public_url)?;
        let by = SignedIn::from_request_parts(&mut parts, app).await?;
        let RawForm(bytes) = RawForm::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(|rejection| {
                Problem::new(rejection.status(), "bad_form", "The form could not be read.")
            })?;
        let bad = |error| Problem::unprocessable(format!("The form is not complete: {error}."));
        let proof: Proof = serde_urlencoded::from_bytes(&bytes).map_err(bad)?;
        csrf::check(&by.csrf, &proof.csrf)?;
        let input = serde_urlencoded::from_bytes(&bytes).map_err(bad)?;
        Ok(Self { by, input })
    }
}

/// The live session that these headers hold.
pub(super) async fn find(app: &App, headers: &HeaderMap) -> Result<Option<(Token, User, String)>, Problem> {
    let Some(secret) = cookie(headers, cookie_name(app)) else {
        return Ok(None);
    };
    let Some(digest) = sha256(secret) else {
        return Ok(None);
    };
    let now_ms = app.now_ms();
    let Some(token) = app.store().token(TokenKind::Session, &digest, now_ms).await? else {
        return Ok(None);
    };
    if now_ms - token.last_used_at_ms.unwrap_or(token.created_at_ms) > IDLE_MS {
        app.store().revoke_token(&token.id, now_ms).await?;
        return Ok(None);
    }
    let Ok(id) = token.subject.parse::<UserId>() else {
        return Ok(None);
    };
    let user = app.store().user(&id).await?;
    let user = user.filter(|user| user.disabled_at_ms.is_none());
    Ok(user.map(|user| (token, user, csrf::token(secret))))
}

/// Signs somebody in with a password: a new session always, the one that the browser came with ends. Gives the cookie to set.
///
/// # Errors
/// 401 with one and the same text for a wrong name and a wrong password; 403 from another site; 429 after many tries.
pub async fn sign_in(
    app: &App,
    headers: &HeaderMap,
    address: IpAddr,
    login: &str,
    password: &str,
) -> Result<HeaderValue, Problem> {
    csrf::same_origin(headers, &app.settings().public_url)?;
    let login = login.trim().to_lowercase();
    app.limits().check(Gate::SignIn, address)?;
    app.limits().check_account(&login)?;
    let user = app.store().user_by_login(&login).await?;
    let user = user.filter(|user| user.disabled_at_ms.is_none());
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let is_right = app.passwords().is_right(password, hash).await?;
    let Some(user) = user.filter(|_| is_right) else {
        tracing::info!(%address, "a sign-in was refused");
        return Err(Problem::unauthorized("The name or the password is wrong."));
    };
    begin(app, headers, &user).await
}

/// Begins a session of somebody who is known; the one that the browser came with ends. Gives the cookie to set.
pub(super) async fn begin(app: &App, headers: &HeaderMap, user: &User) -> Result<HeaderValue, Problem> {
    if let Some((old, ..)) = find(app, headers).await? {
        app.store().revoke_token(&old.id, app.now_ms()).await?;
    }
    let purpose = Purpose {
        kind: TokenKind::Session,
        subject: user.id.as_str(),
        name: "",
        rights: &[],
        expires_at_ms: Some(app.now_ms() + ABSOLUTE_MS),
    };
    let (token, secret) = issue(app, purpose).await?;
    let actor = Actor::User(user.id.clone());
    desk::note(
        app,
        &actor,
        "session.began",
        token.id.as_str(),
        serde_json::Value::Null,
    )
    .await?;
    Ok(set_cookie(app, cookie_name(app), Some(&secret), ABSOLUTE_MS))
}

/// Ends a session. Gives the cookie that takes the browser's away.
///
/// # Errors
/// When the store fails.
pub async fn sign_out<R>(app: &App, by: &SignedIn<R>) -> Result<HeaderValue, Problem> {
    app.store().revoke_token(&by.session, app.now_ms()).await?;
    desk::note(
        app,
        &by.actor(),
        "session.ended",
        by.session.as_str(),
        serde_json::Value::Null,
    )
    .await?;
    Ok(set_cookie(app, cookie_name(app), None, 0))
}

/// Changes somebody's own password. All their sessions end.
///
/// # Errors
/// 403 when the current one is wrong; 422 when the new one is too short; 429 after many tries.
pub async fn change_password(app: &App, user: &User, current: &str, new: &str) -> Result<(), Problem> {
    app.limits().check_account(&user.login)?;
    let hash = user.password_hash.as_deref();
    if !app.passwords().is_right(current, hash).await? {
        return Err(Problem::forbidden("The current password is wrong."));
    }
    set_password(app, &Actor::User(user.id.clone()), &user.id, new).await
}

/// Sets a password. All sessions of that account end.
///
/// # Errors
/// 404 when there is no such user; 422 when it is too short.
pub async fn set_password(app: &App, by: &Actor, user: &UserId, new: &str) -> Result<(), Problem> {
    let hash = app.passwords().hash(new).await?;
    app.store().set_password(user, Some(hash)).await?;
    let now_ms = app.now_ms();
    app.store()
        .revoke_tokens_of(TokenKind::Session, user.as_str(), now_ms)
        .await?;
    desk::note(
        app,
        by,
        "user.password_changed",
        user.as_str(),
        serde_json::Value::Null,
    )
    .await
}

/// `__Host-` binds the cookie to this very host, and browsers take it over https only.
fn cookie_name(app: &App) -> &'static str {
    if app.is_https() { "__Host-assay" } else { "assay" }
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// A `Set-Cookie` for the whole host, out of scripts' reach. Without a secret it takes the cookie away.
pub(super) fn set_cookie(app: &App, name: &str, secret: Option<&Secret>, max_age_ms: i64) -> HeaderValue {
    let value = secret.map_or("", Secret::text);
    let secure = if app.is_https() { "; Secure" } else { "" };
    let seconds = max_age_ms / 1000;
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
