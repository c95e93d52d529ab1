//! The few calls to each forge's API, over https with time-outs, without redirects, reading bounded answers.

use std::time::Duration;

use assay_store::model::{Connection, ForgeKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::address::PublicOnly;
use super::connections::Secrets;
use super::telling::{Status, Verdict};
use call::{Call, Method};

mod call;

/// Longest time of one call.
const CALL_WITHIN: Duration = Duration::from_secs(15);
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 2 << 20;
/// Longest part of a refusal that goes to the log, in characters.
const MAX_SAID: usize = 200;
/// Most pages of comments that are searched for ours.
const MAX_PAGES: u32 = 10;

/// A forge did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForgeError {
    #[error("the forge cannot be reached: {0}")]
    Unreachable(String),
    #[error("the forge answered {status}: {said}")]
    Refused {
        status: u16,
        said: String,
        /// How long it asks to be left alone, in seconds.
        retry_after_s: Option<u32>,
    },
    #[error("the forge's answer cannot be read: {0}")]
    Answer(&'static str),
}

/// An HTTP client for forges. Proxies of the environment are not used: they would look names up where it cannot be checked.
pub(crate) fn http(allow_private: bool) -> Result<reqwest::Client, ForgeError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever was faster installed the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = reqwest::Client::builder()
        .timeout(CALL_WITHIN)
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")));
    let builder = if allow_private {
        builder
    } else {
        builder.dns_resolver(PublicOnly)
    };
    builder.build().map_err(unreachable)
}

/// How a fetch over https from this connection's repositories says who asks: the value of an `Authorization` header.
pub(super) fn fetch_authorization(forge: ForgeKind, token: &str) -> String {
    let user = match forge {
        ForgeKind::GitHub => "x-access-token",
        ForgeKind::GitLab | ForgeKind::Gitea => "oauth2",
        ForgeKind::Bitbucket => "x-token-auth",
        ForgeKind::BitbucketServer => return format!("Bearer {token}"),
    };
    format!("Basic {}", BASE64.encode(format!("{user}:{token}")))
}

/// One forge, as one connection knows it.
pub(super) struct Forge<'a> {
    http: reqwest::Client,
    kind: ForgeKind,
    api_url: &'a str,
    token: &'a str,
}

impl<'a> Forge<'a> {
    pub(super) fn new(http: reqwest::Client, connection: &'a Connection, secrets: &'a Secrets) -> Self {
        Self {
            http,
            kind: connection.forge,
            api_url: &connection.api_url,
            token: &secrets.token,
        }
    }

