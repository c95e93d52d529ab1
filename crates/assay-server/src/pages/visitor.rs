//! Who looks at a page, and what they chose to see.

use assay_core::id::AssignmentId;
use assay_report::text;
use assay_store::model::{Actor, PageRequest, Role, User};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::Value;

use super::frame::{Frame, Person};
use crate::auth::SignedIn;
use crate::auth::link::{self, Opens};
use crate::auth::right::Read;
use crate::{App, Problem, desk};

/// Name of the cookie that hides names.
pub(super) const BLIND: &str = "assay-blind";

/// How long looking at the same thing is one look.
const ONE_LOOK_MS: i64 = 10 * 60 * 1_000;

/// Somebody with an account, in a browser.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) user: User,
    /// Belongs to the session; forms carry it.
    csrf: String,
    /// Whether they hide candidates' names.
    pub(super) blind: bool,
    /// Where they are.
    path: String,
}

impl Visitor {
    /// Somebody who sent a form: what comes back is a page again.
    pub(super) fn of_form<R>(by: &SignedIn<R>, headers: &HeaderMap) -> Self {
        Self {
            user: by.user.clone(),
            csrf: by.csrf.clone(),
            blind: is_blind(headers),
            path: "/".into(),
        }
    }

    /// Who, for the audit trail.
    pub(super) fn actor(&self) -> Actor {
        Actor::User(self.user.id.clone())
    }

    /// The frame of a page with this title; `here` is its place in the main navigation.
    pub(super) fn frame(&self, title: impl Into<String>, here: &'static str) -> Frame {
        Frame {
            title: title.into(),
            person: Some(Person {
                name: text::line(&self.user.name),
                role: self.user.role,
            }),
            csrf: self.csrf.clone(),
            home: "/".into(),
            here,
            path: self.path.clone(),
            blind: self.blind,
        }
    }

    /// Refuses whoever has less than this role.
    pub(super) fn must(&self, role: Role) -> Result<(), Problem> {
        if self.user.role >= role {
            Ok(())
        } else {
            Err(Problem::forbidden(format!("Only {}s may see this.", role.name())))
        }
    }

    /// Notes in the audit trail that this person saw something.
    pub(super) async fn saw(&self, app: &App, action: &str, subject: &str) -> Result<(), Problem> {
        saw(app, &self.actor(), action, subject).await
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let by = SignedIn::<Read>::from_request_parts(parts, app).await?;
        let path = parts.uri.path_and_query().map(ToString::to_string);
        Ok(Self {
            path: path.unwrap_or_default(),
            ..Self::of_form(&by, &parts.headers)
        })
    }
}

fn is_blind(headers: &HeaderMap) -> bool {
    let wanted = format!("{BLIND}=1");
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .any(|pair| pair.trim() == wanted)
}

/// A candidate who opened the link to their own page.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) assignment: AssignmentId,
}

impl Candidate {
    /// Notes in the audit trail that the candidate saw something of theirs.
    pub(super) async fn saw(&self, app: &App, action: &str, subject: &str) -> Result<(), Problem> {
        saw(app, &Actor::Candidate(self.assignment.clone()), action, subject).await
    }
}

/// Notes that somebody saw something, unless it stands in the trail that they just did: a page that keeps itself fresh is
/// one look.
async fn saw(app: &App, by: &Actor, action: &str, subject: &str) -> Result<(), Problem> {
    let newest = PageRequest {
        after: None,
        limit: 20,
    };
    let trail = app.store().audit_rows(Some(subject), &newest).await?;
    let since_ms = app.now_ms() - ONE_LOOK_MS;
    let stands = trail
        .rows
        .iter()
        .any(|row| row.entry.at_ms > since_ms && row.entry.action == action && row.entry.actor == *by);
    if stands {
        return Ok(());
    }
    desk::note(app, by, action, subject, Value::Null).await
}

#[derive(Deserialize)]
struct Place {
    id: AssignmentId,
}

impl FromRequestParts<App> for Candidate {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let place = Path::<Place>::from_request_parts(parts, app).await;
        let Path(Place { id }) = place.map_err(|_| Problem::not_found("page"))?;
        link::visitor(app, &parts.headers, &Opens::Page(id.clone())).await?;
        Ok(Self { assignment: id })
    }
}
