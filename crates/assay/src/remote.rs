//! A daemon's API, as the command line uses it. What the daemon refuses becomes a message with its own words.

mod events;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::configuration::{Configuration, Options};
use crate::exit::{Exit, Expected};

pub(crate) use events::{Told, follow, so_far};

/// How long an answer other than a stream is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Largest answer, in bytes: a report with its evidence rendered has some hundreds of kilobytes.
const MAX_ANSWER: usize = 64 << 20;

/// Most rows of one list.
const MOST_ROWS: usize = 20_000;

/// Part of a list.
#[derive(Deserialize)]
struct Part {
    rows: Vec<Value>,
    next: Option<String>,
}

/// Which daemon, and who asks.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// Address of the daemon; by default the one that is configured on this machine.
    #[arg(long, env = "ASSAY_SERVER", value_name = "URL")]
    server: Option<String>,
    /// File with an API token; by default the variable `ASSAY_TOKEN`, and for the daemon of this machine its own
    /// `admin.token`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// A connection to a daemon.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

impl Server {
    /// Finds address and token. Nothing is sent yet.
    pub(crate) fn connect(&self) -> anyhow::Result<Client> {
        let (base, own_token) = match &self.server {
            Some(server) => (server.trim_end_matches('/').to_owned(), None),
            None => {
                let configuration = Configuration::load(&self.options)?;
                let base = format!("http://{}", configuration.http.listen);
                (base, Some(configuration.data.join("admin.token")))
            }
        };
        let variable = std::env::var_os("ASSAY_TOKEN").and_then(|token| token.into_string().ok());
        let token = match (&self.token_file, variable, own_token) {
            (Some(path), ..) => Some(read_token(path)?),
            (None, Some(token), _) if !token.is_empty() => Some(token.trim().to_owned()),
            (None, _, Some(path)) if path.is_file() => Some(read_token(&path)?),
            _ => None,
        };
        install_tls();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the HTTP client cannot be set up")?;
        Ok(Client { base, token, http })
    }
}

fn read_token(path: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the token file {} cannot be read", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The one TLS stack of the program. Calling it again does nothing.
pub(crate) fn install_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

impl Client {
    /// Asks for JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.json(Method::GET, path, None).await
    }

    /// Sends JSON, and gives the answer's.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        self.json(method, path, Some(body)).await
    }

    /// All rows of a list, part by part.
    pub(crate) async fn rows(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut after: Option<String> = None;
        let join = if path.contains('?') { '&' } else { '?' };
        loop {
            let from = after.map_or(String::new(), |after| format!("&after={}", encoded(&after)));
            let part: Part = self.get(&format!("{path}{join}limit=200{from}")).await?;
            rows.extend(part.rows);
            anyhow::ensure!(
                rows.len() <= MOST_ROWS,
                "there are more than {MOST_ROWS} (hint: narrow it down)"
            );
            match part.next {
                Some(next) => after = Some(next),
                None => return Ok(rows),
            }
        }
    }

    /// The bytes of a file.
    pub(crate) async fn bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.whole(self.request(Method::GET, path)).await
    }

    /// Opens a stream.
    async fn open(&self, path: &str, last_event: i64) -> anyhow::Result<reqwest::Response> {
        let request = self
            .request(Method::GET, path)
            .header("accept", "text/event-stream")
            .header("last-event-id", last_event.to_string());
        self.checked(request).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let mut request = self.request(method, path).header("accept", "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let bytes = self.whole(request).await?;
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).with_context(|| {
            format!(
                "{} answers something else than this program expects (hint: are both of the same version?)",
                self.base
            )
        })
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn whole(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let mut response = self.checked(request.timeout(ANSWER_WITHIN)).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.with_context(|| self.lost())? {
            anyhow::ensure!(
                bytes.len() + chunk.len() <= MAX_ANSWER,
                "{} answers more than {} MiB",
                self.base,
                MAX_ANSWER >> 20
            );
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn checked(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let response = request.send().await.with_context(|| {
            format!(
                "no daemon answers at {} (hint: start one with `assay serve`, or name it with --server or ASSAY_SERVER)",
                self.base
            )
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(refusal(status, &text, self.token.is_some()).into())
    }

    fn lost(&self) -> String {
        format!("the connection to {} was lost", self.base)
    }
}

/// A path with those parameters that have a value.
pub(crate) fn query(path: &str, parameters: &[(&str, &Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        Some(format!("{name}={}", encoded(value)))
    });
    let given: Vec<String> = given.collect();
    match given.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", given.join("&")),
    }
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// What the daemon says, in a sentence and with an exit code.
fn refusal(status: StatusCode, body: &str, has_token: bool) -> Expected {
    let problem: Option<Value> = serde_json::from_str(body).ok();
    let text = |key: &str| Some(problem.as_ref()?.get(key)?.as_str()?.to_owned());
    let said = text("detail")
        .or_else(|| text("title"))
        .unwrap_or_else(|| format!("the daemon answers {status}"));
    let (exit, hint) = match status {
        StatusCode::UNAUTHORIZED if has_token => (
            Exit::Failed,
            " (hint: the token may be revoked or of another daemon)",
        ),
        StatusCode::UNAUTHORIZED => (
            Exit::Failed,
            " (hint: put an API token into ASSAY_TOKEN, or name a file with --token-file)",
        ),
        StatusCode::FORBIDDEN => (
            Exit::Failed,
            " (hint: the token's scopes or its owner's role do not allow it)",
        ),
        StatusCode::NOT_FOUND => (Exit::NothingToRun, ""),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => (Exit::BadConfiguration, ""),
        _ => (Exit::Failed, ""),
    };
    Expected {
        exit,
        message: format!("{said}{hint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        let ada = Some("Ada & Bö".to_owned());
        assert_eq!(
            query("/a", &[("text", &ada), ("state", &None)]),
            "/a?text=Ada%20%26%20B%C3%B6"
        );
        assert_eq!(query("/a", &[("state", &None)]), "/a");
    }

    #[test]
    fn a_refusal_is_said_in_the_daemons_words() {
        for (status, body, has_token, message, exit) in [
            (
                404,
                r#"{"detail":"There is no such run."}"#,
                true,
                "There is no such run.",
                Exit::NothingToRun,
            ),
            (
                422,
                r#"{"title":"Unprocessable"}"#,
                true,
                "Unprocessable",
                Exit::BadConfiguration,
            ),
            (
                401,
                "",
                true,
                "the daemon answers 401 Unauthorized (hint: the token may be revoked or of another daemon)",
                Exit::Failed,
            ),
            (
                401,
                "<html>",
                false,
                "the daemon answers 401 Unauthorized (hint: put an API token into ASSAY_TOKEN, or name a file with --token-file)",
                Exit::Failed,
            ),
            (
                502,
                "<html>bad gateway</html>",
                true,
                "the daemon answers 502 Bad Gateway",
                Exit::Failed,
            ),
        ] {
            let refusal = refusal(StatusCode::from_u16(status).unwrap(), body, has_token);
            assert_eq!((refusal.message.as_str(), refusal.exit), (message, exit));
        }
    }
}
