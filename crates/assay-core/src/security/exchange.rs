//! What was sent and what came back, and how both are shown to people.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::probe::Role;
use super::report::Excerpt;
use super::request::{Credential, User, Wire};

/// Longest request or answer in a report, characters.
const EXCERPT_CHARS: usize = 800;
/// Longest request body in a report, bytes.
const BODY_BYTES: usize = 300;

/// One request that was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Its part in the attack.
    pub role: Role,
    /// In whose name.
    pub credential: Credential,
    /// The request, without the credential.
    pub wire: Wire,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// An answer came.
    Answered(Answer),
    /// None came.
    Failed(Failure),
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// From the first byte sent to the last byte received.
    pub elapsed: Duration,
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens.
    NotConnected,
    /// The connection ended before an answer was complete.
    Dropped,
    /// No complete answer within this time.
    TimedOut(Duration),
}

impl Outcome {
    /// The answer, if there is one.
    pub const fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Failed(_) => None,
        }
    }

    /// An answer with a 2xx status.
    pub fn success(&self) -> Option<&Answer> {
        self.answer().filter(|answer| (200..300).contains(&answer.status))
    }

    /// A server error, or no answer at all.
    pub fn is_broken(&self) -> bool {
        self.answer().is_none_or(|answer| answer.status >= 500)
    }
}

impl Answer {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The media type in lower case, without parameters; empty when there is none.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }

    /// The body as text, whatever is no UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether browsers may not guess the type.
    pub fn has_nosniff(&self) -> bool {
        self.header("x-content-type-options")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("nosniff"))
    }

    /// Whether the body contains this text.
    pub fn contains(&self, text: &str) -> bool {
        self.text().contains(text)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => write!(f, "{}", answer.status),
            Self::Failed(failure) => write!(f, "{failure}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("no connection"),
            Self::Dropped => f.write_str("a dropped connection"),
            Self::TimedOut(after) => write!(f, "no answer within {} ms", after.as_millis()),
        }
    }
}

impl Exchange {
    /// What a report shows of it; `secrets` and everything that looks like a token are cut out.
    pub fn excerpt(&self, secrets: &[String]) -> Excerpt {
        let credential = match self.credential {
            Credential::Nobody => String::new(),
            Credential::User(User::A) => "(token of user A)\n".to_owned(),
            Credential::User(User::B) => "(token of user B)\n".to_owned(),
            Credential::Forged(forgery) => format!("(forged token: {forgery})\n"),
        };
        let sent = &self.wire.body;
        let mut body = String::from_utf8_lossy(&sent[..sent.len().min(BODY_BYTES)]).into_owned();
        if sent.len() > BODY_BYTES {
            body.push_str(&format!("… ({} bytes)", sent.len()));
        }
        let request = format!(
            "{} {}\n{credential}{}\n{body}",
            self.wire.method,
            self.wire.target,
            lines(&self.wire.headers)
        );
        let (answer, elapsed) = match &self.outcome {
            Outcome::Answered(answer) => {
                let text = format!("{}\n{}\n{}", answer.status, lines(&answer.headers), answer.text());
                (text, answer.elapsed)
            }
            Outcome::Failed(Failure::TimedOut(after)) => (self.outcome.to_string(), *after),
            Outcome::Failed(_) => (self.outcome.to_string(), Duration::ZERO),
        };
        Excerpt {
            role: self.role.name().to_owned(),
            request: readable(&request, secrets),
            answer: readable(&answer, secrets),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn lines(headers: &[(String, String)]) -> String {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect()
}

/// Cut to size, control characters made visible, secrets and tokens taken out.
fn readable(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        text = text.replace(secret.as_str(), "[cut]");
    }
    let text = without_tokens(text.trim_end());
    let mut shown: String = text
        .chars()
        .take(EXCERPT_CHARS)
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Replaces everything that begins like an encoded JSON object, as the parts of a JWT do.
fn without_tokens(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("eyJ") {
        let tail =
            after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        kept.push_str(before);
        kept.push_str(if after.len() - tail.len() >= 16 {
            "[token]"
        } else {
            "eyJ"
        });
        rest = if after.len() - tail.len() >= 16 {
            tail
        } else {
            after
        };
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_holds_no_secrets() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
        let exchange = Exchange {
            role: Role::Attack,
            credential: Credential::User(User::B),
            wire: Wire {
                method: "POST".to_owned(),
                target: "/login".to_owned(),
                headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
                body: b"{\"password\":\"correct horse\"}".to_vec(),
            },
            outcome: Outcome::Answered(Answer {
                status: 200,
                headers: Vec::new(),
                body: format!("{{\"t\":\"{token}\",\"x\":\"eyJ\"}}\u{7}{}", "y".repeat(2000)).into_bytes(),
                elapsed: Duration::from_millis(12),
            }),
        };
        let excerpt = exchange.excerpt(&["correct horse".to_owned()]);
        insta::assert_snapshot!(excerpt.request, @r#"
        POST /login
        (token of user B)
        Content-Type: application/json

        {"password":"[cut]"}
        "#);
        assert!(
            excerpt
                .answer
                .starts_with("200\n\n{\"t\":\"[token]\",\"x\":\"eyJ\"}\u{fffd}yyy"),
            "{}",
            excerpt.answer
        );
        assert!(excerpt.answer.chars().count() <= EXCERPT_CHARS + 1);
    }
}
