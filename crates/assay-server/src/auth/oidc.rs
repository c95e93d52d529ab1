//! Signing in at an OpenID Connect provider: the code flow with PKCE, state and nonce.
//!
//! What a sign-in under way has to remember is in a sealed cookie of its browser; nothing is stored here. An account belongs to
//! the provider's name for somebody, never to an address: whoever gets another's address gets no account with it.

mod person;
mod provider;

use std::fmt;

use assay_store::StoreError;
use assay_store::model::{Actor, Role, User};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::secret::base32;
use super::{Secret, session};
use crate::{App, Problem, desk};
use person::Person;
use provider::Provider;

/// How long somebody may take at the provider.
const WITHIN_MS: i64 = 10 * 60 * 1000;
/// What the cookie is sealed for.
const PLACE: &str = "oidc";

/// The provider, and who is let in. There is no default.
#[derive(Clone)]
pub struct Oidc {
    /// The provider's address, exactly as it calls itself.
    pub issuer: String,
    /// Our name at the provider.
    pub client_id: String,
    /// Our secret at the provider. Empty: there is none, and PKCE has to do.
    pub client_secret: String,
    /// What the button calls it.
    pub name: String,
    /// Claim that says what somebody may do: a word, or a list of words such as groups. None: roles are given here.
    pub role_claim: Option<String>,
    /// Words of that claim, and the role that each gives. The highest counts.
    pub roles: Vec<(String, Role)>,
    /// Role of those who come for the first time, or whose claim has no such word. None: they are not let in.
    pub default_role: Option<Role>,
    /// Domains that a confirmed address must be of. Empty: all, and those without an address too.
    pub allowed_domains: Vec<String>,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// A sign-in under way.
#[derive(Serialize, Deserialize)]
struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    until_ms: i64,
}

/// What the provider sends back by the browser.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    error: Option<String>,
    iss: Option<String>,
}

/// Somebody is signed in.
pub(crate) struct SignedIn {
    /// Where they wanted to go.
    pub(crate) next: String,
    /// The session, and the end of the cookie of the sign-in.
    pub(crate) cookies: [HeaderValue; 2],
}

fn settings(app: &App) -> Result<&Oidc, Problem> {
    app.settings()
        .oidc
        .as_ref()
        .ok_or_else(|| Problem::not_found("page"))
}

fn back(app: &App) -> String {
    format!("{}/sign-in/oidc/back", app.settings().public_url)
}

