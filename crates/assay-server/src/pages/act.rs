//! Handlers of the forms by which interviewers change something. Each goes through the desk, then back to a page.

use assay_core::id::{AssignmentId, RunId};
use assay_store::model::Role;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;

use super::address;
use super::frame::{page, page_with};
use super::invite::{self, InvitePage, InvitedPage};
use super::names::Names;
use super::show::{self, Doing};
use super::visitor::{BLIND, Visitor};
use super::when;
use crate::auth::Form;
use crate::auth::right::{Admin, Invite, Read, Run};
use crate::desk::{self, Invitation};
use crate::{App, Problem};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/blind", post(blind))
        .route("/invite", post(invited))
        .route("/assignments/{id}/extend", post(extend))
        .route("/assignments/{id}/attempts", post(attempts))
        .route("/assignments/{id}/token", post(token))
        .route("/assignments/{id}/link", post(link))
        .route("/assignments/{id}/close", post(close))
        .route("/assignments/{id}/reopen", post(reopen))
        .route("/assignments/{id}/archive", post(archive))
        .route("/assignments/{id}/erase", post(erase))
        .route("/runs/{id}/cancel", post(cancel))
        .route("/runs/{id}/rerun", post(rerun))
        .route("/runs/{id}/rescore", post(rescore))
        .route("/runs/{id}/share", post(share))
}

/// A form without fields of its own.
#[derive(Deserialize)]
struct Nothing {}

