//! What the provider is asked, over HTTP. Nothing is remembered: its keys and addresses may change at any time.

use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Oidc;
use crate::hooks;

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 512 << 10;

/// The provider did not answer, or not as one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    #[error("it cannot be reached: {0}")]
    Unreachable(reqwest::Error),
    #[error("its {what} answers {status}")]
    Refused { what: &'static str, status: StatusCode },
    #[error("its {what} is larger than {} KiB", MAX_ANSWER >> 10)]
    TooLarge { what: &'static str },
    #[error("its {what} is none: {error}")]
    Form {
        what: &'static str,
        error: serde_json::Error,
    },
    #[error("it calls itself `{0}` (hint: oidc.issuer has to be exactly that)")]
    Issuer(String),
    #[error("its addresses are not https")]
    Insecure,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// The provider, as it describes itself at this moment.
pub(super) struct Provider<'o> {
    oidc: &'o Oidc,
    http: reqwest::Client,
    metadata: Metadata,
}

impl<'o> Provider<'o> {
    pub(super) async fn discover(oidc: &'o Oidc) -> Result<Self, ProviderError> {
        let http = hooks::client(true).map_err(|error| ProviderError::Client(error.to_string()))?;
        let base = oidc.issuer.trim_end_matches('/');
        let request = http.get(format!("{base}/.well-known/openid-configuration"));
        let metadata: Metadata = ask(request, "description").await?;
        if metadata.issuer != oidc.issuer {
            return Err(ProviderError::Issuer(metadata.issuer.chars().take(200).collect()));
        }
        let addresses = [
            &metadata.authorization_endpoint,
            &metadata.token_endpoint,
            &metadata.jwks_uri,
        ];
        if oidc.issuer.starts_with("https:") && !addresses.iter().all(|url| url.starts_with("https:")) {
            return Err(ProviderError::Insecure);
        }
        Ok(Self { oidc, http, metadata })
    }

    /// The address that a browser goes to.
    pub(super) fn asking(&self, parameters: &[(&str, &str)]) -> String {
        let address = &self.metadata.authorization_endpoint;
        let join = if address.contains('?') { '&' } else { '?' };
        let query = serde_urlencoded::to_string(parameters).unwrap_or_default();
        format!("{address}{join}{query}")
    }

    /// The identity token for a code.
    pub(super) async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
    ) -> Result<String, ProviderError> {
        let (id, secret) = (self.oidc.client_id.as_str(), self.oidc.client_secret.as_str());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
            ("client_id", id),
        ];
        let methods = &self.metadata.token_endpoint_auth_methods_supported;
        let knows = |method: &str| methods.iter().any(|known| known == method);
        let mut request = self.http.post(&self.metadata.token_endpoint);
        if !secret.is_empty() && knows("client_secret_post") && !knows("client_secret_basic") {
            form.push(("client_secret", secret));
        } else if !secret.is_empty() {
            // Encoded as a form's values are, then joined (RFC 6749, 2.3.1).
            let encoded = |text: &str| crate::pages::encoded(text);
            let joined = BASE64.encode(format!("{}:{}", encoded(id), encoded(secret)));
            request = request.header(header::AUTHORIZATION, format!("Basic {joined}"));
        }
        let body = serde_urlencoded::to_string(&form).unwrap_or_default();
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(body);
        let tokens: Tokens = ask(request, "answer to a code").await?;
        Ok(tokens.id_token)
    }

    /// The keys that it signs with.
    pub(super) async fn keys(&self) -> Result<JwkSet, ProviderError> {
        /// Those that we know; a provider may have others.
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<serde_json::Value>,
        }
        let all: Keys = ask(self.http.get(&self.metadata.jwks_uri), "list of keys").await?;
        let known = all
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok());
        Ok(JwkSet {
            keys: known.collect(),
        })
    }
}

async fn ask<T: DeserializeOwned>(
    request: reqwest::RequestBuilder,
    what: &'static str,
) -> Result<T, ProviderError> {
    let gone = |error: reqwest::Error| ProviderError::Unreachable(error.without_url());
    let mut response = request.send().await.map_err(gone)?;
    let status = response.status();
    if !status.is_success() {
        return Err(ProviderError::Refused { what, status });
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(gone)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(ProviderError::TooLarge { what });
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|error| ProviderError::Form { what, error })
}