/// Begins a sign-in. Gives the provider's address to go to, and the cookie to set.
///
/// # Errors
/// 404 where no provider is configured; 503 when it does not answer.
pub(crate) async fn begin(app: &App, next: &str) -> Result<(String, HeaderValue), Problem> {
    let oidc = settings(app)?;
    let provider = Provider::discover(oidc).await.map_err(unreachable)?;
    let draw = || base32(&rand::random::<[u8; 32]>());
    let pending = Pending {
        state: draw(),
        nonce: draw(),
        verifier: draw(),
        next: next.to_owned(),
        until_ms: app.now_ms() + WITHIN_MS,
    };
    let challenge = BASE64.encode(Sha256::digest(&pending.verifier));
    let to = provider.asking(&[
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("client_id", &oidc.client_id),
        ("redirect_uri", &back(app)),
        ("state", &pending.state),
        ("nonce", &pending.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let open = serde_json::to_vec(&pending).map_err(|error| Problem::internal("a sign-in", &error))?;
    let sealed = app.settings().key.seal(PLACE, &open, rand::random());
    let sealed = sealed.map_err(|error| Problem::internal("a sign-in", &error))?;
    let secret = Secret::of(BASE64.encode(sealed));
    let cookie = session::set_cookie(app, cookie_name(app), Some(&secret), WITHIN_MS);
    Ok((to, cookie))
}

/// Ends a sign-in: the provider says who it is, and a session begins.
///
/// # Errors
/// 400 when the answer is not one to a sign-in of this browser; 403 when the provider or the rules let them not in; 503 when the
/// provider does not answer.
pub(crate) async fn end(app: &App, headers: &HeaderMap, answer: &Answer) -> Result<SignedIn, Problem> {
    let oidc = settings(app)?;
    let pending = pending(app, headers, answer)?;
    if let Some(error) = &answer.error {
        tracing::info!(error = ?error.chars().take(60).collect::<String>(), "the provider refused a sign-in");
        return Err(Problem::forbidden(format!("{} did not sign you in.", oidc.name)));
    }
    if answer.iss.as_ref().is_some_and(|issuer| *issuer != oidc.issuer) {
        return Err(Problem::bad_request("The answer is another provider's."));
    }
    let provider = Provider::discover(oidc).await.map_err(unreachable)?;
    let token = provider
        .exchange(&answer.code, &pending.verifier, &back(app))
        .await
        .map_err(refused)?;
    let keys = provider.keys().await.map_err(unreachable)?;
    let claims = person::verify(oidc, &token, &keys, &pending.nonce).map_err(refused)?;
    let person = person::person(oidc, &claims).map_err(|why| Problem::forbidden(why.to_string()))?;
    let user = user(app, oidc, person).await?;
    if user.disabled_at_ms.is_some() {
        return Err(Problem::forbidden("This account is switched off."));
    }
    Ok(SignedIn {
        next: pending.next,
        cookies: [
            session::begin(app, headers, &user).await?,
            session::set_cookie(app, cookie_name(app), None, 0),
        ],
    })
}

/// The sign-in of this browser that the answer is to.
fn pending(app: &App, headers: &HeaderMap, answer: &Answer) -> Result<Pending, Problem> {
    let cookie = session::cookie(headers, cookie_name(app));
    let sealed = cookie.and_then(|cookie| BASE64.decode(cookie).ok());
    let open = sealed.and_then(|sealed| app.settings().key.open(PLACE, &sealed).ok());
    let pending: Option<Pending> = open.and_then(|open| serde_json::from_slice(&open).ok());
    pending
        .filter(|pending| pending.until_ms > app.now_ms())
        .filter(|pending| pending.state.as_bytes().ct_eq(answer.state.as_bytes()).into())
        .ok_or_else(|| {
            Problem::bad_request("This sign-in was not begun here, or took too long. Begin again.")
        })
}

/// Their account; the first sign-in makes it. Where the provider says what they may do, it says so each time.
async fn user(app: &App, oidc: &Oidc, person: Person) -> Result<User, Problem> {
    let store = app.store();
    let by = Actor::System;
    let Some(mut user) = store.user_by_oidc(&person.subject).await? else {
        let role = person.role.ok_or_else(|| Problem::forbidden(person::NO_ROLE))?;
        let new = User {
            oidc_subject: Some(person.subject.clone()),
            ..desk::new_user(app, &person.login, &person.name, role)
        };
        return match store.create_user(&new).await {
            Ok(()) => {
                let detail = json!({ "role": role.name(), "by": "oidc" });
                desk::note(app, &by, "user.created", new.id.as_str(), detail).await?;
                Ok(new)
            }
            // The same person, in two windows at once; or somebody else's login.
            Err(StoreError::Exists { .. }) => store.user_by_oidc(&person.subject).await?.ok_or_else(|| {
                let detail = "There is an account with your name already, which is not linked to this sign-in. Use its \
                              password, or ask an administrator.";
                Problem::conflict(detail)
            }),
            Err(error) => Err(error.into()),
        };
    };
    if oidc.role_claim.is_some() {
        let role = person.role.ok_or_else(|| Problem::forbidden(person::NO_ROLE))?;
        if role != user.role {
            store.set_role(&user.id, role).await?;
            let detail = json!({ "role": role.name(), "by": "oidc" });
            desk::note(app, &by, "user.role_set", user.id.as_str(), detail).await?;
            user.role = role;
        }
    }
    Ok(user)
}

fn unreachable(error: provider::ProviderError) -> Problem {
    tracing::warn!(%error, "the OpenID Connect provider cannot be used: {error}");
    let detail = "The sign-in elsewhere does not work at the moment. Try again, or use a password.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unreachable", detail)
}

fn refused(error: impl fmt::Display) -> Problem {
    tracing::warn!(%error, "an OpenID Connect sign-in is refused: {error}");
    Problem::forbidden("The provider's answer does not hold. Begin again.")
}

fn cookie_name(app: &App) -> &'static str {
    if app.is_https() {
        "__Host-assay-oidc"
    } else {
        "assay-oidc"
    }
}
