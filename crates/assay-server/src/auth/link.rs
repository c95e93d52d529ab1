//! Links that open one thing without an account: a candidate's own page, a shared report.
//!
//! The link's secret is exchanged for a cookie at once, so that it stays in no address bar, no referrer and no log of ours.
//! The cookie holds the same secret: whoever revokes the link closes the page.

use assay_core::id::{AssignmentId, RunId};
use assay_store::model::{Token, TokenKind};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::Secret;
use super::secret::{Purpose, issue, sha256};
use super::session::{cookie, set_cookie};
use crate::{App, Problem};

/// How long a browser keeps the cookie of a link that has no end of its own.
const COOKIE_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// What a link opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opens {
    /// The candidate's own page, `/my/{assignment}`.
    Page(AssignmentId),
    /// A report, `/shared/{run}`.
    Report(RunId),
}

impl Opens {
    fn kind(&self) -> TokenKind {
        match self {
            Self::Page(_) => TokenKind::Page,
            Self::Report(_) => TokenKind::Share,
        }
    }

    fn subject(&self) -> &str {
        match self {
            Self::Page(assignment) => assignment.as_str(),
            Self::Report(run) => run.as_str(),
        }
    }

    /// The page, without any secret.
    pub fn path(&self) -> String {
        match self {
            Self::Page(assignment) => format!("/my/{assignment}"),
            Self::Report(run) => format!("/shared/{run}"),
        }
    }

    /// One for each thing: a candidate may have several assignments.
    fn cookie_name(&self, app: &App) -> String {
        let prefix = if app.is_https() { "__Host-" } else { "" };
        format!("{prefix}assay-{}-{}", self.kind().name(), self.subject())
    }

    fn not_found(&self) -> Problem {
        // The same whether it is absent or closed to these eyes.
        Problem::not_found("page")
    }
}

/// Makes a link. Gives its token and its address, which is shown once.
pub(crate) async fn make(
    app: &App,
    opens: &Opens,
    name: &str,
    expires_at_ms: Option<i64>,
) -> Result<(Token, String), Problem> {
    let purpose = Purpose {
        kind: opens.kind(),
        subject: opens.subject(),
        name,
        rights: &[],
        expires_at_ms,
    };
    let (token, secret) = issue(app, purpose).await?;
    let url = format!(
        "{}{}/open?token={}",
        app.settings().public_url,
        opens.path(),
        secret.text()
    );
    Ok((token, url))
}

/// The live link by which this browser may open it.
///
/// # Errors
/// 404, whether it is absent, expired, revoked or was never opened here.
pub async fn visitor(app: &App, headers: &HeaderMap, opens: &Opens) -> Result<Token, Problem> {
    let secret = cookie(headers, &opens.cookie_name(app)).ok_or_else(|| opens.not_found())?;
    find(app, secret, opens).await
}

async fn find(app: &App, secret: &str, opens: &Opens) -> Result<Token, Problem> {
    let digest = sha256(secret).ok_or_else(|| opens.not_found())?;
    let token = app.store().token(opens.kind(), &digest, app.now_ms()).await?;
    token
        .filter(|token| token.subject == opens.subject())
        .ok_or_else(|| opens.not_found())
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn exchange(app: &App, opens: Opens, link: Link) -> Result<Response, Problem> {
    let token = find(app, &link.token, &opens).await?;
    let max_age_ms = token
        .expires_at_ms
        .map_or(COOKIE_MS, |expires_at_ms| expires_at_ms - app.now_ms());
    let secret = Secret::of(link.token);
    let cookie = set_cookie(app, &opens.cookie_name(app), Some(&secret), max_age_ms);
    let location = HeaderValue::from_str(&opens.path()).map_err(|_| opens.not_found())?;
    let headers = [(header::LOCATION, location), (header::SET_COOKIE, cookie)];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

async fn open_page(
    State(app): State<App>,
    Path(assignment): Path<AssignmentId>,
    Query(link): Query<Link>,
) -> Result<Response, Problem> {
    exchange(&app, Opens::Page(assignment), link).await
}

async fn open_report(
    State(app): State<App>,
    Path(run): Path<RunId>,
    Query(link): Query<Link>,
) -> Result<Response, Problem> {
    exchange(&app, Opens::Report(run), link).await
}

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/my/{assignment}/open", get(open_page))
        .route("/shared/{run}/open", get(open_report))
}
