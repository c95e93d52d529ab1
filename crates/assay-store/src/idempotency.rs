//! Requests that may come twice and should act once.

use assay_core::id::UserId;
use serde_json::Value;

use crate::model::Remembered;
use crate::rows::{from_json, hex, plain};
use crate::sql::{execute, optional};
use crate::{Store, StoreError};

/// How long a key is remembered.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// How long the first request may take before a second one with the same key stands in for it.
const ANSWERED_WITHIN_MS: i64 = 60_000;

impl Store {
    /// Asks what is known of a key, and takes it when it is new. Keys are forgotten after a day.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn idempotent(
        &self,
        key: &str,
        user: &UserId,
        request_sha256: &[u8; 32],
        now_ms: i64,
    ) -> Result<Remembered, StoreError> {
        let (key, request) = (plain(key), hex(request_sha256));
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "DELETE FROM idempotency WHERE created_at_ms <= $1 OR (response IS NULL AND created_at_ms <= $2)",
            now_ms - KEPT_MS,
            now_ms - ANSWERED_WITHIN_MS,
        )?;
        let known: Option<(String, Option<String>)> = optional!(
            &mut tx,
            "SELECT request_sha256, response FROM idempotency WHERE user_id = $1 AND key = $2",
            user.as_str(),
            &key,
        )?;
        let remembered = match known {
            None => {
                execute!(
                    &mut tx,
                    "INSERT INTO idempotency (user_id, key, request_sha256, created_at_ms) VALUES ($1, $2, $3, $4)",
                    user.as_str(),
                    &key,
                    &request,
                    now_ms,
                )?;
                Remembered::New
            }
            Some((before, Some(response))) if before == request => {
                Remembered::Same(from_json("response", &response)?)
            }
            Some(_) => Remembered::Different,
        };
        tx.commit().await?;
        Ok(remembered)
    }

    /// Remembers the response to the request that took a key. It should hold no secret: it is kept for a day.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn remember(&self, key: &str, user: &UserId, response: &Value) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "UPDATE idempotency SET response = $1 WHERE user_id = $2 AND key = $3",
            response.to_string(),
            user.as_str(),
            plain(key),
        )?;
        tx.commit().await
    }
}
