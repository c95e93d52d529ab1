//! Bearer secrets, of which only the hash is known here.

use assay_core::id::TokenId;

use crate::error::exists;
use crate::model::{Token, TokenKind};
use crate::names::Named;
use crate::rows::{from_json, hex, id, plain, to_json};
use crate::sql::{all, execute, optional};
use crate::{Store, StoreError};

/// A token's last use is written down at most this often: not every request should be a write.
const NOTE_USE_EVERY_MS: i64 = 60_000;

#[derive(sqlx::FromRow)]
struct TokenRow {
    id: String,
    kind: String,
    subject: String,
    name: String,
    secret_sha256: String,
    scopes: String,
    created_at_ms: i64,
    expires_at_ms: Option<i64>,
    revoked_at_ms: Option<i64>,
    last_used_at_ms: Option<i64>,
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: id(row.id)?,
            kind: TokenKind::of(&row.kind)?,
            subject: row.subject,
            name: row.name,
            secret_sha256: unhex(&row.secret_sha256)?,
            scopes: from_json("list of scopes", &row.scopes)?,
            created_at_ms: row.created_at_ms,
            expires_at_ms: row.expires_at_ms,
            revoked_at_ms: row.revoked_at_ms,
            last_used_at_ms: row.last_used_at_ms,
        })
    }
}

fn unhex(text: &str) -> Result<[u8; 32], StoreError> {
    let damaged = || StoreError::Damaged {
        what: "SHA-256",
        text: text.to_owned(),
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return Err(damaged());
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * i..2 * i + 2).ok_or_else(damaged)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| damaged())?;
    }
    Ok(bytes)
}

impl Store {
    /// Adds a token.
    ///
    /// # Errors
    ///
    /// When its id or secret is there already.
    pub async fn add_token(&self, token: &Token) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO tokens (id, kind, subject, name, secret_sha256, scopes, created_at_ms, expires_at_ms,
                                 revoked_at_ms, last_used_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            token.id.as_str(),
            token.kind.word(),
            plain(&token.subject),
            plain(&token.name),
            hex(&token.secret_sha256),
            to_json("list of scopes", &token.scopes)?,
            token.created_at_ms,
            token.expires_at_ms,
            token.revoked_at_ms,
            token.last_used_at_ms,
        )
        .map_err(exists("token", token.id.as_str()))?;
        tx.commit().await
    }

    /// The live token of this kind with this secret: neither expired nor revoked. Notes its use, at most once a minute.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn token(
        &self,
        kind: TokenKind,
        secret_sha256: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<Token>, StoreError> {
        let mut tx = self.read().await?;
        let row: Option<TokenRow> = optional!(
            &mut tx,
            "SELECT * FROM tokens
             WHERE secret_sha256 = $1 AND kind = $2 AND revoked_at_ms IS NULL
               AND (expires_at_ms IS NULL OR expires_at_ms > $3)",
            hex(secret_sha256),
            kind.word(),
            now_ms,
        )?;
        tx.commit().await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let token = Token::try_from(row)?;
        if token
            .last_used_at_ms
            .is_none_or(|used_at_ms| now_ms - used_at_ms >= NOTE_USE_EVERY_MS)
        {
            let mut tx = self.write().await?;
            execute!(
                &mut tx,
                "UPDATE tokens SET last_used_at_ms = $1 WHERE id = $2",
                now_ms,
                token.id.as_str(),
            )?;
            tx.commit().await?;
        }
        Ok(Some(token))
    }

    /// All tokens of a kind that somebody or something has, revoked and expired ones included, newest first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn tokens_of(&self, kind: TokenKind, subject: &str) -> Result<Vec<Token>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<TokenRow> = all!(
            &mut tx,
            "SELECT * FROM tokens WHERE subject = $1 AND kind = $2 ORDER BY created_at_ms DESC, id DESC",
            plain(subject),
            kind.word(),
        )?;
        rows.into_iter().map(Token::try_from).collect()
    }

    /// Revokes a token. False: there is none, or it was revoked before.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn revoke_token(&self, id: &TokenId, now_ms: i64) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "UPDATE tokens SET revoked_at_ms = $1 WHERE id = $2 AND revoked_at_ms IS NULL",
            now_ms,
            id.as_str(),
        )?;
        tx.commit().await?;
        Ok(n > 0)
    }

    /// Revokes all tokens of a kind that somebody or something has. Answers how many it were.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn revoke_tokens_of(
        &self,
        kind: TokenKind,
        subject: &str,
        now_ms: i64,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(
            &mut tx,
            "UPDATE tokens SET revoked_at_ms = $1 WHERE subject = $2 AND kind = $3 AND revoked_at_ms IS NULL",
            now_ms,
            plain(subject),
            kind.word(),
        )?;
        tx.commit().await?;
        Ok(n)
    }

    /// Removes tokens that have expired. Answers how many it were.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn remove_expired_tokens(&self, now_ms: i64) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let n = execute!(&mut tx, "DELETE FROM tokens WHERE expires_at_ms <= $1", now_ms)?;
        tx.commit().await?;
        Ok(n)
    }
}
