//! Handlers of signing in and out.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::act::to;
use super::address;
use super::frame::{Frame, page_with};
use super::sign_in::SignInPage;
use crate::auth::right::Read;
use crate::auth::{self, Form};
use crate::limits::Client;
use crate::{App, Problem};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/sign-in", get(form).post(sign_in))
        .route("/sign-out", post(sign_out))
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

fn sign_in_page(login: String, next: &str, wrong: Option<String>) -> SignInPage {
    SignInPage {
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

async fn form(Query(Next { next }): Query<Next>) -> Result<Response, Problem> {
    page_with(
        axum::http::StatusCode::OK,
        &sign_in_page(String::new(), &next, None),
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
                &sign_in_page(login, &who.next, Some(problem.detail)),
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
