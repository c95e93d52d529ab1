//! Handlers of signing in and out.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::act::to;
use super::address;
use super::frame::{Frame, page, page_with};
use super::sign_in::{Elsewhere, SignInPage};
use crate::auth::right::Read;
use crate::auth::{self, Form, oidc};
use crate::limits::{Client, Gate};
use crate::{App, Problem};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/sign-in", get(form).post(sign_in))
        .route("/sign-in/oidc", get(elsewhere))
        .route("/sign-in/oidc/back", get(back))
        .route("/sign-out", post(sign_out))
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

fn sign_in_page(app: &App, login: String, next: &str, wrong: Option<String>) -> SignInPage {
    SignInPage {
        elsewhere: app.settings().oidc.as_ref().map(|oidc| Elsewhere {
            name: oidc.name.clone(),
            href: format!("/sign-in/oidc?next={}", address::encoded(address::own(next))),
        }),
        frame: Frame {
            title: "Sign in".into(),
            home: "/sign-in".into(),
            ..Frame::default()
        },
        login,
        next: address::own(next).to_owned(),
        wrong,
    }
}

async fn form(State(app): State<App>, Query(Next { next }): Query<Next>) -> Result<Response, Problem> {
    page(&sign_in_page(&app, String::new(), &next, None))
}

/// To the provider.
async fn elsewhere(
    State(app): State<App>,
    client: Client,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Problem> {
    let next = address::own(&next);
    let begun = async {
        app.limits().check(Gate::SignIn, client.0)?;
        oidc::begin(&app, next).await
    };
    match begun.await {
        Ok((provider, cookie)) => {
            let mut response = to(&provider)?;
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(problem) => not_in(&app, next, problem),
    }
}

/// From the provider.
async fn back(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    Query(answer): Query<oidc::Answer>,
) -> Result<Response, Problem> {
    let ended = async {
        app.limits().check(Gate::SignIn, client.0)?;
        oidc::end(&app, &headers, &answer).await
    };
    match ended.await {
        Ok(signed_in) => {
            let mut response = to(address::own(&signed_in.next))?;
            for cookie in signed_in.cookies {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(problem) => not_in(&app, "/", problem),
    }
}

/// The sign-in page with the reason; where there is no provider, there is no such page.
fn not_in(app: &App, next: &str, problem: Problem) -> Result<Response, Problem> {
    if app.settings().oidc.is_none() {
        return Err(problem);
    }
    page_with(
        problem.status,
        &sign_in_page(app, String::new(), next, Some(problem.detail)),
    )
}

#[derive(Deserialize)]
struct Who {
    login: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    axum::Form(who): axum::Form<Who>,
) -> Result<Response, Problem> {
    match auth::sign_in(&app, &headers, client.0, &who.login, &who.password).await {
        Ok(cookie) => {
            let mut response = to(address::own(&who.next))?;
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(response)
        }
        // What they typed stays, but for the password.
        Err(problem) if problem.status.is_client_error() => {
            let login = who.login.chars().take(64).collect();
            page_with(
                problem.status,
                &sign_in_page(&app, login, &who.next, Some(problem.detail)),
            )
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Deserialize)]
struct Nothing {}

async fn sign_out(State(app): State<App>, form: Form<Read, Nothing>) -> Result<Response, Problem> {
    let cookie = auth::sign_out(&app, &form.by).await?;
    let mut response = to("/sign-in")?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}