/// Back to a page, so that reloading it sends nothing again.
pub(super) fn to(path: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(path).map_err(|_| Problem::not_found("page"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

fn to_assignment(id: &AssignmentId) -> Result<Response, Problem> {
    to(&format!("/assignments/{id}"))
}

#[derive(Deserialize)]
struct Blind {
    blind: String,
    #[serde(default)]
    back: String,
}

async fn blind(form: Form<Read, Blind>) -> Result<Response, Problem> {
    let cookie = match form.input.blind.as_str() {
        "on" => format!("{BLIND}=1; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"),
        _ => format!("{BLIND}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
    };
    let cookie = HeaderValue::from_str(&cookie).map_err(|_| Problem::not_found("page"))?;
    let mut response = to(address::own(&form.input.back))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

async fn invited(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form<Invite, invite::Form>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_form(&form.by, &headers);
    let exercises = app.exercises().all();
    let asked = match form.input.read(&exercises, app.now_ms()) {
        Ok(asked) => asked,
        Err(wrong) => {
            let frame = visitor.frame("Invite a candidate", "/invite");
            let again = InvitePage::new(frame, &exercises, form.input, wrong);
            return page_with(StatusCode::UNPROCESSABLE_ENTITY, &again);
        }
    };
    let invitation = Invitation {
        exercise: asked.exercise,
        track: Some(asked.track),
        candidate: asked.name,
        email: asked.email,
        due_at_ms: asked.due_at_ms,
        attempts: asked.attempts,
    };
    let invited = desk::invite(&app, &form.by.actor(), &invitation).await?;
    page(&InvitedPage {
        name: name(&visitor, &invited.assignment),
        id: invited.assignment.id.to_string(),
        clone_url: Some(invited.clone.url),
        token: Some(invited.clone.secret.text().to_owned()),
        link: Some(invited.page_url),
        frame: visitor.frame("Invited", "/invite"),
    })
}

fn name(visitor: &Visitor, assignment: &assay_store::model::Assignment) -> String {
    let names = Names {
        hidden: visitor.blind,
    };
    names.of(assignment)
}

#[derive(Deserialize)]
struct Due {
    due: String,
}

async fn extend(
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
    form: Form<Invite, Due>,
) -> Result<Response, Problem> {
    let to_ms = when::parse_field(&form.input.due).map_err(|()| {
        Problem::unprocessable("The due date is not a date and a time, such as 2026-12-01T18:00.")
    })?;
    desk::extend(&app, &form.by.actor(), &id, to_ms).await?;
    to_assignment(&id)
}

#[derive(Deserialize)]
struct Attempts {
    attempts: String,
}

async fn attempts(
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
    form: Form<Invite, Attempts>,
) -> Result<Response, Problem> {
    let attempts = invite::attempts(&form.input.attempts).map_err(Problem::unprocessable)?;
    desk::set_attempts(&app, &form.by.actor(), &id, attempts).await?;
    to_assignment(&id)
}

async fn token(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<AssignmentId>,
    form: Form<Invite, Nothing>,
) -> Result<Response, Problem> {
    let assignment = desk::assignment(&app, &id).await?;
    let clone = desk::reissue_clone_token(&app, &form.by.actor(), &id).await?;
    let visitor = Visitor::of_form(&form.by, &headers);
    page(&InvitedPage {
        frame: visitor.frame("A new token", "/"),
        id: id.to_string(),
        name: name(&visitor, &assignment),
        clone_url: Some(clone.url),
        token: Some(clone.secret.text().to_owned()),
        link: None,
    })
}

async fn link(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<AssignmentId>,
    form: Form<Invite, Nothing>,
) -> Result<Response, Problem> {
    let assignment = desk::assignment(&app, &id).await?;
    let url = desk::share_candidate_page(&app, &form.by.actor(), &id).await?;
    let visitor = Visitor::of_form(&form.by, &headers);
    page(&InvitedPage {
        frame: visitor.frame("A new link", "/"),
        id: id.to_string(),
        name: name(&visitor, &assignment),
        clone_url: None,
        token: None,
        link: Some(url),
    })
}

async fn close(
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
    form: Form<Invite, Nothing>,
) -> Result<Response, Problem> {
    desk::close(&app, &form.by.actor(), &id).await?;
    to_assignment(&id)
}

async fn reopen(
    State(app): State<App>,
    Path(id): Path<AssignmentId>,
    form: Form<Invite, Nothing>,
) -> Result<Response, Problem> {
    desk::reopen(&app, &form.by.actor(), &id).await?;
    to_assignment(&id)
}

#[derive(Deserialize)]
struct Word {
    word: String,
}

async fn archive(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<AssignmentId>,
    form: Form<Invite, Word>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_form(&form.by, &headers);
    match ask_again(&app, &visitor, &id, &form.input.word, Doing::Archive).await? {
        Some(question) => Ok(question),
        None => {
            desk::archive(&app, &form.by.actor(), &id).await?;
            to_assignment(&id)
        }
    }
}

async fn erase(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<AssignmentId>,
    form: Form<Admin, Word>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_form(&form.by, &headers);
    match ask_again(&app, &visitor, &id, &form.input.word, Doing::Erase).await? {
        Some(question) => Ok(question),
        None => {
            desk::erase(&app, &form.by.actor(), &id).await?;
            to_assignment(&id)
        }
    }
}

/// The question once more, where its word was not typed.
async fn ask_again(
    app: &App,
    visitor: &Visitor,
    id: &AssignmentId,
    word: &str,
    doing: Doing,
) -> Result<Option<Response>, Problem> {
    if word.trim() == doing.word() {
        return Ok(None);
    }
    let assignment = desk::assignment(app, id).await?;
    let wrong = Some("That was another word. Nothing was done.");
    let question = show::confirm(visitor, &assignment, doing, wrong);
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &question).map(Some)
}

async fn cancel(
    State(app): State<App>,
    Path(id): Path<RunId>,
    form: Form<Run, Nothing>,
) -> Result<Response, Problem> {
    desk::cancel(&app, &form.by.actor(), &id).await?;
    to(&format!("/runs/{id}"))
}

async fn rerun(
    State(app): State<App>,
    Path(id): Path<RunId>,
    form: Form<Run, Nothing>,
) -> Result<Response, Problem> {
    let run = desk::rerun(&app, &form.by.actor(), &id).await?;
    to(&format!("/runs/{}", run.id))
}

async fn rescore(
    State(app): State<App>,
    Path(id): Path<RunId>,
    form: Form<Run, Nothing>,
) -> Result<Response, Problem> {
    desk::rescore(&app, &form.by.actor(), &id).await?;
    to(&format!("/runs/{id}"))
}

async fn share(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<RunId>,
    form: Form<Run, Nothing>,
) -> Result<Response, Problem> {
    let run = desk::run(&app, &id).await?;
    let (token, url) = desk::share(&app, &form.by.actor(), &id, "", None).await?;
    let visitor = Visitor::of_form(&form.by, &headers);
    page(&super::share::SharedPage {
        frame: visitor.frame("Share the report", "/"),
        run: id.to_string(),
        number: run.number,
        url,
        until: token
            .expires_at_ms
            .map(|until| when::When::new(until, app.now_ms())),
    })
}

/// A role by its name.
pub(super) fn role(name: &str) -> Result<Role, Problem> {
    [Role::Viewer, Role::Interviewer, Role::Admin]
        .into_iter()
        .find(|role| role.name() == name)
        .ok_or_else(|| Problem::unprocessable("There is no such role."))
}
