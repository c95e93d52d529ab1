//! Handlers of accounts, for admins, and of each person's own API tokens and password.

use assay_core::id::{TokenId, UserId};
use assay_store::StoreError;
use assay_store::model::{TokenKind, User};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::{AccountsPage, TokensPage};
use super::act::{role, to};
use super::frame::{page, page_with};
use super::visitor::Visitor;
use crate::auth::right::{Admin, Read};
use crate::auth::secret::{Purpose, issue};
use crate::auth::{self, Form, Right, Secret};
use crate::{App, Problem, desk};

/// How long an API token lives.
const TOKEN_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/accounts", get(accounts).post(make_account))
        .route("/accounts/{id}/role", post(set_role))
        .route("/accounts/{id}/disable", post(disable))
        .route("/accounts/{id}/enable", post(enable))
        .route("/tokens", get(tokens).post(make_token))
        .route("/tokens/{id}/revoke", post(revoke_token))
        .route("/password", post(password))
}

async fn accounts(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    visitor.must(assay_store::model::Role::Admin)?;
    page(&accounts_page(&app, &visitor, None, None).await?)
}

async fn accounts_page(
    app: &App,
    visitor: &Visitor,
    made: Option<(String, String)>,
    wrong: Option<String>,
) -> Result<AccountsPage, Problem> {
    let users = app.store().users().await?;
    let frame = visitor.frame("Accounts", "/accounts");
    Ok(AccountsPage::new(
        frame,
        &users,
        &visitor.user,
        made,
        wrong,
        app.now_ms(),
    ))
}

#[derive(Deserialize)]
struct NewAccount {
    login: String,
    name: String,
    role: String,
}

