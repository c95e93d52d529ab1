//! What people see in a browser. Pages work without script; with it, what is live stays fresh.
//!
//! Each module turns rows of the store into a view, purely, and a template of `templates/` says how it looks. Handlers
//! read, build a view, and answer.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

use self::frame::Frame;
use self::sign_in::ProblemPage;
use crate::{App, Problem};

mod accounts;
mod act;
mod address;
mod assets;
mod assignment;
mod audit;
mod candidate;
mod compare;
mod connections;
mod dashboard;
mod document;
mod entry;
mod frame;
mod history;
mod invite;
mod mark;
mod my;
mod names;
mod people;
mod progress;
mod run;
mod seal;
mod share;
mod show;
mod sign_in;
mod stream;
mod visitor;
mod when;

#[cfg(test)]
mod tests;

pub(crate) use address::encoded;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .merge(show::routes())
        .merge(act::routes())
        .merge(connections::routes())
        .merge(entry::routes())
        .merge(my::routes())
        .merge(people::routes())
        .merge(share::routes())
        .layer(from_fn(problems_as_pages))
        .merge(assets::routes())
}

/// Whoever is not signed in is sent there and back; every other problem becomes a page.
async fn problems_as_pages(request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query().map(ToString::to_string);
    let may_return = request.method().is_safe();
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    if problem.status == StatusCode::UNAUTHORIZED {
        let back = address.filter(|_| may_return).unwrap_or_default();
        let to = format!("/sign-in?next={}", address::encoded(address::own(&back)));
        if let Ok(to) = HeaderValue::from_str(&to) {
            return (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
        }
    }
    problem_page(&problem).unwrap_or(response)
}

/// The answer for an address that leads nowhere: a page for people, a problem document for programs.
pub(crate) async fn nowhere(headers: HeaderMap) -> Response {
    let problem = Problem::not_found("page");
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        problem_page(&problem).into_response()
    } else {
        problem.into_response()
    }
}

/// A problem as people see it.
fn problem_page(problem: &Problem) -> Result<Response, Problem> {
    let title = match problem.status {
        StatusCode::NOT_FOUND => "Nothing here",
        StatusCode::FORBIDDEN => "Not for you",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "That cannot be done",
        StatusCode::TOO_MANY_REQUESTS => "Too many tries",
        status if status.is_server_error() => "Something of ours failed",
        _ => "Not possible",
    };
    let page = ProblemPage {
        frame: Frame {
            title: title.into(),
            home: "/".into(),
            ..Frame::default()
        },
        status: problem.status.as_u16(),
        detail: assay_report::text::line(&problem.detail),
    };
    frame::page_with(problem.status, &page)
}
