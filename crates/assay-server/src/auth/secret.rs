//! Bearer secrets: drawn here, shown once, stored as a hash.

use std::fmt;

use assay_core::id::TokenId;
use assay_store::model::{Token, TokenKind};
use sha2::{Digest, Sha256};

use super::Right;
use crate::{App, Problem};

/// Longest text that can be a secret: what is longer is not even hashed.
const MAX_LEN: usize = 100;

/// 256 random bits as text, in an alphabet that survives being read aloud. [`fmt::Debug`] does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one, with the prefix of its kind, by which scanners find those that leaked.
    pub fn draw(kind: TokenKind) -> Self {
        let prefix = match kind {
            TokenKind::Api => "assay_",
            TokenKind::Git => "assay_git_",
            TokenKind::Session | TokenKind::Page | TokenKind::Share => "",
        };
        Self(format!("{prefix}{}", base32(&rand::random::<[u8; 32]>())))
    }

    /// One that a client brought.
    pub(crate) fn of(text: String) -> Self {
        Self(text)
    }

    /// The text, to be shown once.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is stored of a secret. None: the text cannot be one.
pub fn sha256(text: &str) -> Option<[u8; 32]> {
    (!text.is_empty() && text.len() <= MAX_LEN).then(|| Sha256::digest(text.as_bytes()).into())
}

/// Crockford's alphabet, five bits a character.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let (mut text, mut bits, mut n_bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        n_bits += 8;
        while n_bits >= 5 {
            n_bits -= 5;
            text.push(char::from(ALPHABET[(bits >> n_bits) as usize & 31]));
        }
    }
    if n_bits > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - n_bits)) as usize & 31]));
    }
    text
}

/// What a new token is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose<'a> {
    /// What it opens.
    pub(crate) kind: TokenKind,
    /// Id of the user, assignment or run.
    pub(crate) subject: &'a str,
    /// For people.
    pub(crate) name: &'a str,
    /// Rights of an API token.
    pub(crate) rights: &'a [Right],
    /// When it ends. None: never.
    pub(crate) expires_at_ms: Option<i64>,
}

/// Makes a token and stores its hash.
pub(crate) async fn issue(app: &App, purpose: Purpose<'_>) -> Result<(Token, Secret), Problem> {
    let secret = Secret::draw(purpose.kind);
    let token = Token {
        id: TokenId::from_random(rand::random()),
        kind: purpose.kind,
        subject: purpose.subject.to_owned(),
        name: purpose.name.to_owned(),
        secret_sha256: Sha256::digest(secret.text().as_bytes()).into(),
        scopes: purpose
            .rights
            .iter()
            .map(|right| right.name().to_owned())
            .collect(),
        created_at_ms: app.now_ms(),
        expires_at_ms: purpose.expires_at_ms,
        revoked_at_ms: None,
        last_used_at_ms: None,
    };
    app.store().add_token(&token).await?;
    Ok((token, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_never_printed() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"\0", "00"),
            (b"\xff", "zw"),
            (b"hello", "d1jprv3f"),
        ] {
            assert_eq!(base32(bytes), text);
        }
        let secret = Secret::draw(TokenKind::Api);
        assert_eq!(secret.text().len(), "assay_".len() + 52);
        assert_ne!(secret, Secret::draw(TokenKind::Api));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(sha256(""), None);
        assert_eq!(sha256(&"x".repeat(1_000)), None);
    }
}
