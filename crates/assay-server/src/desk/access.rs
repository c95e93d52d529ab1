//! Secrets that a candidate, or a reader of a report, gets: made here, shown once, revoked.

use assay_core::id::{AssignmentId, RunId, TokenId};
use assay_store::model::{Actor, Token, TokenKind};
use serde_json::{Value, json};

use super::{note, repository, run, still_hosted};
use crate::auth::Secret;
use crate::auth::link::{self, Opens};
use crate::auth::secret::{Purpose, issue};
use crate::{App, Problem};

/// How long a share link opens a report, where nobody says otherwise.
const SHARED_FOR_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Longest name of a link, in characters.
const MAX_NAME: usize = 100;

/// What a candidate clones and pushes with.
#[derive(Debug, Clone)]
pub struct CloneToken {
    /// Address for `git clone`, without the token.
    pub url: String,
    /// The password that git asks for. Shown once.
    pub secret: Secret,
}

/// A new token for the repository; those before stop working.
///
/// # Errors
/// 404 when there is no such assignment; 409 when it is not hosted any more.
pub async fn reissue_clone_token(app: &App, by: &Actor, id: &AssignmentId) -> Result<CloneToken, Problem> {
    still_hosted(app, id).await?;
    revoke_clone_tokens(app, by, id).await?;
    let token = clone_token(app, id).await?;
    note(app, by, "assignment.token_issued", id.as_str(), Value::Null).await?;
    Ok(token)
}

pub(super) async fn clone_token(app: &App, id: &AssignmentId) -> Result<CloneToken, Problem> {
    let purpose = Purpose {
        kind: TokenKind::Git,
        subject: id.as_str(),
        name: "",
        rights: &[],
        expires_at_ms: None,
    };
    let (_, secret) = issue(app, purpose).await?;
    let url = repository::clone_url(app, id);
    Ok(CloneToken { url, secret })
}

/// Takes the candidate's access to the repository away. Gives how many tokens there were.
///
/// # Errors
/// When the store fails.
pub async fn revoke_clone_tokens(app: &App, by: &Actor, id: &AssignmentId) -> Result<u64, Problem> {
    let now_ms = app.now_ms();
    let n = app
        .store()
        .revoke_tokens_of(TokenKind::Git, id.as_str(), now_ms)
        .await?;
    if n > 0 {
        let detail = json!({ "n": n });
        note(app, by, "assignment.tokens_revoked", id.as_str(), detail).await?;
    }
    Ok(n)
}

/// A new link to the candidate's own page; those before stop working. Shown once.
///
/// # Errors
/// 404 when there is no such assignment; 409 when it is archived or erased.
pub async fn share_candidate_page(app: &App, by: &Actor, id: &AssignmentId) -> Result<String, Problem> {
    still_hosted(app, id).await?;
    app.store()
        .revoke_tokens_of(TokenKind::Page, id.as_str(), app.now_ms())
        .await?;
    let (_, url) = link::make(app, &Opens::Page(id.clone()), "", None).await?;
    note(app, by, "assignment.link_issued", id.as_str(), Value::Null).await?;
    Ok(url)
}

/// A link by which anybody reads one report until `expires_at_ms` (None: for 30 days). The address is shown once.
///
/// # Errors
/// 404 when there is no such run; 422 when the end has passed or the name is too long.
pub async fn share(
    app: &App,
    by: &Actor,
    id: &RunId,
    name: &str,
    expires_at_ms: Option<i64>,
) -> Result<(Token, String), Problem> {
    run(app, id).await?;
    let has_passed = expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= app.now_ms());
    if has_passed || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
        return Err(Problem::unprocessable(format!(
            "A link has an end in the future, and a name of at most {MAX_NAME} characters."
        )));
    }
    let expires_at_ms = expires_at_ms.unwrap_or(app.now_ms() + SHARED_FOR_MS);
    let (token, url) = link::make(app, &Opens::Report(id.clone()), name, Some(expires_at_ms)).await?;
    let detail = json!({ "link": token.id.as_str(), "expires_at_ms": expires_at_ms });
    note(app, by, "report.shared", id.as_str(), detail).await?;
    Ok((token, url))
}

/// Takes a link back.
///
/// # Errors
/// 404 when this run has no such link that still opens it.
pub async fn revoke_link(app: &App, by: &Actor, id: &RunId, link: &TokenId) -> Result<(), Problem> {
    let links = app.store().tokens_of(TokenKind::Share, id.as_str()).await?;
    let is_its = links.iter().any(|token| token.id == *link);
    if !is_its || !app.store().revoke_token(link, app.now_ms()).await? {
        return Err(Problem::not_found("link"));
    }
    let detail = json!({ "link": link.as_str() });
    note(app, by, "report.unshared", id.as_str(), detail).await
}
