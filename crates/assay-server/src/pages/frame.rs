//! What all pages have around their content, and how a template becomes an answer.

use askama::Template;
use assay_store::model::Role;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::Problem;

/// The part of a page that is the same on all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// Title of the page.
    pub(super) title: String,
    /// Who is signed in.
    pub(super) person: Option<Person>,
    /// Proves that a form was ours.
    pub(super) csrf: String,
    /// Where the name of the product leads.
    pub(super) home: String,
    /// Which part of the product it is: the address in the main navigation.
    pub(super) here: &'static str,
    /// The page's own address, to come back to.
    pub(super) path: String,
    /// Whether candidates' names are hidden.
    pub(super) blind: bool,
}

/// Who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Name for people.
    pub(super) name: String,
    /// What they may do.
    pub(super) role: Role,
}

/// A link of the main navigation.
pub(super) struct NavLink {
    pub(super) href: &'static str,
    pub(super) words: &'static str,
    pub(super) is_here: bool,
}

impl Frame {
    /// Where this person may go.
    pub(super) fn links(&self) -> Vec<NavLink> {
        let all = [
            ("/", "Assignments", Role::Viewer),
            ("/invite", "Invite", Role::Interviewer),
            ("/tokens", "API tokens", Role::Viewer),
            ("/accounts", "Accounts", Role::Admin),
            ("/connections", "Connections", Role::Admin),
            ("/audit", "Audit", Role::Admin),
        ];
        let may = self.person.as_ref().map(|person| person.role);
        all.into_iter()
            .filter(|(.., role)| may.is_some_and(|may| may >= *role))
            .map(|(href, words, _)| NavLink {
                href,
                words,
                is_here: href == self.here,
            })
            .collect()
    }

    /// Whether this person may do what the role may.
    pub(super) fn may(&self, role: Role) -> bool {
        self.person.as_ref().is_some_and(|person| person.role >= role)
    }

    /// Whether forms that change assignments are shown.
    pub(super) fn interviews(&self) -> bool {
        self.may(Role::Interviewer)
    }

    /// Whether forms for admins are shown.
    pub(super) fn administers(&self) -> bool {
        self.may(Role::Admin)
    }
}

/// A page. It is nobody else's to keep.
pub(super) fn page(template: &impl Template) -> Result<Response, Problem> {
    page_with(StatusCode::OK, template)
}

/// A page with a status of its own.
pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response, Problem> {
    let body = template
        .render()
        .map_err(|error| Problem::internal("a page's template", &error))?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((status, headers, body).into_response())
}