    /// Sets a commit's status. Setting the same one again is harmless.
    pub(super) async fn set_status(
        &self,
        repository: &str,
        commit: &str,
        context: &str,
        page: &str,
        status: &Status,
    ) -> Result<(), ForgeError> {
        let call = call::status(self.kind, repository, commit, context, page, status);
        match self.send(&call).await {
            // GitLab refuses to go from a state to itself, or back from an end.
            Err(ForgeError::Refused {
                status: 400, said, ..
            }) if self.kind == ForgeKind::GitLab && said.contains("transition") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Writes the comment on a pull or merge request: edits `known` or the one with the marker, else makes one. Gives its id.
    pub(super) async fn set_comment(
        &self,
        repository: &str,
        request: u64,
        known: Option<&str>,
        marker: &str,
        body: &str,
    ) -> Result<String, ForgeError> {
        let found = match known {
            Some(known) => Some(known.to_owned()),
            None => self.find_comment(repository, request, marker).await?,
        };
        if let Some(id) = found {
            match self.edit_comment(repository, request, &id, body).await {
                Ok(()) => return Ok(id),
                // Somebody removed it.
                Err(ForgeError::Refused {
                    status: 404 | 410, ..
                }) => (),
                Err(error) => return Err(error),
            }
        }
        let made = self
            .send(&call::new_comment(self.kind, repository, request, body))
            .await?;
        id_of(&made).ok_or(ForgeError::Answer("a comment without an id"))
    }

    async fn edit_comment(
        &self,
        repository: &str,
        request: u64,
        id: &str,
        body: &str,
    ) -> Result<(), ForgeError> {
        let version = if self.kind == ForgeKind::BitbucketServer {
            let there = self.send(&call::one_comment(repository, request, id)).await?;
            there["version"].as_u64()
        } else {
            None
        };
        let call = call::edit_comment(self.kind, repository, request, id, body, version);
        self.send(&call).await.map(drop)
    }

    async fn find_comment(
        &self,
        repository: &str,
        request: u64,
        marker: &str,
    ) -> Result<Option<String>, ForgeError> {
        for page in 1..=MAX_PAGES {
            let answer = self
                .send(&call::comments(self.kind, repository, request, page))
                .await?;
            let comments = call::listed(self.kind, &answer);
            if let Some(ours) = comments.iter().find(|(_, text)| text.contains(marker)) {
                return Ok(Some(ours.0.clone()));
            }
            if comments.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// A commit's whole name, of its first digits.
    pub(super) async fn whole_commit(&self, repository: &str, short: &str) -> Result<String, ForgeError> {
        let answer = self.send(&call::one_commit(self.kind, repository, short)).await?;
        let name = ["hash", "id", "sha"]
            .into_iter()
            .find_map(|key| answer[key].as_str());
        name.and_then(super::repository::commit)
            .filter(|commit| commit.starts_with(short))
            .ok_or(ForgeError::Answer("a commit without its name"))
    }

    async fn send(&self, call: &Call) -> Result<Value, ForgeError> {
        let url = format!("{}{}", self.api_url, call.path);
        let request = match call.method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
            Method::Put => self.http.put(url),
            Method::Patch => self.http.patch(url),
        };
        let (name, value) = match self.kind {
            ForgeKind::GitLab => ("private-token", self.token.to_owned()),
            ForgeKind::Gitea => (AUTHORIZATION.as_str(), format!("token {}", self.token)),
            ForgeKind::GitHub | ForgeKind::Bitbucket | ForgeKind::BitbucketServer => {
                (AUTHORIZATION.as_str(), format!("Bearer {}", self.token))
            }
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| ForgeError::Answer("no usable token"))?;
        value.set_sensitive(true);
        let request = request.header(name, value).header("accept", "application/json");
        let request = match &call.body {
            Some(body) => request.json(body),
            None => request,
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after_s = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(ForgeError::Answer("too long an answer"));
            }
            bytes.extend_from_slice(&chunk);
        }
        if !(200..300).contains(&status) {
            let said = assay_report::text::line(&String::from_utf8_lossy(&bytes));
            return Err(ForgeError::Refused {
                status,
                said: said.chars().take(MAX_SAID).collect(),
                retry_after_s,
            });
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| ForgeError::Answer("no JSON"))
    }
}

/// Without the address: it is in the connection, and errors of a library may quote more than is good.
fn unreachable(error: reqwest::Error) -> ForgeError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    ForgeError::Unreachable(text)
}

fn id_of(value: &Value) -> Option<String> {
    value["id"].as_u64().map(|id| id.to_string())
}

/// A status' word at each forge.
fn word(kind: ForgeKind, verdict: Verdict) -> &'static str {
    use ForgeKind::{Bitbucket, BitbucketServer, GitHub, GitLab, Gitea};
    match (kind, verdict) {
        (Bitbucket | BitbucketServer, Verdict::Pending) => "INPROGRESS",
        (Bitbucket | BitbucketServer, Verdict::Passed | Verdict::Skipped) => "SUCCESSFUL",
        (Bitbucket, Verdict::Ours | Verdict::Stopped) => "STOPPED",
        // Data Center knows three words.
        (Bitbucket | BitbucketServer, Verdict::Failed | Verdict::Ours | Verdict::Stopped) => "FAILED",
        (_, Verdict::Pending) => "pending",
        (GitLab, Verdict::Skipped) => "skipped",
        (_, Verdict::Passed | Verdict::Skipped) => "success",
        (GitLab, Verdict::Stopped | Verdict::Ours) => "canceled",
        (GitLab, Verdict::Failed) => "failed",
        (GitHub | Gitea, Verdict::Failed) => "failure",
        (GitHub | Gitea, Verdict::Ours | Verdict::Stopped) => "error",
    }
}
