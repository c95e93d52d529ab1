//! Signatures; bodies follow.

use assay_core::id::TokenId;

use crate::model::{Token, TokenKind};
use crate::{Store, StoreError};

impl Store {
    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn add_token(&self, token: &Token) -> Result<(), StoreError> {
        let _ = token;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn token(
        &self,
        kind: TokenKind,
        secret_sha256: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<Token>, StoreError> {
        let _ = kind;
        let _ = secret_sha256;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn tokens_of(&self, kind: TokenKind, subject: &str) -> Result<Vec<Token>, StoreError> {
        let _ = kind;
        let _ = subject;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn revoke_token(&self, id: &TokenId, now_ms: i64) -> Result<bool, StoreError> {
        let _ = id;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn revoke_tokens_of(
        &self,
        kind: TokenKind,
        subject: &str,
        now_ms: i64,
    ) -> Result<u64, StoreError> {
        let _ = kind;
        let _ = subject;
        let _ = now_ms;
        Err(StoreError::Pending)
    }

    /// See the notes.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn remove_expired_tokens(&self, now_ms: i64) -> Result<u64, StoreError> {
        let _ = now_ms;
        Err(StoreError::Pending)
    }
}
