//! Who asks for a repository: the password of HTTP Basic is the assignment's token, whatever the user's name.

use assay_core::assignment::AssignmentState;
use assay_core::id::AssignmentId;
use assay_store::model::{Assignment, Origin, TokenKind};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Said;
use crate::App;
use crate::auth::secret::sha256;
use crate::limits::{Client, Gate};

/// Longest credentials, in bytes as sent: what is longer is not even decoded.
const MAX_CREDENTIALS: usize = 1024;

/// The assignment whose repository is asked for, once the token has shown that it is theirs.
pub(super) struct Visitor(pub(super) Assignment);

impl FromRequestParts<App> for Visitor {
    type Rejection = Said;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Said> {
        let not_found = || {
            Said::new(
                StatusCode::NOT_FOUND,
                "This token opens no repository of this name.",
            )
        };
        let Some(password) = password(&parts.headers) else {
            // Without a token there is no telling whether a repository is there.
            let hint = "Sign in with the token from your invitation as the password; any user name will do.";
            return Err(Said::new(StatusCode::UNAUTHORIZED, hint));
        };
        let token = match sha256(&password) {
            Some(secret) => app.store().token(TokenKind::Git, &secret, app.now_ms()).await?,
            None => None,
        };
        let Some(token) = token else {
            let Ok(client) = Client::from_request_parts(parts, app).await;
            if let Err(problem) = app.limits().check(Gate::WrongSecret, client.0) {
                return Err(Said::new(problem.status, problem.detail));
            }
            let hint = "This token is wrong or was revoked: ask whoever invited you for a new one.";
            return Err(Said::new(StatusCode::UNAUTHORIZED, hint));
        };
        let Path(Named { repository }) = Path::from_request_parts(parts, app)
            .await
            .map_err(|_| not_found())?;
        let id = repository
            .strip_suffix(".git")
            .and_then(|id| id.parse::<AssignmentId>().ok());
        let id = id
            .filter(|id| id.as_str() == token.subject)
            .ok_or_else(not_found)?;
        let assignment = app.store().assignment(&id).await?.ok_or_else(not_found)?;
        match (&assignment.origin, assignment.state) {
            (Origin::Hosted, AssignmentState::Open | AssignmentState::Closed) => Ok(Self(assignment)),
            (Origin::Hosted, AssignmentState::Archived | AssignmentState::Erased) => Err(Said::new(
                StatusCode::GONE,
                "This repository was temporary, and its time is over.",
            )),
            (Origin::Forge { .. }, _) => Err(not_found()),
        }
    }
}

#[derive(Deserialize)]
struct Named {
    repository: String,
}

fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || credentials.len() > MAX_CREDENTIALS {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    (!password.is_empty()).then(|| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_credentials_are_looked_up() {
        for (value, expected) in [
            ("Basic eDpzZWNyZXQ=", Some("secret")),
            ("basic eDpzOmVj", Some("s:ec")),
            ("Basic eDo=", None),
            ("Basic eA==", None),
            ("Basic !!!", None),
            ("Bearer secret", None),
            ("Basic", None),
            (&format!("Basic {}", "a".repeat(2000)), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(password(&headers).as_deref(), expected, "{value}");
        }
        assert_eq!(password(&HeaderMap::new()), None);
    }
}