async fn make_account(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form<Admin, NewAccount>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_form(&form.by, &headers);
    let login = form.input.login.trim().to_lowercase();
    let name = form.input.name.trim();
    let wrong = if !is_login(&login) {
        Some("A name at sign-in has 1 to 64 letters a to z, digits, dots, hyphens and underscores.")
    } else if name.is_empty() || name.chars().count() > 200 {
        Some("Give a name of at most 200 characters.")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        let again = accounts_page(&app, &visitor, None, Some(wrong.into())).await?;
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    let password = Secret::draw(TokenKind::Session);
    let user = User {
        id: UserId::from_random(rand::random()),
        login: login.clone(),
        name: name.to_owned(),
        password_hash: Some(app.passwords().hash(password.text()).await?),
        oidc_subject: None,
        role: role(&form.input.role)?,
        created_at_ms: app.now_ms(),
        disabled_at_ms: None,
    };
    if let Err(error) = app.store().create_user(&user).await {
        let StoreError::Exists { .. } = error else {
            return Err(error.into());
        };
        let wrong = format!("There is an account `{login}` already.");
        let again = accounts_page(&app, &visitor, None, Some(wrong)).await?;
        return page_with(StatusCode::CONFLICT, &again);
    }
    let detail = json!({ "role": user.role.name() });
    desk::note(&app, &form.by.actor(), "user.created", user.id.as_str(), detail).await?;
    let made = Some((login, password.text().to_owned()));
    page(&accounts_page(&app, &visitor, made, None).await?)
}

fn is_login(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

/// Nobody locks the last admin out: nobody changes their own account here.
fn not_self(me: &User, id: &UserId) -> Result<(), Problem> {
    if me.id == *id {
        return Err(Problem::conflict(
            "This is your own account. Ask another admin to change it.",
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
struct NewRole {
    role: String,
}

async fn set_role(
    State(app): State<App>,
    Path(id): Path<UserId>,
    form: Form<Admin, NewRole>,
) -> Result<Response, Problem> {
    not_self(&form.by.user, &id)?;
    let role = role(&form.input.role)?;
    app.store().set_role(&id, role).await?;
    let detail = json!({ "role": role.name() });
    desk::note(&app, &form.by.actor(), "user.role_set", id.as_str(), detail).await?;
    to("/accounts")
}

#[derive(Deserialize)]
struct Nothing {}

async fn disable(
    State(app): State<App>,
    Path(id): Path<UserId>,
    form: Form<Admin, Nothing>,
) -> Result<Response, Problem> {
    not_self(&form.by.user, &id)?;
    let now_ms = app.now_ms();
    app.store().set_disabled(&id, Some(now_ms)).await?;
    app.store()
        .revoke_tokens_of(TokenKind::Session, id.as_str(), now_ms)
        .await?;
    desk::note(&app, &form.by.actor(), "user.disabled", id.as_str(), Value::Null).await?;
    to("/accounts")
}

async fn enable(
    State(app): State<App>,
    Path(id): Path<UserId>,
    form: Form<Admin, Nothing>,
) -> Result<Response, Problem> {
    app.store().set_disabled(&id, None).await?;
    desk::note(&app, &form.by.actor(), "user.enabled", id.as_str(), Value::Null).await?;
    to("/accounts")
}

async fn tokens(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    page(&tokens_page(&app, &visitor, None, None).await?)
}

fn words(right: Right) -> &'static str {
    match right {
        Right::Read => "Read assignments, runs and reports.",
        Right::Invite => "Invite, extend, close and archive.",
        Right::Run => "Run again, cancel, score again.",
        Right::Admin => "Accounts, connections, erasure, the audit trail.",
    }
}

async fn tokens_page(
    app: &App,
    visitor: &Visitor,
    made: Option<String>,
    wrong: Option<String>,
) -> Result<TokensPage, Problem> {
    let user = &visitor.user;
    let tokens = app.store().tokens_of(TokenKind::Api, user.id.as_str()).await?;
    let scopes = Right::ALL
        .into_iter()
        .filter(|right| user.role >= right.role())
        .map(|right| (right.name(), words(right)))
        .collect();
    let frame = visitor.frame("API tokens", "/tokens");
    Ok(TokensPage::new(
        frame,
        user,
        &tokens,
        scopes,
        made,
        wrong,
        app.now_ms(),
    ))
}

/// A box that was ticked is there.
#[derive(Deserialize)]
struct NewToken {
    name: String,
    read: Option<String>,
    invite: Option<String>,
    run: Option<String>,
    admin: Option<String>,
}

impl NewToken {
    /// What was ticked, within the role.
    fn rights(&self, user: &User) -> Vec<Right> {
        let ticked = |right: &Right| match right {
            Right::Read => self.read.is_some(),
            Right::Invite => self.invite.is_some(),
            Right::Run => self.run.is_some(),
            Right::Admin => self.admin.is_some(),
        };
        let may = |right: &Right| user.role >= right.role();
        Right::ALL
            .into_iter()
            .filter(|right| ticked(right) && may(right))
            .collect()
    }
}

async fn make_token(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form<Read, NewToken>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_form(&form.by, &headers);
    let name = form.input.name.trim();
    let rights = form.input.rights(&visitor.user);
    let wrong = if name.is_empty() || name.chars().count() > 100 {
        Some("Say where it is used, in at most 100 characters.")
    } else if rights.is_empty() {
        Some("Tick what it may do.")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        let again = tokens_page(&app, &visitor, None, Some(wrong.into())).await?;
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    let purpose = Purpose {
        kind: TokenKind::Api,
        subject: visitor.user.id.as_str(),
        name,
        rights: &rights,
        expires_at_ms: Some(app.now_ms() + TOKEN_MS),
    };
    let (token, secret) = issue(&app, purpose).await?;
    let detail = json!({ "scopes": token.scopes });
    desk::note(&app, &form.by.actor(), "token.created", token.id.as_str(), detail).await?;
    page(&tokens_page(&app, &visitor, Some(secret.text().to_owned()), None).await?)
}

async fn revoke_token(
    State(app): State<App>,
    Path(id): Path<TokenId>,
    form: Form<Read, Nothing>,
) -> Result<Response, Problem> {
    let own = app
        .store()
        .tokens_of(TokenKind::Api, form.by.user.id.as_str())
        .await?;
    if !own.iter().any(|token| token.id == id) {
        return Err(Problem::not_found("token"));
    }
    app.store().revoke_token(&id, app.now_ms()).await?;
    desk::note(&app, &form.by.actor(), "token.revoked", id.as_str(), Value::Null).await?;
    to("/tokens")
}

#[derive(Deserialize)]
struct NewPassword {
    old: String,
    new: String,
}

async fn password(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form<Read, NewPassword>,
) -> Result<Response, Problem> {
    let user = &form.by.user;
    match auth::change_password(&app, user, &form.input.old, &form.input.new).await {
        // All sessions have ended, this one too.
        Ok(()) => to("/sign-in"),
        Err(problem) if problem.status.is_client_error() => {
            let visitor = Visitor::of_form(&form.by, &headers);
            let again = tokens_page(&app, &visitor, None, Some(problem.detail)).await?;
            page_with(problem.status, &again)
        }
        Err(problem) => Err(problem),
    }
}
