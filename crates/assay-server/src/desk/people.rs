//! Accounts and their API tokens.

use assay_core::id::{TokenId, UserId};
use assay_store::model::{Actor, Role, Token, TokenKind, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::note;
use crate::auth::secret::{Purpose, issue};
use crate::auth::{Right, Secret};
use crate::{App, Problem};

/// Longest login and name, in characters.
const MAX_TEXT: usize = 100;

/// Somebody who gets an account.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Name at sign-in: 1 to 100 letters, digits and any of `._@+-`. Capitals count as small letters.
    pub login: String,
    /// Name for people. Default: the login.
    #[serde(default)]
    pub name: String,
    /// What they may do: `viewer`, `interviewer` or `admin`.
    #[schema(value_type = String, example = "interviewer")]
    pub role: Role,
    /// 10 to 200 characters. Default: none, for somebody who signs in elsewhere.
    #[serde(default)]
    pub password: Option<String>,
}

fn fits(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT && !text.contains(char::is_control)
}

/// Whether somebody may sign in with this.
pub(crate) fn is_login(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "._@+-".contains(c);
    !text.is_empty() && fits(text) && text.chars().all(is_plain)
}

/// An account to be stored, by which nobody can sign in yet.
pub(crate) fn new_user(app: &App, login: &str, name: &str, role: Role) -> User {
    User {
        id: UserId::from_random(rand::random()),
        name: match name.trim() {
            name if name.is_empty() || !fits(name) => login.to_owned(),
            name => name.to_owned(),
        },
        login: login.to_owned(),
        password_hash: None,
        oidc_subject: None,
        role,
        created_at_ms: app.now_ms(),
        disabled_at_ms: None,
    }
}

/// Makes an account.
///
/// # Errors
/// 409 when the login is taken; 422 when login or password do not fit.
pub async fn create_user(app: &App, by: &Actor, new: &NewUser) -> Result<User, Problem> {
    let login = new.login.trim().to_lowercase();
    if !is_login(&login) || !fits(&new.name) {
        return Err(Problem::unprocessable(format!(
            "A login has 1 to {MAX_TEXT} letters, digits and any of ._@+-, a name at most {MAX_TEXT} characters."
        )));
    }
    let password_hash = match &new.password {
        Some(password) => Some(app.passwords().hash(password).await?),
        None => None,
    };
    let user = User {
        password_hash,
        ..new_user(app, &login, &new.name, new.role)
    };
    app.store().create_user(&user).await?;
    let detail = json!({ "role": user.role.name() });
    note(app, by, "user.created", user.id.as_str(), detail).await?;
    Ok(user)
}

/// Changes what somebody may do, from their next request on.
///
/// # Errors
/// 404 when there is no such user; 409 for one's own role: nobody locks themselves out.
pub async fn set_role(app: &App, by: &Actor, id: &UserId, role: Role) -> Result<(), Problem> {
    not_oneself(by, id)?;
    app.store().set_role(id, role).await?;
    let detail = json!({ "role": role.name() });
    note(app, by, "user.role_set", id.as_str(), detail).await
}

/// Switches an account off or on. Off: sessions and API tokens end.
///
/// # Errors
/// 404 when there is no such user; 409 for oneself.
pub async fn set_disabled(app: &App, by: &Actor, id: &UserId, disabled: bool) -> Result<(), Problem> {
    not_oneself(by, id)?;
    let now_ms = app.now_ms();
    app.store().set_disabled(id, disabled.then_some(now_ms)).await?;
    if disabled {
        for kind in [TokenKind::Session, TokenKind::Api] {
            app.store().revoke_tokens_of(kind, id.as_str(), now_ms).await?;
        }
    }
    let action = if disabled { "user.disabled" } else { "user.enabled" };
    note(app, by, action, id.as_str(), serde_json::Value::Null).await
}

fn not_oneself(by: &Actor, id: &UserId) -> Result<(), Problem> {
    if *by == Actor::User(id.clone()) {
        return Err(Problem::conflict(
            "Nobody changes their own role or switches themselves off.",
        ));
    }
    Ok(())
}

/// Makes an API token for `user` with these rights, which must be among `own`: those that the asking one has. The secret is
/// shown once.
///
/// # Errors
/// 403 when a right is not among them; 422 without any right, with a name that is too long, or an end that has passed.
pub async fn make_token(
    app: &App,
    user: &User,
    own: &[Right],
    name: &str,
    rights: &[Right],
    expires_at_ms: Option<i64>,
) -> Result<(Token, Secret), Problem> {
    let has = |right: &&Right| own.contains(right) && user.role >= right.role();
    if let Some(right) = rights.iter().find(|right| !has(right)) {
        return Err(Problem::forbidden(format!(
            "You do not have the right `{}` yourself.",
            right.name()
        )));
    }
    let has_passed = expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= app.now_ms());
    if rights.is_empty() || has_passed || name.chars().count() > MAX_TEXT || name.contains(char::is_control) {
        return Err(Problem::unprocessable(format!(
            "A token has at least one scope, an end in the future or none, and a name of at most {MAX_TEXT} characters."
        )));
    }
    let purpose = Purpose {
        kind: TokenKind::Api,
        subject: user.id.as_str(),
        name,
        rights,
        expires_at_ms,
    };
    let (token, secret) = issue(app, purpose).await?;
    let detail = json!({ "token": token.id.as_str(), "scopes": token.scopes });
    let by = Actor::User(user.id.clone());
    note(app, &by, "token.made", user.id.as_str(), detail).await?;
    Ok((token, secret))
}

/// Takes one of somebody's API tokens back.
///
/// # Errors
/// 404 when they have no such token that still works.
pub async fn revoke_token(app: &App, user: &User, id: &TokenId) -> Result<(), Problem> {
    let tokens = app.store().tokens_of(TokenKind::Api, user.id.as_str()).await?;
    let is_theirs = tokens.iter().any(|token| token.id == *id);
    if !is_theirs || !app.store().revoke_token(id, app.now_ms()).await? {
        return Err(Problem::not_found("token"));
    }
    let detail = json!({ "token": id.as_str() });
    let by = Actor::User(user.id.clone());
    note(app, &by, "token.revoked", user.id.as_str(), detail).await
}
