//! Handlers of accounts, for admins, and of each person's own API tokens and password.

use assay_core::id::{TokenId, UserId};
use assay_store::model::{Role, TokenKind};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::accounts::{AccountsPage, TokensPage};
use super::act::{role, to};
use super::frame::{page, page_with};
use super::visitor::Visitor;
use crate::auth::right::{Admin, Read};
use crate::auth::{self, Form, Right, Secret};
use crate::desk::{self, NewUser};
use crate::{App, Problem};

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
    visitor.must(Role::Admin)?;
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
    let password = Secret::draw(TokenKind::Session);
    let new = NewUser {
        login: form.input.login,
        name: form.input.name,
        role: role(&form.input.role)?,
        password: Some(password.text().to_owned()),
    };
    match desk::create_user(&app, &form.by.actor(), &new).await {
        Ok(user) => {
            let made = Some((user.login, password.text().to_owned()));
            page(&accounts_page(&app, &visitor, made, None).await?)
        }
        Err(problem) if problem.status.is_client_error() => {
            let again = accounts_page(&app, &visitor, None, Some(problem.detail)).await?;
            page_with(problem.status, &again)
        }
        Err(problem) => Err(problem),
    }
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
    desk::set_role(&app, &form.by.actor(), &id, role(&form.input.role)?).await?;
    to("/accounts")
}

#[derive(Deserialize)]
struct Nothing {}

async fn disable(
    State(app): State<App>,
    Path(id): Path<UserId>,
    form: Form<Admin, Nothing>,
) -> Result<Response, Problem> {
    desk::set_disabled(&app, &form.by.actor(), &id, true).await?;
    to("/accounts")
}

async fn enable(
    State(app): State<App>,
    Path(id): Path<UserId>,
    form: Form<Admin, Nothing>,
) -> Result<Response, Problem> {
    desk::set_disabled(&app, &form.by.actor(), &id, false).await?;
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
    /// What was ticked.
    fn rights(&self) -> Vec<Right> {
        let ticked = |right: &Right| match right {
            Right::Read => self.read.is_some(),
            Right::Invite => self.invite.is_some(),
            Right::Run => self.run.is_some(),
            Right::Admin => self.admin.is_some(),
        };
        Right::ALL.into_iter().filter(ticked).collect()
    }
}

async fn make_token(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form<Read, NewToken>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_form(&form.by, &headers);
    let rights = form.input.rights();
    let until_ms = Some(app.now_ms() + TOKEN_MS);
    let name = form.input.name.trim();
    match desk::make_token(&app, &visitor.user, &Right::ALL, name, &rights, until_ms).await {
        Ok((_, secret)) => page(&tokens_page(&app, &visitor, Some(secret.text().to_owned()), None).await?),
        Err(problem) if problem.status.is_client_error() => {
            let again = tokens_page(&app, &visitor, None, Some(problem.detail)).await?;
            page_with(problem.status, &again)
        }
        Err(problem) => Err(problem),
    }
}

async fn revoke_token(
    State(app): State<App>,
    Path(id): Path<TokenId>,
    form: Form<Read, Nothing>,
) -> Result<Response, Problem> {
    desk::revoke_token(&app, &form.by.user, &id).await?;
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
